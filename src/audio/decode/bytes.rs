//! Bytes of a file at a position, and the names of chunks in RIFF's family of formats.
//!
//! In: a file. Out: bytes. Refuses to read past the end where the format needs what lies there.

use std::fs::File;
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

/// A file of which one stretch at a time is in memory.
pub(super) struct Sliding {
    file: File,
    length: u64,
    /// Where the stretch begins.
    start: u64,
    stretch: Vec<u8>,
}

impl Sliding {
    /// Bytes that one look reaches at most.
    pub(super) const REACH: usize = 16 * 1024;
    /// Bytes in memory.
    const STRETCH: u64 = 128 * 1024;

    pub(super) fn new(mut file: File) -> Decoded<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, length, start: 0, stretch: Vec::new() })
    }

    /// The length of the file.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Up to `count` bytes from `position` on, at most [`Sliding::REACH`]; fewer at the end of
    /// the file.
    pub(super) fn bytes(&mut self, position: u64, count: usize) -> Decoded<&[u8]> {
        let end = position.saturating_add(count as u64).min(self.length);
        let position = position.min(end);
        let inside = position >= self.start && end <= self.start + self.stretch.len() as u64;
        if !inside {
            self.stretch = read_up_to(&mut self.file, position, Self::STRETCH)?;
            self.start = position;
        }
        let first = usize::try_from(position - self.start).unwrap_or(usize::MAX);
        let length = usize::try_from(end - position).unwrap_or(0);
        let rest = self.stretch.get(first..).unwrap_or_default();
        Ok(&rest[..length.min(rest.len())])
    }
}
