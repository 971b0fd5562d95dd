//! What to try when a question cannot be asked, or its answers cannot be written.
//!
//! In: an [`Error`]. Out: one command or flag.

use std::borrow::Cow;

use super::Error;

impl Error {
    pub(super) fn question_hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::NoChannel { channels, .. } => {
                return Some(format!("give --channel from 1 to {channels}").into());
            }
            Self::NoStretch { .. } => {
                "give --start and --end in seconds from the recording's beginning, the start first"
            }
            Self::ClipTooLong { .. } => {
                "copy moments instead of whole recordings: --by segment, and a smaller --padding"
            }
            Self::Exists { options, .. } => options,
            Self::Gone { .. } => {
                "find files that moved, and drop those that are gone: sonoteca sync FOLDER"
            }
            Self::SeveralRecordings { .. } => "write one file per recording with --out DIR",
            Self::SilentQuery { .. } => "name the part that sounds with --start and --end",
            Self::UnfitStretch { .. } => {
                "name another stretch with --start and --end, or give the recording's file instead \
                 of its id"
            }
            Self::Usage { hint, .. } => hint,
            Self::TooMuchInput { .. } => "save it to a file and name that, or send less of it",
            _ => return None,
        };
        Some(Cow::Borrowed(hint))
    }
}
