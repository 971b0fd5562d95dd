//! What can be wrong with a file of labels as a whole; single rows are listed, not failed for.

/// Why a file of labels cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelProblem {
    /// A table without a column that is needed.
    #[error("it has no column called {}; its columns are {}", .expected.join(" or "), .found.join(", "))]
    NoColumn {
        /// Names that would do.
        expected: Vec<&'static str>,
        /// The names that are there.
        found: Vec<String>,
    },
}

impl LabelProblem {
    /// What to try.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoColumn { .. } => None,
        }
    }
}
