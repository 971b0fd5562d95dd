//! `sonoteca remove`: recordings out of the library.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sonoteca::store::{Library, Writer};
use sonoteca::{Error, Result};

use super::embedding::{cancel_on_interrupt, take_lock};
use super::refresh::refresh;
use crate::cli::Status;
use crate::cli::args::RemoveArgs;
use crate::cli::printer::{Printer, Row, counted};
use crate::cli::settings::Settings;

/// What is to be removed.
enum Target {
    File(PathBuf, i64),
    /// Everything below it, failures too.
    Folder(PathBuf),
}

pub(crate) fn run(args: &RemoveArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    let mut library = Library::open(&settings.library)?;
    let cancel = cancel_on_interrupt();
    let _lock = take_lock(&library, "remove", &cancel, printer)?;
    let mut status = Status::Done;
    let mut targets = Vec::new();
    for target in &args.targets {
        match find(&library, target) {
            Ok(target) => targets.push(target),
            Err(error @ (Error::UnknownRecording { .. } | Error::NotInLibrary { .. })) => {
                printer.error(&error);
                status = Status::Failed;
            }
            Err(error) => return Err(error),
        }
    }
    let writer = library.begin()?;
    let mut removal = Removal { removed: 0, failures: 0, dry_run: args.dry_run };
    for target in &targets {
        removal.remove(&writer, target)?;
    }
    if args.dry_run {
        drop(writer);
    } else {
        writer.commit()?;
        refresh(&library, "remove", &cancel, settings, printer);
    }
    printer.record(&removal, &removal.text())?;
    Ok(status)
}

fn find(library: &Library, target: &OsStr) -> Result<Target> {
    let id = target.to_str().and_then(|text| text.strip_prefix("id:")?.parse().ok());
    if let Some(id) = id {
        let recording = library.recording(id)?.ok_or(Error::UnknownRecording { id })?;
        return Ok(Target::File(recording.path, id));
    }
    let path = stored_path(Path::new(target));
    if let Some(recording) = library.recording_at(&path)? {
        return Ok(Target::File(path, recording.id));
    }
    match library.count_below(&path)? {
        0 if !library.has_failure(&path)? => Err(Error::NotInLibrary { path }),
        _ => Ok(Target::Folder(path)),
    }
}

/// `path` as the library has it: absolute and without links, as far as it exists.
fn stored_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in absolute.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), absolute.strip_prefix(ancestor)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    absolute
}

#[derive(Debug, Serialize)]
struct Removal {
    removed: u64,
    /// Files that leave the ledger of failures.
    failures: u64,
    dry_run: bool,
}

impl Removal {
    fn remove(&mut self, writer: &Writer<'_>, target: &Target) -> Result<()> {
        match target {
            Target::File(path, id) => {
                self.failures += u64::from(writer.remove_failure(path)?);
                self.removed += u64::from(writer.remove_recording(*id)?);
            }
            Target::Folder(path) => {
                self.failures += u64::from(writer.remove_failure(path)?);
                self.failures += writer.remove_failures_below(path)? as u64;
                self.removed += writer.remove_recordings_below(path)? as u64;
            }
        }
        Ok(())
    }

    fn text(&self) -> String {
        let verb = if self.dry_run { "Would be removed" } else { "Removed" };
        let failures = match self.failures {
            0 => String::new(),
            count => format!(", and {} from the ledger of failures", counted(count, "file")),
        };
        let next = if self.removed > 0 && !self.dry_run {
            " To shrink the library's file: sonoteca compact"
        } else {
            ""
        };
        format!("{verb}: {}{failures}.{next}\n", counted(self.removed, "recording"))
    }
}

impl Row for Removal {
    const COLUMNS: &'static [&'static str] = &["removed", "failures", "dry_run"];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![self.removed.to_string(), self.failures.to_string(), self.dry_run.to_string()]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
