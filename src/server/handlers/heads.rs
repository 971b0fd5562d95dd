//! `/v1/heads`: small models that say what people's labels say.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sonoteca::audio::segment::TimeRange;
use sonoteca::filter::Filter;
use sonoteca::index::scope::Allowed;
use sonoteca::search::{self, Hit, Level, Scope};
use sonoteca::store::Library;
use sonoteca::store::segments::VectorKey;
use sonoteca::train::head::Head;
use sonoteca::train::head::card::{HeadCard, TrainingSettings, check_name};
use sonoteca::train::learner::{ClassWeights, HeadKind, Watch};
use sonoteca::train::predict::{Bar, Detection, Hearing, Saved, save};
use sonoteca::train::rank::suggest::{SuggestSpec, Why, suggest as suggest_what};
use sonoteca::train::split::Plan;
use sonoteca::train::task::Task;
use sonoteca::train::training::{Order, train_watched};
use sonoteca::{Error, dates};
use utoipa::{IntoParams, ToSchema};

use super::described::OfHead;
use super::library::HeadSummary;
use super::search::{Found, HitView};
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{self, Path, Query, count, finite};
use crate::server::jobs::JobView;
use crate::server::state::{Server, Work};

/// What a report may do: it is one file, with its style and pictures within, and has no script.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Characters of a head's name.
const MOST_NAME: usize = 100;

/// The heads in a few words; those that do not read are left out.
pub(super) fn summaries(library: &Library) -> sonoteca::Result<Vec<HeadSummary>> {
    let heads = library.heads()?.into_iter();
    let cards = heads.filter_map(|stored| HeadCard::parse(&stored.name, &stored.card).ok());
    Ok(cards.map(|card| HeadSummary::of(&card)).collect())
}

/// All heads.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Heads {
    heads: Vec<HeadSummary>,
}

/// The heads of the library, by name.
#[utoipa::path(get, path = "/v1/heads", tag = "heads", responses((status = 200, body = Heads)))]
pub(in crate::server) async fn list(State(server): State<Arc<Server>>) -> Answer<Json<Heads>> {
    let found =
        server.with_library(Work::Reading, |_, library| Ok(Heads { heads: summaries(library)? }));
    found.await.map(Json)
}

/// A head's whole card: what it is, what it learnt from, and how well it does on what was held out, with
/// scores by class and the confusion matrix.
#[utoipa::path(
    get,
    path = "/v1/heads/{name}",
    tag = "heads",
    params(OfHead),
    responses((status = 200, body = Object))
)]
pub(in crate::server) async fn show(
    State(server): State<Arc<Server>>,
    Path(OfHead { name }): Path<OfHead>,
) -> Answer<Json<serde_json::Value>> {
    let found = server.with_library(Work::Reading, move |_, library| {
        let head = Head::load(library, &name)?;
        let card = serde_json::to_value(head.card()).map_err(|error| Refusal::internal(&error))?;
        let summary = HeadSummary::of(head.card());
        let mut all = serde_json::to_value(summary).map_err(|error| Refusal::internal(&error))?;
        // The card has the last word; what it has in other places stands beside it.
        if let (Some(all), serde_json::Value::Object(card)) = (all.as_object_mut(), card) {
            all.extend(card);
        }
        Ok(all)
    });
    found.await.map(Json)
}

/// A report of what is known of a head: one page of HTML that needs nothing else.
#[utoipa::path(
    get,
    path = "/v1/heads/{name}/report.html",
    tag = "heads",
    params(OfHead),
    responses(
        (status = 200, description = "The report", content_type = "text/html")
    )
)]
pub(in crate::server) async fn report(
    State(server): State<Arc<Server>>,
    Path(OfHead { name }): Path<OfHead>,
) -> Answer<Response> {
    let found = server.with_library(Work::Reading, move |_, library| {
        Ok(Head::load(library, &name)?.card().report(None).as_html())
    });
    let html = found.await?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, REPORT_POLICY),
    ];
    Ok((headers, html).into_response())
}

/// Removes a head.
#[utoipa::path(
    delete,
    path = "/v1/heads/{name}",
    tag = "heads",
    params(OfHead),
    responses((status = 204))
)]
pub(in crate::server) async fn remove(
    State(server): State<Arc<Server>>,
    Path(OfHead { name }): Path<OfHead>,
) -> Answer<StatusCode> {
    let removed = server.with_library(Work::Writing, move |_, library| {
        let writer = library.begin()?;
        let removed = writer.remove_head(&name)?;
        writer.commit()?;
        if !removed {
            // Which says what it may have been meant for.
            Head::load(library, &name)?;
        }
        Ok(())
    });
    removed.await.map(|()| StatusCode::NO_CONTENT)
}

