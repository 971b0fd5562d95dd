//! What is refused, and what went wrong, as JSON.
//!
//! In: the library's errors, and refusals of our own. Out: a status and
//! `{"error": {"code", "message", "hint"}}`. Every answer that is none of what was asked for comes
//! from here.

mod hints;

use std::borrow::Cow;
use std::error::Error as _;
use std::io;
use std::path::Path;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sonoteca::{Error, MilvusProblem, ReportedKind, TrainingProblem};
use utoipa::ToSchema;

/// The result of a request.
pub(super) type Answer<T> = Result<T, Refusal>;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: Option<String>,
    /// Seconds after which to come back.
    retry_after: Option<u32>,
}

/// Why a request was not answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorDetail,
}

/// Why a request was not answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    /// For programs: it does not change.
    #[schema(example = "no_such_recording")]
    code: &'static str,
    /// For people.
    message: String,
    /// One thing to try.
    hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), hint: None, retry_after: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The request does not read, or asks for what cannot be.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// What was asked for is not there.
    pub(super) fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// What was sent reads, and cannot be used.
    pub(super) fn unusable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(super) fn too_slow() -> Self {
        let message = "the request took too long to arrive";
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
    }

    /// Of the same client's doing.
    pub(super) fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message).retry_after(5)
    }

    /// More at once than there is room for.
    pub(super) fn overloaded() -> Self {
        let message = "more is asked at once than this server answers";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).retry_after(1)
    }

    /// A defect of ours; what it is, is logged and not told.
    pub(super) fn internal(what: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %what, "a request failed");
        let message = "this server failed; its log says why, under the request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The disk is full. Where, is logged and not told.
    fn no_room(what: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %what, "the disk is full");
        let message = "the server's disk is full";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "no_room", message)
            .hint("make room on it; its log says where")
    }

    /// What `error` says of the file at `path`, which whoever asks knows by another name.
    pub(super) fn of_file(error: Error, path: &Path, name: &str) -> Self {
        let is_of_reading = match &error {
            Error::Io { action, path: of, .. } => is_reading(action) && of == path,
            Error::Reported { stage, .. } => is_reading(stage),
            _ => false,
        };
        let mut refusal = match is_of_reading {
            // A folder that may not be looked into, or a share that does not answer, says nothing of it.
            true if !is_gone(&error, path) => {
                let reason = error.reason();
                let message = format!("{} could not be read: {reason}", path.display());
                Self::unusable("unreadable", message)
                    .hint("see that the user who runs the server may read the file")
            }
            true => Self::new(StatusCode::GONE, "gone", in_one_line(&error)),
            false => Self::from(error),
        };
        let path = path.display().to_string();
        refusal.message = refusal.message.replace(&path, name);
        // A command that names a file is of no use to whoever does not have it.
        refusal.hint = refusal.hint.filter(|hint| !hint.contains(&path));
        refusal
    }
}

/// Whether the file at `path` is surely not there, of which `error` was met.
fn is_gone(error: &Error, path: &Path) -> bool {
    match error {
        Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        // What another process tells are words.
        _ => path.try_exists().is_ok_and(|is_there| !is_there),
    }
}

/// Whether a file was about to be read.
fn is_reading(action: &str) -> bool {
    matches!(action, "open" | "read" | "find" | "seek in")
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message, hint, retry_after } = self;
        let body = ErrorBody { error: ErrorDetail { code, message, hint } };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (status, code) = meaning(&error);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            return Self::internal(&in_one_line(&error));
        }
        if status == StatusCode::INSUFFICIENT_STORAGE {
            return Self::no_room(&in_one_line(&error));
        }
        let hint = hint_of(&error);
        let mut refusal = Self::new(status, code, in_one_line(&error));
        refusal.hint = hint;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            refusal.retry_after = Some(1);
        }
        refusal
    }
}

/// What to try after `error`, for whoever asks over HTTP.
pub(super) fn hint_of(error: &Error) -> Option<String> {
    hints::of(error).map(Cow::into_owned)
}

/// An error with its causes.
pub(super) fn in_one_line(error: &Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line += ": ";
        line += &cause.to_string();
        next = cause.source();
    }
    line
}

