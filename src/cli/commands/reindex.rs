//! `sonoteca reindex`: new generations of the index, and what they find.

use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;
use sonoteca::ingest::Cancel;
use sonoteca::search::Level;
use sonoteca::search::generation::{
    BuildStage, Builder, BuilderLock, CacheState, DEFAULT_RECALL, GRAPH_FROM, RecallChecked,
    RecallMeasured, Watcher,
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
    let work = Work { library: &library, lock: &lock, args, settings, cancel: &cancel };
    for model in &models {
        for (level, name) in LEVELS {
            let Outcome { row, is_stopped, problem } = work.bring_up(model, level, name)?;
            if let Some(problem) = problem {
                printer.warning(&format!(
                    "the index of {} by {name} was of no use: {problem}; it was built anew",
                    model.identity.name
                ));
            }
            rows.extend(row);
            if is_stopped {
                printer.rows(&rows)?;
                printer.note(stopped(&rows));
                return Ok(Status::Failed);
            }
        }
    }
    printer.rows(&rows)?;
    Ok(Status::Done)
}

/// What is to be said when it was stopped after `rows`.
fn stopped(rows: &[ReindexRow]) -> &'static str {
    if rows.iter().any(|row| row.built) {
        "Stopped; what is listed is as it says, and the rest of the index as it was."
    } else {
        "Stopped; the index is as it was."
    }
}

/// What became of a generation.
struct Outcome {
    /// Nothing, where it was not built and is as it was.
    row: Option<ReindexRow>,
    /// Whether it was told to stop before everything was done.
    is_stopped: bool,
    /// What was wrong with the one that was there, if it was replaced for that.
    problem: Option<String>,
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
    /// wanted.
    fn bring_up(&self, model: &StoredModel, level: Level, name: &'static str) -> Result<Outcome> {
        let progress = BuildProgress::new(self.settings, self.cancel);
        let state = CacheState::of(self.library, model, level)?;
        let recall = self.args.recall.or(state.wanted).unwrap_or(DEFAULT_RECALL);
        let is_whole = CacheState::is_whole(self.library, model, level)?;
        let is_kept = state.is_current() && state.is_tuned_for(recall) && is_whole;
        let damage = || "it is damaged (a checksum of its rows is wrong)".to_owned();
        let problem = match state.problem {
            None if !is_whole => Some(damage()),
            problem => problem.filter(|_| !state.is_missing),
        };
        let mut built_in_s = None;
        if !is_kept {
            let builder =
                Builder { lock: self.lock, recall, graph_from: GRAPH_FROM, watcher: &progress };
            let built = builder.build(self.library, model, level);
            progress.clear();
            let Some(built) = built? else {
                return Ok(Outcome { row: None, is_stopped: true, problem: None });
            };
            built_in_s = Some(built.elapsed_s);
        }
        let mut checked = None;
        let mut is_stopped = false;
        if self.args.check {
            let measured = measure(self.library, model, level, QUERIES, |done, of| {
                progress.at(BuildStage::Measuring, done, of);
                !progress.is_cancelled()
            });
            progress.clear();
            let measured = measured?;
            // A check that was stopped says little; what was built before it is there.
            is_stopped = self.cancel.is_cancelled();
            checked = (!is_stopped).then_some(measured);
        }
        let state = CacheState::of(self.library, model, level)?;
        let row = ReindexRow::new(model, name, &state, built_in_s, checked);
        Ok(Outcome { row: Some(row).filter(|row| row.built || !is_stopped), is_stopped, problem })
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
    /// Of the check, if there was one; else as measured when the graph was built; 1 of a scan. The
    /// lower of the two below.
    recall: f64,
    recall_low: f64,
    recall_high: f64,
    recall_queries: u64,
    /// Of stored vectors, searched for among the others.
    recall_stored: f64,
    /// Of what lies halfway between two near ones.
    recall_between: f64,
}

impl ReindexRow {
    fn new(
        model: &StoredModel,
        level: &'static str,
        state: &CacheState,
        built_in_s: Option<f64>,
        checked: Option<RecallChecked>,
    ) -> Self {
        let certain = RecallMeasured { recall: 1.0, low: 1.0, high: 1.0, queries: 0 };
        let both = checked.or(state.recall);
        let both = both.unwrap_or(RecallChecked { stored: certain, between: certain });
        let measured = both.lower();
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
            recall_stored: both.stored.recall,
            recall_between: both.between.recall,
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
        "recall_stored",
        "recall_between",
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
            self.recall_stored.to_string(),
            self.recall_between.to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stops_it_is_told_what_was_renewed() {
        let row = |built| ReindexRow {
            model: "yamnet".to_owned(),
            level: "segment",
            rows: 1,
            file_bytes: 1,
            built,
            built_in_s: None,
            method: "scan",
            recall: 1.0,
            recall_low: 1.0,
            recall_high: 1.0,
            recall_queries: 0,
            recall_stored: 1.0,
            recall_between: 1.0,
        };
        assert!(stopped(&[]).contains("the index is as it was"));
        assert!(stopped(&[row(false)]).contains("the index is as it was"));
        assert!(stopped(&[row(true), row(false)]).contains("the rest"));
    }
}
