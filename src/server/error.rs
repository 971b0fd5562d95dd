//! What is refused, and what went wrong, as JSON.
//!
//! In: the library's errors, and refusals of our own. Out: a status and
//! `{"error": {"code", "message", "hint"}}`. Every answer that is none of what was asked for comes
//! from here.

use std::borrow::Cow;
use std::error::Error as _;
use std::io;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sonoteca::{Error, TrainingProblem};
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

    /// What an error says of a file whose name is nobody's business, such as an upload's.
    pub(super) fn of_upload(error: Error) -> Self {
        let reason = error.reason();
        let mut refusal = Self::from(error);
        if refusal.code == "undecodable" {
            refusal.message = format!("the sound could not be decoded: {reason}");
        }
        refusal
    }
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
        let hint = error.hint().map(Cow::into_owned);
        let mut refusal = Self::new(status, code, in_one_line(&error));
        refusal.hint = hint;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            refusal.retry_after = Some(1);
        }
        refusal
    }
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
        Error::Reported { stage, .. } if stage == "open" || stage == "read" => (S::GONE, "gone"),
        Error::Reported { .. } | Error::NoStretch { .. } | Error::ClipTooLong { .. } => {
            (S::UNPROCESSABLE_ENTITY, "no_such_stretch")
        }
        Error::Filter(_) => (S::UNPROCESSABLE_ENTITY, "bad_filter"),
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
        _ => (S::INTERNAL_SERVER_ERROR, "internal"),
    }
}
