//! What is wrong with a file that cannot be decoded.

use std::io;

use super::Source;
use crate::audio::decode::MAX_CHANNELS;
use crate::units::SampleRate;

/// Why a file could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeProblem {
    /// Zero bytes.
    #[error("the file is empty")]
    EmptyFile,
    /// No audio by content or name, or none that the decoder could find.
    #[error("no audio stream was found in it")]
    NotAudio,
    /// A container that this version does not read.
    #[error("{format} files are not read yet")]
    NotReadYet {
        /// Its usual name.
        format: &'static str,
    },
    /// A codec that nobody here decodes.
    #[error("it holds {codec}, which is not decoded")]
    UnknownCodec {
        /// The codec's name or tag.
        codec: String,
    },
    /// A header that says something impossible.
    #[error("{what}: expected {expected}, found {found}")]
    Malformed {
        /// Where.
        what: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A sample rate outside the range that is read.
    #[error("its header says {found} Hz, expected {} to {} Hz", SampleRate::MIN, SampleRate::MAX)]
    SampleRate {
        /// The header's rate.
        found: u32,
    },
    /// A number of channels outside the range that is read.
    #[error("its header says {found} channels, expected 1 to {MAX_CHANNELS}")]
    Channels {
        /// The header's count.
        found: usize,
    },
    /// A header without sound behind it.
    #[error("it holds no samples")]
    NoSamples,
    /// Sound without one number in it.
    #[error("none of its samples is a finite number")]
    NoFiniteSamples,
    /// The decoding library failed.
    #[error("the decoder gave up")]
    Decoder(#[source] Source),
    /// The file could not be read on.
    #[error("it could not be read")]
    Io(#[from] io::Error),
}

impl DecodeProblem {
    pub(crate) fn decoder(error: impl Into<Source>) -> Self {
        Self::Decoder(error.into())
    }
}
