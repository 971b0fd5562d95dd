//! One file per command, and what those that embed have in common.

pub(crate) mod compact;
pub(crate) mod duplicates;
mod embedding;
pub(crate) mod failures;
pub(crate) mod index;
pub(crate) mod info;
pub(crate) mod models;
pub(crate) mod remove;
pub(crate) mod search;
mod summary;
pub(crate) mod sync;
