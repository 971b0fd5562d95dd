//! Errors that another process of ours met, as it tells them: in words, since errors themselves do not
//! travel.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Error;

/// An error as another process told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedError {
    /// Its stage.
    stage: String,
    /// What it said.
    message: String,
    /// Why.
    cause: Option<ReportedCause>,
    /// What to try.
    hint: Option<String>,
}

impl ReportedError {
    /// `error` in words.
    pub fn new(error: &Error) -> Self {
        let has_cause = std::error::Error::source(error).is_some();
        Self {
            stage: error.stage().to_owned(),
            message: error.to_string(),
            cause: has_cause.then(|| ReportedCause(error.reason())),
            hint: error.hint().map(Cow::into_owned),
        }
    }
}

impl From<ReportedError> for Error {
    fn from(error: ReportedError) -> Self {
        let ReportedError { stage, message, cause, hint } = error;
        Self::Reported { stage, message, cause, hint }
    }
}

/// Why another process met an error: its causes, the nearest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub struct ReportedCause(String);
