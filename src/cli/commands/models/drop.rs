//! `sonoteca models drop`: a network's vectors out of the library.
//!
//! In: a network's name. Out: the library without what it made. Refuses while heads were trained
//! on it, unless that is wanted.

use std::fmt::Write as _;

use serde::Serialize;
use sonoteca::model::registry;
use sonoteca::search::generation::remove_generations;
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::{Error, Result};

use super::super::embedding::{cancel_on_interrupt, take_lock};
use super::super::reindex::take_builder_lock;
use crate::cli::Status;
use crate::cli::printer::{Printer, Row, counted};
use crate::cli::settings::Settings;

/// What the lock says is going on.
const COMMAND: &str = "models drop";

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) force: bool,
    pub(super) dry_run: bool,
}

pub(super) fn run(
    name: &str,
    how: How,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let mut library = Library::open(&settings.library)?;
    let cancel = cancel_on_interrupt();
    // Nobody embeds with it meanwhile.
    let _lock = take_lock(&library, COMMAND, &cancel, printer)?;
    let mut models = library.models()?;
    models.retain(|model| model.identity.name == name);
    if models.is_empty() {
        // A name that nobody knows is mistyped.
        registry::find(name)?;
        printer.note(&format!("The library holds no vectors of {name}."));
        return Ok(Status::NothingFound);
    }
    let heads: Vec<String> = library
        .heads()?
        .into_iter()
        .filter(|head| models.iter().any(|model| model.identity == head.model))
        .map(|head| head.name)
        .collect();
    if !heads.is_empty() && !how.force {
        return Err(Error::HeadsOfModel { model: name.to_owned(), heads });
    }
    let ids: Vec<i64> = models.iter().map(|model| model.id).collect();
    let recordings = library.recordings_of_models(&ids, None)?;
    let dropped = Dropped::new(name, &models, recordings, (heads, how.dry_run));
    if !how.dry_run {
        drop_models(&mut library, &models, |library| {
            take_builder_lock(library, COMMAND, &cancel, printer)
        })?;
    }
    printer.record(&dropped, &dropped.text())?;
    Ok(Status::Done)
}

/// Removes `models` with their generations. The generations go first: a death in between costs the
/// building of new ones, and nothing is found that is not there.
fn drop_models(
    library: &mut Library,
    models: &[StoredModel],
    lock: impl FnOnce(&Library) -> Result<sonoteca::search::generation::BuilderLock>,
) -> Result<()> {
    // Held to the end: nobody may build one anew before the vectors are gone.
    let lock = lock(library)?;
    for model in models {
        remove_generations(library, model, &lock)?;
    }
    let writer = library.begin()?;
    for model in models {
        writer.remove_model(model.id)?;
    }
    writer.commit()?;
    library.checkpoint()
}

/// What was removed.
#[derive(Debug, Serialize)]
struct Dropped {
    model: String,
    versions: usize,
    /// Recordings that had vectors of it; they stay.
    recordings: u64,
    segments: u64,
    /// Heads that cannot be used without it; they stay.
    heads: Vec<String>,
    dry_run: bool,
}

impl Dropped {
    fn new(
        name: &str,
        models: &[StoredModel],
        recordings: u64,
        (heads, dry_run): (Vec<String>, bool),
    ) -> Self {
        Self {
            model: name.to_owned(),
            versions: models.len(),
            recordings,
            segments: models.iter().map(|model| model.segments).sum(),
            heads,
            dry_run,
        }
    }

    fn text(&self) -> String {
        let verb = if self.dry_run { "Would be dropped" } else { "Dropped" };
        let versions = match self.versions {
            1 => String::new(),
            count => format!(" in {count} versions"),
        };
        let mut text = format!(
            "{verb}: {}{versions}, {} of {}, which stay.",
            self.model,
            counted(self.segments, "segment"),
            counted(self.recordings, "recording"),
        );
        if !self.heads.is_empty() {
            let heads = if self.heads.len() == 1 { "head" } else { "heads" };
            // Writing to a string does not fail.
            let _ = write!(
                text,
                " Of no use until they are indexed with it again: {heads} {}.",
                self.heads.join(", ")
            );
        }
        if self.segments > 0 && !self.dry_run {
            text += " To shrink the library's file: sonoteca compact";
        }
        text + "\n"
    }
}

impl Row for Dropped {
    const COLUMNS: &'static [&'static str] =
        &["model", "versions", "recordings", "segments", "heads", "dry_run"];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![
            self.model.clone(),
            self.versions.to_string(),
            self.recordings.to_string(),
            self.segments.to_string(),
            self.heads.join("; "),
            self.dry_run.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
