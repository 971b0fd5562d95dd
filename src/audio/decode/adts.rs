//! AAC in an audio data transport stream (ADTS), the form of `.aac` files.
//!
//! In: a file. Out: packets, and the configuration that their headers say. Refuses files without
//! two headers in a row. symphonia's own reader takes any two bytes that look like the beginning
//! of a header for one, so that damage shifts what follows; here a header counts when another one
//! stands where its frame ends, and what lies between two such frames is passed over with an
//! estimate of the time it took. Source: ISO/IEC 13818-7, section 6.2.

use std::fs::File;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::Decoded;
use super::aac::{PACKET_FRAMES, SAMPLE_RATES};
use super::bytes::Sliding;
use super::declared::id3v2_bytes;
use super::packet_reader::{PacketReader, Step};
use crate::error::DecodeProblem;

/// Bytes of a header without and with a checksum.
const HEADER_BYTES: usize = 7;
const CHECKSUM_BYTES: usize = 2;

/// Frames of an ADTS file.
pub(super) struct AdtsReader {
    file: Sliding,
    position: u64,
    /// What all headers of the stream have in common.
    stream: Header,
    /// Bytes and number of the frames so far, from which lost ones are estimated.
    frame_bytes: u64,
    frames: u64,
    next_timestamp: i64,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    object_type: u8,
    rate_index: u8,
    channels: u8,
    /// Bytes of the header itself.
    own_bytes: usize,
    frame_bytes: usize,
    /// AAC packets in the frame: nearly always one.
    packets: u8,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[sync, version, a, b, c, d, e] = bytes.first_chunk::<HEADER_BYTES>()?;
        // Twelve ones, a version, two zeros for the layer, and whether there is no checksum.
        if sync != 0xff || version & 0xf6 != 0xf0 {
            return None;
        }
        let own_bytes = HEADER_BYTES + if version & 1 == 0 { CHECKSUM_BYTES } else { 0 };
        let frame_bytes = usize::from(b & 3) << 11 | usize::from(c) << 3 | usize::from(d >> 5);
        let rate_index = a >> 2 & 15;
        let known = usize::from(rate_index) < SAMPLE_RATES.len() && frame_bytes > own_bytes;
        known.then_some(Self {
            object_type: (a >> 6) + 1,
            rate_index,
            channels: (a & 1) << 2 | b >> 6,
            own_bytes,
            frame_bytes,
            packets: e & 3,
        })
    }

    fn same_stream(&self, other: &Self) -> bool {
        (self.object_type, self.rate_index, self.channels)
            == (other.object_type, other.rate_index, other.channels)
    }

    /// The same as an `AudioSpecificConfig`.
    fn configuration(self) -> Vec<u8> {
        let fields = u16::from(self.object_type) << 11
            | u16::from(self.rate_index) << 7
            | u16::from(self.channels) << 3;
        fields.to_be_bytes().to_vec()
    }
}

impl AdtsReader {
    pub(super) fn open(file: File) -> Decoded<(Self, AudioCodecParameters)> {
        let mut file = Sliding::new(file)?;
        let start = id3v2_bytes(file.bytes(0, 10)?);
        let mut position = start;
        let stream = loop {
            let Some(found) = next_frame(&mut file, position, None)? else {
                return Err(DecodeProblem::NotAudio);
            };
            if let Some(header) = Header::read(file.bytes(found, HEADER_BYTES)?) {
                position = found;
                break header;
            }
            position = found + 1;
        };
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(CODEC_ID_AAC).with_extra_data(stream.configuration().into());
        let reader = Self { file, position, stream, frame_bytes: 0, frames: 0, next_timestamp: 0 };
        Ok((reader, parameters))
    }

    /// The header at the present position, if another one or the end of the file follows its
    /// frame.
    fn header(&mut self) -> Decoded<Option<Header>> {
        let bytes = self.file.bytes(self.position, HEADER_BYTES)?;
        let Some(header) = Header::read(bytes).filter(|header| header.same_stream(&self.stream))
        else {
            return Ok(None);
        };
        let end = self.position + header.frame_bytes as u64;
        let next = self.file.bytes(end, HEADER_BYTES)?;
        let followed = next.len() < HEADER_BYTES
            || Header::read(next).is_some_and(|next| next.same_stream(&self.stream));
        Ok(followed.then_some(header))
    }

    fn packet(&mut self, header: Header) -> Decoded<Step> {
        let frame = self.file.bytes(self.position, header.frame_bytes)?;
        if frame.len() < header.frame_bytes {
            return Ok(Step::CutOff);
        }
        let data = frame[header.own_bytes..].to_vec();
        let frames = PACKET_FRAMES * (1 + u64::from(header.packets));
        let timestamp = Timestamp::new(self.next_timestamp);
        self.position += header.frame_bytes as u64;
        self.frame_bytes += header.frame_bytes as u64;
        self.frames += 1;
        self.next_timestamp = self.next_timestamp.saturating_add_unsigned(frames);
        Ok(Step::Packet(Packet::new(0, timestamp, Duration::new(PACKET_FRAMES), data)))
    }
}

impl PacketReader for AdtsReader {
    fn next(&mut self) -> Decoded<Step> {
        if let Some(header) = self.header()? {
            return self.packet(header);
        }
        let left = self.file.bytes(self.position, HEADER_BYTES)?;
        if left.len() < HEADER_BYTES {
            let begun = left.first() == Some(&0xff);
            return Ok(if begun { Step::CutOff } else { Step::End });
        }
        let here = Header::read(left).filter(|header| header.same_stream(&self.stream));
        let found = next_frame(&mut self.file, self.position + 1, Some(&self.stream))?;
        match (found, here) {
            (Some(found), _) => {
                let lost = found - self.position;
                let mean = (self.frame_bytes / self.frames.max(1)).max(1);
                let packets = ((lost + mean / 2) / mean).max(1);
                self.next_timestamp =
                    self.next_timestamp.saturating_add_unsigned(packets * PACKET_FRAMES);
                self.position = found;
                match self.header()? {
                    Some(header) => self.packet(header),
                    None => Ok(Step::End),
                }
            }
            // A tag follows the last frame.
            (None, Some(header)) => self.packet(header),
            (None, None) => Ok(Step::End),
        }
    }
}

/// Where the next frame begins, from `position` on: a header and, where its frame ends, another
/// one or the end of the file.
fn next_frame(
    file: &mut Sliding,
    mut position: u64,
    stream: Option<&Header>,
) -> Decoded<Option<u64>> {
    let belongs = |bytes: &[u8]| {
        Header::read(bytes).filter(|header| stream.is_none_or(|stream| header.same_stream(stream)))
    };
    loop {
        let bytes = file.bytes(position, Sliding::REACH)?;
        if bytes.len() < HEADER_BYTES {
            return Ok(None);
        }
        let candidate = (0..=bytes.len() - HEADER_BYTES)
            .find_map(|place| Some((place, belongs(&bytes[place..])?)));
        let Some((place, header)) = candidate else {
            position += (bytes.len() - HEADER_BYTES + 1) as u64;
            continue;
        };
        position += place as u64;
        let end = position + header.frame_bytes as u64;
        let next = file.bytes(end, HEADER_BYTES)?;
        let followed = belongs(next).is_some_and(|next| next.same_stream(&header));
        if followed || (next.is_empty() && end == file.len()) {
            return Ok(Some(position));
        }
        position += 1;
    }
}
