//! `POST /v1/index`: new recordings in the folders that the library knows.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use sonoteca::ingest::{IndexOptions, Indexer, Observer, Outcome, PlanOptions, Selection};
use sonoteca::search::generation::{
    BuildStage, Builder, BuilderLock, CacheState, GRAPH_FROM, Watcher, is_due,
};
use sonoteca::search::{Level, usual_model};
use sonoteca::store::Library;
use sonoteca::store::lock::WriterLock;
use sonoteca::store::worklist::Sum;
use sonoteca::{Error, Result};
use utoipa::ToSchema;

use crate::server::error::Answer;
use crate::server::extract;
use crate::server::jobs::{Job, JobView};
use crate::server::roots::Folders;
use crate::server::state::Server;

/// How often a library that another process writes to is tried again.
const TRY_EVERY: Duration = Duration::from_millis(200);
/// The share of the ten nearest that a graph is to find, where nobody said another.
const RECALL: f64 = 0.99;
/// The share of the work that building the index afterwards is.
const BUILDING: f64 = 0.1;
/// Failures that are told.
const MOST_FAILURES: usize = 100;

/// Nothing: what is looked at comes from the library, or from whoever started the server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct IndexBody {}

/// Looks again at the folders that the library's recordings lie in, and indexes what is new or has
/// changed: a job.
#[utoipa::path(
    post,
    path = "/v1/index",
    tag = "library",
    request_body = IndexBody,
    responses((status = 202, body = JobView), (status = 429))
)]
pub(in crate::server) async fn index(
    State(server): State<Arc<Server>>,
    extract::Json(IndexBody {}): extract::Json<IndexBody>,
) -> Answer<(StatusCode, Json<JobView>)> {
    let job = server.jobs.order(&server, "index", Box::new(run))?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

fn run(server: &Arc<Server>, job: &Job) -> Result<serde_json::Value> {
    let mut library = Library::open(&server.settings.library)?;
    let folders = server.roots.to_index(&library)?;
    if folders.is_empty() {
        return Err(Error::Usage {
            problem: "the library has no recordings that were indexed here, and so no folders to look at",
            hint: "name some when the server is started: --folder FOLDER; or: sonoteca index FOLDER",
        });
    }
    job.at(None, "waiting for other processes");
    let _lock = take_lock(&library, job)?;
    let mut names: Vec<String> = library
        .models()?
        .into_iter()
        .filter(|model| model.recordings > 0)
        .map(|model| model.identity.name)
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        names.push(server.settings.model.clone().map_or_else(|| usual_model(&library), Ok)?);
    }
    job.at(None, "loading");
    let models =
        names.iter().map(|name| server.models.network(name)).collect::<Result<Vec<_>>>()?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Half of them are for those who search meanwhile.
    let options = IndexOptions { jobs: (cores / 2).max(1), ..IndexOptions::default() };
    let progress = Progress { job, all: Cell::new(0), done: Cell::new(0) };
    let indexer = Indexer {
        models: &models,
        decoders: &server.decoders,
        options: &options,
        cancel: &job.cancel,
        observer: &progress,
    };
    job.at(None, "looking for new recordings");
    let plan = indexer.plan(&library, &Selection::Paths(folders), PlanOptions::default())?;
    let report = indexer.carry_out(&mut library, plan)?;
    if report.indexed > 0 {
        library.checkpoint()?;
    }
    // Whatever goes wrong there costs speed only.
    if let Err(error) = renew(&library, job) {
        tracing::warn!(%error, "the index was not renewed");
    }
    server.collections.renew();
    let shown: Arc<Folders> = server.roots.folders(&library)?;
    let failed = report.failed.iter().take(MOST_FAILURES);
    Ok(json!({
        "indexed": report.indexed,
        "unchanged": report.unchanged,
        "skipped": report.skipped,
        "missing": report.missing,
        "failures": report.failures,
        "failed_before": report.failed_before,
        "failed": failed.map(|(path, error)| json!({
            "path": shown.shown(path),
            "error": error.reason(),
        })).collect::<Vec<_>>(),
        "duration_s": report.duration_s,
        "segments": report.segments,
        "elapsed_s": report.elapsed_s,
        "interrupted": report.interrupted,
    }))
}

/// Waits for the right to write.
fn take_lock(library: &Library, job: &Job) -> Result<WriterLock> {
    loop {
        if let Ok(lock) = WriterLock::try_take(&library.cache_folder(), "serve")? {
            return Ok(lock);
        }
        if job.cancel.is_cancelled() {
            return Err(Error::LibraryBusy { path: library.path().to_owned() });
        }
        std::thread::sleep(TRY_EVERY);
    }
}

/// Builds the generations of the index that are due.
fn renew(library: &Library, job: &Job) -> Result<()> {
    for model in library.models()? {
        for level in [Level::Recording, Level::Segment] {
            let state = CacheState::of(library, &model, level)?;
            if job.cancel.is_cancelled() || !is_due(&state) {
                continue;
            }
            let Ok(lock) = BuilderLock::try_take(library, "serve")? else { return Ok(()) };
            let recall = state.wanted.unwrap_or(RECALL);
            let watcher = &Building { job };
            let builder = Builder { lock: &lock, recall, graph_from: GRAPH_FROM, watcher };
            builder.build(library, &model, level)?;
        }
    }
    Ok(())
}

/// Tells a job how indexing goes on, by the bytes of files.
struct Progress<'a> {
    job: &'a Job,
    all: Cell<u64>,
    done: Cell<u64>,
}

impl Observer for Progress<'_> {
    fn planned(&self, workload: &[(String, Sum)]) {
        self.all.set(workload.iter().map(|(_, sum)| sum.bytes).sum());
        self.job.at(Some(0.0), "indexing");
    }

    fn heard(&self, _: f64) {}

    fn finished(&self, _: &Path, bytes: u64, _: &Outcome) {
        self.done.set(self.done.get() + bytes);
        let share = self.done.get() as f64 / self.all.get().max(1) as f64;
        self.job.at(Some((1.0 - BUILDING) * share), "indexing");
    }
}

/// Tells a job how building goes on.
struct Building<'a> {
    job: &'a Job,
}

impl Watcher for Building<'_> {
    fn at(&self, stage: BuildStage, done: usize, of: usize) {
        let share = done as f64 / of.max(1) as f64;
        let place = match stage {
            BuildStage::Reading => 0.0,
            BuildStage::Connecting => 1.0,
            BuildStage::Measuring => 2.0,
            BuildStage::Writing => 3.0,
        };
        let done = 1.0 - BUILDING + BUILDING * (place + share) / 4.0;
        self.job.at(Some(done), "building what makes searches fast");
    }

    fn is_cancelled(&self) -> bool {
        self.job.cancel.is_cancelled()
    }
}
