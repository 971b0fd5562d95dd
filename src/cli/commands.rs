//! One file per command.

pub(crate) mod index;
pub(crate) mod info;
pub(crate) mod models;
pub(crate) mod search;
