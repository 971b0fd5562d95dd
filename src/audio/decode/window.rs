//! A part of a file, as symphonia wants to read it.
//!
//! In: a file and where the part lies. Out: a source that begins and ends there. Refuses nothing:
//! what lies outside the part is not there.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::ops::Range;

use symphonia::core::io::MediaSource;

/// The bytes of a file from one place to another.
pub(super) struct Window {
    file: File,
    part: Range<u64>,
    /// Where to read next, counted from the beginning of the part.
    position: u64,
    /// A byte of the part that is read as another.
    instead: Option<(u64, u8)>,
}

impl Window {
    pub(super) fn new(mut file: File, part: Range<u64>) -> Result<Self> {
        file.seek(SeekFrom::Start(part.start))?;
        Ok(Self { file, part, position: 0, instead: None })
    }

    /// The same, in which the byte at a place is read as another.
    pub(super) fn with(self, instead: Option<(u64, u8)>) -> Self {
        Self { instead, ..self }
    }

    fn len(&self) -> u64 {
        self.part.end.saturating_sub(self.part.start)
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = self.len().saturating_sub(self.position);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..most])?;
        if let Some((place, byte)) = self.instead
            && let Some(at) = place.checked_sub(self.position)
            && let Some(read) = usize::try_from(at).ok().and_then(|at| buffer[..count].get_mut(at))
        {
            *read = byte;
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.len().checked_add_signed(offset),
        };
        let absolute = target.and_then(|target| self.part.start.checked_add(target));
        let (Some(target), Some(absolute)) = (target, absolute) else {
            return Err(Error::from(ErrorKind::InvalidInput));
        };
        self.file.seek(SeekFrom::Start(absolute))?;
        self.position = target;
        Ok(target)
    }
}

impl MediaSource for Window {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len())
    }
}
