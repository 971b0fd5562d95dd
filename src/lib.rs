//! Recordings become embeddings, embeddings live in one SQLite file, and similar sounds are found.
//!
//! ```text
//! audio ──▶ frontend ──▶ model ──▶ store ──▶ index ──▶ search
//! decode    STFT, mel    network   SQLite    nearest   hits
//! resample  patches      pool                neighbours
//! └────────── extract ──────────┘
//! └───────────────── ingest ────────────┘
//! ```
//!
//! Data flows one way. Each stage is a module that uses only earlier ones, and of those only what
//! they hand on; `extract`, `ingest` and `search` compose the stages. Each heavy dependency has
//! one room: symphonia and hound in [`audio::decode`], rustfft in [`frontend`], tch in [`model`],
//! rusqlite in [`store`], `hnsw_rs` in [`index::hnsw`], resvg in [`describe::plot`].
//!
//! # Words
//!
//! - *recording*: a file of sound.
//! - *frame*: one column of the short-time Fourier transform.
//! - *patch*: a model's input window, some frames of log-mel.
//! - *embedding*: the vector that a model gives for a patch.
//! - *segment*: a stretch of a recording with one embedding, from `start_s` to `end_s`.
//! - *model*: a name, the hash of its weights and the version of its front end.
//! - *library*: one SQLite file with recordings, segments and embeddings.

pub mod audio;
pub mod case;
pub mod dataset;
pub mod dates;
pub mod describe;
mod dot;
mod error;
pub mod extract;
pub mod files;
pub mod filter;
pub mod frontend;
pub mod index;
pub mod ingest;
pub mod label;
pub mod manifest;
pub mod milvus;
pub mod model;
pub mod near;
pub mod objects;
pub mod search;
pub mod shell;
pub mod store;
pub mod train;
pub mod units;

pub use error::{
    AddedProblem, DatasetProblem, DecodeProblem, Error, FilterProblem, HubProblem, LabelProblem,
    MilvusProblem, ReportedCause, ReportedError, ReportedKind, Result, Source, TrainingProblem,
    VectorProblem,
};
