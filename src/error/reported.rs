//! Errors that another process of ours met, as it tells them: in words, since errors themselves do not
//! travel.

use std::borrow::Cow;
use std::io::ErrorKind;

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
    /// What may be done about it.
    kind: ReportedKind,
}

/// What may be done about an error that another process told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportedKind {
    /// Ask for another part of the recording: it has no such stretch or channel, or one that is too
    /// long.
    Part,
    /// Make room: a disk is full.
    StorageFull,
    /// Whatever the stage and the words say.
    Other,
}

impl ReportedKind {
    fn of(error: &Error) -> Self {
        match error {
            Error::NoStretch { .. }
            | Error::NoChannel { .. }
            | Error::ClipTooLong { .. }
            | Error::Usage { .. } => Self::Part,
            Error::Io { source, .. } if is_full(source.kind()) => Self::StorageFull,
            _ => Self::Other,
        }
    }
}

/// Whether no more can be written for lack of room.
fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
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
            kind: ReportedKind::of(error),
        }
    }

    /// The same of a file that people call `name`, where it is called `path`.
    #[must_use]
    pub fn renamed(mut self, path: &str, name: &str) -> Self {
        self.message = self.message.replace(path, name);
        if let Some(ReportedCause(cause)) = &mut self.cause {
            *cause = cause.replace(path, name);
        }
        self.hint = self.hint.map(|hint| hint.replace(path, name));
        self
    }
}

impl From<ReportedError> for Error {
    fn from(error: ReportedError) -> Self {
        let ReportedError { stage, message, cause, hint, kind } = error;
        Self::Reported { stage, message, cause, hint, kind }
    }
}

/// Why another process met an error: its causes, the nearest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub struct ReportedCause(String);
