//! `GET /v1/heads/NAME/suggest`: what to label next.
//!
//! In: which head, and what to choose from. Out: stretches that nobody labelled, and why they are asked
//! about; where there are none, why.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use sonoteca::audio::segment::TimeRange;
use sonoteca::filter::Filter;
use sonoteca::search::{self, Hit, Level, Scope};
use sonoteca::store::segments::VectorKey;
use sonoteca::train::head::Head;
use sonoteca::train::rank::suggest::{SuggestSpec, Why, suggest as suggest_what};
use utoipa::IntoParams;

use super::LevelName;
use crate::server::error::Answer;
use crate::server::extract::{Path, Query, count};
use crate::server::handlers::described::OfHead;
use crate::server::handlers::search::{Found, HitView};
use crate::server::state::{Server, Work};

/// Why there may be no suggestion.
const NOTHING_LEFT: &str = "nothing is left to suggest: what passes the filter is labelled already, silent, or has no vectors of \
     the head's model";

/// What is to be suggested.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct SuggestQuery {
    /// How many, 1 to 500; 20, where nothing is said.
    #[param(minimum = 1, maximum = 500)]
    n: Option<u64>,
    /// Only this class.
    class: Option<String>,
    /// As the head was trained, where nothing is said.
    by: Option<LevelName>,
    /// A filter, as of `sonoteca search --where`.
    #[serde(rename = "where")]
    filter: Option<String>,
}

/// What to listen to and label next, for a head to learn most from.
#[utoipa::path(
    get,
    path = "/v1/heads/{name}/suggest",
    tag = "heads",
    params(OfHead, SuggestQuery),
    responses((status = 200, body = Found), (status = 422))
)]
pub(in crate::server) async fn suggest(
    State(server): State<Arc<Server>>,
    Path(OfHead { name }): Path<OfHead>,
    Query(query): Query<SuggestQuery>,
) -> Answer<Json<Found>> {
    let started = Instant::now();
    let wanted = count("n", query.n, 20, 1..=500)?;
    let filter = query.filter.as_deref().filter(|filter| !filter.trim().is_empty());
    let filter = filter.map(Filter::parse).transpose()?;
    let found = server.with_library(Work::Reading, move |server, library| {
        let head = Head::load(library, &name)?;
        let model = head.model_in(library)?;
        let level = query.by.map_or(head.card().settings.by, Level::from);
        let class = query.class.as_deref().map(|class| head.class(class)).transpose()?;
        let allowed = search::allowed(library, filter.as_ref(), &model, level)?;
        let scope = Scope { allowed, ..Scope::default() };
        let spec = SuggestSpec { count: wanted, class, level, scope };
        let (suggestions, _) = suggest_what(library, &head, &model, &spec)?;
        let folders = server.roots.folders(library)?;
        let mut hits = Vec::with_capacity(suggestions.len());
        for one in suggestions {
            // What another process removed meanwhile is no suggestion.
            let Some(recording) = library.recording(one.recording)? else { continue };
            let whole = TimeRange { start_s: 0.0, end_s: recording.duration_s };
            let range = one.range.unwrap_or(whole);
            #[expect(clippy::cast_possible_truncation, reason = "a probability")]
            let score = one.score as f32;
            let classes = library.classes(recording.id, model.id)?;
            let key = VectorKey { segment: 0, recording: recording.id };
            let rank = hits.len() + 1;
            let hit = Hit { rank, score, recording, range, best: range, key, segments: 1, classes };
            let name = |class: usize| head.card().classes[class].clone();
            let (class, other, why) = match one.why {
                Why::Between(first, second) => {
                    let why = format!("unsure between {} and {}", name(first), name(second));
                    (first, Some(second), why)
                }
                Why::Whether(class) => (class, None, format!("unsure about {}", name(class))),
                Why::Probably(class) => (class, None, format!("probably {}", name(class))),
            };
            // Of a segment the id is not told: labels are of stretches.
            let view = HitView::new(library, &folders, hit, Level::Recording)?;
            hits.push(view.suggested(why, name(class), other.map(name)));
        }
        let found = Found::of(hits, model.identity.name, started);
        Ok(found.warned(|| NOTHING_LEFT.to_owned()))
    });
    found.await.map(Json)
}
