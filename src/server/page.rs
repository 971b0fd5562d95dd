//! The page.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::state::Server;

/// What people look at.
pub(super) fn router() -> Router<Arc<Server>> {
    Router::new().route("/", get(|| async { "sonoteca" }))
}
