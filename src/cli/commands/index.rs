//! `sonoteca index`: adds recordings to the library and says what became of them.

use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;

use serde::Serialize;
use sonoteca::ingest::{self, Report};
use sonoteca::model::EmbeddingModel;
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::store::Library;
use sonoteca::{Error, Result};

use crate::cli::Status;
use crate::cli::args::IndexArgs;
use crate::cli::printer::{
    Printer, Row, counted, in_one_line, path_hex, readable_duration, readable_path, reason,
};
use crate::cli::progress::Progress;
use crate::cli::settings::Settings;

pub(crate) fn run(args: &IndexArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    require_any(&args.paths)?;
    // The model first: without it no library should be made.
    let model = EmbeddingModel::load(&args.model, &ModelStore::of_user()?, Compute::default())?;
    let mut library = Library::open_or_create(&settings.library)?;
    let jobs = args
        .jobs
        .map(usize::from)
        .or_else(|| available_parallelism().ok().map(NonZero::get))
        .unwrap_or(1);
    printer.detail(&format!("indexing into {} with {}", settings.library.display(), args.model));
    let progress = Progress::new(settings);
    let report = ingest::index(&mut library, &model, &args.paths, jobs, &progress);
    progress.clear();
    let report = report?;

    // Failures first: whatever becomes of standard output, they are told.
    for (path, flaw) in &report.flawed {
        printer.warning(&format!("{} is {flaw}; what there is was used", readable_path(path)));
    }
    report_failures(&report);
    let status = match &report {
        report if !report.failed.is_empty() => Status::Failed,
        report if report.indexed + report.unchanged == 0 => Status::NothingFound,
        _ => Status::Done,
    };
    let summary = Summary::new(&report);
    let printed = if settings.is_quiet() && !settings.is_for_programs() {
        Ok(())
    } else {
        printer.record(&summary, &summary.text(settings))
    };
    match printed.and_then(|()| printer.flush()) {
        Err(error) if status == Status::Failed => {
            printer.detail(&in_one_line(&error));
            Ok(status)
        }
        result => result.map(|()| status),
    }
}

/// Refuses to begin when none of the paths exists: most likely one was mistyped, and a library
/// would be made for nothing.
fn require_any(paths: &[PathBuf]) -> Result<()> {
    let mut missing = None;
    for path in paths {
        match path.metadata() {
            Ok(_) => return Ok(()),
            Err(source) => {
                missing.get_or_insert(Error::Io { action: "find", path: path.clone(), source });
            }
        }
    }
    missing.map_or(Ok(()), Err)
}

fn report_failures(report: &Report) {
    use crate::cli::printer::say;
    if report.failed.is_empty() {
        return;
    }
    say(format_args!("{} failed:", counted(report.failed.len() as u64, "file")));
    for (path, error) in &report.failed {
        say(format_args!("  {}: {}", readable_path(path), reason(error)));
    }
    let mut hints: Vec<_> = report.failed.iter().filter_map(|(_, error)| error.hint()).collect();
    hints.sort();
    hints.dedup();
    for hint in hints {
        say(format_args!("hint: {hint}"));
    }
}

/// The whole run in one object.
#[derive(Debug, Serialize)]
struct Summary {
    indexed: usize,
    unchanged: usize,
    skipped: usize,
    missing: usize,
    failed: Vec<Failure>,
    flawed: Vec<Flaw>,
    audio_s: f64,
    segments: usize,
    elapsed_s: f64,
}

#[derive(Debug, Serialize)]
struct Failure {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    error: String,
}

#[derive(Debug, Serialize)]
struct Flaw {
    path: String,
    status: String,
}

impl Summary {
    fn new(report: &Report) -> Self {
        Self {
            indexed: report.indexed,
            unchanged: report.unchanged,
            skipped: report.skipped,
            missing: report.missing,
            failed: report
                .failed
                .iter()
                .map(|(path, error)| Failure {
                    path: path.to_string_lossy().into_owned(),
                    path_hex: path_hex(path),
                    error: in_one_line(error),
                })
                .collect(),
            flawed: report
                .flawed
                .iter()
                .map(|(path, status)| Flaw {
                    path: path.to_string_lossy().into_owned(),
                    status: status.clone(),
                })
                .collect(),
            audio_s: report.duration_s,
            segments: report.segments,
            elapsed_s: report.elapsed_s,
        }
    }

    fn text(&self, settings: &Settings) -> String {
        let library = settings.library.display();
        let mut sentences = vec![match (self.indexed, self.failed.len()) {
            (0, 0) => format!("Nothing new for {library}."),
            (0, _) => format!("Nothing was added to {library}."),
            (indexed, _) => format!(
                "Indexed {} ({} of audio, {}) in {}, {:.0} × real time, into {library}.",
                counted(indexed as u64, "recording"),
                readable_duration(self.audio_s),
                counted(self.segments as u64, "segment"),
                readable_duration(self.elapsed_s),
                self.audio_s / self.elapsed_s.max(1e-3),
            ),
        }];
        if self.unchanged > 0 {
            let count = counted(self.unchanged as u64, "recording");
            sentences.push(format!("Already there and unchanged: {count}."));
        }
        if self.skipped > 0 {
            sentences.push(format!("Not audio: {}.", counted(self.skipped as u64, "file")));
        }
        if self.missing > 0 {
            let count = counted(self.missing as u64, "recording");
            sentences.push(format!("No longer on the disk, but still in the library: {count}."));
        }
        sentences.join(" ") + "\n"
    }
}

impl Row for Summary {
    const COLUMNS: &'static [&'static str] = &[
        "indexed",
        "unchanged",
        "skipped",
        "missing",
        "failed",
        "flawed",
        "audio_s",
        "segments",
        "elapsed_s",
    ];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![
            self.indexed.to_string(),
            self.unchanged.to_string(),
            self.skipped.to_string(),
            self.missing.to_string(),
            self.failed.len().to_string(),
            self.flawed.len().to_string(),
            self.audio_s.to_string(),
            self.segments.to_string(),
            self.elapsed_s.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
