//! A FLAC file's table of places, where it is wrong.
//!
//! In: a file. Out: where a table lies whose places are behind the file's end, as in a file that was cut off,
//! or do not ascend. Refuses nothing: what is no such file has no such table.
//!
//! symphonia 0.6.1 subtracts such places from the file's length without a look (`symphonia-bundle-flac`,
//! `demuxer.rs`, the search by halves of `seek`), which panics where overflow is checked and goes
//! astray where it is not. Without a table it searches the whole file by halves, which costs a few more looks.

use std::io::{Read, Seek};

use super::Decoded;
use super::bytes::read_up_to;

/// The types of blocks: room for tags, and the table.
const PADDING: u8 = 1;
const SEEK_TABLE: u8 = 3;
/// The bit of a block's type that says it is the last.
const LAST: u8 = 0x80;
/// Bytes of a block's header, and of a place in the table: a frame, an offset, and a count.
const HEADER_BYTES: u64 = 4;
const PLACE_BYTES: usize = 18;
/// The frame of a place that is still to be filled in.
const UNFILLED: u64 = u64::MAX;
/// More blocks than files have.
const MOST_BLOCKS: usize = 1_000;

/// Where the type of a wrong table lies, and what makes it a block that nobody reads.
pub(super) fn wrong_table(
    file: &mut (impl Read + Seek),
    file_bytes: u64,
) -> Decoded<Option<(u64, u8)>> {
    if read_up_to(file, 0, 4)? != b"fLaC" {
        return Ok(None);
    }
    let (mut position, mut table) = (4, None);
    for _ in 0..MOST_BLOCKS {
        let header = read_up_to(file, position, HEADER_BYTES)?;
        let &[kind, high, middle, low] = &header[..] else { return Ok(None) };
        let length = u64::from(u32::from_be_bytes([0, high, middle, low]));
        if kind & !LAST == SEEK_TABLE {
            table = Some((position, kind, read_up_to(file, position + HEADER_BYTES, length)?));
        }
        position += HEADER_BYTES + length;
        if kind & LAST != 0 {
            break;
        }
    }
    let Some((at, kind, places)) = table else { return Ok(None) };
    let mut before = (0, 0);
    for place in places.chunks_exact(PLACE_BYTES) {
        let number = |at: usize| {
            place[at..at + 8].iter().fold(0, |sum: u64, &byte| (sum << 8) | u64::from(byte))
        };
        let (frame, offset) = (number(0), number(8));
        if frame == UNFILLED {
            continue;
        }
        let is_within = position.checked_add(offset).is_some_and(|place| place < file_bytes);
        if !is_within || frame < before.0 || offset < before.1 {
            return Ok(Some((at, (kind & LAST) | PADDING)));
        }
        before = (frame, offset);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::audio::excerpt::{Excerpt, Part, Stretch};

    /// `bytes` of a FLAC file, with a table that has a place at `offset` for each of `frames`.
    fn with_table(bytes: &[u8], places: &[(u64, u64)]) -> Vec<u8> {
        let stream_info = 4 + 4 + 34;
        let mut made = bytes[..stream_info].to_vec();
        let length = u32::try_from(18 * places.len()).unwrap();
        made[4] &= 0x7f;
        let last = bytes[4] & 0x80;
        made.push(last | 3);
        made.extend_from_slice(&length.to_be_bytes()[1..]);
        for (frame, offset) in places {
            made.extend_from_slice(&frame.to_be_bytes());
            made.extend_from_slice(&offset.to_be_bytes());
            made.extend_from_slice(&4_096_u16.to_be_bytes());
        }
        made.extend_from_slice(&bytes[stream_info..]);
        made
    }

    fn late(path: &Path) -> Result<Vec<f32>, String> {
        let stretch = Stretch { start_s: 0.3, end_s: Some(0.35) };
        let part = Part { stretch: Some(stretch), channel: None };
        let read = || -> crate::Result<Vec<f32>> {
            let mut excerpt = Excerpt::open(path, part)?;
            let (mut all, mut block) = (Vec::new(), Vec::new());
            while excerpt.next_block(&mut block)? {
                all.extend_from_slice(&block);
            }
            Ok(all)
        };
        read().map_err(|error| error.to_string())
    }

    #[test]
    fn a_wrong_table_is_not_believed() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chirp.flac");
        let bytes = fs::read(file).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("take.flac");
        let write = |bytes: &[u8]| fs::write(&path, bytes).unwrap();
        write(&bytes);
        let expected = late(&path).unwrap();
        assert!(!expected.is_empty());
        let behind = 1_000_000_000;
        for places in [
            &[(0, behind)][..],
            &[(0, 0), (4_096, behind)],
            &[(0, u64::MAX)],
            &[(0, 40_000), (4_096, 10)],
            &[(0, 0), (u64::MAX, behind)],
        ] {
            write(&with_table(&bytes, places));
            assert_eq!(late(&path).unwrap(), expected, "{places:?}");
        }
        // Cut off before what is asked for: it fails, or there is nothing, and no panic.
        let cut = with_table(&bytes, &[(0, 0), (8_192, bytes.len() as u64 * 9 / 10)]);
        write(&cut[..cut.len() / 3]);
        match late(&path) {
            Ok(samples) => assert!(samples.len() < expected.len()),
            Err(error) => assert!(error.contains("take.flac"), "{error}"),
        }
    }
}
