//! The page: HTML, scripts and styles that are part of the binary.
//!
//! In: requests for the pages and their files. Out: HTML that holds nothing of the library but the
//! number in its address; scripts ask `/v1/` for the rest. Nothing comes from elsewhere and nothing is
//! inline, neither scripts nor styles: the content security policy of the guard refuses both.

mod assets;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use assets::Asset;

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    page: &'static str,
}

#[derive(Template)]
#[template(path = "recording.html")]
struct RecordingPage {
    page: &'static str,
    id: i64,
}

#[derive(Template)]
#[template(path = "train.html")]
struct TrainPage {
    page: &'static str,
}

#[derive(Template)]
#[template(path = "map.html")]
struct MapPage {
    page: &'static str,
}

#[derive(Template)]
#[template(path = "missing.html")]
struct MissingPage {
    page: &'static str,
}

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage {
    page: &'static str,
    is_wrong: bool,
}

/// Whether whoever asks is a browser that goes to an address, and wants a page.
pub(super) fn is_for_people(method: &Method, headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok());
    *method == Method::GET && accepted.is_some_and(|kinds| kinds.contains("text/html"))
}

/// What stands at an address where nothing is.
pub(super) fn missing() -> Response {
    (StatusCode::NOT_FOUND, page(&MissingPage { page: "missing" })).into_response()
}

/// Asks for the token; `is_wrong`: once more.
pub(super) fn token(is_wrong: bool) -> Response {
    (StatusCode::UNAUTHORIZED, page(&TokenPage { page: "token", is_wrong })).into_response()
}

/// The pages and their files. They need no state: what they show comes from `/v1/`.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(async || page(&SearchPage { page: "search" })))
        .route("/recordings/{id}", get(recording))
        .route("/train", get(async || page(&TrainPage { page: "train" })))
        .route("/map", get(async || page(&MapPage { page: "map" })))
        .route("/static/{name}", get(asset))
}

async fn recording(Path(id): Path<String>) -> Response {
    match id.parse() {
        Ok(id) => page(&RecordingPage { page: "recording", id }),
        Err(_) => missing(),
    }
}

fn page(template: &impl Template) -> Response {
    let Ok(html) = template.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    Html(html).into_response()
}

async fn asset(Path(name): Path<String>, request: HeaderMap) -> Response {
    let Some(asset) = Asset::named(&name) else {
        return missing();
    };
    let tag = asset.tag();
    // Asked for every time and sent once: a newer binary is seen at the next load.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag.clone()),
    ];
    if request.get(header::IF_NONE_MATCH) == Some(&tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, asset.content).into_response()
}

#[cfg(test)]
mod tests;
