//! The cache's files: named sections of bytes that are checked before they are believed.
//!
//! In: sections, and what they were made from. Out: the same, mapped. Refuses files that are cut
//! off, damaged, of another version, or on processors that store the highest byte first.
//!
//! ```text
//! 0      magic, 8 bytes; version, u32; length of the header, u32; its CRC-64, u64
//! 24     header: JSON (`Header`)
//! 8,192  sections, each from a multiple of 4,096 on; little-endian
//! ```
//!
//! All but one section is checked as a whole when the file is opened. The rows may be gigabytes:
//! each of their blocks of 64 KiB has a checksum of its own, and is checked when it is first
//! touched. CRC-64 finds every change of up to 64 bits in a row, and others but for one in 10¹⁹.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crc_fast::{CrcAlgorithm, Digest, checksum};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::codes::{Blob, Damaged};
use super::mapped::{Mapping, prefetch};

const MAGIC: &[u8; 8] = b"SNTCIDX\0";
/// The layout's version: files of another one are made anew.
const VERSION: u32 = 3;
/// Bytes before the header.
const PREFIX_BYTES: usize = 24;
/// Where the sections begin.
const FIRST_SECTION: u64 = 8_192;
/// What sections begin at multiples of: a page, so that their values are aligned.
const ALIGNMENT: u64 = 4_096;
/// Bytes of rows with a checksum of their own.
const BLOCK_BYTES: usize = 65_536;
/// The section that is checked block by block.
pub(crate) const ROWS: &str = "rows";
/// The checksums of its blocks.
const BLOCKS: &str = "blocks";
/// What names of files that are being written end with.
const TEMPORARY: &str = ".tmp";

/// What a file is made from, and where its sections lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header<T> {
    /// What the sections mean.
    about: T,
    sections: Vec<Section>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Section {
    name: String,
    start: u64,
    bytes: u64,
    /// Of the section; 0 for [`ROWS`].
    checksum: u64,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// There is none.
    #[error("there is none yet")]
    Missing,
    /// It could not be read.
    #[error("it could not be read: {0}")]
    Unreadable(io::Error),
    /// It is not as it was written.
    #[error("it is damaged ({0})")]
    Damaged(&'static str),
    /// Another version of sonoteca wrote it.
    #[error("another version of sonoteca wrote it")]
    OtherVersion,
    /// The library went another way since.
    #[error("it is out of date: the library is another one, or an older copy of it")]
    Stale,
}

fn crc64(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct CacheWriter {
    file: BufWriter<NamedTempFile>,
    position: u64,
    sections: Vec<Section>,
    digest: Digest,
    /// Whether the last section's checksum is still to come.
    is_open: bool,
    /// Of the rows' blocks, and bytes of the one that is not full.
    blocks: Vec<u64>,
    in_block: usize,
}

impl CacheWriter {
    /// Begins a file in `folder`.
    ///
    /// # Errors
    /// What the operating system says, for example that the folder cannot be written to.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix("index-").suffix(TEMPORARY);
        // As any file: who may read the library may use its cache.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = BufWriter::with_capacity(1 << 20, builder.tempfile_in(folder)?);
        file.seek(SeekFrom::Start(FIRST_SECTION))?;
        step("begun");
        let digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        let (position, sections, blocks) = (FIRST_SECTION, Vec::new(), Vec::new());
        Ok(Self { file, position, sections, digest, is_open: false, blocks, in_block: 0 })
    }

    /// Begins the section `name`; what is written from now on is its content.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) fn begin(&mut self, name: &str) -> io::Result<()> {
        self.end();
        let start = self.position.next_multiple_of(ALIGNMENT);
        // A gap of zeros, not a hole: it is part of what is synced.
        self.file.write_all(&vec![0; usize::try_from(start - self.position).unwrap_or(0)])?;
        self.position = start;
        self.sections.push(Section { name: name.to_owned(), start, bytes: 0, checksum: 0 });
        self.is_open = true;
        Ok(())
    }

    /// Adds to the section that was begun last.
    ///
    /// # Errors
    /// What the operating system says, for example that the disk is full.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.position += bytes.len() as u64;
        let Some(section) = self.sections.last_mut() else { return Ok(()) };
        section.bytes += bytes.len() as u64;
        if section.name != ROWS {
            self.digest.update(bytes);
            return Ok(());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(BLOCK_BYTES - self.in_block));
            self.digest.update(piece);
            self.in_block += piece.len();
            if self.in_block == BLOCK_BYTES {
                self.end_block();
            }
            rest = behind;
        }
        Ok(())
    }

    /// A whole section.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) fn section(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.begin(name)?;
        self.write(content)
    }

    fn end_block(&mut self) {
        self.blocks.push(self.digest.finalize_reset());
        self.in_block = 0;
    }

    fn end(&mut self) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let Some(section) = self.sections.last_mut() else { return };
        if section.name != ROWS {
            section.checksum = self.digest.finalize_reset();
        } else if self.in_block > 0 {
            self.end_block();
        }
    }

    /// A number that changes whenever the sections so far do.
    pub(crate) fn fingerprint(&mut self) -> u64 {
        self.end();
        let mut sums: Vec<u8> = bytemuck::cast_slice(&self.blocks).to_vec();
        sums.extend(self.sections.iter().flat_map(|section| section.checksum.to_le_bytes()));
        crc64(&sums)
    }

    /// Writes the header and makes everything durable.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) fn finish<T: Serialize>(mut self, about: T) -> io::Result<FinishedFile> {
        self.end();
        let blocks = self.blocks.clone();
        self.section(BLOCKS, bytemuck::cast_slice(&blocks))?;
        self.end();
        step("sections written");

        let header = serde_json::to_vec(&Header { about, sections: self.sections })?;
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        if PREFIX_BYTES as u64 + u64::from(length) > FIRST_SECTION {
            return Err(io::Error::other("the header is too long"));
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(MAGIC)?;
        self.file.write_all(&VERSION.to_le_bytes())?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&crc64(&header).to_le_bytes())?;
        self.file.write_all(&header)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        step("header written");
        file.as_file().sync_all()?;
        step("synced");
        Ok(FinishedFile(file))
    }
}

