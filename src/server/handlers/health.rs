//! `GET /healthz`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// That it answers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the server answers. Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "server", security(()), responses((status = 200, body = Health)))]
pub(in crate::server) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}
