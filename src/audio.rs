//! Samples in time: files become mono waveforms at the rate that a model wants.
//!
//! In: paths. Out: blocks of float32 samples, and WAV files. Everything streams, so that the length of a
//! recording does not set the memory it takes.

pub mod decode;
pub mod encode;
pub mod excerpt;
pub mod health;
pub mod resample;
pub mod segment;
pub mod sniff;
