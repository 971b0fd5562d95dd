//! Bytes of a file at a position, and the names of chunks in RIFF's family of formats.
//!
//! In: a file. Out: bytes. Refuses to read past the end where the format needs what lies there.

use std::io::{Read, Seek, SeekFrom};

use super::Decoded;
use crate::error::DecodeProblem;

/// Up to `count` bytes from `position` on; fewer at the end of the file.
pub(super) fn read_up_to(
    file: &mut (impl Read + Seek),
    position: u64,
    count: u64,
) -> Decoded<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(position))?;
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `N` bytes from `position` on of `what`, which must have them.
pub(super) fn read_array<const N: usize>(
    file: &mut (impl Read + Seek),
    position: u64,
    what: &'static str,
) -> Decoded<[u8; N]> {
    let bytes = read_up_to(file, position, N as u64)?;
    <[u8; N]>::try_from(bytes).map_err(|_| DecodeProblem::Malformed {
        what,
        expected: "a header and samples",
        found: "the end of the file".to_owned(),
    })
}

/// Whether these bytes can be a chunk's name: printable ASCII. Zeros and noise are none, and a
/// walk over them, eight bytes at a time, would take minutes.
pub(super) fn is_chunk_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (0x20..0x7f).contains(byte))
}
