//! `/v1/recordings`: what was recorded, and what is heard in it.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sonoteca::audio::health::Health;
use sonoteca::filter::Filter;
use sonoteca::search::{Level, model_of_classes};
use sonoteca::store::Library;
use sonoteca::store::filtering::Passing;
use sonoteca::store::recordings::StoredRecording;
use sonoteca::{Error, Result};
use utoipa::{IntoParams, ToSchema};

use super::described::OfRecording;
use super::views::{Class, Label, Recording};
use crate::server::error::Answer;
use crate::server::extract::{Path, Query, count, finite};
use crate::server::state::{Server, Work};

/// Which recordings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct ListQuery {
    /// A filter, as of `sonoteca search --where`.
    #[serde(rename = "where")]
    filter: Option<String>,
    /// Words in paths, labels and metadata; all of them.
    text: Option<String>,
    /// How many at most, 1 to 500; 50, where nothing is said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u64>,
    /// Those behind this id: `next` of the page before.
    after: Option<i64>,
}

/// A page of recordings.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Recordings {
    recordings: Vec<Recording>,
    /// Where the next page begins; null on the last one.
    next: Option<i64>,
}

/// Recordings, by id.
#[utoipa::path(
    get,
    path = "/v1/recordings",
    tag = "recordings",
    params(ListQuery),
    responses((status = 200, body = Recordings), (status = 422))
)]
pub(in crate::server) async fn list(
    State(server): State<Arc<Server>>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Recordings>> {
    let limit = count("limit", query.limit, 50, 1..=500)?;
    let after = query.after.unwrap_or(0).max(0);
    let filter = query.filter.as_deref().filter(|text| !text.trim().is_empty());
    let filter = filter.map(Filter::parse).transpose()?;
    let found = server.with_library(Work::Reading, move |server, library| {
        let folders = server.roots.folders(library)?;
        let text = query.text.as_deref().unwrap_or_default();
        // One more than are sent says whether there are more.
        let mut found = match among(server, library, filter.as_ref(), text)? {
            None => library.recordings_after(after, limit + 1)?,
            Some(ids) => {
                let behind = ids.partition_point(|&id| id <= after);
                let some = ids[behind..].iter().take(limit + 1);
                some.map(|&id| library.recording(id))
                    .filter_map(Result::transpose)
                    .collect::<Result<Vec<StoredRecording>>>()?
            }
        };
        let is_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| is_more).map(|recording| recording.id);
        let recordings = found.into_iter().map(|one| Recording::new(library, &folders, one));
        Ok(Recordings { recordings: recordings.collect::<Result<_>>()?, next })
    });
    found.await.map(Json)
}

/// The ids of recordings that pass `filter` and have all words of `text`; nothing, where neither
/// says anything.
fn among(
    server: &Server,
    library: &Library,
    filter: Option<&Filter>,
    text: &str,
) -> Result<Option<Vec<i64>>> {
    let mut ids = match filter {
        None => None,
        Some(filter) => {
            // A library without models has no classes to speak of.
            let model = match model_of_classes(library, filter, None) {
                Ok(model) => model.id,
                Err(Error::NoVectors { .. }) => 0,
                // All of these know its classes.
                Err(Error::AmbiguousModel { models }) => {
                    let usual = server.collections.usual(library)?.map(|usual| usual.name);
                    let usual = usual.filter(|usual| models.contains(usual));
                    let name = usual.or_else(|| models.into_iter().next());
                    server.collections.model(library, name.as_deref())?.id
                }
                Err(error) => return Err(error),
            };
            match library.passing(filter, model, Level::Recording)? {
                Passing::Recordings(ids) | Passing::Segments(ids) => Some(ids),
            }
        }
    };
    if text.contains(char::is_alphanumeric) {
        Server::unwaiting(library, Library::catch_up_texts)?;
    }
    for word in text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)) {
        let found: HashSet<i64> =
            library.recordings_with_word(word)?.into_iter().map(|(id, _)| id).collect();
        let mut kept = match ids.take() {
            Some(ids) => ids.into_iter().filter(|id| found.contains(id)).collect::<Vec<_>>(),
            None => found.into_iter().collect(),
        };
        kept.sort_unstable();
        ids = Some(kept);
    }
    Ok(ids)
}

