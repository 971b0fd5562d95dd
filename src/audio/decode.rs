//! Bytes into waveforms: opens a file and streams it as float32 blocks, mixed to mono unless asked
//! otherwise.
//!
//! In: a path. Out: [`Decoder`], which yields blocks and, at the end, how whole the file was.
//! Refuses files without samples, rates and channel counts that no recording has, and codecs it
//! does not know. The only room that imports symphonia, hound and opus-pure.
//!
//! Files come apart in one of two ways. Samples of fixed size (WAV, Wave64, AIFF, AU, CAF) are
//! found by chunk walkers of our own, because no library reads the headers that people have, and
//! go to hound (WAV's integers and float32) or to a symphonia codec. Packets (FLAC, Ogg, MPEG
//! audio, MP4, Matroska, ADTS, CAF) come from symphonia's demuxers or from readers of our own, and
//! go to a symphonia codec or to opus-pure, at the times where they belong (`container.rs`).

mod aac;
mod adts;
mod aiff;
mod au;
mod bits;
mod bytes;
mod caf;
mod codec;
mod container;
mod declared;
mod demuxers;
mod flac;
mod matroska;
mod mix;
mod mp4;
mod mpeg;
mod opus;
mod packet_reader;
mod packets;
mod pcm;
mod preroll;
mod recorded;
mod wav;
mod wave64;
mod window;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use mix::Frames;

use crate::audio::sniff::{FileKind, kind_of};
use crate::dates::Recorded;
use crate::error::{DecodeProblem, Error, Result};
use crate::units::SampleRate;

pub use mix::Mix;

/// Most channels that are mixed down; more than that is a damaged header.
pub const MAX_CHANNELS: u16 = 64;

/// What a stream is, as its header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFormat {
    /// Sample frames per second.
    pub sample_rate: SampleRate,
    /// Channels before the mix to mono, 1 to [`MAX_CHANNELS`].
    pub channels: u16,
    /// The codec's short name, such as `pcm_s16le` or `vorbis`.
    pub codec: String,
}

impl StreamFormat {
    fn new(sample_rate: u32, channels: usize, codec: &str) -> Decoded<Self> {
        let sample_rate =
            SampleRate::new(sample_rate).ok_or(DecodeProblem::SampleRate { found: sample_rate })?;
        let channels = u16::try_from(channels)
            .ok()
            .filter(|count| (1..=MAX_CHANNELS).contains(count))
            .ok_or(DecodeProblem::Channels { found: channels })?;
        Ok(Self { sample_rate, channels, codec: codec.to_owned() })
    }
}

/// How whole a recording turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// Everything that the header promised was there.
    Ok,
    /// The file ends before the header says so; what there is was used.
    Truncated,
    /// Parts could not be decoded, or held values that are no numbers; silence stands for them.
    Damaged,
}

impl Integrity {
    /// What is wrong with it, in a word; nothing when it is whole.
    pub fn flaw(self) -> Option<String> {
        (self != Self::Ok).then(|| self.to_string())
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Truncated => "truncated",
            Self::Damaged => "damaged",
        })
    }
}

/// What the parts of this room return: the path is added in one place, by [`Decoder`].
type Decoded<T> = std::result::Result<T, DecodeProblem>;

/// A source of blocks of frames; one per way of decoding.
trait BlockSource: Send {
    /// Appends the next frames to `block`. `Ok(false)` at the end of the stream.
    fn next_block(&mut self, block: &mut Frames) -> Decoded<bool>;

    /// Passes over frames of the beginning without decoding them, `most` at most and fewer where what
    /// follows would be another then; how many. To be asked before anything was read.
    fn pass_over(&mut self, _most: u64) -> Decoded<u64> {
        Ok(0)
    }

    /// What went wrong so far without ending the stream.
    fn integrity(&self) -> Integrity;

    /// When the recording was made, if tags say so.
    fn recorded(&self) -> Option<Recorded> {
        None
    }
}

