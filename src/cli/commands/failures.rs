//! `sonoteca failures`: the ledger of files that could not be indexed.

use serde::Serialize;
use sonoteca::Result;
use sonoteca::ingest::{PlanOptions, Selection};
use sonoteca::store::Library;
use sonoteca::store::failures::StoredFailure;

use super::embedding::Embedding;
use super::summary::{Besides, tell};
use crate::cli::Status;
use crate::cli::args::FailuresArgs;
use crate::cli::printer::{Printer, Row, path_hex, readable_path};
use crate::cli::settings::Settings;

pub(crate) fn run(
    args: &FailuresArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    if args.retry {
        // First of all: it must come before there are threads.
        let embedding = Embedding::start("failures --retry", &args.embedding, settings);
        if Library::open(&settings.library)?.failure_count()? == 0 {
            printer.note("No file failed.");
            return Ok(Status::NothingFound);
        }
        let mut session = embedding.open(printer)?;
        let report = session.index(&Selection::Failures, PlanOptions::default(), printer)?;
        session.refresh("failures --retry", printer);
        return tell(&report, Besides::default(), settings, printer);
    }
    let library = Library::open(&settings.library)?;
    let mut rows = Vec::new();
    library.for_each_failure(|failure| {
        rows.push(FailureRow::new(failure));
        Ok(())
    })?;
    if rows.is_empty() {
        printer.note("No file failed.");
        return Ok(Status::NothingFound);
    }
    printer.rows(&rows)?;
    let mut hints: Vec<&str> = rows.iter().filter_map(|row| row.hint.as_deref()).collect();
    hints.sort_unstable();
    hints.dedup();
    for hint in hints {
        printer.note(&format!("hint: {hint}"));
    }
    Ok(Status::Done)
}

/// A failure as it is printed.
#[derive(Debug, Serialize)]
struct FailureRow {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    stage: String,
    reason: String,
    hint: Option<String>,
    attempts: u64,
    first_at: String,
    last_at: String,
    sonoteca_version: String,
    #[serde(skip)]
    readable_path: String,
}

impl FailureRow {
    fn new(failure: StoredFailure) -> Self {
        Self {
            path: failure.path.to_string_lossy().into_owned(),
            path_hex: path_hex(&failure.path),
            readable_path: readable_path(&failure.path).into_owned(),
            stage: failure.stage,
            reason: failure.reason,
            hint: failure.hint,
            attempts: failure.attempts,
            first_at: failure.first_at,
            last_at: failure.last_at,
            sonoteca_version: failure.sonoteca_version,
        }
    }
}

impl Row for FailureRow {
    const COLUMNS: &'static [&'static str] =
        &["path", "stage", "reason", "attempts", "first_at", "last_at", "sonoteca_version"];
    const HEADINGS: &'static [&'static str] = &["File", "Stage", "Why", "Tried", "Last"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.path.clone(),
            self.stage.clone(),
            self.reason.clone(),
            self.attempts.to_string(),
            self.first_at.clone(),
            self.last_at.clone(),
            self.sonoteca_version.clone(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.readable_path.clone(),
            self.stage.clone(),
            self.reason.clone(),
            self.attempts.to_string(),
            self.last_at.clone(),
        ]
    }
}