/// What a head learns from: whole recordings, or moments in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum LevelName {
    Recording,
    Segment,
}

impl From<LevelName> for Level {
    fn from(name: LevelName) -> Self {
        match name {
            LevelName::Recording => Self::Recording,
            LevelName::Segment => Self::Segment,
        }
    }
}

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum TaskName {
    /// One of its classes.
    Single,
    /// Each of its classes or not.
    Multi,
}

/// A kind of head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::server) enum KindName {
    Prototype,
    Logistic,
    Mlp,
    Lstm,
    Crnn,
    TfLstm,
}

impl From<KindName> for HeadKind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Prototype => Self::Prototype,
            KindName::Logistic => Self::Logistic,
            KindName::Mlp => Self::Mlp,
            KindName::Lstm => Self::Lstm,
            KindName::Crnn => Self::Crnn,
            KindName::TfLstm => Self::TfLstm,
        }
    }
}

/// A head that is to be trained.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct TrainBody {
    /// It takes the place of one of that name.
    name: String,
    /// The kind; `logistic`, where none is named.
    head: Option<KindName>,
    /// The classes; all that there are labels of, where none is named.
    #[serde(default)]
    classes: Vec<String>,
    /// Guessed from the labels, where nothing is said.
    task: Option<TaskName>,
    /// `recording`, where nothing is said.
    by: Option<LevelName>,
    /// The model whose vectors are learnt from.
    model: Option<String>,
    /// What chance is drawn from.
    #[serde(default)]
    seed: u32,
    /// Folds, each of which is held out once, 2 to 1000; 5, where nothing is said.
    #[schema(minimum = 2, maximum = 1000)]
    folds: Option<u64>,
    /// Whether what is not labelled in a labelled recording is not there.
    #[serde(default)]
    exhaustive: bool,
    /// Metadata whose equal values keep recordings together.
    group_by: Option<String>,
    /// A filter of what is learnt from.
    #[serde(rename = "where")]
    filter: Option<String>,
}

/// Trains a head on the library's labels: a job.
#[utoipa::path(
    post,
    path = "/v1/heads",
    tag = "heads",
    request_body = TrainBody,
    responses((status = 202, body = JobView), (status = 429))
)]
pub(in crate::server) async fn train(
    State(server): State<Arc<Server>>,
    extract::Json(body): extract::Json<TrainBody>,
) -> Answer<(StatusCode, Json<JobView>)> {
    check_name(&body.name)?;
    if body.name.chars().count() > MOST_NAME || body.name.contains(char::is_control) {
        let message = format!("a head has a name of {MOST_NAME} characters at most, on one line");
        return Err(Refusal::unusable("training", message));
    }
    let folds = count("folds", body.folds, 5, 2..=1_000)?;
    let filter = body.filter.filter(|filter| !filter.trim().is_empty());
    if let Some(filter) = &filter {
        Filter::parse(filter)?;
    }
    let settings = TrainingSettings {
        by: body.by.map_or(Level::Recording, Level::from),
        classes: body.classes,
        target: None,
        exhaustive: body.exhaustive,
        group_by: body.group_by,
        filter,
        plan: Plan::Folds(folds),
        class_weights: ClassWeights::None,
        precision: 0.9,
        seed: u64::from(body.seed),
    };
    let kind = body.head.map(HeadKind::from);
    let task = body.task.map(|task| match task {
        TaskName::Single => Task::Single,
        TaskName::Multi => Task::Multi,
    });
    let (name, model) = (body.name, body.model);
    let job = server.jobs.order(
        &server,
        "train",
        Box::new(move |server, job| {
            let mut library = server.lend()?;
            let model = server.collections.model(&library, model.as_deref())?;
            let filter = settings.filter.as_deref().map(Filter::parse).transpose()?;
            let passing =
                filter.map(|filter| library.passing(&filter, model.id, settings.by)).transpose()?;
            let order = Order {
                name: &name,
                model: &model,
                kind,
                task,
                passing: passing.as_ref(),
                settings: &settings,
            };
            let watch = |done: f64| job.at(Some(done), "training");
            let trained = train_watched(&library, &order, dates::now(), Some(Watch(&watch)))?;
            let writer = library.begin()?;
            let replaced = trained.head.put(&writer)?;
            writer.commit()?;
            let summary = serde_json::to_value(HeadSummary::of(trained.head.card()));
            Ok(json!({ "head": summary.unwrap_or_default(), "replaced": replaced }))
        }),
    )?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

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
        Ok(Found::of(hits, model.identity.name, started))
    });
    found.await.map(Json)
}
