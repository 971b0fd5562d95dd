//! `/v1/jobs`: work that goes on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::server::error::{Answer, ErrorBody};
use crate::server::extract::Path;
use crate::server::jobs::JobView;
use crate::server::state::Server;

/// All jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct JobList {
    /// The newest first.
    jobs: Vec<JobView>,
}

/// The jobs that wait, run, or are over, of which the last hundred are remembered.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", responses((status = 200, body = JobList)))]
pub(in crate::server) async fn list(State(server): State<Arc<Server>>) -> Json<JobList> {
    Json(JobList { jobs: server.jobs.list() })
}

/// One job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = u64, Path, description = "The job")),
    responses((status = 200, body = JobView), (status = 404, body = ErrorBody))
)]
pub(in crate::server) async fn show(
    State(server): State<Arc<Server>>,
    Path(id): Path<u64>,
) -> Answer<Json<JobView>> {
    server.jobs.get(id).map(Json)
}

/// Asks a job to stop.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = u64, Path, description = "The job")),
    responses((status = 202, body = JobView), (status = 404, body = ErrorBody))
)]
pub(in crate::server) async fn cancel(
    State(server): State<Arc<Server>>,
    Path(id): Path<u64>,
) -> Answer<(StatusCode, Json<JobView>)> {
    Ok((StatusCode::ACCEPTED, Json(server.jobs.cancel(id)?)))
}
