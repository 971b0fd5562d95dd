//! `/v1/jobs`: work that goes on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::described::OfJob;
use crate::server::error::Answer;
use crate::server::extract::Path;
use crate::server::jobs::{JobSummary, JobView};
use crate::server::state::Server;

/// All jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct JobList {
    /// The newest first.
    jobs: Vec<JobSummary>,
}

/// The jobs that wait, run, or are over, of which the last hundred are remembered; what came of one is
/// told where it is asked for by itself.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", responses((status = 200, body = JobList)))]
pub(in crate::server) async fn list(State(server): State<Arc<Server>>) -> Json<JobList> {
    Json(JobList { jobs: server.jobs.list() })
}

/// One job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(OfJob),
    responses((status = 200, body = JobView))
)]
pub(in crate::server) async fn show(
    State(server): State<Arc<Server>>,
    Path(OfJob { id }): Path<OfJob>,
) -> Answer<Json<JobView>> {
    server.jobs.get(id).map(Json)
}

/// Asks a job to stop.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(OfJob),
    responses((status = 202, body = JobView))
)]
pub(in crate::server) async fn cancel(
    State(server): State<Arc<Server>>,
    Path(OfJob { id }): Path<OfJob>,
) -> Answer<(StatusCode, Json<JobView>)> {
    Ok((StatusCode::ACCEPTED, Json(server.jobs.cancel(id)?)))
}
