//! Opus packets into samples, by `opus-pure`.
//!
//! In: an identification header and packets, as Ogg, Matroska, MP4 and CAF carry them. Out:
//! interleaved float32 at 48 kHz, the header's gain applied; pre-skip and the trim at the end are
//! the container's business. Refuses headers that contradict themselves and ambisonics.
//!
//! Streams of several channels are taken apart here, because the crate knows the two standard
//! layouts only. Sources: RFC 7845, section 5.1 (the header); RFC 6716, section 3 and appendix B
//! (packets, self-delimited ones too); the Opus-in-ISOBMFF specification, section 4.3.2.

use opus_pure::OpusDecoder;

use super::Decoded;
use crate::error::DecodeProblem;

/// The rate that Opus decodes to, whatever was encoded.
pub(super) const SAMPLE_RATE: u32 = 48_000;

/// Frames of the longest packet: 120 ms.
const MAX_PACKET_FRAMES: usize = 5_760;
/// What the header begins with.
const MAGIC: &[u8] = b"OpusHead";
/// The place in a mapping of a channel that is silent.
const SILENT: u8 = 255;

/// What the identification header says.
#[derive(Debug, PartialEq)]
pub(super) struct OpusHead {
    pub(super) channels: u8,
    /// Frames at 48 kHz to drop at the beginning.
    pub(super) pre_skip: u16,
    /// The factor that samples are multiplied by.
    gain: f32,
    streams: u8,
    coupled: u8,
    /// For each channel of the output, the decoded channel that it repeats.
    mapping: Vec<u8>,
}

impl OpusHead {
    /// Reads a header with its magic word.
    pub(super) fn read(bytes: &[u8]) -> Decoded<Self> {
        let malformed = |found: String| DecodeProblem::Malformed {
            what: "Opus header",
            expected: "`OpusHead`, streams and a channel for each place of the mapping",
            found,
        };
        let Some(&[version, channels, skip_0, skip_1, _, _, _, _, gain_0, gain_1, family]) =
            bytes.strip_prefix(MAGIC).and_then(|body| body.first_chunk())
        else {
            return Err(malformed(format!("{} bytes", bytes.len())));
        };
        // MP4 counts big-endian, and from version 0; everyone else little-endian and from 1.
        let (pre_skip, gain) = if version == 0 {
            (u16::from_be_bytes([skip_0, skip_1]), i16::from_be_bytes([gain_0, gain_1]))
        } else {
            (u16::from_le_bytes([skip_0, skip_1]), i16::from_le_bytes([gain_0, gain_1]))
        };
        let table = &bytes[MAGIC.len() + 11..];
        let (streams, coupled, mapping) = match family {
            0 if channels <= 2 => (1, channels.saturating_sub(1), vec![0, 1]),
            1 | 255 => {
                let Some((&[streams, coupled], mapping)) = table.split_first_chunk() else {
                    return Err(malformed("a header that ends early".to_owned()));
                };
                (streams, coupled, mapping.to_vec())
            }
            _ => {
                return Err(DecodeProblem::UnknownCodec {
                    codec: format!("Opus of channel mapping family {family}"),
                });
            }
        };
        let mut mapping = mapping;
        mapping.truncate(channels.into());
        let decoded = u16::from(streams) + u16::from(coupled);
        let known = mapping.iter().all(|&place| place == SILENT || u16::from(place) < decoded);
        if mapping.len() != usize::from(channels) || streams == 0 || coupled > streams || !known {
            return Err(malformed(format!(
                "{channels} channels of {streams} streams, {coupled} of them stereo"
            )));
        }
        // In steps of 1/256 dB.
        let gain = 10_f32.powf(f32::from(gain) / (20.0 * 256.0));
        Ok(Self { channels, pre_skip, gain, streams, coupled, mapping })
    }

    /// The header of a container that has none of its own: one stream of one or two channels.
    pub(super) fn plain(channels: u8, pre_skip: u16) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, channels]);
        bytes.extend(pre_skip.to_le_bytes());
        bytes.extend(SAMPLE_RATE.to_le_bytes());
        bytes.extend([0, 0, 0]);
        bytes
    }
}

