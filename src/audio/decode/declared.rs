//! What a compressed file says of its own length, so that a truncated one can be told.
//!
//! In: a file. Out: [`Declared`]. symphonia stops at the end of what there is without a word, and
//! for MPEG audio without a tag it guesses a length that proves nothing.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use super::Decoded;
use super::bytes::read_up_to;
use super::mpeg::{ends_inside_a_frame, first_frame, stream_bytes};
use crate::error::DecodeProblem;

/// What a file promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// The demuxer's frame count is the file's own word, give or take `slack` frames.
    FrameCount {
        /// Frames by which the count may be too high.
        slack: u64,
    },
    /// At least this many frames.
    Frames(u64),
    /// The file ends where it should not.
    CutOff,
    /// Nothing to go by.
    Nothing,
}

/// Most bytes of an Ogg page: header, 255 lacing values, 255 segments of 255 bytes.
const OGG_PAGE_BYTES: u64 = 27 + 255 + 255 * 255;
/// The flag of a logical stream's last page (RFC 3533, section 6).
const OGG_LAST_PAGE: u8 = 0x04;

/// An Ogg file is cut off when its last page is not marked as last, or is not all there. Also
/// says where that page ends: what other programs put behind it is not for symphonia to see, which
/// looks for the last page in the last bytes only.
pub(super) fn of_ogg(file: &mut (impl Read + Seek)) -> Decoded<(Declared, u64)> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let Some((start, page)) = last_page(file, bytes)? else {
        return Ok((Declared::CutOff, bytes));
    };
    let length = page.get(26).and_then(|&segments| {
        let lacing = page.get(27..27 + usize::from(segments))?;
        let body: usize = lacing.iter().map(|&length| usize::from(length)).sum();
        Some(27 + lacing.len() + body)
    });
    Ok(match length.filter(|&length| length <= page.len()) {
        Some(length) => {
            let last = page[5] & OGG_LAST_PAGE != 0;
            let declared = if last { Declared::Nothing } else { Declared::CutOff };
            (declared, start + length as u64)
        }
        None => (Declared::CutOff, bytes),
    })
}

/// The place of the last Ogg page that begins in the file, and the bytes from there on.
fn last_page(file: &mut (impl Read + Seek), bytes: u64) -> Decoded<Option<(u64, Vec<u8>)>> {
    /// A page's name may lie across two stretches.
    const OVERLAP: u64 = 3;

    let mut end = bytes;
    loop {
        let start = end.saturating_sub(OGG_PAGE_BYTES);
        let stretch = read_up_to(file, start, end - start)?;
        if let Some(place) = stretch.windows(4).rposition(|window| window == b"OggS") {
            let place = start + place as u64;
            return Ok(Some((place, read_up_to(file, place, OGG_PAGE_BYTES)?)));
        }
        if start == 0 {
            return Ok(None);
        }
        end = start + OVERLAP;
    }
}

/// Names what an Ogg file holds that symphonia does not even recognise, by its first page.
pub(super) fn undecoded_in_ogg(first_page: &[u8]) -> Option<DecodeProblem> {
    let contains = |word: &[u8]| first_page.windows(word.len()).any(|window| window == word);
    let opus = first_page.windows(19).find(|window| window.starts_with(b"OpusHead"));
    let codec = if opus.is_some_and(|head| head[18] > 1) {
        // Discrete channels and ambisonics.
        "Opus of an unusual channel mapping"
    } else if contains(b"Speex   ") {
        "Speex"
    } else if contains(b"theora") {
        "Theora, pictures without sound"
    } else {
        return None;
    };
    Some(DecodeProblem::UnknownCodec { codec: codec.to_owned() })
}

/// MPEG audio says how long it is only in an encoder's tag in its first frame; without one, its
/// last frame shows whether it was cut off.
pub(super) fn of_mpeg(file: &mut (impl Read + Seek)) -> Decoded<Declared> {
    /// The first frame's longest form, with room for padding before it.
    const FIRST_FRAME_BYTES: u64 = 4_096;
    /// Room for several frames of the longest form.
    const TAIL_BYTES: u64 = 16_384;

    let bytes = file.seek(SeekFrom::End(0))?;
    let head = read_up_to(file, 0, 10)?;
    let frame = read_up_to(file, id3v2_bytes(&head), FIRST_FRAME_BYTES)?;
    if frame.windows(4).any(|name| matches!(name, b"Xing" | b"Info" | b"VBRI")) {
        return Ok(Declared::FrameCount { slack: super::container::MPEG_SLACK_FRAMES });
    }
    let tail = read_up_to(file, bytes.saturating_sub(TAIL_BYTES), TAIL_BYTES)?;
    Ok(if ends_inside_a_frame(&tail) { Declared::CutOff } else { Declared::Nothing })
}

