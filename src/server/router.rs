//! Which request goes where.
//!
//! In: the state. Out: a router with everything around it: the guard first, then the API and the page.
//! What is not there, or not to be done that way, is told as JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::description::Description;
use super::error::Refusal;
use super::state::Server;
use super::{description, handlers, page, security};

/// Everything that is served.
pub(super) fn router(server: Arc<Server>) -> Router {
    let (api, description) = api();
    let description: Arc<OpenApi> = Arc::new(description);
    let described = get(move || {
        let description = Arc::clone(&description);
        async move { axum::Json(description.as_ref().clone()) }
    });
    api.route("/openapi.json", described)
        .merge(page::router())
        .fallback(missing)
        .method_not_allowed_fallback(not_that_way)
        .layer(map_response(own_errors))
        .layer(from_fn_with_state(Arc::clone(&server), security::guard))
        .with_state(server)
}

/// The API, and what describes it.
fn api() -> (Router<Arc<Server>>, OpenApi) {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(handlers::router())
        .split_for_parts();
    description::complete(&mut description);
    (router, description)
}

#[cfg(test)]
pub(super) fn description() -> OpenApi {
    api().1
}

async fn missing(request: Request) -> Response {
    if page::is_for_people(request.method(), request.headers()) {
        return page::missing();
    }
    Refusal::missing("no_such_page", "there is nothing at this address")
        .hint("/openapi.json says what there is")
        .into_response()
}

async fn not_that_way() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this address does not take that method",
    )
}

/// Refusals of the framework as ours: they are plain text.
async fn own_errors(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(axum::http::header::CONTENT_TYPE);
    let is_ours = kind.is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"));
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let message = status.canonical_reason().unwrap_or("refused").to_lowercase();
    Refusal::new(status, "refused", message).into_response()
}
