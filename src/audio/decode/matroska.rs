//! What a Matroska or `WebM` file says of its end and of its tracks' ends.
//!
//! In: a file. Out: [`Outline`]: where the file should end, and what each track's encoder added.
//! Refuses nothing: what is no Matroska is for symphonia to refuse, which reads the packets but
//! not these. Source: RFC 8794, sections 4 to 6 and 11, and RFC 9559, section 5.

use std::io::{Read, Seek, SeekFrom};

use super::Decoded;
use super::bytes::read_up_to;

const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK_ENTRY: u32 = 0xae;
const TRACK_NUMBER: u32 = 0xd7;
const CODEC_DELAY: u32 = 0x56aa;
const CLUSTER: u32 = 0x1f43_b675;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const DISCARD_PADDING: u32 = 0x75a2;

/// Bytes of the last cluster and of the tracks' list that are read: a few seconds of video.
const MAX_ELEMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of the longest id and the longest length.
const MAX_HEADER_BYTES: u64 = 12;

/// Elements of a file's and of a segment's first level, and of clusters, which are looked into
/// when their length was left open. Anything else is damage.
const KNOWN: [u32; 17] = [
    0x1a45_dfa3, // the EBML header
    SEGMENT,
    0x114d_9b74, // the index of these
    0x1549_a966, // information
    TRACKS,
    CLUSTER,
    0x1c53_bb6b, // cues
    0x1941_a469, // attachments
    0x1043_a770, // chapters
    0x1254_c367, // tags
    0xec,        // void
    0xbf,        // a checksum
    0xe7,        // a cluster's time,
    0xa7,        // its position,
    0xab,        // the one before
    0xa3,        // a simple block
    BLOCK_GROUP,
];

/// A file's extent, and what is not to be played.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Whether an element reaches beyond the end of the file.
    pub(super) cut_off: bool,
    /// Where the last element ends, or would: symphonia refuses those that reach beyond the file.
    pub(super) end: u64,
    /// Nanoseconds to drop at the beginning of a track, by its number.
    delays: Vec<(u64, u64)>,
    /// Nanoseconds to drop at the end of a track.
    paddings: Vec<(u64, u64)>,
}

impl Outline {
    /// Walks the elements of the segment. Live recordings leave lengths open; nothing tells where
    /// those should end.
    pub(super) fn read(file: &mut (impl Read + Seek)) -> Decoded<Self> {
        /// More elements than a file of many hours has.
        const MAX_ELEMENTS: u32 = 1_000_000;

        let file_bytes = file.seek(SeekFrom::End(0))?;
        let mut outline = Self { end: file_bytes, ..Self::default() };
        let mut last_cluster = None;
        let mut position = 0;
        for _ in 0..MAX_ELEMENTS {
            if position >= file_bytes {
                break;
            }
            let header = read_up_to(file, position, MAX_HEADER_BYTES)?;
            let Some(element) = Element::read(&header).filter(Element::is_known) else {
                // The beginning of a header, or something else altogether: damage.
                outline.cut_off |= file_bytes - position < MAX_HEADER_BYTES;
                break;
            };
            let body = position + element.header_bytes;
            let end = element.length.map(|length| body.saturating_add(length));
            if let Some(end) = end.filter(|&end| end > outline.end) {
                outline.cut_off = true;
                outline.end = end;
            }
            match (element.id, end) {
                // Look inside.
                (SEGMENT, _) | (_, None) => {
                    position = body;
                    continue;
                }
                (TRACKS, Some(end)) => {
                    let length = (end - body).min(MAX_ELEMENT_BYTES);
                    outline.read_tracks(&read_up_to(file, body, length)?);
                }
                (CLUSTER, Some(end)) => last_cluster = Some((body, end - body)),
                _ => {}
            }
            position = end.unwrap_or(file_bytes);
        }
        if let Some((body, length)) = last_cluster.filter(|_| !outline.cut_off) {
            outline.read_last(&read_up_to(file, body, length.min(MAX_ELEMENT_BYTES))?);
        }
        Ok(outline)
    }

    fn read_tracks(&mut self, tracks: &[u8]) {
        for (_, entry) in elements(tracks).filter(|(id, _)| *id == TRACK_ENTRY) {
            let field = |wanted| {
                elements(entry).find(|(id, _)| *id == wanted).map(|(_, body)| unsigned(body))
            };
            if let (Some(number), Some(delay)) = (field(TRACK_NUMBER), field(CODEC_DELAY)) {
                self.delays.push((number, delay));
            }
        }
    }

