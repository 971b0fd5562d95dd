//! What a recording looks like: its waveform and its spectrogram, read in one pass.
//!
//! In: the path of a recording, and which part of it. Out: [`Outline`]. Refuses what cannot be
//! decoded, and parts that the recording does not have.

use std::path::Path;

use super::envelope::Envelope;
use super::spectrogram::Spectrogram;
use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::excerpt::{Excerpt, Part};
use crate::error::Result;

/// The waveform and the spectrogram of a recording, or of a part of it.
#[derive(Debug)]
pub struct Outline {
    /// What the recording's header says.
    pub format: StreamFormat,
    /// Where the part begins, in seconds from the recording's beginning.
    pub start_s: f64,
    /// How long the part is, in seconds.
    pub duration_s: f64,
    /// How whole the recording is, as far as it was read.
    pub integrity: Integrity,
    /// Its waveform.
    pub envelope: Envelope,
    /// Its spectrogram.
    pub spectrogram: Spectrogram,
}

impl Outline {
    /// Reads `part` of the recording at `path`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) and [`Error::Decode`](crate::Error::Decode) when it cannot be
    /// decoded, [`Error::NoChannel`](crate::Error::NoChannel) and
    /// [`Error::NoStretch`](crate::Error::NoStretch) when it has no such part.
    pub fn read(path: &Path, part: Part) -> Result<Self> {
        let mut excerpt = Excerpt::open(path, part)?;
        let sample_rate = excerpt.format().sample_rate;
        let mut envelope = Envelope::new(sample_rate);
        let mut spectrogram = Spectrogram::new(sample_rate);
        let mut samples = Vec::new();
        while excerpt.next_block(&mut samples)? {
            envelope.push(&samples);
            spectrogram.push(&samples);
        }
        envelope.finish();
        spectrogram.finish();
        Ok(Self {
            format: excerpt.format().clone(),
            start_s: part.start_s(),
            duration_s: excerpt.duration_s(),
            integrity: excerpt.integrity(),
            envelope,
            spectrogram,
        })
    }
}
