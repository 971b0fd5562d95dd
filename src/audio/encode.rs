//! Stretches of a recording into WAV files, with its own rate and channels.
//!
//! In: a recording and which stretches of it. Out: a WAV file each. Refuses stretches that a WAV
//! file cannot hold.
//!
//! A file is decoded once, whatever the number of stretches. The samples are written as 16-bit
//! integers where the source holds no more: 8 and 16 bits, companded, ADPCM, and lossy codecs,
//! whose noise is louder than the rounding. They are written as 24-bit integers where it holds
//! that, and for FLAC and ALAC, whose depth a header does not always say, unless the samples show
//! that 16 are enough; as float32 for the rest, whose samples may exceed full scale.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::audio::decode::{Decoder, Mix};
use crate::audio::excerpt::Stretch;
use crate::audio::segment::TimeRange;
use crate::error::{Error, Result};
use crate::files::NewFile;
use crate::units::SampleRate;

/// Most bytes of samples in a WAV file: its lengths have 32 bits.
const MOST_BYTES: u64 = 4_000_000_000;

/// A stretch that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Which part of the recording; what lies outside it is left out.
    pub range: TimeRange,
    /// The file that is made. It must not exist.
    pub path: PathBuf,
}

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Bits16,
    Bits24,
    Float32,
}

/// What the samples of a WAV file are that is made in memory, or as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavForm {
    /// Frames per second.
    pub sample_rate: SampleRate,
    /// Channels.
    pub channels: u16,
    /// Whether they are float32; otherwise integers of 16 bits.
    pub is_float: bool,
}

impl WavForm {
    /// Bytes of the header that stands before the samples.
    pub const HEADER_BYTES: usize = 44;

    /// The header for `data_bytes` bytes of samples.
    pub fn header(self, data_bytes: u32) -> [u8; Self::HEADER_BYTES] {
        let (tag, bytes): (u16, u16) = if self.is_float { (3, 4) } else { (1, 2) };
        let frame_bytes = self.channels.saturating_mul(bytes);
        let rate = self.sample_rate.hertz();
        let fields: [&[u8]; 13] = [
            b"RIFF",
            &data_bytes.saturating_add(36).to_le_bytes(),
            b"WAVE",
            b"fmt ",
            &16_u32.to_le_bytes(),
            &tag.to_le_bytes(),
            &self.channels.to_le_bytes(),
            &rate.to_le_bytes(),
            &rate.saturating_mul(u32::from(frame_bytes)).to_le_bytes(),
            &frame_bytes.to_le_bytes(),
            &(8 * bytes).to_le_bytes(),
            b"data",
            &data_bytes.to_le_bytes(),
        ];
        let mut header = [0; Self::HEADER_BYTES];
        header.copy_from_slice(&fields.concat());
        header
    }

    /// `samples` as bytes of the file.
    pub fn bytes(self, samples: &[f32]) -> Vec<u8> {
        if self.is_float {
            return samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        }
        #[expect(clippy::cast_possible_truncation, reason = "16 bits were asked for")]
        samples.iter().flat_map(|&sample| (quantised(sample, 16) as i16).to_le_bytes()).collect()
    }
}

/// Writes `clips` of the recording at `source`.
///
/// # Errors
/// [`Error::Io`] when a file cannot be written or is there already, [`Error::Decode`] when the
/// source cannot be decoded, [`Error::ClipTooLong`], and [`Error::NoStretch`] when the source is
/// shorter than it was. Clips that were finished before stay.
pub fn write_clips(source: &Path, clips: &[Clip]) -> Result<()> {
    let mut decoder = Decoder::open_mixed(source, Mix::All)?;
    let format = decoder.format().clone();
    let depth = match depth_of(&format.codec) {
        Some(depth) => depth,
        None => measured_depth(source, clips)?,
    };
    let spec = WavSpec {
        channels: format.channels,
        sample_rate: format.sample_rate.hertz(),
        bits_per_sample: depth.bits(),
        sample_format: match depth {
            Depth::Float32 => SampleFormat::Float,
            Depth::Bits16 | Depth::Bits24 => SampleFormat::Int,
        },
    };
    let hertz = f64::from(spec.sample_rate);
    let mut waiting: Vec<Pending> = Vec::new();
    for clip in clips {
        let (first, behind) = frames(clip.range, hertz);
        let frame_bytes = u64::from(spec.channels) * u64::from(depth.bits() / 8);
        if behind.saturating_sub(first).saturating_mul(frame_bytes) > MOST_BYTES {
            let (path, seconds) = (source.to_owned(), clip.range.end_s - clip.range.start_s);
            return Err(Error::ClipTooLong { path, seconds });
        }
        waiting.push(Pending { first, behind, clip, output: None });
    }
    let channels = usize::from(spec.channels);
    let mut samples = Vec::new();
    let mut before = 0;
    // A clip that is done is put where it belongs at once; nothing is decoded behind the last one.
    while !waiting.is_empty() && decoder.next_block(&mut samples)? {
        let after = decoder.frames();
        for pending in &mut waiting {
            let from = pending.first.clamp(before, after) - before;
            let until = pending.behind.clamp(before, after) - before;
            let part = samples.get(place(from) * channels..place(until) * channels);
            pending.write(part.unwrap_or_default(), spec, depth)?;
        }
        for pending in waiting.extract_if(.., |pending| pending.behind <= after) {
            pending.finish(source, decoder.duration_s())?;
        }
        before = after;
    }
    let duration_s = decoder.duration_s();
    waiting.into_iter().try_for_each(|pending| pending.finish(source, duration_s))
}