    fn read_last(&mut self, cluster: &[u8]) {
        for (_, group) in elements(cluster).filter(|(id, _)| *id == BLOCK_GROUP) {
            let field = |wanted| elements(group).find(|(id, _)| *id == wanted);
            let number = field(BLOCK).and_then(|(_, block)| number_at(block));
            if let (Some((number, _)), Some((_, padding))) = (number, field(DISCARD_PADDING)) {
                // A negative one would stand at a beginning.
                let negative = padding.first().is_some_and(|byte| byte & 0x80 != 0);
                if !negative {
                    self.paddings.push((number, unsigned(padding)));
                }
            }
        }
    }

    /// Frames to drop at the beginning of a track.
    pub(super) fn delay(&self, track: u32, sample_rate: u32) -> u64 {
        frames(&self.delays, track, sample_rate)
    }

    /// Frames to drop at the end of a track.
    pub(super) fn padding(&self, track: u32, sample_rate: u32) -> u64 {
        frames(&self.paddings, track, sample_rate)
    }
}

/// The last time that is noted for a track, as frames.
fn frames(times: &[(u64, u64)], track: u32, sample_rate: u32) -> u64 {
    const SECOND: u128 = 1_000_000_000;
    let time = times.iter().rfind(|(number, _)| *number == u64::from(track));
    let nanoseconds = time.map_or(0, |(_, nanoseconds)| u128::from(*nanoseconds));
    let frames = (nanoseconds * u128::from(sample_rate) + SECOND / 2) / SECOND;
    u64::try_from(frames).unwrap_or(u64::MAX)
}

/// The elements that `bytes` consist of, up to the first that does not fit.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let element = Element::read(bytes)?;
        let start = usize::try_from(element.header_bytes).ok()?;
        let end = start.checked_add(usize::try_from(element.length?).ok()?)?;
        let body = bytes.get(start..end)?;
        bytes = &bytes[end..];
        Some((element.id, body))
    })
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

/// The number that `bytes` begin with, and how many bytes it takes.
fn number_at(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let count = number_bytes(first)?;
    // The first byte's leading zeros and one count the bytes.
    let mark = 0x80_u8 >> (count - 1);
    let value = bytes.get(1..count)?.iter();
    let first = u64::from(first & (mark - 1));
    Some((value.fold(first, |all, &byte| all << 8 | u64::from(byte)), count))
}

/// An element's id and length, and how many bytes both take.
#[derive(Debug, PartialEq)]
struct Element {
    id: u32,
    header_bytes: u64,
    /// None when it is left open.
    length: Option<u64>,
}

impl Element {
    fn is_known(&self) -> bool {
        KNOWN.contains(&self.id)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let id_bytes = number_bytes(*bytes.first()?).filter(|&count| count <= 4)?;
        let id = bytes.get(..id_bytes)?.iter().fold(0, |id, &byte| id << 8 | u32::from(byte));
        let rest = &bytes[id_bytes..];
        let (length, length_bytes) = number_at(rest)?;
        let open = (1_u64 << (7 * length_bytes)) - 1;
        let header_bytes = (id_bytes + length_bytes) as u64;
        Some(Self { id, header_bytes, length: Some(length).filter(|&length| length != open) })
    }
}

/// Bytes of a number that begins with `first`; none for zero, which begins no number.
fn number_bytes(first: u8) -> Option<usize> {
    (first != 0).then_some(first.leading_zeros() as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_length() {
        let element = |id, header_bytes, length| Some(Element { id, header_bytes, length });
        assert_eq!(Element::read(&[0xa3, 0x85]), element(0xa3, 2, Some(5)));
        assert_eq!(Element::read(&[0xa3, 0x41, 0x02]), element(0xa3, 3, Some(0x102)));
        assert_eq!(Element::read(&[0x42, 0x86, 0xff]), element(0x4286, 3, None));
        let open = [0x18, 0x53, 0x80, 0x67, 1, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(Element::read(&open), element(SEGMENT, 12, None));
        assert_eq!(Element::read(&[0, 0]), None);
        assert_eq!(Element::read(&[0xa3]), None);
    }
}
