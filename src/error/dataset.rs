//! Why a dataset of vectors could not be read or written.
//!
//! In: nothing. Out: [`DatasetProblem`], with what to try.

use super::Source;

/// Why a dataset could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetProblem {
    /// Parquet's own library failed.
    #[error("Parquet could not be {action}")]
    Parquet {
        /// `read` or `written`.
        action: &'static str,
        /// Its word.
        source: Source,
    },
    /// A file that sonoteca did not write, or whose metadata somebody's program dropped.
    #[error("its metadata has no `{key}`, which every dataset of sonoteca has")]
    Foreign {
        /// What was looked for.
        key: &'static str,
    },
    /// Metadata that does not read.
    #[error("its metadata says {found} for `{key}`, expected {expected}")]
    Header {
        /// Of what.
        key: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A form that a newer version wrote.
    #[error("it has the form {found}; this sonoteca knows forms up to {known}")]
    TooNew {
        /// Its form.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// A column that is not there, or of another type.
    #[error("column `{column}` is {found}, expected {expected}")]
    Column {
        /// The column.
        column: &'static str,
        /// Its type, or that it is missing.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// A cell without a value that its kind of row has, or with one that cannot be.
    #[error("row {row} says {found} for `{column}`, expected {expected}")]
    Cell {
        /// Counted from 0, within its file.
        row: u64,
        /// The column.
        column: &'static str,
        /// What is there.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// Segments that do not follow their recording.
    #[error("row {row} is segment {segment} of {of}, expected {expected}")]
    Order {
        /// Counted from 0, within its file.
        row: u64,
        /// The segment.
        segment: i64,
        /// The path of its recording.
        of: String,
        /// What would have been right.
        expected: String,
    },
    /// Other counts than its metadata or its manifest says.
    #[error("it holds {found} {what}, expected {expected}")]
    Count {
        /// Of what.
        what: &'static str,
        /// What is there.
        found: u64,
        /// What was written.
        expected: u64,
    },
    /// Rows that are not those that were written.
    #[error("its rows have the checksum {found}, expected {expected}")]
    Rows {
        /// What they have.
        found: String,
        /// What was written.
        expected: String,
    },
    /// A part of another length than the manifest says.
    #[error("it has {found} bytes, and the dataset's manifest says {expected}")]
    Size {
        /// Its length.
        found: u64,
        /// The manifest's.
        expected: u64,
    },
    /// A part that the manifest knows and that is not there, or the other way round.
    #[error("{what}")]
    Manifest {
        /// What does not fit.
        what: String,
    },
    /// No parts.
    #[error("it holds no dataset: expected files called part-*.parquet")]
    Empty,
    /// Vectors of another model than those that are there.
    #[error(
        "its vectors are by {found}, and those of {place} by {expected}: they are not compared"
    )]
    OtherModel {
        /// The model and its version.
        found: String,
        /// Those that are there.
        expected: String,
        /// Where.
        place: String,
    },
    /// Something else in which parts of one dataset differ.
    #[error("it has {what} {found}, and {place} has {expected}")]
    OtherForm {
        /// What differs.
        what: &'static str,
        /// The part's.
        found: String,
        /// The dataset's.
        expected: String,
        /// Where.
        place: String,
    },
    /// Another process that writes there.
    #[error("{holder} is writing it")]
    Busy {
        /// Who.
        holder: String,
    },
}

impl DatasetProblem {
    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Foreign { .. } | Self::Empty => {
                "give a folder that `sonoteca extract --out` or `sonoteca export --parquet` wrote; \
                 programs that rewrite Parquet drop what says which model the vectors are by"
            }
            Self::TooNew { .. } => "use the sonoteca that wrote it, or a newer one",
            Self::Header { .. } | Self::Column { .. } | Self::Cell { .. } | Self::Order { .. } => {
                "import files as sonoteca wrote them, each with its rows in their order"
            }
            Self::Count { .. } | Self::Rows { .. } | Self::Size { .. } | Self::Manifest { .. } => {
                "copy the dataset again, or remove the file and extract what it held again: what is \
                 imported already stays"
            }
            Self::OtherModel { .. } => {
                "bring it into a library of its own, or extract with the model that is there: \
                 --library FILE, --model NAME"
            }
            Self::OtherForm { .. } => "write another dataset: --out DIR",
            Self::Busy { .. } => "wait for it, or write another dataset: --out DIR",
            Self::Parquet { .. } => return None,
        })
    }
}
