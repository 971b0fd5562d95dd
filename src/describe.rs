//! What is heard in one recording along time, and what it looks like.
//!
//! In: the path of a recording, a part of it, and models that score classes. Out: [`Outline`] (its
//! waveform and spectrogram), [`Hearing`] (what a model hears when), and pictures of both. Reads
//! each recording as a stream and keeps a bounded number of columns of it, so that a day takes no
//! more memory than a minute. Prints nothing, and knows no threads.

pub mod columns;
pub mod envelope;
pub mod events;
pub mod hearing;
pub mod outline;
pub mod plot;
pub mod spectrogram;

pub use events::{Event, EventSpec};
pub use hearing::{ClassSummary, HeardSegment, Hearing, HearingSpec};
pub use outline::Outline;