/// The streams of an Opus track.
pub(super) struct OpusCodec {
    head: OpusHead,
    decoders: Vec<OpusDecoder>,
    /// One stream's samples.
    stream: Vec<f32>,
    /// One stream's packet, without the mark of its own length.
    packet: Vec<u8>,
}

impl OpusCodec {
    pub(super) fn new(head: OpusHead) -> Decoded<Self> {
        let rate = SAMPLE_RATE.cast_signed();
        let decoders = (0..head.streams)
            .map(|stream| OpusDecoder::new(rate, if stream < head.coupled { 2 } else { 1 }))
            .collect::<Result<Vec<_>, _>>()
            .map_err(DecodeProblem::decoder)?;
        let stream = vec![0.0; 2 * MAX_PACKET_FRAMES];
        Ok(Self { head, decoders, stream, packet: Vec::new() })
    }

    /// Replaces `interleaved` by the samples of a packet and returns how many frames it has; none
    /// when it is damaged.
    pub(super) fn decode(&mut self, packet: &[u8], interleaved: &mut Vec<f32>) -> Option<usize> {
        let channels = usize::from(self.head.channels);
        let frames = packet_frames(packet)?;
        interleaved.clear();
        interleaved.resize(frames * channels, 0.0);
        let mut rest = packet;
        let last = self.decoders.len() - 1;
        for (number, decoder) in self.decoders.iter_mut().enumerate() {
            let one = if number == last {
                rest
            } else {
                rest = undelimit(rest, &mut self.packet)?;
                &self.packet
            };
            if packet_frames(one) != Some(frames) {
                return None;
            }
            let found = decoder.decode(one, MAX_PACKET_FRAMES, &mut self.stream).ok()?;
            if found != frames {
                return None;
            }
            let (first, width) = decoded_channels(number, self.head.coupled.into());
            for (channel, &place) in self.head.mapping.iter().enumerate() {
                let Some(within) = usize::from(place).checked_sub(first) else { continue };
                if place == SILENT || within >= width {
                    continue;
                }
                let decoded = self.stream[within..].iter().step_by(width);
                let output = interleaved[channel..].iter_mut().step_by(channels);
                output.zip(decoded).for_each(|(sample, &value)| *sample = value * self.head.gain);
            }
        }
        Some(frames)
    }
}

/// The first decoded channel of a stream, and how many it has: stereo streams come first.
fn decoded_channels(stream: usize, coupled: usize) -> (usize, usize) {
    if stream < coupled { (2 * stream, 2) } else { (stream + coupled, 1) }
}

/// Frames at 48 kHz of a packet, by its first bytes; `None` for what is no packet.
pub(super) fn packet_frames(packet: &[u8]) -> Option<usize> {
    let &toc = packet.first()?;
    // Five bits of configuration: SILK, hybrid and CELT have their own lengths of a frame.
    let frame = match toc >> 3 {
        silk @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(silk % 4)],
        hybrid @ 12..=15 => [480, 960][usize::from(hybrid % 2)],
        celt => [120, 240, 480, 960][usize::from(celt % 4)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(packet.get(1)? & 0x3f),
    };
    (1..=MAX_PACKET_FRAMES).contains(&(frame * count)).then_some(frame * count)
}

/// Moves the first, self-delimited packet of `bytes` to `packet`, without its extra length, and
/// returns what follows it.
fn undelimit<'a>(bytes: &'a [u8], packet: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut cursor = Cursor { bytes, position: 1 };
    let &toc = bytes.first()?;
    // What stands before the extra length, and how much of frames and padding follows it.
    let (head, body) = match toc & 3 {
        0 => (cursor.position, cursor.length()?),
        1 => (cursor.position, 2 * cursor.length()?),
        2 => {
            let first = cursor.length()?;
            (cursor.position, first + cursor.length()?)
        }
        _ => {
            let kind = cursor.byte()?;
            let count = usize::from(kind & 0x3f);
            let mut padding = 0;
            if kind & 0x40 != 0 {
                loop {
                    let more = cursor.byte()?;
                    // 255 stands for 254 bytes and another count.
                    padding += usize::from(more.min(254));
                    if more < 255 {
                        break;
                    }
                }
            }
            let variable = kind & 0x80 != 0;
            let mut frames = 0;
            if variable {
                for _ in 1..count {
                    frames += cursor.length()?;
                }
            }
            let head = cursor.position;
            let last = cursor.length()?;
            frames += if variable { last } else { count * last };
            (head, frames + padding)
        }
    };
    let start = cursor.position;
    packet.clear();
    packet.extend_from_slice(&bytes[..head]);
    packet.extend_from_slice(bytes.get(start..start + body)?);
    bytes.get(start + body..)
}

