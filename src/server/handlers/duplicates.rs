//! `POST /v1/duplicates`: stretches that are the same sound.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use sonoteca::search::Level;
use sonoteca::search::duplicates::{
    DuplicateOptions, Evidence, Group, Member, Phase, Watcher, find_duplicates,
};
use utoipa::ToSchema;

use super::views::name_of;
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{self, finite};
use crate::server::jobs::{Job, JobView};
use crate::server::roots::Folders;
use crate::server::state::Server;

/// Groups that are told.
const MOST_GROUPS: usize = 1_000;

/// What counts as a duplicate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct DuplicatesBody {
    /// Least correlation of two waveforms, from 0 to 1; 0.4, where nothing is said.
    #[schema(minimum = 0, maximum = 1)]
    threshold: Option<f64>,
    /// Shortest stretch in seconds.
    #[schema(minimum = 0)]
    min_duration_s: Option<f64>,
    /// The model whose vectors propose.
    model: Option<String>,
}

/// Looks for stretches that are the same sound: a job, whose result has the groups.
#[utoipa::path(
    post,
    path = "/v1/duplicates",
    tag = "search",
    request_body = DuplicatesBody,
    responses((status = 202, body = JobView), (status = 429))
)]
pub(in crate::server) async fn find(
    State(server): State<Arc<Server>>,
    extract::Json(body): extract::Json<DuplicatesBody>,
) -> Answer<(StatusCode, Json<JobView>)> {
    let usual = DuplicateOptions::default();
    let threshold = finite("threshold", body.threshold)?.unwrap_or(f64::from(usual.threshold));
    let min_duration_s = finite("min_duration_s", body.min_duration_s)?;
    let min_duration_s = min_duration_s.unwrap_or(usual.min_duration_s);
    if !(0.0..=1.0).contains(&threshold) || min_duration_s < 0.0 {
        let message = "threshold is from 0 to 1, and min_duration_s is 0 or more";
        return Err(Refusal::unusable("bad_threshold", message));
    }
    #[expect(clippy::cast_possible_truncation, reason = "compared in f32")]
    let options = DuplicateOptions { threshold: threshold as f32, min_duration_s, ..usual };
    let model = body.model;
    let job = server.jobs.order(
        &server,
        "duplicates",
        Box::new(move |server, job| {
            let library = server.lend()?;
            let model = server.collections.model(&library, model.as_deref())?;
            let opened = server.collections.open(&library, &model, Level::Segment, false)?;
            let found =
                find_duplicates(&library, &model, &opened.collection, &options, &Watch { job })?;
            let folders = server.roots.folders(&library)?;
            let groups = found.groups.iter().take(MOST_GROUPS);
            Ok(json!({
                "groups": groups.map(|group| group_view(group, &folders)).collect::<Vec<_>>(),
                "group_count": found.groups.len(),
                "unheard": found.unheard.len(),
                "interrupted": found.interrupted,
            }))
        }),
    )?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// Tells a job how far it is.
struct Watch<'a> {
    job: &'a Job,
}

impl Watcher for Watch<'_> {
    fn progressed(&self, phase: Phase, done: usize, all: usize) {
        let (number, message) = match phase {
            Phase::Looking => (0.0, "looking up segments"),
            Phase::Listening => (1.0, "listening to recordings"),
            Phase::Comparing => (2.0, "comparing pairs"),
            Phase::Aligning => (3.0, "aligning matches"),
        };
        let share = done as f64 / all.max(1) as f64;
        self.job.at(Some((number + share) / 4.0), message);
    }

    fn is_cancelled(&self) -> bool {
        self.job.cancel.is_cancelled()
    }
}

fn group_view(group: &Group, folders: &Folders) -> serde_json::Value {
    let members = group.members.iter().map(|member| member_view(member, folders));
    json!({ "members": members.collect::<Vec<_>>() })
}

fn member_view(member: &Member, folders: &Folders) -> serde_json::Value {
    json!({
        "recording_id": member.recording.id,
        "path": folders.shown(&member.recording.path),
        "name": name_of(&member.recording),
        "duration_s": member.recording.duration_s,
        "start_s": member.range.start_s,
        "end_s": member.range.end_s,
        "offset_s": member.offset_s,
        "similarity": member.similarity,
        "evidence": match member.evidence {
            Evidence::SameFile => "same-file",
            Evidence::Heard => "heard",
            Evidence::Vectors => "vectors",
        },
    })
}
