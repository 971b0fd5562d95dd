//! A stretch of a recording, and one of its channels, as if it were a recording of its own.
//!
//! In: a path, and which part of it counts. Out: mono blocks of that part. What precedes it is passed
//! over without being decoded where the format allows, so that late stretches of long recordings come
//! as fast as early ones. Refuses stretches that the recording does not have, and says how long it is.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::audio::decode::{Decoder, Integrity, Mix, StreamFormat};
use crate::audio::segment::TimeRange;
use crate::dates::Recorded;
use crate::error::{Error, Result};
use crate::units::times::parse_seconds;

/// A stretch of a recording as it is asked for: seconds from its beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// Where it begins.
    pub start_s: f64,
    /// Where it ends; `None`: with the recording. An end behind the recording's is the same.
    pub end_s: Option<f64>,
}

impl Stretch {
    /// `START-END`, or `START-` to the recording's end, in times as
    /// [`parse_seconds`] reads them; `None` where it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let start_s = parse_seconds(start)?;
        let end_s = if end.is_empty() { None } else { Some(parse_seconds(end)?) };
        Some(Self { start_s, end_s })
    }

    /// What it covers in a recording of `duration_s` seconds; nothing, where it begins behind the
    /// end, before the beginning, or not before it ends.
    pub fn within(self, duration_s: f64) -> Option<TimeRange> {
        let end_s = self.end_s.unwrap_or(duration_s).min(duration_s);
        // Also false for what is no number.
        let is_there = self.start_s >= 0.0 && self.start_s < end_s;
        is_there.then_some(TimeRange { start_s: self.start_s, end_s })
    }

    /// Whether no recording can have it, however long.
    fn is_impossible(self) -> bool {
        self.within(f64::MAX).is_none()
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end_s {
            Some(end_s) => write!(formatter, "from {} to {end_s} s", self.start_s),
            None => write!(formatter, "from {} s to the end", self.start_s),
        }
    }
}

/// Which part of a recording counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    /// The stretch; `None`: all of it.
    pub stretch: Option<Stretch>,
    /// The channel, counted from 0; `None`: the mean over channels.
    pub channel: Option<u16>,
}

impl Part {
    /// Where it begins, in seconds from the recording's beginning.
    pub fn start_s(&self) -> f64 {
        self.stretch.map_or(0.0, |stretch| stretch.start_s)
    }
}

/// A part of a recording, opened for streaming.
#[derive(Debug)]
pub struct Excerpt {
    path: PathBuf,
    decoder: Decoder,
    stretch: Option<Stretch>,
    /// The first frame that counts, and the first one that does not any more.
    first: u64,
    behind: u64,
    given: u64,
}

impl Excerpt {
    /// Opens `part` of the recording at `path`.
    ///
    /// # Errors
    /// As [`Decoder::open_mixed`]; [`Error::NoStretch`] when no recording has such a stretch.
    pub fn open(path: &Path, part: Part) -> Result<Self> {
        let mix = part.channel.map_or(Mix::Mean, Mix::Channel);
        let mut decoder = Decoder::open_mixed(path, mix)?;
        if let Some(stretch) = part.stretch.filter(|stretch| stretch.is_impossible()) {
            let mut samples = Vec::new();
            while decoder.next_block(&mut samples)? {}
            return Err(no_stretch(path, stretch, decoder.duration_s()));
        }
        let hertz = f64::from(decoder.format().sample_rate.hertz());
        let (first, behind) = match part.stretch {
            None => (0, u64::MAX),
            Some(Stretch { start_s, end_s }) => {
                (frames(start_s * hertz), end_s.map_or(u64::MAX, |end_s| frames(end_s * hertz)))
            }
        };
        decoder.pass_over(first)?;
        let (path, stretch) = (path.to_owned(), part.stretch);
        Ok(Self { path, decoder, stretch, first, behind, given: 0 })
    }

    /// When the recording was made, as its chunks or tags say.
    pub fn recorded(&self) -> Option<Recorded> {
        self.decoder.recorded()
    }

    /// What the recording's header says.
    pub fn format(&self) -> &StreamFormat {
        self.decoder.format()
    }

