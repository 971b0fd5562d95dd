//! `POST /v1/heads/NAME/predict`: what a head says of the library, as labels.
//!
//! In: which head, of which recordings. Out: a job that stores what it says, in place of what it said
//! before. Refuses heads that say a number, and filters of moments.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use sonoteca::Error;
use sonoteca::filter::Filter;
use sonoteca::index::scope::Allowed;
use sonoteca::search::{self, Level, Scope};
use sonoteca::train::head::Head;
use sonoteca::train::predict::{Bar, Detection, Hearing, Saved, save};
use sonoteca::train::task::Task;
use utoipa::ToSchema;

use super::LevelName;
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{self, Path, finite};
use crate::server::handlers::described::OfHead;
use crate::server::jobs::JobView;
use crate::server::state::{Server, Work};

/// What a head is asked about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct PredictBody {
    /// A filter of recordings.
    #[serde(rename = "where")]
    filter: Option<String>,
    /// As the head was trained, where nothing is said.
    by: Option<LevelName>,
    /// From which probability on a class is there; as training found, where nothing is said.
    #[schema(minimum = 0, maximum = 1)]
    threshold: Option<f64>,
}

/// Asks a head about the library, and stores what it says as labels of source `head:NAME`, in place of
/// its earlier ones: a job.
#[utoipa::path(
    post,
    path = "/v1/heads/{name}/predict",
    tag = "heads",
    params(OfHead),
    request_body = PredictBody,
    responses((status = 202, body = JobView), (status = 429))
)]
pub(in crate::server) async fn predict(
    State(server): State<Arc<Server>>,
    Path(OfHead { name }): Path<OfHead>,
    extract::Json(body): extract::Json<PredictBody>,
) -> Answer<(StatusCode, Json<JobView>)> {
    let threshold = finite("threshold", body.threshold)?;
    if threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
        return Err(Refusal::unusable("bad_threshold", "threshold is from 0 to 1"));
    }
    let filter = body.filter.as_deref().filter(|filter| !filter.trim().is_empty());
    let filter = filter.map(Filter::parse).transpose()?;
    let asked = name.clone();
    let known = server.with_library(Work::Reading, move |_, library| {
        let head = Head::load(library, &asked)?;
        if head.card().task == Task::Regression {
            return Err(Refusal::unusable("training", "the head says a number, which is no label"));
        }
        Ok(())
    });
    known.await?;
    let by = body.by;
    let job = server.jobs.order(
        &server,
        "predict",
        Box::new(move |server, job| {
            let mut library = server.lend()?;
            let head = Head::load(&library, &name)?;
            let model = head.model_in(&library)?;
            let level = by.map_or(head.card().settings.by, Level::from);
            let hop_s = model.segmentation.map_or(model.hop_s, |segments| segments.hop_s);
            let bar = Bar::new(head.card(), level, hop_s, (threshold, &[]));
            let allowed = search::allowed(&library, filter.as_ref(), &model, level)?;
            if matches!(allowed, Allowed::Segments(_)) {
                return Err(Error::Usage {
                    problem: "labels are of whole recordings, and this filter is about moments",
                    hint: "filter by what recordings have",
                });
            }
            let scope = Scope { allowed, ..Scope::default() };
            let total = library.count_searched_after(0, model.id, level)?;
            let mut hearing = Hearing::new(&head, &model, level, scope)?;
            let mut saved = Saved::default();
            loop {
                let some = hearing.next_some(&library)?;
                if some.is_empty() {
                    break;
                }
                let found: Vec<(i64, Vec<Detection>)> =
                    some.iter().map(|said| (said.recording, bar.detect(said))).collect();
                let now = save(&mut library, head.card(), &[], &found)?;
                saved.labels += now.labels;
                saved.added += now.added;
                saved.removed += now.removed;
                let share = hearing.read as f64 / total.max(hearing.read).max(1) as f64;
                if !job.at(Some(share), "listening with the head") {
                    break;
                }
            }
            Ok(json!({
                "labels": saved.labels,
                "added": saved.added,
                "removed": saved.removed,
                "left_out": hearing.left.unfit,
                "unread": hearing.left.unread,
            }))
        }),
    )?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}
