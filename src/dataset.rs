//! Vectors outside of a library: datasets of Parquet files, and JSON lines.
//!
//! In: rows of recordings, their segments, and failures. Out: files that other programs read, and
//! rows again. The only importer of arrow and parquet. Refuses files of another model, form or
//! content than their metadata says.
//!
//! A dataset is a folder with files `part-*.parquet`, and, once it is whole, `_manifest.json`, which
//! counts them. A row is one of three kinds: a recording with its pooled vector, behind it its
//! segments, or a failure. What holds for all rows, the model above all, stands in each file's
//! metadata ([`header`]).

mod columns;
pub mod exporting;
pub mod folder;
pub mod header;
pub mod ids;
pub mod importing;
pub mod lines;
mod part;
mod reading;
pub mod rows;
mod sums;

pub use part::Part;
pub use reading::PartReader;
pub use sums::Sums;

/// Somebody who wants to know how it goes on, and may stop it.
pub trait Observer {
    /// So many rows of so many were read.
    fn advanced(&self, rows: u64, of: u64);
    /// Whether to stop at the next commit; a dataset that is written is not stopped.
    fn is_cancelled(&self) -> bool;
}
