//! Sound: a recording's file as it is, and clips.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use sonoteca::Error;
use utoipa::IntoParams;

use super::described::{Clip, OfRecording, OfUpload, WholeFile};
use crate::server::audio::{Sound, of_bytes, tag_of};
use crate::server::errand::{Asked, PathBytes, Seconds};
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{Path, Query, finite};
use crate::server::roots::FileOf;
use crate::server::state::{Server, Work};

/// Seconds of a clip.
const MOST_CLIP_S: f64 = 120.0;

/// Which stretch.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct StretchQuery {
    /// Where it begins, in seconds; with the sound, where nothing is said.
    start_s: Option<f64>,
    /// Where it ends; with the sound, where nothing is said.
    end_s: Option<f64>,
}

impl StretchQuery {
    /// The stretch; nothing, where all is meant.
    pub(super) fn seconds(self) -> Answer<Seconds> {
        let (start_s, end_s) = (finite("start_s", self.start_s)?, finite("end_s", self.end_s)?);
        if start_s.is_none() && end_s.is_none() {
            return Ok(None);
        }
        let start_s = start_s.unwrap_or(0.0);
        if start_s < 0.0 || end_s.is_some_and(|end_s| end_s <= start_s) {
            let message = "a stretch begins at 0 or later and ends behind its beginning";
            return Err(Refusal::bad(message));
        }
        Ok(Some((start_s, end_s)))
    }
}

/// A recording's file, as it is. `Range` is heeded.
#[utoipa::path(
    get,
    path = "/v1/recordings/{id}/audio",
    tag = "sound",
    params(OfRecording),
    responses(WholeFile)
)]
pub(in crate::server) async fn recording(
    State(server): State<Arc<Server>>,
    Path(OfRecording { id }): Path<OfRecording>,
    headers: HeaderMap,
) -> Answer<Response> {
    let sound = server.with_library(Work::Reading, move |server, library| {
        let recording = library.recording(id)?.ok_or(Error::UnknownRecording { id })?;
        Sound::open(&server.roots.file(library, &recording)?)
    });
    sound.await?.answer(&headers).await
}

/// A stretch of a recording as a WAV file, mono, of 16 bits, two minutes at most. `Range` is heeded.
#[utoipa::path(
    get,
    path = "/v1/recordings/{id}/clip.wav",
    tag = "sound",
    params(OfRecording, StretchQuery),
    responses(Clip)
)]
pub(in crate::server) async fn clip(
    State(server): State<Arc<Server>>,
    Path(OfRecording { id }): Path<OfRecording>,
    Query(query): Query<StretchQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let stretch = query.seconds()?;
    let found = server.with_library(Work::Decoding, move |server, library| {
        let recording = library.recording(id)?.ok_or(Error::UnknownRecording { id })?;
        check_length(stretch, recording.duration_s)?;
        cut(server, &server.roots.file(library, &recording)?, stretch)
    });
    let (clip, tag) = found.await?;
    Ok(of_bytes(&clip, &headers, "audio/wav", &tag))
}

/// A stretch of an upload, as of recordings.
#[utoipa::path(
    get,
    path = "/v1/uploads/{id}/clip.wav",
    tag = "sound",
    params(OfUpload, StretchQuery),
    responses(Clip)
)]
pub(in crate::server) async fn clip_of_upload(
    State(server): State<Arc<Server>>,
    Path(OfUpload { id }): Path<OfUpload>,
    Query(query): Query<StretchQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let stretch = query.seconds()?;
    let upload = server.uploads.get(&id)?;
    let found = server.aside(Work::Decoding, move |server| {
        check_length(stretch, upload.stored.duration_s)?;
        cut(server, &upload.file(), stretch)
    });
    let (clip, tag) = found.await?;
    Ok(of_bytes(&clip, &headers, "audio/wav", &tag))
}

/// Refuses stretches of sounds of `duration_s` seconds that are longer than a clip.
fn check_length(stretch: Seconds, duration_s: f64) -> Answer<()> {
    let (start_s, end_s) = stretch.unwrap_or((0.0, None));
    let seconds = end_s.unwrap_or(duration_s).min(duration_s) - start_s;
    if seconds > MOST_CLIP_S {
        let message = format!("{seconds:.1} s are more than a clip may have: {MOST_CLIP_S} s");
        return Err(Refusal::unusable("clip_too_long", message)
            .hint("ask for less by start_s and end_s, or for the file: /v1/recordings/ID/audio"));
    }
    Ok(())
}

fn cut(server: &Server, of: &FileOf, stretch: Seconds) -> Answer<(Bytes, String)> {
    let tag = tag_of(&of.metadata()?);
    let path = PathBytes::new(&of.path);
    let asked = Asked::Cut { path, stretch, most_s: MOST_CLIP_S + 1.0 };
    let clip = server.decode(&asked, &of.path, &of.name)?;
    let (start_s, end_s) = stretch.unwrap_or((0.0, None));
    let bits = |seconds: Option<f64>| seconds.map_or(0, f64::to_bits);
    let tag = format!("\"{}-{:x}-{:x}\"", tag.trim_matches('"'), bits(Some(start_s)), bits(end_s));
    Ok((Bytes::from(clip), tag))
}
