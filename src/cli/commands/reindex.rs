//! `sonoteca reindex`: new generations of the index, and what they find.

use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;
use sonoteca::ingest::Cancel;
use sonoteca::search::Level;
use sonoteca::search::generation::{
    BuildStage, Builder, BuilderLock, CacheState, GRAPH_FROM, RecallMeasured, Watcher,
};
use sonoteca::search::recall::{QUERIES, measure};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::{Error, Result};

use super::embedding::cancel_on_interrupt;
use super::refresh::{BuildProgress, LEVELS};
use crate::cli::Status;
use crate::cli::args::ReindexArgs;
use crate::cli::printer::{Printer, Row, grouped, readable_bytes};
use crate::cli::settings::Settings;

/// How often a lock that another process holds is tried again.
const TRY_LOCK_EVERY: Duration = Duration::from_millis(200);

pub(crate) fn run(
    args: &ReindexArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let library = Library::open(&settings.library)?;
    let mut models = library.models()?;
    if let Some(name) = &args.model {
        models.retain(|model| model.identity.name == *name);
        if models.is_empty() {
            return Err(Error::NoVectors { model: name.clone() });
        }
    }
    models.retain(|model| model.recordings > 0);
    if models.is_empty() {
        printer.note("The library holds no recordings yet: sonoteca index FOLDER");
        return Ok(Status::NothingFound);
    }
    let cancel = cancel_on_interrupt();
    let lock = take_builder_lock(&library, "reindex", &cancel, printer)?;
    let mut rows = Vec::new();
    for model in &models {
        for (level, name) in LEVELS {
            let work = Work { library: &library, lock: &lock, args, settings, cancel: &cancel };
            let Some(row) = work.bring_up(model, level, name)? else {
                printer.rows(&rows)?;
                printer.note("Stopped; the index is as it was.");
                return Ok(Status::Failed);
            };
            rows.push(row);
        }
    }
    printer.rows(&rows)?;
    Ok(Status::Done)
}

struct Work<'a> {
    library: &'a Library,
    lock: &'a BuilderLock,
    args: &'a ReindexArgs,
    settings: &'a Settings,
    cancel: &'a Cancel,
}

impl Work<'_> {
    /// Builds the generation of `model` at `level` if it is behind, and checks it if that is
    /// wanted; nothing when it was told to stop.
    fn bring_up(
        &self,
        model: &StoredModel,
        level: Level,
        name: &'static str,
    ) -> Result<Option<ReindexRow>> {
        let progress = BuildProgress::new(self.settings, self.cancel);
        let state = CacheState::of(self.library, model, level)?;
        let is_kept = state.is_current()
            && state.is_tuned_for(self.args.recall)
            && CacheState::is_whole(self.library, model, level)?;
        let mut built_in_s = None;
        if !is_kept {
            let builder = Builder {
                lock: self.lock,
                recall: self.args.recall,
                graph_from: GRAPH_FROM,
                watcher: &progress,
            };
            let built = builder.build(self.library, model, level);
            progress.clear();
            let Some(built) = built? else { return Ok(None) };
            built_in_s = Some(built.elapsed_s);
        }
        let checked = if self.args.check {
            let measured = measure(self.library, model, level, QUERIES, |done, of| {
                progress.at(BuildStage::Measuring, done, of);
                !progress.is_cancelled()
            });
            progress.clear();
            Some(measured?)
        } else {
            None
        };
        if self.cancel.is_cancelled() && self.args.check {
            return Ok(None);
        }
        let state = CacheState::of(self.library, model, level)?;
        Ok(Some(ReindexRow::new(model, name, &state, built_in_s, checked)))
    }
}

/// Waits for the right to build generations of `library`, and says who has it.
pub(super) fn take_builder_lock(
    library: &Library,
    command: &str,
    cancel: &Cancel,
    printer: &Printer,
) -> Result<BuilderLock> {
    let mut told = false;
    loop {
        let holder = match BuilderLock::try_take(library, command)? {
            Ok(lock) => return Ok(lock),
            Err(holder) => holder,
        };
        if cancel.is_cancelled() {
            return Err(Error::LibraryBusy { path: library.path().to_owned() });
        }
        if !told {
            let holder = holder.map_or("another process".to_owned(), |holder| holder.to_string());
            printer.note(&format!("waiting for {holder}, which builds the index"));
            told = true;
        }
        sleep(TRY_LOCK_EVERY);
    }
}

/// A generation as it is printed.
#[derive(Debug, Serialize)]
struct ReindexRow {
    model: String,
    level: &'static str,
    rows: u64,
    file_bytes: u64,
    built: bool,
    built_in_s: Option<f64>,
    /// How it is searched: `graph`, or `scan` where all vectors are compared.
    method: &'static str,
    /// Of the check, if there was one; else as measured when the graph was built; 1 of a scan.
    recall: f64,
    recall_low: f64,
    recall_high: f64,
    recall_queries: u64,
}

impl ReindexRow {
    fn new(
        model: &StoredModel,
        level: &'static str,
        state: &CacheState,
        built_in_s: Option<f64>,
        checked: Option<RecallMeasured>,
    ) -> Self {
        let certain = RecallMeasured { recall: 1.0, low: 1.0, high: 1.0, queries: 0 };
        let measured = checked.or(state.recall).unwrap_or(certain);
        Self {
            model: model.identity.name.clone(),
            level,
            rows: state.rows,
            file_bytes: state.file_bytes,
            built: built_in_s.is_some(),
            built_in_s,
            method: if state.recall.is_some() { "graph" } else { "scan" },
            recall: measured.recall,
            recall_low: measured.low,
            recall_high: measured.high,
            recall_queries: measured.queries,
        }
    }
}

impl Row for ReindexRow {
    const COLUMNS: &'static [&'static str] = &[
        "model",
        "level",
        "rows",
        "file_bytes",
        "built",
        "built_in_s",
        "method",
        "recall",
        "recall_low",
        "recall_high",
        "recall_queries",
    ];
    const HEADINGS: &'static [&'static str] =
        &["Model", "Level", "Vectors", "Size", "Built", "Method", "Recall@10", "95 % interval"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.model.clone(),
            self.level.to_owned(),
            self.rows.to_string(),
            self.file_bytes.to_string(),
            self.built.to_string(),
            self.built_in_s.map(|seconds| seconds.to_string()).unwrap_or_default(),
            self.method.to_owned(),
            self.recall.to_string(),
            self.recall_low.to_string(),
            self.recall_high.to_string(),
            self.recall_queries.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.model.clone(),
            self.level.to_owned(),
            grouped(self.rows),
            readable_bytes(self.file_bytes),
            self.built_in_s.map_or("up to date".to_owned(), |seconds| format!("{seconds:.2} s")),
            self.method.to_owned(),
            format!("{:.4}", self.recall),
            match self.recall_queries {
                0 => "compares all".to_owned(),
                queries => format!(
                    "{:.4}–{:.4}, {} queries",
                    self.recall_low,
                    self.recall_high,
                    grouped(queries)
                ),
            },
        ]
    }
}
