//! What to try, for whoever asks over HTTP.
//!
//! In: an error of the library. Out: a hint that speaks of requests. Those of the library speak of options of
//! the command line where a question was asked; of files, models and folders they say what whoever runs the
//! server has to do, and stay.

use std::borrow::Cow;

use sonoteca::{Error, ReportedKind, TrainingProblem};

/// What to try after `error`.
pub(super) fn of(error: &Error) -> Option<Cow<'static, str>> {
    let hint = match error {
        Error::AmbiguousModel { .. } => {
            "name one as `model`, or several in a search as `models`; /v1/library lists them"
        }
        Error::UnknownModel { .. } | Error::NoVectors { .. } => {
            "/v1/library lists the models that the library has vectors of"
        }
        Error::NotIndexed { .. } => {
            "name another `model`: /v1/library lists them; or have it indexed with this one where the \
             library lies: sonoteca index FOLDER --model NAME"
        }
        Error::UnknownRecording { .. } | Error::UnknownQuery { .. } => {
            "ids are in the answers of /v1/recordings and /v1/search; a file is sent to /v1/uploads first"
        }
        Error::UnknownClass { nearest, .. } if nearest.is_empty() => {
            "/v1/classes lists those that are known; any word is searched with `text`"
        }
        Error::NoStretch { .. } | Error::Reported { kind: ReportedKind::Part, .. } => {
            "start_s and end_s count seconds from the recording's beginning, the start first"
        }
        Error::ClipTooLong { .. } => "ask for less by start_s and end_s",
        Error::SilentQuery { .. } => "name the part that sounds with start_s and end_s",
        Error::UnfitStretch { .. } => {
            "name another stretch with start_s and end_s, or upload the recording's file and search with that"
        }
        Error::NoChannel { .. } => "leave the channel out",
        Error::Training(TrainingProblem::NoHead { .. }) => "/v1/heads lists them",
        Error::Filter(problem) => {
            return Some(match &problem.suggestion {
                Some(suggestion) => suggestion.clone().into(),
                None => "an example: duration < 10 and class(\"Rain\") > 0.3".into(),
            });
        }
        _ => return error.hint(),
    };
    Some(hint.into())
}
