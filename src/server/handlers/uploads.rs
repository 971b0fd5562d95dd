//! `/v1/uploads`: sounds to search with.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use bytes::BytesMut;
use serde::Serialize;
use utoipa::ToSchema;

use super::described::OfUpload;
use crate::server::errand::{Asked, PathBytes, Stored};
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{Arriving, Path};
use crate::server::state::{Server, Work};
use crate::server::uploads::{MOST_BYTES, MOST_S, Receiving, WITHIN, shown};

/// Bytes that are written at once.
const PORTION: usize = 1 << 20;
/// Bytes of a file's name.
const MOST_NAME: usize = 255;

/// A sound that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct UploadView {
    /// What searches and pictures name it by, for an hour at most.
    upload_id: String,
    name: Option<String>,
    duration_s: f64,
    sample_rate: u32,
    channels: u16,
    codec: String,
    /// `ok`, `truncated` or `damaged`.
    status: String,
}

/// Takes an audio file of any format, up to 64 MiB and ten minutes. It is kept for an hour at most, in
/// a folder of the server's own, and never becomes part of the library. The body is the file's bytes alone,
/// not a form.
#[utoipa::path(
    post,
    path = "/v1/uploads",
    tag = "sound",
    params(("x-file-name" = Option<String>, Header, description = "What the file is called")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = UploadView))
)]
pub(in crate::server) async fn create(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Answer<(StatusCode, Json<UploadView>)> {
    let name = request.headers().get("x-file-name").and_then(|name| name.to_str().ok());
    let name = name.filter(|name| name.len() <= MOST_NAME).map(str::to_owned);
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/")) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_a_file",
            "the body is a form, expected the bytes of an audio file alone",
        )
        .hint("send them as they are, as `curl --data-binary @FILE` does"));
    }
    let place = server.place_to_receive().await?;
    let receiving = receive(&server, Arriving::of(request, MOST_BYTES, WITHIN)?).await?;
    if receiving.is_empty() {
        return Err(Refusal::unusable("undecodable", "nothing was sent")
            .hint("send the bytes of an audio file as the body"));
    }
    let upload = server.aside(Work::Decoding, move |server| {
        let _received = place;
        let place = server.uploads.place()?;
        let path = PathBytes::new(receiving.path());
        let asked = Asked::Store { path, to: PathBytes::new(&place.1), most_s: MOST_S };
        // Whatever goes wrong: what was written goes.
        let written = Written(&place.1);
        let stored = server.decode(&asked, receiving.path(), &shown(name.as_deref()))?;
        let stored: Stored =
            serde_json::from_slice(&stored).map_err(|error| Refusal::internal(&error))?;
        if stored.is_too_long {
            return Err(Refusal::too_large(format!("the sound is longer than {MOST_S} s"))
                .hint("send the part of it that counts"));
        }
        std::mem::forget(written);
        Ok(server.uploads.keep(place, &receiving, stored, name))
    });
    let upload = upload.await?;
    let stored = &upload.stored;
    let view = UploadView {
        upload_id: upload.id.clone(),
        name: upload.name.clone(),
        duration_s: stored.duration_s,
        sample_rate: stored.sample_rate,
        channels: stored.channels,
        codec: stored.codec.clone(),
        status: stored.flaw.clone().unwrap_or_else(|| "ok".to_owned()),
    };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Receives a body, which threads write that may wait.
async fn receive(server: &Arc<Server>, mut parts: Arriving) -> Answer<Receiving> {
    let of_server = Arc::clone(server);
    let mut receiving = on_a_thread(move || of_server.uploads.receive()).await?;
    let mut waiting = BytesMut::new();
    loop {
        let part = parts.next().await?;
        let is_last = part.is_none();
        waiting.extend_from_slice(&part.unwrap_or_default());
        if is_last || waiting.len() >= PORTION {
            let portion = waiting.split().freeze();
            receiving = on_a_thread(move || receiving.take(&portion)).await?;
        }
        if is_last {
            return Ok(receiving);
        }
    }
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Refusal::internal(&error)))
}

/// A file that goes unless it is kept.
struct Written<'a>(&'a std::path::Path);

impl Drop for Written<'_> {
    fn drop(&mut self) {
        // Where there is none, nothing was written.
        let _ = std::fs::remove_file(self.0);
    }
}

/// Forgets an upload.
#[utoipa::path(
    delete,
    path = "/v1/uploads/{id}",
    tag = "sound",
    params(OfUpload),
    responses((status = 204))
)]
pub(in crate::server) async fn remove(
    State(server): State<Arc<Server>>,
    Path(OfUpload { id }): Path<OfUpload>,
) -> Answer<StatusCode> {
    on_a_thread(move || server.uploads.remove(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
