//! Recordings become embeddings, embeddings live in one SQLite file, and similar sounds are found.
#![doc = ""]
pub mod audio;
mod error;
pub mod frontend;
pub mod model;
pub mod units;

pub use error::{DecodeProblem, Error, Result, Source, VectorProblem};
