//! Files into what they are compared by: fingerprints on the disk, and short pieces of sound.
//!
//! In: paths. Out: [`Prints`], [`pieces`]. A file that cannot be decoded is an error of that file
//! only, whatever its decoder does.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::audio::decode::Decoder;
use crate::audio::resample::{FilterCache, Resampler};
use crate::error::{Error, Result};
use crate::frontend::fingerprint::{Fingerprinter, Print, SAMPLE_RATE};
use crate::units::SampleRate;

/// What failed when fingerprints could not be stored.
pub(super) const KEEP: &str = "keep fingerprints in";
/// Bytes of a stored print.
const PRINT_BYTES: usize = 5;

/// Where a recording's prints lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    offset: u64,
    /// How many there are.
    pub(super) count: usize,
}

/// Fingerprints in a temporary file, 1.1 MB for an hour of sound, so that a collection's size
/// does not set the memory.
#[derive(Debug)]
pub(super) struct Prints {
    file: Mutex<File>,
}

impl Prints {
    pub(super) fn new() -> Result<Self> {
        tempfile::tempfile().map(|file| Self { file: Mutex::new(file) }).map_err(failed)
    }

    /// Listens to the recording at `path` and stores its fingerprint. It must not be open at two
    /// hours a time in memory: prints of a whole recording are, and take 1.1 MB an hour.
    pub(super) fn listen(
        &self,
        path: &Path,
        filters: &FilterCache,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Stored> {
        let (mut fingerprinter, mut prints) = (Fingerprinter::default(), Vec::new());
        stream(path, filters, &mut |samples| {
            fingerprinter.push(samples, &mut prints);
            go_on()
        })?;
        let bytes: Vec<u8> = prints
            .iter()
            .flat_map(|print| {
                let [a, b, c, d] = print.bits.to_le_bytes();
                [a, b, c, d, print.level]
            })
            .collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        Ok(Stored { offset, count: prints.len() })
    }

    /// Some of a recording's prints; those that it has of `range`.
    pub(super) fn read(&self, stored: Stored, range: Range<usize>) -> Result<Vec<Print>> {
        let end = range.end.min(stored.count);
        let start = range.start.min(end);
        let mut bytes = vec![0; (end - start) * PRINT_BYTES];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            let place = stored.offset + (start * PRINT_BYTES) as u64;
            file.seek(SeekFrom::Start(place)).map_err(failed)?;
            file.read_exact(&mut bytes).map_err(failed)?;
        }
        let (prints, _) = bytes.as_chunks::<PRINT_BYTES>();
        Ok(prints
            .iter()
            .map(|&[a, b, c, d, level]| Print { bits: u32::from_le_bytes([a, b, c, d]), level })
            .collect())
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::Io { action: KEEP, path: std::env::temp_dir(), source }
}

/// The samples at `wanted`, as starts and lengths at [`SAMPLE_RATE`], ascending by start; shorter
/// where the recording ends.
pub(super) fn pieces(
    path: &Path,
    wanted: &[(usize, usize)],
    filters: &FilterCache,
) -> Result<Vec<Vec<f32>>> {
    let mut pieces: Vec<Vec<f32>> = wanted.iter().map(|_| Vec::new()).collect();
    let last = wanted.iter().map(|(start, length)| start + length).max().unwrap_or(0);
    let (mut position, mut first) = (0, 0);
    stream(path, filters, &mut |samples| {
        let end = position + samples.len();
        for (piece, &(start, length)) in pieces.iter_mut().zip(wanted).skip(first) {
            if start >= end {
                break;
            }
            let from = start.clamp(position, end) - position;
            let to = (start + length).clamp(position, end) - position;
            piece.extend_from_slice(&samples[from..to]);
        }
        position = end;
        while wanted.get(first).is_some_and(|(start, length)| start + length <= position) {
            first += 1;
        }
        position < last
    })?;
    Ok(pieces)
}

/// Hands the samples of the recording at `path` at [`SAMPLE_RATE`] to `visit`, block by block,
/// until that says `false`.
fn stream(path: &Path, filters: &FilterCache, visit: &mut dyn FnMut(&[f32]) -> bool) -> Result<()> {
    let listen = || -> Result<()> {
        let mut decoder = Decoder::open(path)?;
        let input = decoder.format().sample_rate;
        let output = SampleRate::new(SAMPLE_RATE).unwrap_or(input);
        let mut resampler = Resampler::new(filters.get(input, output));
        let (mut mono, mut samples) = (Vec::new(), Vec::new());
        while decoder.next_block(&mut mono)? {
            samples.clear();
            resampler.push(&mono, &mut samples);
            if !visit(&samples) {
                return Ok(());
            }
        }
        samples.clear();
        resampler.finish(&mut samples);
        visit(&samples);
        Ok(())
    };
    // Decoders are not meant to panic, and hours of work should not depend on it.
    catch_unwind(AssertUnwindSafe(listen)).unwrap_or_else(|_| {
        Err(Error::Panic { path: path.to_owned(), message: "while listening".to_owned() })
    })
}
