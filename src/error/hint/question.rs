//! What to try when a question cannot be asked, its answers cannot be written, or it is not clear
//! which model is meant.
//!
//! In: an [`Error`]. Out: one command or flag.

use std::borrow::Cow;

use super::super::{Error, FilterProblem};

impl Error {
    pub(super) fn question_hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Filter(problem) => return Some(problem.hint()),
            Self::NoClasses { others, .. } if others.is_empty() => {
                "index the recordings with one that does: sonoteca index FOLDER --model yamnet"
            }
            Self::NoClasses { others, .. } => {
                return Some(
                    format!("ask another: --model {}", others.join(", or --model ")).into(),
                );
            }
            Self::UnknownClass { nearest, .. } => return Some(class_hint(nearest)),
            Self::AmbiguousModel { .. } => {
                "choose one with --model NAME; a search can name several"
            }
            Self::HeadsOfModel { .. } => {
                "remove them with `sonoteca head remove NAME`, or keep them, of no use until the \
                 recordings are indexed with it again: --force"
            }
            Self::MetadataTable { .. } => {
                "the first line names the columns, one of them `path`; or name it with --key COLUMN"
            }
            Self::NoChannel { channels, .. } => {
                return Some(format!("give --channel from 1 to {channels}").into());
            }
            Self::NoStretch { .. } => {
                "times count from the recording's beginning, the start first: @START-END, or --start \
                 and --end"
            }
            Self::NotTakenIn { path } => {
                return Some(
                    format!("take it in first: sonoteca index '{}'", path.display()).into(),
                );
            }
            Self::NotCalledSo { nearest, .. } => return Some(name_hint(nearest)),
            Self::ClipTooLong { .. } => {
                "copy moments instead of whole recordings: --by segment, and a smaller --padding"
            }
            Self::Exists { options, .. } => options,
            Self::Gone { .. } => {
                "find files that moved, and drop those that are gone: sonoteca sync FOLDER"
            }
            Self::Changed { .. } => {
                "have the library know it as it is now, and search again: sonoteca sync FOLDER"
            }
            Self::SeveralRecordings { .. } => "write one file per recording with --out DIR",
            Self::SilentQuery { .. } => "name the part that sounds with --start and --end",
            Self::UnfitStretch { .. } => {
                "name another stretch with --start and --end, or give the recording's file instead \
                 of its id"
            }
            Self::NothingHeard { with_classes, with_pitch, .. } => {
                let (classes, pitch) = (with_classes.join(", "), with_pitch.join(", "));
                return Some(format!("models with classes: {classes}; pitch: {pitch}").into());
            }
            Self::Usage { hint, .. } => hint,
            Self::TooMuchInput { .. } => "save it to a file and name that, or send less of it",
            _ => return None,
        };
        Some(Cow::Borrowed(hint))
    }
}

/// The classes that may have been meant.
fn class_hint(nearest: &[String]) -> Cow<'static, str> {
    if nearest.is_empty() {
        return "to search by any word: sonoteca search --text WORDS".into();
    }
    format!("did you mean {}?", nearest.join(", or ")).into()
}

/// The recordings that may have been meant.
fn name_hint(nearest: &[String]) -> Cow<'static, str> {
    if nearest.is_empty() {
        return "give its path, the end of it, or id:N, which searches show".into();
    }
    format!("did you mean {}?", nearest.join(", or ")).into()
}

impl FilterProblem {
    fn hint(&self) -> Cow<'static, str> {
        match &self.suggestion {
            Some(suggestion) => suggestion.clone().into(),
            None => "the language of filters: sonoteca search --help".into(),
        }
    }
}
