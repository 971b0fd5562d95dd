//! One file per command, and what those that embed have in common.

pub(crate) mod compact;
pub(crate) mod describe;
pub(crate) mod duplicates;
mod embedding;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod extract;
pub(crate) mod failures;
pub(crate) mod head;
pub(crate) mod import;
pub(crate) mod index;
pub(crate) mod info;
pub(crate) mod label;
pub(crate) mod metadata;
pub(crate) mod models;
pub(crate) mod predict;
mod refresh;
pub(crate) mod reindex;
pub(crate) mod remove;
pub(crate) mod search;
pub(crate) mod serve;
mod standard_input;
mod stores;
pub(crate) mod suggest;
mod summary;
pub(crate) mod sync;
pub(crate) mod train;
