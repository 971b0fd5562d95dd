//! Samples into what a network sees: log-mel patches.
//!
//! In: blocks of samples at the model's rate. Out: patches, `[frames, mels]` of float32. The only
//! room that imports rustfft (through its real-valued wrapper).

pub mod fingerprint;
pub mod mel;
pub mod patch;
pub mod spec;
pub mod stft;
