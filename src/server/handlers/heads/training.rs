//! `POST /v1/heads`: a head from the library's labels.
//!
//! In: its name, and how it is to learn. Out: a job that trains and stores it. Refuses a name that is
//! taken, unless that head is to be replaced.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use sonoteca::filter::Filter;
use sonoteca::search::Level;
use sonoteca::store::Library;
use sonoteca::train::head::card::{TrainingSettings, check_name};
use sonoteca::train::learner::{Augmentation, ClassWeights, HeadKind, Watch};
use sonoteca::train::split::Plan;
use sonoteca::train::task::Task;
use sonoteca::train::training::{Order, train_watched};
use sonoteca::{Error, dates};
use utoipa::ToSchema;

use super::LevelName;
use crate::server::error::{Answer, Refusal};
use crate::server::extract::{self, count};
use crate::server::handlers::library::HeadSummary;
use crate::server::jobs::JobView;
use crate::server::state::{Server, Work};

/// Characters of a head's name.
const MOST_NAME: usize = 100;

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
    name: String,
    /// Whether it may take the place of a head of that name, which is lost then.
    #[serde(default)]
    replace: bool,
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
    responses((status = 202, body = JobView), (status = 409), (status = 429))
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
        augmentation: Augmentation::None,
        precision: 0.9,
        seed: u64::from(body.seed),
    };
    let kind = body.head.map(HeadKind::from);
    let task = body.task.map(|task| match task {
        TaskName::Single => Task::Single,
        TaskName::Multi => Task::Multi,
    });
    let (name, model, replace) = (body.name, body.model, body.replace);
    if !replace {
        let asked = name.clone();
        let taken = server.with_library(Work::Reading, move |_, library| Ok(has(library, &asked)?));
        if taken.await? {
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                "head_exists",
                format!("there is a head called `{name}` already"),
            )
            .hint("send \"replace\": true to train it anew, and the earlier one is lost; or choose another name"));
        }
    }
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
            // Somebody else may have trained one of that name meanwhile.
            if !replace && has(&library, &name)? {
                return Err(Error::Usage {
                    problem: "a head of this name was stored meanwhile",
                    hint: "send \"replace\": true to train it anew, or choose another name",
                });
            }
            let writer = library.begin()?;
            let replaced = trained.head.put(&writer)?;
            writer.commit()?;
            let summary = serde_json::to_value(HeadSummary::of(trained.head.card()));
            Ok(json!({ "head": summary.unwrap_or_default(), "replaced": replaced }))
        }),
    )?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// Whether there is a head of that name, whether or not it still reads.
fn has(library: &Library, name: &str) -> sonoteca::Result<bool> {
    Ok(library.heads()?.iter().any(|head| head.name == name))
}
