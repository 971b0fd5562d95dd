//! Whether a Matroska or WebM file is all there.
//!
//! In: a file. Out: [`Declared`]. Refuses nothing: what is no Matroska is for symphonia to refuse.
//! Source: RFC 8794, sections 4 to 6 and 11, and RFC 9559, section 5.

use std::io::{Read, Seek, SeekFrom};

use super::Decoded;
use super::bytes::read_up_to;
use super::declared::Declared;

const SEGMENT: u32 = 0x1853_8067;

/// Walks the elements of the segment: one that reaches beyond the end of the file is cut off. Live
/// recordings leave lengths open; nothing tells where those should end.
pub(super) fn declared(file: &mut (impl Read + Seek)) -> Decoded<Declared> {
    /// More elements than a file of many hours has.
    const MAX_ELEMENTS: u32 = 1_000_000;

    let file_bytes = file.seek(SeekFrom::End(0))?;
    let mut position = 0;
    for _ in 0..MAX_ELEMENTS {
        if position >= file_bytes {
            break;
        }
        let Some(element) = Element::read(&read_up_to(file, position, 12)?) else {
            return Ok(Declared::CutOff);
        };
        let body = position + element.header_bytes;
        let Some(length) = element.length else {
            // Of unknown length: look inside.
            position = body;
            continue;
        };
        let end = body.saturating_add(length);
        if end > file_bytes {
            return Ok(Declared::CutOff);
        }
        if element.id == SEGMENT && end == file_bytes {
            return Ok(Declared::Nothing);
        }
        position = end;
    }
    Ok(Declared::Nothing)
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
    fn read(bytes: &[u8]) -> Option<Self> {
        let id_bytes = number_bytes(*bytes.first()?).filter(|&count| count <= 4)?;
        let id = bytes.get(..id_bytes)?.iter().fold(0, |id, &byte| id << 8 | u32::from(byte));
        let rest = &bytes[id_bytes..];
        let first = *rest.first()?;
        let length_bytes = number_bytes(first)?;
        // The first byte's leading zeros and one count the bytes.
        let mark = 0x80_u8 >> (length_bytes - 1);
        let value = rest.get(1..length_bytes)?.iter();
        let length =
            value.fold(u64::from(first & (mark - 1)), |all, &byte| all << 8 | u64::from(byte));
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
