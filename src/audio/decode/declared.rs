//! What a compressed file says of its own length, so that a truncated one can be told.
//!
//! In: a file. Out: [`Declared`]. symphonia stops at the end of what there is without a word, and
//! for MPEG audio without a tag it guesses a length that proves nothing.

use std::io::{Read, Seek, SeekFrom};

use super::Decoded;
use super::bytes::read_up_to;
use super::mpeg::ends_inside_a_frame;

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

/// An Ogg file is cut off when its last page is not marked as last, or is not all there.
pub(super) fn of_ogg(file: &mut (impl Read + Seek)) -> Decoded<Declared> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let tail = read_up_to(file, bytes.saturating_sub(OGG_PAGE_BYTES), OGG_PAGE_BYTES)?;
    let Some(start) = tail.windows(4).rposition(|window| window == b"OggS") else {
        return Ok(Declared::CutOff);
    };
    let page = &tail[start..];
    let whole = page.get(26).is_some_and(|&segments| {
        let lacing = page.get(27..27 + usize::from(segments));
        lacing.is_some_and(|lacing| {
            let body: usize = lacing.iter().map(|&length| usize::from(length)).sum();
            page.len() >= 27 + lacing.len() + body
        })
    });
    Ok(if whole && page[5] & OGG_LAST_PAGE != 0 { Declared::Nothing } else { Declared::CutOff })
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

/// The length of the ID3v2 tag that `head` begins, header included; 0 without one. Its size has
/// seven bits a byte (ID3v2.4.0 structure, section 3.1).
fn id3v2_bytes(head: &[u8]) -> u64 {
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
        assert_eq!(of_ogg(&mut Cursor::new(&whole)).unwrap(), Declared::Nothing);
        let short = &whole[..whole.len() - 1];
        assert_eq!(of_ogg(&mut Cursor::new(short)).unwrap(), Declared::CutOff);
        let unmarked = ogg_page(0, 99);
        assert_eq!(of_ogg(&mut Cursor::new(&unmarked)).unwrap(), Declared::CutOff);
    }

    #[test]
    fn an_id3_tag_is_stepped_over() {
        assert_eq!(id3v2_bytes(b"ID3\x04\0\0\0\0\x02\x01"), 10 + 257);
        assert_eq!(id3v2_bytes(b"\xff\xfb\x90\0"), 0);
    }
}