fn span(section: &Section) -> Range<usize> {
    let start = usize::try_from(section.start).unwrap_or(usize::MAX);
    start..start.saturating_add(usize::try_from(section.bytes).unwrap_or(usize::MAX))
}

/// A file that is whole, but not yet in its place.
#[derive(Debug)]
pub(crate) struct FinishedFile(NamedTempFile);

impl FinishedFile {
    /// Puts the file into its place. Whoever reads the one that was there goes on reading it.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        self.0.persist(path).map_err(|error| error.error)?;
        step("renamed");
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        step("published");
        Ok(())
    }
}

/// Removes what writers that were killed left in `folder`. Only for who is the only writer.
pub(crate) fn remove_leftovers(folder: &Path) {
    // What cannot be removed costs room, nothing else.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("index-") && name.ends_with(TEMPORARY) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A file of the cache, mapped. Its header and its small sections are as they were written.
#[derive(Debug)]
pub(crate) struct CacheFile<T> {
    mapping: Mapping,
    header: Header<T>,
    rows: Range<usize>,
    blocks: Vec<u64>,
    /// A bit for each block that was found to be as it was written.
    sound: Vec<AtomicU64>,
}

impl<T: for<'a> Deserialize<'a>> CacheFile<T> {
    /// Opens the file at `path` and checks all but its rows.
    ///
    /// # Errors
    /// Why it is of no use.
    pub(crate) fn open(path: &Path) -> Result<Self, Unusable> {
        if cfg!(target_endian = "big") {
            return Err(Unusable::OtherVersion);
        }
        let mapping = Mapping::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Missing,
            _ => Unusable::Unreadable(error),
        })?;
        let header: Header<T> = read_header(mapping.bytes())?;
        let (mut rows, mut blocks) = (0..0, Vec::new());
        for section in &header.sections {
            let content =
                mapping.bytes().get(span(section)).ok_or(Unusable::Damaged("it is cut off"))?;
            if section.name == ROWS {
                rows = span(section);
            } else if crc64(content) != section.checksum {
                return Err(Unusable::Damaged("a checksum is wrong"));
            } else if section.name == BLOCKS {
                // Sections begin at pages: only a length can be wrong.
                let numbers: &[u64] = bytemuck::try_cast_slice(content).unwrap_or_default();
                blocks = numbers.to_vec();
            }
        }
        if rows.len().div_ceil(BLOCK_BYTES) != blocks.len() {
            return Err(Unusable::Damaged("checksums are missing"));
        }
        let sound = blocks.chunks(64).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { mapping, header, rows, blocks, sound })
    }
}