/// A recording, opened for streaming.
pub struct Decoder {
    path: PathBuf,
    format: StreamFormat,
    recorded: Option<Recorded>,
    source: Box<dyn BlockSource>,
    block: Frames,
    frames: u64,
    non_finite: u64,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("path", &self.path)
            .field("format", &self.format)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// Opens `path` and reads its header; its channels will be mixed to mono.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Decode`] when it is no audio that
    /// can be decoded.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_mixed(path, Mix::Mean)
    }

    /// Opens `path` and reads its header; `mix` says what becomes of its channels.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::NoChannel`] when the channel asked for is not there.
    pub fn open_mixed(path: &Path, mix: Mix) -> Result<Self> {
        let kind = kind_of(path)?;
        let file = File::open(path).map_err(|source| Error::Io {
            action: "open",
            path: path.to_owned(),
            source,
        })?;
        let (format, source, recorded) = open_stream(kind, file)
            .map_err(|problem| Error::Decode { path: path.to_owned(), problem })?;
        if let Mix::Channel(channel) = mix
            && channel >= format.channels
        {
            let (path, channels) = (path.to_owned(), format.channels);
            return Err(Error::NoChannel { path, channel: u32::from(channel) + 1, channels });
        }
        let block = Frames::new(mix, format.channels);
        Ok(Self {
            path: path.to_owned(),
            format,
            recorded,
            source,
            block,
            frames: 0,
            non_finite: 0,
        })
    }

    /// Passes over the beginning of a recording of which nothing was read yet: over `frames` frames at
    /// most, and fewer where what follows could not be decoded as it would be otherwise, which takes
    /// hearing what precedes it. Opus alone follows close to what it would be, not equal: a second that is
    /// decoded before leaves less than a step of 16 bits. [`frames`](Self::frames) says how many. What is passed over says nothing
    /// of how whole the recording is.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn pass_over(&mut self, frames: u64) -> Result<()> {
        match self.source.pass_over(frames) {
            Ok(passed) if passed <= frames => self.frames += passed,
            // Whatever is wrong with the file, such as a hole where the frame asked for should be: it is
            // read from the beginning, which copes with more.
            _ => *self = Self::open_mixed(&self.path, self.block.mix())?,
        }
        Ok(())
    }

    /// What the stream is.
    pub fn format(&self) -> &StreamFormat {
        &self.format
    }

    /// When the recording was made, as its chunks or tags say; the file's name is not asked.
    pub fn recorded(&self) -> Option<Recorded> {
        self.recorded
    }

    /// Sample frames decoded so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Seconds decoded so far.
    pub fn duration_s(&self) -> f64 {
        self.format.sample_rate.seconds(self.frames)
    }

    /// Samples so far that were no numbers and became silence.
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }

    /// Replaces `samples` with the next block of them, float32, nominally in [−1, 1]: `[frames]`,
    /// or `[frames * channels]` where all channels were asked for. `Ok(false)` when the recording
    /// is over.
    ///
    /// Samples that are not finite become silence and make the recording
    /// [`Integrity::Damaged`].
    ///
    /// # Errors
    /// [`Error::Decode`] when the stream cannot be read on, and when it ends without one usable
    /// sample.
    pub fn next_block(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        samples.clear();
        // The caller's room is used again, and nothing is copied.
        std::mem::swap(samples, &mut self.block.samples);
        let more = self.fill_block();
        std::mem::swap(samples, &mut self.block.samples);
        self.block.samples.clear();
        if !more? {
            return Ok(false);
        }
        for sample in samples.iter_mut().filter(|sample| !sample.is_finite()) {
            *sample = 0.0;
            self.non_finite += 1;
        }
        self.frames += (samples.len() / self.block.width()) as u64;
        Ok(true)
    }

    /// Decodes until there is something in the block.
    fn fill_block(&mut self) -> Result<bool> {
        while self.block.is_empty() {
            let more =
                self.source.next_block(&mut self.block).map_err(|problem| self.error(problem))?;
            if !more && self.block.is_empty() {
                return match self.frames {
                    0 => Err(self.error(DecodeProblem::NoSamples)),
                    frames if frames * self.block.width() as u64 == self.non_finite => {
                        Err(self.error(DecodeProblem::NoFiniteSamples))
                    }
                    _ => Ok(false),
                };
            }
        }
        Ok(true)
    }

    /// How whole the recording was, once [`next_block`](Self::next_block) has said that it is
    /// over.
    pub fn integrity(&self) -> Integrity {
        match self.source.integrity() {
            Integrity::Ok if self.non_finite > 0 => Integrity::Damaged,
            found => found,
        }
    }

    fn error(&self, problem: DecodeProblem) -> Error {
        Error::Decode { path: self.path.clone(), problem }
    }
}

fn open_stream(
    kind: FileKind,
    mut file: File,
) -> Decoded<(StreamFormat, Box<dyn BlockSource>, Option<Recorded>)> {
    if file.metadata()?.len() == 0 {
        return Err(DecodeProblem::EmptyFile);
    }
    let in_chunks = (kind == FileKind::Wav).then(|| recorded::of_wav(&mut file)).flatten();
    let (format, source) = open_source(kind, file)?;
    let recorded = in_chunks.or_else(|| source.recorded());
    Ok((format, source, recorded))
}

fn open_source(kind: FileKind, mut file: File) -> Decoded<(StreamFormat, Box<dyn BlockSource>)> {
    match kind {
        FileKind::Wav => {
            let layout = wav::WavLayout::read(&mut file)?;
            open_wav(file, &layout)
        }
        FileKind::Wave64 => {
            let layout = wave64::read(&mut file)?;
            open_wav(file, &layout)
        }
        FileKind::Au => {
            let (data, codec) = au::read(&mut file)?;
            packets::PacketSource::open(file, data, codec)
        }
        FileKind::Caf => match caf::read(file)? {
            (caf::Caf::Blocks(data, codec), file) => packets::PacketSource::open(file, data, codec),
            (caf::Caf::Packets(track), _) => container::ContainerSource::open_caf(*track),
        },
        FileKind::Aiff => {
            let (data, codec) = aiff::read(&mut file)?;
            packets::PacketSource::open(file, data, codec)
        }
        FileKind::Flac
        | FileKind::Ogg
        | FileKind::Mpeg
        | FileKind::Aac
        | FileKind::Mp4
        | FileKind::Matroska => container::ContainerSource::open(file, kind),
        FileKind::NotReadYet(format) => Err(DecodeProblem::NotReadYet { format }),
        FileKind::Other => Err(DecodeProblem::NotAudio),
    }
}

fn open_wav(file: File, layout: &wav::WavLayout) -> Decoded<(StreamFormat, Box<dyn BlockSource>)> {
    match layout.coding()? {
        wav::Coding::Integer { .. } | wav::Coding::Float32 => pcm::HoundSource::open(file, layout),
        wav::Coding::Packets(codec) => {
            packets::PacketSource::open(file, layout.packet_data(), codec)
        }
        wav::Coding::Mpeg => container::ContainerSource::open_mpeg_in_wav(file, layout),
    }
}

#[cfg(test)]
mod tests;