/// The status and the code of an error.
fn meaning(error: &Error) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        Error::UnknownRecording { .. } => (S::NOT_FOUND, "no_such_recording"),
        Error::Training(TrainingProblem::NoHead { .. }) => (S::NOT_FOUND, "no_such_head"),
        Error::Gone { .. } => (S::GONE, "gone"),
        Error::Io { action: "open" | "read" | "find", source, .. }
            if source.kind() == io::ErrorKind::NotFound =>
        {
            (S::GONE, "gone")
        }
        Error::Decode { .. }
        | Error::DecoderDied { .. }
        | Error::TimeLimit { .. }
        | Error::Panic { .. } => (S::UNPROCESSABLE_ENTITY, "undecodable"),
        Error::Reported { stage, .. } if stage == "decode" || stage == "panic" => {
            (S::UNPROCESSABLE_ENTITY, "undecodable")
        }
        Error::Reported { kind: ReportedKind::Part, .. }
        | Error::NoStretch { .. }
        | Error::ClipTooLong { .. } => (S::UNPROCESSABLE_ENTITY, "no_such_stretch"),
        Error::Reported { kind: ReportedKind::StorageFull, .. } => {
            (S::INSUFFICIENT_STORAGE, "no_room")
        }
        Error::Filter(_) => (S::UNPROCESSABLE_ENTITY, "bad_filter"),
        Error::Milvus { problem: MilvusProblem::Silent { .. }, .. } => {
            (S::SERVICE_UNAVAILABLE, "store_silent")
        }
        Error::Milvus {
            problem: MilvusProblem::OtherModel { .. } | MilvusProblem::Unable { .. },
            ..
        } => (S::UNPROCESSABLE_ENTITY, "not_of_a_store"),
        Error::Milvus { .. } => (S::BAD_GATEWAY, "store"),
        Error::UnknownClass { .. } => (S::UNPROCESSABLE_ENTITY, "no_such_class"),
        Error::UnknownModel { .. } | Error::NoVectors { .. } => {
            (S::UNPROCESSABLE_ENTITY, "no_such_model")
        }
        Error::AmbiguousModel { .. } => (S::UNPROCESSABLE_ENTITY, "which_model"),
        Error::NotIndexed { .. } => (S::UNPROCESSABLE_ENTITY, "not_indexed"),
        Error::SilentQuery { .. } | Error::UnfitStretch { .. } => {
            (S::UNPROCESSABLE_ENTITY, "silent")
        }
        Error::Training(_) => (S::UNPROCESSABLE_ENTITY, "training"),
        Error::Vector { problem: sonoteca::VectorProblem::Zero, .. }
        | Error::NothingHeard { .. }
        | Error::NoChannel { .. }
        | Error::Usage { .. }
        | Error::Labels { .. } => (S::UNPROCESSABLE_ENTITY, "unusable"),
        Error::OtherVersion { .. } => (S::CONFLICT, "other_version"),
        Error::ModelMissing { .. } => (S::CONFLICT, "model_missing"),
        Error::LibraryBusy { .. } => (S::SERVICE_UNAVAILABLE, "busy"),
        Error::Io { source, .. }
            if matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            (S::INSUFFICIENT_STORAGE, "no_room")
        }
        _ => (S::INTERNAL_SERVER_ERROR, "internal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(action: &'static str, path: &Path, kind: io::ErrorKind) -> Error {
        Error::Io { action, path: path.to_owned(), source: kind.into() }
    }

    #[test]
    fn a_full_disk_is_told_without_where_it_is() {
        let (sent, to) = (Path::new("/tmp/sent"), Path::new("/tmp/of-the-server/1.wav"));
        let full = || io("write", to, io::ErrorKind::StorageFull);
        // As a process that decodes tells it, and as the server meets it.
        let told = Error::from(sonoteca::ReportedError::new(&full()));
        for refusal in [Refusal::of_file(told, sent, "rain.wav"), Refusal::from(full())] {
            assert_eq!((refusal.status.as_u16(), refusal.code), (507, "no_room"));
            assert!(!refusal.message.contains("/tmp"), "{}", refusal.message);
        }
        // What else hinders writing is no fault of who sent it.
        let denied = io("write", to, io::ErrorKind::PermissionDenied);
        let told = Error::from(sonoteca::ReportedError::new(&denied));
        assert_eq!(Refusal::of_file(told, sent, "rain.wav").status.as_u16(), 500);
    }

    #[test]
    fn files_that_cannot_be_read_are_told_by_the_name_that_people_know() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        let shown = path.display().to_string();
        let of = |error| Refusal::of_file(error, path, "rain.wav");
        let denied = of(io("open", path, io::ErrorKind::PermissionDenied));
        assert_eq!((denied.status.as_u16(), denied.code), (422, "unreadable"));
        assert!(denied.message.starts_with("rain.wav could not be read: "), "{}", denied.message);
        // As a process that decodes tells it.
        let told = Error::Reported {
            stage: "read".to_owned(),
            message: format!("could not read {shown}"),
            cause: None,
            hint: Some(format!("sonoteca describe {shown}")),
            kind: ReportedKind::Other,
        };
        let told = of(told);
        assert_eq!((told.code, told.message.contains(&shown)), ("unreadable", false));
        let error = Error::TimeLimit { path: path.to_owned(), limit_s: 2.0 };
        let limit = of(error);
        assert_eq!((limit.status.as_u16(), limit.code), (422, "undecodable"));
        assert_eq!(limit.message, "decoding rain.wav took more than 2 s");
        // What is wrong with another file, such as one of a model's, is our affair.
        let other = of(io("read", Path::new("/elsewhere"), io::ErrorKind::PermissionDenied));
        assert_eq!(other.status.as_u16(), 500);
        assert!(!other.message.contains("elsewhere"), "{}", other.message);
        file.close().unwrap();
        for (kind, expected) in [
            (io::ErrorKind::NotFound, (410, "gone")),
            // The folder may not be looked into.
            (io::ErrorKind::PermissionDenied, (422, "unreadable")),
            (io::ErrorKind::StaleNetworkFileHandle, (422, "unreadable")),
        ] {
            let path = Path::new(&shown);
            let told = Refusal::of_file(io("open", path, kind), path, "rain.wav");
            assert_eq!((told.status.as_u16(), told.code), expected, "{kind}");
        }
    }
}
