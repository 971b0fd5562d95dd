//! `sonoteca sync`: new, changed, moved and gone recordings.

use std::path::Path;

use dialoguer::Confirm;
use serde::Serialize;
use sonoteca::Result;
use sonoteca::ingest::{Plan, PlanOptions, Selection};
use sonoteca::store::Library;
use sonoteca::store::worklist::{FileState, GoneRecording};

use super::embedding::{Embedding, Session};
use super::summary::{Besides, tell};
use crate::cli::Status;
use crate::cli::args::SyncArgs;
use crate::cli::printer::{Printer, Row, counted, path_hex, readable_path};
use crate::cli::settings::Settings;

pub(crate) fn run(args: &SyncArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    // First of all: it must come before there are threads.
    let embedding = Embedding::start("sync", &args.embedding, settings);
    // A folder that is not there may be a disk that is not: nothing is concluded from it.
    for path in &args.paths {
        path.metadata().map_err(|source| sonoteca::Error::Io {
            action: "find",
            path: path.clone(),
            source,
        })?;
    }
    if args.dry_run {
        // Looking must not make a library.
        Library::open(&settings.library)?;
    }
    let mut session =
        if args.dry_run { embedding.look(printer)? } else { embedding.open(printer)? };
    let selection = Selection::Paths(args.paths.clone());
    let options =
        PlanOptions { checksum: args.checksum, find_moved: true, ..PlanOptions::default() };
    let plan = session.plan(&selection, options)?;
    if args.dry_run {
        return show(&plan, printer);
    }
    if session.is_cancelled() {
        printer.note("Stopped while looking; nothing was done.");
        return Ok(Status::Failed);
    }
    let gone = plan.gone()?;
    tell_of_emptied(&plan, &gone, printer);
    let moved = move_recordings(&mut session, &gone)?;
    let is_to_go = |recording: &GoneRecording| {
        recording.moved_to.is_none()
            && !plan.emptied().iter().any(|folder| recording.path.starts_with(folder))
    };
    let gone: Vec<_> = gone.into_iter().filter(is_to_go).collect();
    let removed = prune(args, &mut session, &gone, printer)?;
    let report = session.carry_out(plan, printer)?;
    session.refresh("sync", printer);
    tell(&report, Besides { moved, removed }, settings, printer)
}

/// Says which folders have nothing left in them, of which nothing is removed.
fn tell_of_emptied(plan: &Plan, gone: &[GoneRecording], printer: &Printer) {
    for folder in plan.emptied() {
        let is_in_it = |recording: &GoneRecording| {
            recording.moved_to.is_none() && recording.path.starts_with(folder)
        };
        if gone.iter().any(is_in_it) {
            printer.warning(&format!(
                "no recording is left in {}, so none of it is removed; if no disk is missing: \
                 sonoteca remove FOLDER",
                readable_path(folder)
            ));
        }
    }
}

fn move_recordings(session: &mut Session<'_>, gone: &[GoneRecording]) -> Result<u64> {
    let writer = session.library.begin()?;
    let mut moved = 0;
    for recording in gone {
        if let Some((path, stamp)) = &recording.moved_to {
            writer.move_recording(recording.id, path, *stamp)?;
            moved += 1;
        }
    }
    writer.commit()?;
    Ok(moved)
}

/// Removes the recordings that are `gone`, if that is wanted; returns how many.
fn prune(
    args: &SyncArgs,
    session: &mut Session<'_>,
    gone: &[GoneRecording],
    printer: &Printer,
) -> Result<u64> {
    if gone.is_empty() || !(args.prune || ask(session, gone, printer)) {
        return Ok(0);
    }
    let writer = session.library.begin()?;
    let mut removed = 0;
    for recording in gone {
        removed += u64::from(writer.remove_recording(recording.id)?);
    }
    writer.commit()?;
    Ok(removed)
}

fn ask(session: &Session<'_>, gone: &[GoneRecording], printer: &Printer) -> bool {
    const SHOWN: usize = 10;
    let count = counted(gone.len() as u64, "recording");
    if !session.can_ask() {
        printer.note(&format!("gone from the disk, and kept: {count}; to remove them: --prune"));
        return false;
    }
    printer.note(&format!("gone from the disk: {count}"));
    for recording in gone.iter().take(SHOWN) {
        printer.note(&format!("  {}", readable_path(&recording.path)));
    }
    if gone.len() > SHOWN {
        printer.note(&format!("  and {} more", gone.len() - SHOWN));
    }
    let answer = Confirm::new()
        .with_prompt("Remove them from the library, with all that belongs to them?")
        .default(false)
        .interact();
    // No answer is no.
    answer.unwrap_or(false)
}

/// Prints what would be done.
fn show(plan: &Plan, printer: &mut Printer) -> Result<Status> {
    let mut rows = Vec::new();
    for (state, name) in [
        (FileState::New, "new"),
        (FileState::NewToModel, "new to the model"),
        (FileState::Changed, "changed"),
    ] {
        rows.extend(plan.files(state)?.iter().map(|file| Change::new(name, &file.path, None)));
    }
    let gone = plan.gone()?;
    tell_of_emptied(plan, &gone, printer);
    for recording in gone {
        rows.push(match &recording.moved_to {
            Some((to, _)) => Change::new("moved", to, Some(&recording.path)),
            None => Change::new("gone", &recording.path, None),
        });
    }
    for (path, error) in plan.failed() {
        printer.warning(&format!("{}: {}", readable_path(path), error.reason()));
    }
    printer.rows(&rows)?;
    let failed_before = plan.sum(FileState::FailedBefore)?.files;
    if failed_before > 0 {
        let count = counted(failed_before, "file");
        printer.note(&format!("{count} failed before: sonoteca failures"));
    }
    let unchanged = plan.sum(FileState::Unchanged)?.files;
    printer.note(&format!(
        "{} to make, {} unchanged; nothing was done",
        counted(rows.len() as u64, "change"),
        counted(unchanged, "recording"),
    ));
    Ok(if plan.failed().is_empty() { Status::Done } else { Status::Failed })
}

/// Something that differs between the disk and the library.
#[derive(Debug, Serialize)]
struct Change {
    #[serde(rename = "change")]
    kind: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<String>,
    #[serde(skip)]
    readable: Vec<String>,
}

impl Change {
    fn new(kind: &'static str, path: &Path, moved_from: Option<&Path>) -> Self {
        Self {
            kind,
            path: path.to_string_lossy().into_owned(),
            path_hex: path_hex(path),
            moved_from: moved_from.map(|path| path.to_string_lossy().into_owned()),
            readable: vec![
                kind.to_owned(),
                readable_path(path).into_owned(),
                moved_from.map(|path| readable_path(path).into_owned()).unwrap_or_default(),
            ],
        }
    }
}

impl Row for Change {
    const COLUMNS: &'static [&'static str] = &["change", "path", "moved_from"];
    const HEADINGS: &'static [&'static str] = &["Change", "Recording", "From"];

    fn cells(&self) -> Vec<String> {
        vec![self.kind.to_owned(), self.path.clone(), self.moved_from.clone().unwrap_or_default()]
    }

    fn readable(&self) -> Vec<String> {
        self.readable.clone()
    }
}
