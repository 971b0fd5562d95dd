//! Where files are decoded: on threads of this process, or in processes of their own.
//!
//! In: a [`Request`]. Out: its [`Event`]s. A file that makes a decoder crash, spin or eat memory
//! takes only its process with it. The processes are forked, before there are threads, from one
//! that stays as small as this one was then: they pay neither for loading libtorch nor for the
//! model, and a new one costs a millisecond.

#[cfg(unix)]
mod nursery;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod wire;

use std::path::Path;
use std::time::Duration;

use super::Cancel;
use super::reading::{Event, Request, read_recording};
use super::shield;
use crate::audio::resample::FilterCache;
use crate::error::Result;

/// What failed when a decoding process could not be had.
pub(super) const START_DECODER: &str = "start a process to decode";

/// Time that a file may take whatever its size: for a disk that has to wake up.
const LEAST_TIME: Duration = Duration::from_mins(2);
/// Time that every further megabyte may take: for a slow network disk.
const TIME_PER_MEGABYTE: Duration = Duration::from_secs(2);

/// Work on files that a program has done where they are decoded, beside what indexing asks for: what
/// is asked into what is answered, in bytes that only the program understands.
pub type Errand = fn(&[u8]) -> Result<Vec<u8>>;

/// What decoding a file may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodingLimits {
    /// Bytes of memory, beyond what a process has when it starts.
    pub memory_bytes: u64,
    /// Time spent waiting for it; by its size, when `None`.
    pub time: Option<Duration>,
}

impl DecodingLimits {
    /// The time that a file of `size_bytes` may take.
    pub(super) fn time_for(&self, size_bytes: u64) -> Duration {
        let megabytes = u32::try_from(size_bytes / 1_000_000).unwrap_or(u32::MAX);
        self.time.unwrap_or(LEAST_TIME + TIME_PER_MEGABYTE.saturating_mul(megabytes))
    }
}

/// Where files are decoded.
#[derive(Debug, Default)]
pub enum Decoders {
    /// On the threads that ask. A crash of a decoder takes the whole process with it.
    #[default]
    Threads,
    /// In processes of their own.
    #[cfg(unix)]
    Processes(nursery::Nursery),
}

impl Decoders {
    /// Processes where they can be had, else threads.
    ///
    /// To be called once, at the very beginning of a program: a process that has threads already
    /// cannot be copied safely, and gets [`Decoders::Threads`].
    pub fn start() -> Self {
        Self::start_for(None)
    }

    /// As [`start`](Self::start), for a program that has `errand` done there too, by
    /// [`run`](Self::run).
    pub fn start_with(errand: Errand) -> Self {
        Self::start_for(Some(errand))
    }

    fn start_for(errand: Option<Errand>) -> Self {
        #[cfg(unix)]
        if let Some(nursery) = nursery::Nursery::start(errand) {
            return Self::Processes(nursery);
        }
        #[cfg(not(unix))]
        let _ = errand;
        Self::Threads
    }

    /// Has `errand` done, which is the one that they were started with, on what `asked` says about
    /// the file at `path`: in a process of its own where there are such, so that whatever the file
    /// does to it stays there.
    ///
    /// # Errors
    /// What the errand fails with; [`Error::DecoderDied`](crate::Error::DecoderDied),
    /// [`Error::TimeLimit`](crate::Error::TimeLimit) and [`Error::Panic`](crate::Error::Panic) when
    /// the file is too much for it.
    pub fn run(
        &self,
        errand: Errand,
        asked: &[u8],
        path: &Path,
        limits: DecodingLimits,
    ) -> Result<Vec<u8>> {
        match self {
            Self::Threads => shield::catch(path, || errand(asked)),
            #[cfg(unix)]
            Self::Processes(nursery) => {
                let size_bytes = path.metadata().map_or(0, |metadata| metadata.len());
                let cancel = Cancel::default();
                process::Client::new(nursery, limits, &cancel).run(asked, path, size_bytes)
            }
        }
    }

    /// Whether a file can only take its own process with it.
    pub fn are_isolated(&self) -> bool {
        !matches!(self, Self::Threads)
    }

    /// A decoder for one thread.
    pub(super) fn decoder<'a>(
        &'a self,
        filters: &'a FilterCache,
        limits: DecodingLimits,
        cancel: &'a Cancel,
    ) -> Decoder<'a> {
        match self {
            Self::Threads => Decoder::Here(filters),
            #[cfg(unix)]
            Self::Processes(nursery) => {
                Decoder::There(process::Client::new(nursery, limits, cancel))
            }
        }
    }
}

/// One at a time.
pub(super) enum Decoder<'a> {
    Here(&'a FilterCache),
    #[cfg(unix)]
    There(process::Client<'a>),
}

impl Decoder<'_> {
    /// Reads the file of `request`, of `size_bytes`, and hands what it gives to `sink`, until
    /// that says `false`.
    ///
    /// # Errors
    /// Why the file cannot be used, and what `sink` fails with.
    pub(super) fn read(
        &mut self,
        request: &Request,
        size_bytes: u64,
        sink: &mut dyn FnMut(Event) -> Result<bool>,
    ) -> Result<()> {
        match self {
            Self::Here(filters) => {
                shield::catch(&request.path, || read_recording(request, filters, sink))
            }
            #[cfg(unix)]
            Self::There(client) => client.read(request, size_bytes, sink),
        }
    }
}
