//! What a search finds, as it is sent.
//!
//! In: hits. Out: [`Found`], with what a hit's recording is called, and what is heard and labelled there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use sonoteca::search::{self, Explanation, Hit, Level};
use sonoteca::store::Library;
use utoipa::ToSchema;

use crate::server::handlers::views::{Class, Label, name_of};
use crate::server::roots::Folders;

/// Classes and labels that are told of a hit.
const MOST_CLASSES: usize = 5;
const MOST_LABELS: usize = 50;
/// Below this a score says that the class is not there.
const LEAST_SCORE: f64 = 0.01;
/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Found {
    hits: Vec<HitView>,
    /// The model that was searched with; of several, with a + between.
    model: String,
    pub(super) took_ms: f64,
    /// What the hits do not show.
    warnings: Vec<String>,
}

/// A hit.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct HitView {
    /// From 1.
    rank: usize,
    recording_id: i64,
    /// The best segment; null where recordings are compared.
    segment_id: Option<i64>,
    path: String,
    name: String,
    start_s: f64,
    end_s: f64,
    /// Where the best segment lies.
    best_start_s: f64,
    best_end_s: f64,
    /// How many segments were joined.
    segments: usize,
    /// Of the recording.
    duration_s: f64,
    score: f32,
    /// Each model's own score, where there are several.
    model_scores: BTreeMap<String, Option<f32>>,
    classes: Vec<Class>,
    /// Labels that touch it.
    labels: Vec<Label>,
    /// Whether its file is not there.
    missing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Explained>,
    /// Why it is suggested.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// The class that it is suggested for, and the one that is almost as probable.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_class: Option<String>,
}

/// Why something is a hit.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Explained {
    /// Classes that are heard in both.
    shared: Vec<Shared>,
    /// How the segments of its recording score; null, where none can be searched.
    spread: Option<SpreadView>,
}

/// A class that is heard in question and hit.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Shared {
    class: String,
    query: f64,
    hit: f64,
}

/// The scores of a recording's segments.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct SpreadView {
    segments: usize,
    least: f32,
    median: f32,
    best: f32,
    near: f32,
    near_share: f64,
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let shared = explanation.shared.into_iter().map(|one| Shared {
            class: one.name,
            query: one.query_score,
            hit: one.hit_score,
        });
        let spread = explanation.spread.map(|spread| SpreadView {
            segments: spread.segments,
            least: spread.least,
            median: spread.median,
            best: spread.best,
            near: spread.near,
            near_share: spread.near_share,
        });
        Self { shared: shared.collect(), spread }
    }
}

impl HitView {
    /// `hit` among hits at `level`.
    pub(in crate::server) fn new(
        library: &Library,
        folders: &Folders,
        hit: Hit,
        level: Level,
    ) -> sonoteca::Result<Self> {
        let path = hit.recording.path.clone();
        Ok(Self::of_library(library, folders, hit, level)?.looked_for(&path))
    }

    /// What the library says of `hit`; whether its file is there, is still to be looked for.
    pub(super) fn of_library(
        library: &Library,
        folders: &Folders,
        hit: Hit,
        level: Level,
    ) -> sonoteca::Result<Self> {
        let mut labels = library.labels(hit.recording.id)?;
        labels.retain(|label| Label::touches(label, hit.range));
        labels.truncate(MOST_LABELS);
        let mut classes = hit.classes;
        classes.retain(|class| class.score >= LEAST_SCORE);
        classes.truncate(MOST_CLASSES);
        Ok(Self {
            rank: hit.rank,
            recording_id: hit.recording.id,
            segment_id: (level == Level::Segment).then_some(hit.key.segment),
            path: folders.shown(&hit.recording.path),
            name: name_of(&hit.recording),
            start_s: hit.range.start_s,
            end_s: hit.range.end_s,
            best_start_s: hit.best.start_s,
            best_end_s: hit.best.end_s,
            segments: hit.segments,
            duration_s: hit.recording.duration_s,
            score: hit.score,
            model_scores: BTreeMap::new(),
            classes: Class::all(classes),
            labels: labels.into_iter().map(Label::from).collect(),
            missing: false,
            explain: None,
            why: None,
            class: None,
            other_class: None,
        })
    }

    /// `hit` of a store, whose recording has the library's id where it has one: its segments have none.
    pub(super) fn of_store(
        library: &Library,
        folders: &Folders,
        hit: Hit,
        level: Level,
    ) -> sonoteca::Result<Self> {
        Ok(Self { segment_id: None, ..Self::of_library(library, folders, hit, level)? })
    }

    /// The same, of a recording that the library does not have: its sound is not handed out.
    pub(super) fn out_of_reach(self) -> Self {
        Self { missing: true, ..self }
    }

    /// The same, with whether the file at `path` is there, for which a share may be waited.
    pub(super) fn looked_for(self, path: &Path) -> Self {
        Self { missing: search::copying::is_missing(path), ..self }
    }

    /// The same, with why it is one.
    pub(super) fn explained(self, explain: Option<Explained>) -> Self {
        Self { explain, ..self }
    }

    /// The same, with each model's own score.
    pub(super) fn scored_by(self, model_scores: BTreeMap<String, Option<f32>>) -> Self {
        Self { model_scores, ..self }
    }

    /// The same, suggested for a label.
    pub(in crate::server) fn suggested(
        mut self,
        why: String,
        class: String,
        other_class: Option<String>,
    ) -> Self {
        (self.why, self.class, self.other_class) = (Some(why), Some(class), other_class);
        self
    }
}

impl Found {
    pub(super) fn new(hits: Vec<HitView>, model: String, warnings: Vec<String>) -> Self {
        Self { hits, model, took_ms: 0.0, warnings }
    }

    /// Hits that nobody searched for.
    pub(in crate::server) fn of(hits: Vec<HitView>, model: String, started: Instant) -> Self {
        Self {
            took_ms: started.elapsed().as_secs_f64() * 1e3,
            ..Self::new(hits, model, Vec::new())
        }
    }

    /// The same; where it is empty, with why.
    pub(in crate::server) fn warned(mut self, why: impl FnOnce() -> String) -> Self {
        if self.hits.is_empty() {
            self.warnings.push(why());
        }
        self
    }
}
