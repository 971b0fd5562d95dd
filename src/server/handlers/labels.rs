//! `/v1/labels`: what people say of recordings.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sonoteca::Error;
use sonoteca::audio::segment::TimeRange;
use sonoteca::store::labels::{LabelSelection, MACHINE, NewLabel};
use utoipa::{IntoParams, ToSchema};

use super::views::{Kind, Label};
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{self, Path, Query, count};
use crate::server::state::{Server, Work};

/// Who says what is said here.
const SOURCE: &str = "page";
/// Characters of a class's name.
const MOST_CHARACTERS: usize = 200;

/// Which labels.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct LabelsQuery {
    /// Those of this recording.
    recording_id: Option<i64>,
    /// Those of this class, in upper or lower case.
    class: Option<String>,
    /// Those that people said, and what they trust, or those that heads said; of both, where nothing
    /// is said.
    by: Option<Author>,
    /// How many at most, 1 to 1000; 100, where nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Those behind this id: `next` of the page before.
    after: Option<i64>,
}

/// Who said a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum Author {
    People,
    Heads,
}

/// A page of labels.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Labels {
    labels: Vec<Label>,
    /// Where the next page begins; null on the last one.
    next: Option<i64>,
}

/// Labels, as they were added.
#[utoipa::path(
    get,
    path = "/v1/labels",
    tag = "labels",
    params(LabelsQuery),
    responses((status = 200, body = Labels))
)]
pub(in crate::server) async fn list(
    State(server): State<Arc<Server>>,
    Query(query): Query<LabelsQuery>,
) -> Answer<Json<Labels>> {
    let limit = count("limit", query.limit, 100, 1..=1_000)?;
    let found = server.with_library(Work::Reading, move |_, library| {
        let mut sources = Vec::new();
        if let Some(author) = query.by {
            sources = library.label_sources()?;
            sources.retain(|source| source.starts_with(MACHINE) == (author == Author::Heads));
            if sources.is_empty() {
                return Ok(Labels { labels: Vec::new(), next: None });
            }
        }
        let selection = LabelSelection {
            sources,
            classes: query.class.into_iter().collect(),
            recordings: query.recording_id.map(|id| vec![id]),
            ..LabelSelection::default()
        };
        let after = query.after.unwrap_or(0).max(0);
        let mut found = library.labels_after(&selection, after, limit + 1)?;
        let is_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| is_more).map(|label| label.id);
        Ok(Labels { labels: found.into_iter().map(Label::from).collect(), next })
    });
    found.await.map(Json)
}

/// A label that is to be stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct NewLabelBody {
    recording_id: i64,
    /// Any name.
    class: String,
    /// The stretch; without it, all of the recording.
    start_s: Option<f64>,
    end_s: Option<f64>,
    /// `positive`, where nothing is said.
    kind: Option<Kind>,
}

/// Stores a label.
#[utoipa::path(
    post,
    path = "/v1/labels",
    tag = "labels",
    request_body = NewLabelBody,
    responses(
        (status = 201, body = Label),
        (status = 404)
    )
)]
pub(in crate::server) async fn create(
    State(server): State<Arc<Server>>,
    extract::Json(body): extract::Json<NewLabelBody>,
) -> Answer<(StatusCode, Json<Label>)> {
    let class = body.class.trim().to_owned();
    let is_name = !class.is_empty() && !class.contains(char::is_control);
    if !is_name || class.chars().count() > MOST_CHARACTERS {
        let message =
            format!("a class has a name of 1 to {MOST_CHARACTERS} characters, on one line");
        return Err(Refusal::unusable("bad_class", message));
    }
    let stored = server.with_library(Work::Writing, move |_, library| {
        let id = body.recording_id;
        let recording = library.recording(id)?.ok_or(Error::UnknownRecording { id })?;
        let range = match (body.start_s, body.end_s) {
            (None, None) => None,
            (start_s, end_s) => {
                let range = TimeRange {
                    start_s: start_s.unwrap_or(0.0),
                    end_s: end_s.unwrap_or(recording.duration_s).min(recording.duration_s),
                };
                if !(range.start_s >= 0.0 && range.start_s < range.end_s) {
                    let message = format!(
                        "a stretch begins at 0 or later and ends behind its beginning; the \
                         recording is {:.3} s long",
                        recording.duration_s
                    );
                    return Err(Refusal::unusable("no_such_stretch", message));
                }
                Some(range)
            }
        };
        let writer = library.begin()?;
        let label = writer.add_label(&NewLabel {
            recording: id,
            class: &class,
            range,
            judgement: body.kind.unwrap_or(Kind::Positive).into(),
            source: SOURCE,
            score: None,
            band_hz: None,
        })?;
        writer.commit()?;
        let selection = LabelSelection { ids: vec![label], ..LabelSelection::default() };
        let stored = library.labels_after(&selection, 0, 1)?.pop();
        stored.ok_or_else(|| Refusal::missing("no_such_label", "the label was removed meanwhile"))
    });
    Ok((StatusCode::CREATED, Json(stored.await?.into())))
}

/// Removes a label.
#[utoipa::path(
    delete,
    path = "/v1/labels/{id}",
    tag = "labels",
    params(("id" = i64, Path, description = "The label")),
    responses((status = 204))
)]
pub(in crate::server) async fn remove(
    State(server): State<Arc<Server>>,
    Path(id): Path<i64>,
) -> Answer<StatusCode> {
    let removed = server.with_library(Work::Writing, move |_, library| {
        let writer = library.begin()?;
        let removed = writer.remove_label(id)?;
        writer.commit()?;
        Ok(removed)
    });
    if removed.await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::missing("no_such_label", format!("there is no label {id}")))
}