/// A recording, with what is heard in it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct RecordingDetail {
    #[serde(flatten)]
    recording: Recording,
    /// By the model that was named; where none was, by the one that is meant then, or, where that has no
    /// words for it, by the first that has some.
    classes: Vec<Class>,
    labels: Vec<Label>,
}

/// Which model's classes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct DetailQuery {
    /// The model whose classes are meant.
    model: Option<String>,
}

/// One recording.
#[utoipa::path(
    get,
    path = "/v1/recordings/{id}",
    tag = "recordings",
    params(OfRecording, DetailQuery),
    responses((status = 200, body = RecordingDetail))
)]
pub(in crate::server) async fn show(
    State(server): State<Arc<Server>>,
    Path(OfRecording { id }): Path<OfRecording>,
    Query(query): Query<DetailQuery>,
) -> Answer<Json<RecordingDetail>> {
    let found = server.with_library(Work::Reading, move |server, library| {
        let recording = library.recording(id)?.ok_or(Error::UnknownRecording { id })?;
        let folders = server.roots.folders(library)?;
        let meant = match query.model.as_deref() {
            Some(name) => Some(server.collections.model(library, Some(name))?),
            // A library without vectors is no reason to tell nothing.
            None => server.collections.model(library, None).ok(),
        };
        let mut classes = Vec::new();
        for model in meant.iter().chain(server.collections.models(library)?.iter()) {
            classes = Class::all(library.classes(id, model.id)?);
            if !classes.is_empty() || query.model.is_some() {
                break;
            }
        }
        let labels = library.labels(id)?.into_iter().map(Label::from).collect();
        let recording = Recording::new(library, &folders, recording)?;
        Ok(RecordingDetail { recording, classes, labels })
    });
    found.await.map(Json)
}

/// Which segments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct SegmentsQuery {
    /// The model whose segments are meant.
    model: Option<String>,
    /// Those that share time with this stretch.
    start_s: Option<f64>,
    end_s: Option<f64>,
    /// How many at most, 1 to 10000; 1000, where nothing is said.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<u64>,
}

/// Segments of a recording.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Segments {
    segments: Vec<Segment>,
    /// Whether there are more than were asked for.
    more: bool,
}

/// A stretch with a vector.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Segment {
    id: i64,
    start_s: f64,
    end_s: f64,
    /// Whether searches find it: it is neither silent nor clipped nor damaged.
    searched: bool,
    classes: Vec<Class>,
}

/// The segments of a recording, in the order of time.
#[utoipa::path(
    get,
    path = "/v1/recordings/{id}/segments",
    tag = "recordings",
    params(OfRecording, SegmentsQuery),
    responses((status = 200, body = Segments), (status = 422))
)]
pub(in crate::server) async fn segments(
    State(server): State<Arc<Server>>,
    Path(OfRecording { id }): Path<OfRecording>,
    Query(query): Query<SegmentsQuery>,
) -> Answer<Json<Segments>> {
    let limit = count("limit", query.limit, 1_000, 1..=10_000)?;
    let start_s = finite("start_s", query.start_s)?.unwrap_or(f64::NEG_INFINITY);
    let end_s = finite("end_s", query.end_s)?.unwrap_or(f64::INFINITY);
    let found = server.with_library(Work::Reading, move |server, library| {
        library.recording(id)?.ok_or(Error::UnknownRecording { id })?;
        let model = server.collections.model(library, query.model.as_deref())?;
        let mut found = library.segments_of(id, model.id)?;
        found.retain(|one| one.range.start_s < end_s && one.range.end_s > start_s);
        let more = found.len() > limit;
        found.truncate(limit);
        let mut segments = Vec::with_capacity(found.len());
        for one in found {
            segments.push(Segment {
                id: one.id,
                start_s: one.range.start_s,
                end_s: one.range.end_s,
                searched: one.health == Health::SOUND,
                classes: Class::all(library.segment_classes(one.id)?),
            });
        }
        Ok(Segments { segments, more })
    });
    found.await.map(Json)
}
