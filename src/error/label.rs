//! What can be wrong with a file of labels as a whole; single rows are listed, not failed for.

/// Why a file of labels cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelProblem {
    /// A table without a column that is needed.
    #[error("it has no column called {}; its columns are {}", .expected.join(" or "), listed(.found))]
    NoColumn {
        /// Names that would do.
        expected: Vec<String>,
        /// The names that are there.
        found: Vec<String>,
    },
    /// Not the text that is read.
    #[error("it is {found}, expected text in UTF-8")]
    NotText {
        /// What it is.
        found: &'static str,
    },
    /// A label track, or a table, that does not say which recording it is about.
    #[error("its name is that of no recording of the library")]
    NoRecording,
    /// A label track, or a table, whose name several recordings have.
    #[error("{count} recordings of the library have its name")]
    SeveralRecordings {
        /// How many.
        count: usize,
    },
    /// A table that the parser gave up.
    #[error("it does not read as a table: {problem}")]
    Table {
        /// The parser's word.
        problem: String,
    },
}

fn listed(names: &[String]) -> String {
    const MOST: usize = 30;
    match names.len() {
        0 => "none".to_owned(),
        count if count > MOST => format!("{} and others", names[..MOST].join(", ")),
        _ => names.join(", "),
    }
}

impl LabelProblem {
    /// What to try.
    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoColumn { .. } => {
                "the first line names the columns; say which one has the classes with \
                 --class-column NAME, and what separates them with --delimiter"
            }
            Self::NotText { .. } => "save it as text in UTF-8, or as CSV from a spreadsheet",
            Self::NoRecording | Self::SeveralRecordings { .. } => {
                "say which recording it is about: --recording PATH, or --recording id:N"
            }
            Self::Table { .. } => return None,
        })
    }
}
