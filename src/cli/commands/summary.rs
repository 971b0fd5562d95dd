//! A run of indexing, summed up.
//!
//! In: a [`Report`]. Out: one object for programs, a few sentences for people, and the failures on
//! standard error.

use serde::Serialize;
use sonoteca::Result;
use sonoteca::ingest::Report;

use crate::cli::Status;
use crate::cli::printer::{
    Printer, Row, counted, grouped, in_one_line, path_hex, readable_duration, readable_path,
    reason, say,
};
use crate::cli::settings::Settings;

/// What was done beside embedding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Besides {
    /// Recordings that have a new path.
    pub(super) moved: u64,
    /// Recordings that were removed.
    pub(super) removed: u64,
}

/// Tells what became of a run, and the status that follows.
pub(super) fn tell(
    report: &Report,
    besides: Besides,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    // Failures first: whatever becomes of standard output, they are told.
    for (path, flaw) in &report.flawed {
        printer.warning(&format!("{} is {flaw}; what there is was used", readable_path(path)));
    }
    tell_failures(report, &settings.pasted("sonoteca failures"), printer);
    let known = report.indexed + report.unchanged + besides.moved + besides.removed;
    let status = match report {
        report if report.failures + report.failed_before > 0 || report.interrupted => {
            Status::Failed
        }
        _ if known == 0 => Status::NothingFound,
        _ => Status::Done,
    };
    let summary = Summary::new(report, besides);
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

fn tell_failures(report: &Report, ledger: &str, printer: &Printer) {
    if report.failed_before > 0 {
        // Said even quietly: it is why the status is what it is.
        say(format_args!(
            "{} failed before and {} not tried again: {ledger}",
            counted(report.failed_before, "file"),
            if report.failed_before == 1 { "was" } else { "were" },
        ));
    }
    list_failures(report, ledger, printer);
}

/// The failures of a run, all of which are in `ledger`.
pub(super) fn list_failures(report: &Report, ledger: &str, printer: &Printer) {
    if report.failed.is_empty() {
        return;
    }
    say(format_args!("{} failed:", counted(report.failures, "file")));
    for (path, error) in &report.failed {
        say(format_args!("  {}: {}", readable_path(path), reason(error)));
    }
    let unlisted = report.failures - report.failed.len() as u64;
    if unlisted > 0 {
        say(format_args!("  and {} more: {ledger}", grouped(unlisted)));
    }
    let mut hints: Vec<_> = report.failed.iter().filter_map(|(_, error)| error.hint()).collect();
    hints.sort();
    hints.dedup();
    for hint in hints {
        printer.hint(&hint);
    }
}

/// The whole run in one object.
#[derive(Debug, Serialize)]
struct Summary {
    indexed: u64,
    unchanged: u64,
    moved: u64,
    removed: u64,
    skipped: u64,
    missing: u64,
    failures: u64,
    failed_before: u64,
    failed: Vec<Failure>,
    flawed: Vec<Flaw>,
    audio_s: f64,
    segments: u64,
    elapsed_s: f64,
    interrupted: bool,
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
    fn new(report: &Report, besides: Besides) -> Self {
        Self {
            indexed: report.indexed,
            unchanged: report.unchanged,
            moved: besides.moved,
            removed: besides.removed,
            skipped: report.skipped,
            missing: report.missing,
            failures: report.failures,
            failed_before: report.failed_before,
            interrupted: report.interrupted,
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
        let mut sentences = vec![match (self.indexed, self.failures) {
            (0, 0) => format!("Nothing new for {library}."),
            (0, _) => format!("Nothing was added to {library}."),
            (indexed, _) => format!(
                "Indexed {} ({} of audio, {}) in {}, {:.0} × real time, into {library}.",
                counted(indexed, "recording"),
                readable_duration(self.audio_s),
                counted(self.segments, "segment"),
                readable_duration(self.elapsed_s),
                self.audio_s / self.elapsed_s.max(1e-3),
            ),
        }];
        for (count, what, noun) in [
            (self.unchanged, "Already there and unchanged", "recording"),
            (self.moved, "Moved, and kept", "recording"),
            (self.removed, "Gone, and removed", "recording"),
            (self.skipped, "Not audio", "file"),
            (self.missing, "No longer on the disk, but still in the library", "recording"),
        ] {
            if count > 0 {
                sentences.push(format!("{what}: {}.", counted(count, noun)));
            }
        }
        if self.missing > 0 {
            sentences.push(
                "To remove what is gone: sonoteca sync --prune, or, of folders in which nothing is \
                 left, sonoteca remove."
                    .to_owned(),
            );
        }
        if self.interrupted {
            sentences
                .push("Stopped before the end; the same command goes on from here.".to_owned());
        }
        sentences.join(" ") + "\n"
    }
}

impl Row for Summary {
    const COLUMNS: &'static [&'static str] = &[
        "indexed",
        "unchanged",
        "moved",
        "removed",
        "skipped",
        "missing",
        "failed",
        "failed_before",
        "flawed",
        "audio_s",
        "segments",
        "elapsed_s",
        "interrupted",
    ];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![
            self.indexed.to_string(),
            self.unchanged.to_string(),
            self.moved.to_string(),
            self.removed.to_string(),
            self.skipped.to_string(),
            self.missing.to_string(),
            self.failures.to_string(),
            self.failed_before.to_string(),
            self.flawed.len().to_string(),
            self.audio_s.to_string(),
            self.segments.to_string(),
            self.elapsed_s.to_string(),
            self.interrupted.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
