//! `sonoteca compact`: the room of what was removed, back to the disk.

use serde::Serialize;
use sonoteca::Result;
use sonoteca::search::generation::{BuilderLock, oldest_change};
use sonoteca::store::Library;

use super::embedding::{cancel_on_interrupt, take_lock};
use super::refresh::refresh;
use crate::cli::Status;
use crate::cli::printer::{Printer, Row, readable_bytes};
use crate::cli::settings::Settings;

pub(crate) fn run(settings: &Settings, printer: &mut Printer) -> Result<Status> {
    let mut library = Library::open(&settings.library)?;
    let cancel = cancel_on_interrupt();
    let _lock = take_lock(&library, "compact", &cancel, printer)?;
    let bytes_before = library.file_bytes()?;
    {
        // While another process builds the index nobody knows what it will need, nor where the lock
        // cannot be taken: then no change is forgotten.
        let lock =
            BuilderLock::try_take(&library, "compact").ok().and_then(std::result::Result::ok);
        let needed = match &lock {
            Some(lock) => oldest_change(&library, lock)?,
            None => Some(0),
        };
        library.compact(needed)?;
    }
    // Perhaps the changes that could not be forgotten are the reason for a new one.
    refresh(&library, "compact", &cancel, settings, printer);
    let sizes = Sizes { bytes_before, bytes_after: library.file_bytes()? };
    printer.record(&sizes, &sizes.text())?;
    Ok(Status::Done)
}

#[derive(Debug, Serialize)]
struct Sizes {
    bytes_before: u64,
    bytes_after: u64,
}

impl Sizes {
    fn text(&self) -> String {
        let (before, after) = (readable_bytes(self.bytes_before), readable_bytes(self.bytes_after));
        format!("{after}, was {before}.\n")
    }
}

impl Row for Sizes {
    const COLUMNS: &'static [&'static str] = &["bytes_before", "bytes_after"];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![self.bytes_before.to_string(), self.bytes_after.to_string()]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