/// A clip that is being written.
struct Pending<'a> {
    first: u64,
    behind: u64,
    clip: &'a Clip,
    output: Option<(NewFile, WavWriter<BufWriter<File>>)>,
}

impl Pending<'_> {
    fn write(&mut self, samples: &[f32], spec: WavSpec, depth: Depth) -> Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let (path, output) = (&self.clip.path, &mut self.output);
        let (_, writer) = match output {
            Some(output) => output,
            None => output.insert(create(path, spec)?),
        };
        let mut write = || -> hound::Result<()> {
            for &sample in samples {
                match depth {
                    Depth::Bits16 => writer.write_sample(quantised(sample, 16))?,
                    Depth::Bits24 => writer.write_sample(quantised(sample, 24))?,
                    Depth::Float32 => writer.write_sample(sample)?,
                }
            }
            Ok(())
        };
        write().map_err(|error| failed(path, error))
    }

    /// Gives the file its name, unless there is one of that name.
    fn finish(self, source: &Path, duration_s: f64) -> Result<()> {
        let path = &self.clip.path;
        let Some((file, writer)) = self.output else {
            let TimeRange { start_s, end_s } = self.clip.range;
            let stretch = Stretch { start_s, end_s: Some(end_s) };
            let what = source.to_string_lossy().into_owned();
            return Err(Error::NoStretch { what, stretch, duration_s });
        };
        writer.finalize().map_err(|error| failed(path, error))?;
        file.publish(path, false).map_err(|error| failed(path, error.into()))
    }
}

fn create(path: &Path, spec: WavSpec) -> Result<(NewFile, WavWriter<BufWriter<File>>)> {
    let make = || -> hound::Result<_> {
        let file = NewFile::beside(path)?;
        let writer = WavWriter::new(BufWriter::new(file.reopen()?), spec)?;
        Ok((file, writer))
    };
    make().map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: hound::Error) -> Error {
    let source = match error {
        hound::Error::IoError(error) => error,
        other => std::io::Error::other(other),
    };
    Error::Io { action: "write", path: path.to_owned(), source }
}

/// The depth of what a codec holds; `None` where only the samples say it.
fn depth_of(codec: &str) -> Option<Depth> {
    if matches!(codec, "flac" | "alac") {
        return None;
    }
    Some(match codec.strip_prefix("pcm_") {
        Some(kind) if kind.contains("24") => Depth::Bits24,
        Some(kind) if kind.contains("32") || kind.contains("64") => Depth::Float32,
        _ => Depth::Bits16,
    })
}

/// 16 bits where all samples of the clips are such, otherwise 24.
fn measured_depth(source: &Path, clips: &[Clip]) -> Result<Depth> {
    let mut decoder = Decoder::open_mixed(source, Mix::All)?;
    let hertz = f64::from(decoder.format().sample_rate.hertz());
    let (mut samples, mut before) = (Vec::new(), 0);
    let behind = clips.iter().map(|clip| frames(clip.range, hertz).1).max().unwrap_or(0);
    let first = clips.iter().map(|clip| frames(clip.range, hertz).0).min().unwrap_or(0);
    while before < behind && decoder.next_block(&mut samples)? {
        let after = decoder.frames();
        let is_whole = |&sample: &f32| (sample * 32_768.0).fract() == 0.0;
        if after > first && !samples.iter().all(is_whole) {
            return Ok(Depth::Bits24);
        }
        before = after;
    }
    Ok(Depth::Bits16)
}

impl Depth {
    fn bits(self) -> u16 {
        match self {
            Self::Bits16 => 16,
            Self::Bits24 => 24,
            Self::Float32 => 32,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "cut off at full scale, which i32 holds")]
fn quantised(sample: f32, bits: u32) -> i32 {
    let full = f64::from(1_u32 << (bits - 1));
    (f64::from(sample) * full).round().clamp(-full, full - 1.0) as i32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cut off at zero; too large ones mean the end"
)]
fn frames(range: TimeRange, hertz: f64) -> (u64, u64) {
    let frame = |seconds: f64| (seconds * hertz).round().max(0.0) as u64;
    (frame(range.start_s), frame(range.end_s))
}

/// A position within a block.
fn place(frames: u64) -> usize {
    usize::try_from(frames).unwrap_or(usize::MAX)
}
