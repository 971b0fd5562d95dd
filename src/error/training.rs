//! What keeps a head from being trained, evaluated or used.

/// Why there is no head, or no number about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingProblem {
    /// Nothing to learn from.
    #[error("the library has no labels to learn from")]
    NoLabels,
}

impl TrainingProblem {
    /// What to try.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoLabels => Some("give it labels: sonoteca label import FILE"),
        }
    }
}
