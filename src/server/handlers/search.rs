//! `POST /v1/search`: what sounds alike, scores high, has the words, or what a head says.
//!
//! In: a question as JSON. Out: hits. Refuses questions that say nothing, or too much at once.

mod answering;
mod asked;
mod found;
mod stored;

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;

use answering::Asking;
use asked::Asked;
pub(in crate::server) use asked::SearchBody;
pub(in crate::server) use found::{Found, HitView};

use crate::server::error::Answer;
use crate::server::extract;
use crate::server::state::{Server, Work};

/// Finds what is like examples, has a class or words, or what a head says.
#[utoipa::path(
    post,
    path = "/v1/search",
    tag = "search",
    request_body = SearchBody,
    responses(
        (status = 200, body = Found),
        (status = 404),
        (status = 409)
    )
)]
pub(in crate::server) async fn search(
    State(server): State<Arc<Server>>,
    extract::Json(body): extract::Json<SearchBody>,
) -> Answer<Json<Found>> {
    let started = Instant::now();
    let asked = Asked::new(&server, body)?;
    // Uploads have to be embedded.
    let room = if asked.has_uploads() { Work::Decoding } else { Work::Reading };
    let found = server.with_library(room, move |server, library| {
        let folders = server.roots.folders(library)?;
        Asking { server, library, folders: &folders, asked: &asked }.answer()
    });
    let mut found = found.await?;
    found.took_ms = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    Ok(Json(found))
}