/// What the file at `path` says that it was made from; nothing where it cannot be believed. Its
/// sections may be damaged.
pub(crate) fn about_of<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    let mapping = Mapping::open(path).ok()?;
    read_header(mapping.bytes()).ok().map(|header: Header<T>| header.about)
}

fn read_header<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<Header<T>, Unusable> {
    let cut = || Unusable::Damaged("it is cut off");
    let (prefix, rest) = bytes.split_first_chunk::<PREFIX_BYTES>().ok_or_else(cut)?;
    let (magic, numbers) = prefix.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(Unusable::Damaged("it does not begin as it should"));
    }
    let number =
        |at: usize| numbers[at..].first_chunk().map_or(0, |&four| u32::from_le_bytes(four));
    let sum = numbers.last_chunk().map_or(0, |&eight| u64::from_le_bytes(eight));
    let header = rest.get(..number(4) as usize).ok_or_else(cut)?;
    if crc64(header) != sum {
        return Err(Unusable::Damaged("the header's checksum is wrong"));
    }
    // After the checksum: a damaged number is damage, not another version.
    if number(0) != VERSION {
        return Err(Unusable::OtherVersion);
    }
    serde_json::from_slice(header).map_err(|_| Unusable::OtherVersion)
}

impl<T> CacheFile<T> {
    /// What the sections mean.
    pub(crate) fn about(&self) -> &T {
        &self.header.about
    }

    /// Bytes of the file.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.mapping.bytes().len() as u64
    }

    /// The section `name`, checked; nothing when there is none.
    pub(crate) fn section(&self, name: &str) -> &[u8] {
        let found = self.header.sections.iter().find(|section| section.name == name);
        found.and_then(|section| self.mapping.bytes().get(span(section))).unwrap_or_default()
    }

    /// The section `name` as numbers; nothing when it is none of those.
    pub(crate) fn numbers<N: bytemuck::Pod>(&self, name: &str) -> &[N] {
        // Sections begin at pages, so that only a length can be wrong.
        bytemuck::try_cast_slice(self.section(name)).unwrap_or_default()
    }

    /// Whether all rows are as they were written: reads the whole file.
    pub(crate) fn check_rows(&self) -> bool {
        (0..self.blocks.len()).all(|block| self.check(block))
    }

    #[cold]
    fn check(&self, block: usize) -> bool {
        let start = block * BLOCK_BYTES;
        let end = (start + BLOCK_BYTES).min(self.rows.len());
        let all = &self.mapping.bytes()[self.rows.clone()];
        let is_sound = crc64(&all[start..end]) == self.blocks[block];
        if is_sound {
            self.sound[block / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
        is_sound
    }
}

impl<T: Sync> Blob for CacheFile<T> {
    #[inline]
    fn bytes(&self, range: Range<usize>) -> Result<&[u8], Damaged> {
        if range.end > self.rows.len() || range.start >= range.end {
            return Err(Damaged);
        }
        for block in range.start / BLOCK_BYTES..=(range.end - 1) / BLOCK_BYTES {
            // Another thread's check has nothing to hand over but the bit itself: the bytes were
            // there before.
            let is_sound = self.sound[block / 64].load(Ordering::Relaxed) >> (block % 64) & 1 == 1;
            if !is_sound && !self.check(block) {
                return Err(Damaged);
            }
        }
        let all = self.mapping.bytes().get(self.rows.clone()).ok_or(Damaged)?;
        all.get(range).ok_or(Damaged)
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn prefetch(&self, range: Range<usize>) {
        let all = self.mapping.bytes().get(self.rows.clone()).unwrap_or_default();
        prefetch(all.get(range).unwrap_or_default());
    }
}

/// Where the tests of publication kill their process; nothing outside of tests.
#[cfg(test)]
fn step(name: &str) {
    tests::step(name);
}

#[cfg(not(test))]
fn step(_: &str) {}

#[cfg(test)]
pub(crate) mod tests;
