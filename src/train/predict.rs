//! What a head says of recordings, and what it detects in them.
//!
//! In: a head, and a library or files. Out: [`Said`], a recording at a time, and [`Detection`]s.
//! What a head reads of a recording is decided in [`reading`] and, of what a store holds, in [`given`]; what of it counts
//! as there in [`detecting`]; [`saving`] writes it back as labels. Refuses vectors of another
//! model than the head was trained on.

pub mod detecting;
pub mod given;
pub mod reading;
pub mod saving;

pub use detecting::{Bar, Detection};
pub use given::{GivenRow, say_given};
pub use reading::{HeardFile, Hearing, Left, Listener, Said, SaidRow};
pub use saving::{Saved, save};
