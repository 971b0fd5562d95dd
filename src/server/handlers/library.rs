//! `GET /v1/library`: what there is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sonoteca::store::labels::LabelSelection;
use sonoteca::train::head::card::HeadCard;
use utoipa::ToSchema;

use crate::server::error::Answer;
use crate::server::state::{Server, Work};

/// What the library holds.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Library {
    /// Its file.
    path: String,
    /// Of this sonoteca.
    version: &'static str,
    recordings: u64,
    /// Of all models.
    segments: u64,
    duration_s: f64,
    labels: u64,
    models: Vec<Model>,
    /// The model that is meant where a request names none; null, while nothing is indexed.
    default_model: Option<String>,
    heads: Vec<HeadSummary>,
    label_classes: Vec<LabelClass>,
}

/// A model that the library has vectors of.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Model {
    name: String,
    dimension: usize,
    /// Classes that it scores; 0, where it has no words for what it hears.
    class_count: usize,
    recordings: u64,
    segments: u64,
    /// Length of a segment, and from one to the next.
    segment_s: f64,
    hop_s: f64,
}

/// A head in a few words.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct HeadSummary {
    name: String,
    kind: String,
    model: String,
    classes: Vec<String>,
    /// `single`, `multi` or `regression`.
    task: String,
    /// `recording` or `segment`.
    by: String,
    /// Whether it learnt that what is not labelled in a labelled recording is not there.
    exhaustive: bool,
    trained_at: String,
    recordings: usize,
    /// Held out, with its interval of 95 %.
    accuracy: Option<f64>,
    accuracy_low: Option<f64>,
    accuracy_high: Option<f64>,
}

/// A class that people or heads gave.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct LabelClass {
    class: String,
    /// Labels that say that it is there.
    count: u64,
    positive: u64,
    negative: u64,
    unsure: u64,
    by_people: u64,
}

impl HeadSummary {
    pub(super) fn of(card: &HeadCard) -> Self {
        let accuracy = card.scores.as_ref().map(|scores| scores.accuracy).unwrap_or_default();
        Self {
            name: card.name.clone(),
            kind: card.kind.as_str().to_owned(),
            model: card.model.name.clone(),
            classes: card.classes.clone(),
            task: format!("{:?}", card.task).to_lowercase(),
            by: format!("{:?}", card.settings.by).to_lowercase(),
            exhaustive: card.settings.exhaustive,
            trained_at: card.trained_at.clone(),
            recordings: card.learnt_from.recordings,
            accuracy: accuracy.value,
            accuracy_low: accuracy.low,
            accuracy_high: accuracy.high,
        }
    }
}

/// What the library holds.
#[utoipa::path(
    get,
    path = "/v1/library",
    tag = "library",
    responses((status = 200, body = Library))
)]
pub(in crate::server) async fn library(State(server): State<Arc<Server>>) -> Answer<Json<Library>> {
    let found = server.with_library(Work::Reading, |server, library| {
        let totals = library.totals()?;
        let models = server.collections.models(library)?;
        let mut described = Vec::with_capacity(models.len());
        for model in models.iter() {
            let (segment_s, hop_s) = match model.segmentation {
                Some(segments) => (segments.segment_s, segments.hop_s),
                None => (model.window_s, model.hop_s),
            };
            described.push(Model {
                name: model.identity.name.clone(),
                dimension: model.identity.dimension,
                class_count: library.class_names(model.id)?.len(),
                recordings: model.recordings,
                segments: model.segments,
                segment_s,
                hop_s,
            });
        }
        let all = LabelSelection::default();
        let classes = library.label_classes(&all)?.into_iter().map(|one| LabelClass {
            class: one.class,
            count: one.positive,
            positive: one.positive,
            negative: one.negative,
            unsure: one.unsure,
            by_people: one.by_people,
        });
        Ok(Library {
            path: library.path().to_string_lossy().into_owned(),
            version: env!("CARGO_PKG_VERSION"),
            recordings: totals.recordings,
            segments: models.iter().map(|model| model.segments).sum(),
            duration_s: totals.duration_s,
            labels: library.count_labels(&all)?,
            models: described,
            // Searches are answered by a store where there is one.
            default_model: match &server.store {
                Some(store) => Some(store.header().identity.name.clone()),
                None => server.collections.usual(library)?.map(|usual| usual.name),
            },
            heads: super::heads::summaries(library)?,
            label_classes: classes.collect(),
        })
    });
    found.await.map(Json)
}
