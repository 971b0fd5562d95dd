//! How much of what was passed over a codec has to decode for the rest to be right.
//!
//! In: the packets that were passed over last. Out: how many of them to decode, though nobody hears
//! them. Refuses nothing.

use std::collections::VecDeque;

use symphonia::core::packet::Packet;

/// Bytes by which the bits of a frame of MPEG audio, layer III, may begin earlier: `main_data_begin` has
/// 9 bits (ISO 11172-3, 2.4.2.7), and 8 at lower sampling frequencies (ISO 13818-3, 2.4.2.7).
const RESERVOIR_BYTES: usize = 511;
const RESERVOIR_BYTES_AT_LOW_RATES: usize = 255;

/// What has to be decoded before a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preroll {
    /// So many packets.
    Packets(usize),
    /// Packets of so many frames together.
    Frames(u64),
    /// Frames of MPEG audio, which overlap with the one before, and of layer III those that have bits of
    /// these.
    MpegAudio,
}

/// Packets that are kept until it is looked which of them are needed: far more than that, so that it is
/// rare. They are small where they have to be looked at.
const MOST_PACKETS: usize = 1_024;

impl Preroll {
    /// Packets that may be kept without looking which are needed.
    pub(super) fn most_packets(self) -> usize {
        match self {
            Self::Packets(count) => count,
            Self::Frames(_) | Self::MpegAudio => MOST_PACKETS,
        }
    }

    /// How many of `passed`, the latest behind, have to be decoded.
    pub(super) fn packets(self, passed: &VecDeque<Packet>) -> usize {
        let latest = passed.iter().rev();
        let count = match self {
            Self::Packets(count) => count,
            Self::Frames(frames) => until(frames, latest.map(|packet| packet.dur.get())),
            Self::MpegAudio => mpeg_packets(latest.map(|packet| &*packet.data)),
        };
        count.min(passed.len())
    }
}

/// How many of `lengths` it takes to reach `length`.
fn until(length: u64, lengths: impl Iterator<Item = u64>) -> usize {
    let mut sum = 0;
    let mut is_short = move |one: &u64| {
        let was_short = sum < length;
        sum += one;
        was_short
    };
    lengths.take_while(|one| is_short(one)).count()
}

/// How many frames of MPEG audio, of which `latest` is first the last.
fn mpeg_packets<'a>(latest: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut latest = latest.peekable();
    let Some(header) = latest.peek().and_then(|packet| packet.first_chunk::<4>()) else { return 0 };
    let is_of_low_rate = header[1] & 0x08 == 0;
    // A granule overlaps with the one before, and the filter behind with that; a frame has two of them,
    // or one at low rates.
    let overlap = if is_of_low_rate { 3 } else { 2 };
    if (header[1] >> 1) & 3 != 1 {
        return overlap;
    }
    let reservoir =
        if is_of_low_rate { RESERVOIR_BYTES_AT_LOW_RATES } else { RESERVOIR_BYTES } as u64;
    overlap + until(reservoir, latest.skip(overlap).map(|packet| main_data_bytes(packet) as u64))
}

/// Bytes of a frame of layer III behind its header, checksum and side information (ISO 11172-3, 2.4.1).
fn main_data_bytes(frame: &[u8]) -> usize {
    let Some(&[_, kind, _, mode]) = frame.first_chunk::<4>() else { return 0 };
    let (is_of_low_rate, is_mono) = (kind & 0x08 == 0, mode >> 6 == 3);
    let checksum = if kind & 1 == 0 { 2 } else { 0 };
    let side = match (is_of_low_rate, is_mono) {
        (false, false) => 32,
        (false, true) | (true, false) => 17,
        (true, true) => 9,
    };
    frame.len().saturating_sub(4 + checksum + side)
}

#[cfg(test)]
mod tests {
    use symphonia::core::units::{Duration, Timestamp};

    use super::*;

    fn packets(count: usize, frames: u64, bytes: &[u8]) -> VecDeque<Packet> {
        let packet = |_| Packet::new(0, Timestamp::new(0), Duration::new(frames), bytes);
        (0..count).map(packet).collect()
    }

    #[test]
    fn short_packets_take_as_much_time_as_long_ones() {
        let second = Preroll::Frames(48_000);
        assert_eq!(second.packets(&packets(1_000, 120, b"")), 400, "of 2.5 ms");
        assert_eq!(second.packets(&packets(1_000, 2_880, b"")), 17, "of 60 ms");
        assert_eq!(second.packets(&packets(5, 960, b"")), 5, "all that there are");
        assert_eq!(Preroll::Packets(1).packets(&packets(9, 960, b"")), 1);
    }

    #[test]
    fn small_frames_of_mpeg_audio_hold_few_bits_of_later_ones() {
        let needed = |header: [u8; 4], bytes: usize| {
            let mut frame = vec![0; bytes];
            frame[..4].copy_from_slice(&header);
            Preroll::MpegAudio.packets(&packets(1_000, 576, &frame))
        };
        // MPEG-1 at 128 kbit/s, stereo: 381 bytes a frame.
        assert_eq!(needed([0xff, 0xfb, 0x90, 0x00], 417), 2 + 2);
        // MPEG-2 at 8 kbit/s and 24 kHz: 11 bytes of mono, 3 of stereo.
        assert_eq!(needed([0xff, 0xf3, 0x14, 0xc0], 24), 3 + 24);
        assert_eq!(needed([0xff, 0xf3, 0x14, 0x00], 24), 3 + 85);
        // The same with a checksum.
        assert_eq!(needed([0xff, 0xf2, 0x14, 0xc0], 24), 3 + 29);
        // Layer II has no bits of other frames.
        assert_eq!(needed([0xff, 0xfd, 0x90, 0x00], 417), 2);
    }
}
