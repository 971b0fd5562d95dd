//! What several addresses have in common, described once: the variables of their paths, and answers that
//! come from files.
//!
//! In: nothing. Out: parts of the API's description, of which the paths are what handlers take, too.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::openapi::response::Response;
use utoipa::openapi::{Content, RefOr};
use utoipa::{IntoParams, IntoResponses};

/// The path of a recording.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::server) struct OfRecording {
    /// The recording.
    pub(super) id: i64,
}

/// The path of an upload.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::server) struct OfUpload {
    /// The upload.
    pub(super) id: String,
}

/// The path of a job.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::server) struct OfJob {
    /// The job.
    pub(super) id: u64,
}

/// The path of a head.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::server) struct OfHead {
    /// The head.
    pub(super) name: String,
}

/// A recording's file.
#[derive(Debug)]
pub(in crate::server) struct WholeFile;

/// A clip.
#[derive(Debug)]
pub(in crate::server) struct Clip;

/// A picture.
#[derive(Debug)]
pub(in crate::server) struct Picture;

impl IntoResponses for WholeFile {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        from_file("The file", "audio/*")
    }
}

impl IntoResponses for Clip {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        from_file("The clip", "audio/wav")
    }
}

impl IntoResponses for Picture {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        from_file("The picture", "image/png")
    }
}

/// What is answered where a file is read: all, a part, that it is known, and why not.
fn from_file(what: &str, media_type: &str) -> BTreeMap<String, RefOr<Response>> {
    let mut all = Response::new(what);
    all.content.insert(media_type.to_owned(), Content::default().into());
    let mut part = all.clone();
    "The part that `Range` asks for".clone_into(&mut part.description);
    let known = Response::new("It is what `If-None-Match` names");
    let mut answers = BTreeMap::new();
    for (status, answer) in [("200", all), ("206", part), ("304", known)] {
        answers.insert(status.to_owned(), answer.into());
    }
    for status in ["410", "416", "422"] {
        answers.insert(status.to_owned(), Response::new("").into());
    }
    answers
}
