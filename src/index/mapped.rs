//! Files as memory, and a word to the processor's cache: the one place with unsafe code.
//!
//! In: a file of ours that nobody changes. Out: its bytes, read from the disk as they are touched.
//! Believes nothing: who reads the bytes checks them (`file.rs`).

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// The bytes of a file.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: Mmap,
}

impl Mapping {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// What the operating system says, for example that there is no such file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Opening a pipe would wait for ever.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "a mapped file can change under its reader")]
        // SAFETY: a mapping's bytes must not change while they are borrowed as `&[u8]`, and must
        // not vanish. Ours do neither: a cache file is written under a temporary name, renamed into
        // place, and from then on only replaced by another file's rename or removed; its content
        // stays until the last mapping of it is gone. Another program that writes into a file in
        // our folder could break this, as it could with any mapped file. No check of content
        // prevents that, but nothing of ours relies on bytes staying what they were when checked:
        // they are used as numbers and as indices whose bounds are checked, never as pointers or
        // as types with invalid bit patterns.
        let map = unsafe { Mmap::map(&file)? };
        // No advice against reading ahead, though graphs are walked without order: the first touch
        // of a block reads all of it, to check it.
        Ok(Self { map })
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }
}

/// Asks the processor to load `bytes` into its caches, and waits for nothing.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "the intrinsic takes a pointer")]
        // SAFETY: a hint, which reads nothing and never faults; every x86-64 processor has it.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
