//! What is heard in one recording along time, and what it looks like.
//!
//! In: the path of a recording, a part of it, and models that score classes or tell the pitch. Out:
//! [`Outline`] (its waveform and spectrogram), [`Listening`] (what models hear when), and pictures of
//! both. Reads
//! each recording as a stream and keeps a bounded number of columns of it, so that a day takes no
//! more memory than a minute. Prints nothing, and knows no threads.

pub mod columns;
pub mod envelope;
pub mod events;
pub mod hearing;
pub mod listening;
pub mod outline;
pub mod pitch;
pub mod plot;
pub mod spectrogram;

pub use events::{Event, EventSpec};
pub use hearing::{ClassSummary, HeardSegment, Hearing};
pub use listening::{HearingSpec, Listening};
pub use outline::Outline;
pub use pitch::{Note, PitchFrame, PitchTrack, PitchedStretch};