/// A place in a packet.
struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.position)?;
        self.position += 1;
        Some(byte)
    }

    /// A frame's length in one or two bytes (RFC 6716, section 3.1).
    fn length(&mut self) -> Option<usize> {
        match usize::from(self.byte()?) {
            short @ 0..=251 => Some(short),
            low => Some(low + 4 * usize::from(self.byte()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(family: u8, channels: u8, table: &[u8]) -> Decoded<OpusHead> {
        let mut bytes = OpusHead::plain(channels, 312);
        bytes[18] = family;
        bytes.extend(table);
        OpusHead::read(&bytes)
    }

    #[test]
    fn headers_that_contradict_themselves_are_refused() {
        assert_eq!(head(0, 2, &[]).unwrap().pre_skip, 312);
        assert_eq!(head(1, 6, &[4, 2, 0, 4, 1, 2, 3, 5]).unwrap().mapping, [0, 4, 1, 2, 3, 5]);
        assert_eq!(head(255, 3, &[3, 0, 0, 255, 2]).unwrap().streams, 3);
        for (family, channels, table) in [
            (0, 3, &[][..]),
            (1, 6, &[4, 2, 0, 4, 1]),
            (1, 2, &[0, 0, 0, 1]),
            (1, 2, &[1, 2, 0, 1]),
            (1, 2, &[1, 1, 0, 2]),
            (2, 4, &[4, 0, 0, 1, 2, 3]),
        ] {
            assert!(head(family, channels, table).is_err(), "{family} {channels} {table:?}");
        }
        assert!(OpusHead::read(b"OpusHead\x01").is_err());
    }

    #[test]
    fn packets_say_how_long_they_are() {
        assert_eq!(packet_frames(&[0x80]), Some(120)); // CELT, 2.5 ms
        assert_eq!(packet_frames(&[0x1b, 2]), Some(2 * 2_880)); // SILK, twice 60 ms
        assert_eq!(packet_frames(&[0x1b, 3]), None); // 180 ms
        assert_eq!(packet_frames(&[0xfb, 0]), None);
        assert_eq!(packet_frames(&[0x03]), None);
        assert_eq!(packet_frames(&[]), None);
    }

    #[test]
    fn self_delimited_packets_come_apart() {
        let mut packet = Vec::new();
        for (bytes, plain, rest) in [
            (&[0xf8, 2, 7, 8, 9][..], &[0xf8, 7, 8][..], &[9][..]),
            (&[0xf9, 1, 7, 8, 9], &[0xf9, 7, 8], &[9]),
            (&[0xfa, 1, 2, 5, 6, 7, 9], &[0xfa, 1, 5, 6, 7], &[9]),
            // Two frames of one byte, and one byte of padding.
            (&[0xfb, 0x42, 1, 1, 5, 6, 0, 9], &[0xfb, 0x42, 1, 5, 6, 0], &[9]),
            // Two frames of one and two bytes.
            (&[0xfb, 0x82, 1, 2, 5, 6, 7, 9], &[0xfb, 0x82, 1, 5, 6, 7], &[9]),
        ] {
            assert_eq!(undelimit(bytes, &mut packet), Some(rest));
            assert_eq!(packet, plain);
            for cut in 0..bytes.len() - 1 {
                assert_eq!(undelimit(&bytes[..cut], &mut packet), None, "{bytes:?} cut at {cut}");
            }
        }
    }
}