    /// Replaces `samples` with the next block of the part, `[frames]`; `Ok(false)` when it is over.
    ///
    /// # Errors
    /// As [`Decoder::next_block`]; [`Error::NoStretch`] when the recording ended before the part
    /// began.
    pub fn next_block(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        loop {
            let before = self.decoder.frames();
            if before >= self.behind {
                samples.clear();
                return self.over();
            }
            if !self.decoder.next_block(samples)? {
                return self.over();
            }
            let until = self.decoder.frames().min(self.behind);
            samples.truncate(place(until - before));
            samples.drain(..place(self.first.saturating_sub(before)).min(samples.len()));
            if !samples.is_empty() {
                self.given += samples.len() as u64;
                return Ok(true);
            }
        }
    }

    fn over(&self) -> Result<bool> {
        match self.stretch.filter(|_| self.given == 0) {
            Some(stretch) => Err(no_stretch(&self.path, stretch, self.decoder.duration_s())),
            None => Ok(false),
        }
    }

    /// Seconds of the part that were given so far.
    pub fn duration_s(&self) -> f64 {
        self.decoder.format().sample_rate.seconds(self.given)
    }

    /// Samples so far that were no numbers and became silence.
    pub fn non_finite(&self) -> u64 {
        self.decoder.non_finite()
    }

    /// How whole the recording was as far as it was read.
    pub fn integrity(&self) -> Integrity {
        self.decoder.integrity()
    }
}

fn no_stretch(path: &Path, stretch: Stretch, duration_s: f64) -> Error {
    Error::NoStretch { what: path.to_string_lossy().into_owned(), stretch, duration_s }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times were checked not to be negative, and too large ones mean the end"
)]
fn frames(position: f64) -> u64 {
    position.round() as u64
}

/// A position within a block.
fn place(frames: u64) -> usize {
    usize::try_from(frames).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two channels at 8 kHz: a ramp, and its negative.
    fn ramp(folder: &Path, frames: i16) -> PathBuf {
        let path = folder.join("ramp.wav");
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for frame in 0..frames {
            writer.write_sample(frame).unwrap();
            writer.write_sample(-frame).unwrap();
        }
        writer.finalize().unwrap();
        path
    }

    fn read(path: &Path, part: Part) -> Result<Vec<f32>> {
        let mut excerpt = Excerpt::open(path, part)?;
        let (mut all, mut block) = (Vec::new(), Vec::new());
        while excerpt.next_block(&mut block)? {
            all.extend_from_slice(&block);
        }
        assert!((excerpt.duration_s() - all.len() as f64 / 8_000.0).abs() < 1e-9);
        Ok(all)
    }

    proptest! {
        #[test]
        fn a_stretch_is_that_part_of_the_whole(start in 0_u32..32_000, length in 1_u32..40_000) {
            let folder = tempfile::tempdir().unwrap();
            let path = ramp(folder.path(), 32_000);
            let seconds = |frames: u32| f64::from(frames) / 8_000.0;
            let end_s = Some(seconds(start + length));
            let stretch = Some(Stretch { start_s: seconds(start), end_s });
            for (channel, sign) in [(0, 1.0), (1, -1.0)] {
                let part = Part { stretch, channel: Some(channel) };
                let found = read(&path, part).unwrap();
                let expected: Vec<f32> = (start..(start + length).min(32_000))
                    .map(|frame| sign * frame as f32 / 32_768.0)
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn stretches_are_read_in_any_writing_of_times() {
        let read = |text| Stretch::parse(text).map(|stretch| (stretch.start_s, stretch.end_s));
        assert_eq!(read("3.5-4.2"), Some((3.5, Some(4.2))));
        assert_eq!(read("9m-9m20s"), Some((540.0, Some(560.0))));
        assert_eq!(read("1:02:03.5-"), Some((3_723.5, None)));
        for wrong in ["", "-", "3", "-3", "a-b", "1-2-3", "1-x", "1 - 2"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_with_the_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = ramp(folder.path(), 12_000);
        for (start_s, end_s) in [
            (2.0, None),
            (1.5, Some(3.0)),
            (1.0, Some(0.5)),
            (0.5, Some(0.5)),
            (-1.0, Some(1.0)),
            (f64::NAN, None),
        ] {
            let stretch = Some(Stretch { start_s, end_s });
            let error = read(&path, Part { stretch, channel: None }).unwrap_err().to_string();
            assert!(error.contains("1.50 s long"), "{error}");
        }
        let part = Part { stretch: None, channel: Some(2) };
        let error = Excerpt::open(&path, part).unwrap_err().to_string();
        assert!(error.contains("no channel 3") && error.contains('2'), "{error}");
    }
}