/// The files that a file of MPEG audio was joined from, where the encoders' tags tell: symphonia
/// takes the first tag's word for the end.
pub(super) fn mpeg_parts(file: &mut (impl Read + Seek)) -> Decoded<VecDeque<Range<u64>>> {
    /// A first frame with its tag.
    const TAG_BYTES: u64 = 4_096;
    /// How far behind the end that a tag says the next file may begin.
    const REACH_BYTES: u64 = 65_536;
    /// Nobody joins more.
    const MAX_PARTS: usize = 10_000;

    let file_bytes = file.seek(SeekFrom::End(0))?;
    let mut parts = VecDeque::new();
    let mut start = 0;
    while parts.len() < MAX_PARTS {
        let head = read_up_to(file, start, 10)?;
        let frame = start + id3v2_bytes(&head);
        let Some(length) = stream_bytes(&read_up_to(file, frame, TAG_BYTES)?) else { break };
        let end = frame.saturating_add(length);
        if end >= file_bytes {
            break;
        }
        let behind = read_up_to(file, end, REACH_BYTES)?;
        // A tag in front of the next file may hold pictures, longer than what was read.
        let tag = behind.windows(10).position(|window| window.starts_with(b"ID3"));
        // Where this file ends and the next one's first frame begins.
        let (boundary, next) = match (tag, first_frame(&behind)) {
            (Some(tag), frame) if frame.is_none_or(|frame| tag < frame) => {
                let boundary = end + tag as u64;
                let tagged = boundary + id3v2_bytes(&read_up_to(file, boundary, 10)?);
                let frame = first_frame(&read_up_to(file, tagged, REACH_BYTES)?);
                (boundary, frame.map(|frame| tagged + frame as u64))
            }
            (_, frame) => (end, frame.map(|frame| end + frame as u64)),
        };
        let Some(next) = next else { break };
        parts.push_back(start..boundary);
        start = next;
    }
    parts.push_back(start..file_bytes);
    Ok(parts)
}

/// The length of the ID3v2 tag that `head` begins, header included; 0 without one. Its size has
/// seven bits a byte (ID3v2.4.0 structure, section 3.1).
pub(super) fn id3v2_bytes(head: &[u8]) -> u64 {
    match head {
        [b'I', b'D', b'3', _, _, _, size @ ..] if size.len() == 4 => {
            10 + size.iter().fold(0, |sum, &byte| sum << 7 | u64::from(byte & 0x7f))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn ogg_page(flags: u8, body: usize) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend([0; 20]);
        page.push(1);
        page.push(u8::try_from(body).unwrap());
        page.extend(vec![7; body]);
        page
    }

    #[test]
    fn an_ogg_file_is_whole_when_its_last_page_is_marked_and_complete() {
        let whole = [ogg_page(2, 30), ogg_page(4, 99)].concat();
        assert_eq!(of_ogg(&mut Cursor::new(&whole)).unwrap(), (Declared::Nothing, 185));
        let short = &whole[..whole.len() - 1];
        assert_eq!(of_ogg(&mut Cursor::new(short)).unwrap().0, Declared::CutOff);
        let unmarked = ogg_page(0, 99);
        assert_eq!(of_ogg(&mut Cursor::new(&unmarked)).unwrap().0, Declared::CutOff);
    }

    #[test]
    fn what_lies_behind_the_last_ogg_page_is_passed_over() {
        let pages = [ogg_page(2, 30), ogg_page(4, 99)].concat();
        for trailing in [1, 65_303, 65_304, 65_307, 200_000] {
            let file = [&pages[..], &vec![0; trailing]].concat();
            let found = of_ogg(&mut Cursor::new(&file)).unwrap();
            assert_eq!(found, (Declared::Nothing, pages.len() as u64), "{trailing}");
        }
    }

    #[test]
    fn an_id3_tag_is_stepped_over() {
        assert_eq!(id3v2_bytes(b"ID3\x04\0\0\0\0\x02\x01"), 10 + 257);
        assert_eq!(id3v2_bytes(b"\xff\xfb\x90\0"), 0);
    }
}
