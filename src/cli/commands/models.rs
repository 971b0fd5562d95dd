//! `sonoteca models`: the networks, their weights and where they come from.

mod add;
mod drop;
mod fetching;
mod pull;

use serde::Serialize;
use sonoteca::audio::segment::Segmentation;
use sonoteca::model::card::ModelCard;
use sonoteca::model::store::{Installed, ModelStore};
use sonoteca::model::{self, registry};
use sonoteca::{AddedProblem, Error, Result};

use crate::cli::Status;
use crate::cli::args::ModelsCommand;
use crate::cli::company;
use crate::cli::printer::{Printer, Row, readable_bytes};
use crate::cli::settings::Settings;

pub(crate) fn run(
    command: &ModelsCommand,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    if let ModelsCommand::Drop { name, force, dry_run } = command {
        let how = drop::How { force: *force, dry_run: *dry_run };
        return drop::run(name, how, settings, printer);
    }
    let store = ModelStore::of_user()?;
    match command {
        ModelsCommand::List => list(&store, printer),
        ModelsCommand::Info { name } => {
            let row = ModelRow::new(registry::find(name)?, &store);
            printer.record(&row, &row.text())?;
            Ok(Status::Done)
        }
        ModelsCommand::Add(args) => add::add(args, &store, settings, printer),
        ModelsCommand::Remove { name, yes } => add::remove(name, *yes, &store, settings, printer),
        ModelsCommand::Pull(args) => pull::pull(args, &store, settings, printer),
        ModelsCommand::Verify { names } => verify(names, &store, printer),
        // Above: it is about a library, and needs no store.
        ModelsCommand::Drop { .. } => Ok(Status::Done),
    }
}

/// One whose card does not read costs itself.
fn list(store: &ModelStore, printer: &mut Printer) -> Result<Status> {
    let mut status = Status::Done;
    let mut rows = Vec::new();
    for name in registry::names() {
        match registry::find(&name) {
            Ok(card) => rows.push(ModelRow::new(card, store)),
            // It is as its owner left it, and no fault of what is here.
            Err(error @ Error::Added(AddedProblem::BaseGone { .. })) => {
                let hint = error.hint().unwrap_or_default();
                printer.warning(&format!("{error}; {hint}"));
            }
            Err(error) => {
                printer.error(&error);
                status = Status::Failed;
            }
        }
    }
    printer.rows(&rows)?;
    Ok(status)
}

fn verify(names: &[String], store: &ModelStore, printer: &mut Printer) -> Result<Status> {
    let mut found = Vec::new();
    for name in names {
        found.push((name.clone(), Ok(registry::find(name)?)));
    }
    if names.is_empty() {
        // What was pulled, and all that was added: of that there is always something to look at.
        found = registry::names().map(|name| (name.clone(), registry::find(&name))).collect();
        found.retain(|(_, card)| {
            let is_here =
                |card: &ModelCard| card.is_added() || store.installed(card) == Installed::Present;
            card.as_ref().map_or(true, |card| is_here(card))
        });
    }
    if found.is_empty() {
        printer.note("no weights are installed: sonoteca models pull NAME");
        return Ok(Status::NothingFound);
    }
    let company = company::of(printer);
    let mut status = Status::Done;
    let mut rows = Vec::new();
    for (name, card) in found {
        let verified = card.and_then(|card| model::verify(card, store, &company));
        rows.push(Verification { name, right: verified.is_ok() });
        if let Err(error) = verified {
            printer.error(&error);
            status = Status::Failed;
        }
    }
    printer.rows(&rows)?;
    Ok(status)
}

/// Where a model comes from, in words.
fn source_of(card: &ModelCard) -> String {
    match (&card.source, &card.remote) {
        (Some(source), _) => format!("{} {}", source.package, source.version),
        (None, Some(remote)) => {
            format!("`{}`, version {}, at {}", remote.model, remote.version, remote.url)
        }
        (None, None) => match &card.base {
            Some(base) => format!("added here, behind {}", base.name),
            None => "added here".to_owned(),
        },
    }
}

/// The bytes of a model's file: of the one that is here, or of what pulling it brings.
fn bytes_of(card: &ModelCard, store: &ModelStore) -> Option<u64> {
    if card.remote.is_some() {
        return None;
    }
    let here = std::fs::metadata(store.weights_path(card)).map(|file| file.len());
    here.ok().or(card.weights.bytes)
}

/// Whether a model's weights are the right ones.
#[derive(Debug, Serialize)]
struct Verification {
    name: String,
    right: bool,
}

impl Row for Verification {
    const COLUMNS: &'static [&'static str] = &["name", "right"];
    const HEADINGS: &'static [&'static str] = &["Model", "Weights"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.right.to_string()]
    }

    fn readable(&self) -> Vec<String> {
        let weights = if self.right { "as they should be" } else { "not usable" };
        vec![self.name.clone(), weights.to_owned()]
    }
}

/// A model as it is printed.
#[derive(Debug, Serialize)]
struct ModelRow {
    name: String,
    version: String,
    task: String,
    installed: bool,
    path: String,
    sample_rate: u32,
    embedding_dimension: usize,
    window_s: f64,
    hop_s: f64,
    /// What is stored, unless something else is asked for.
    segment_s: f64,
    segment_hop_s: f64,
    /// Bytes of its weights, here or once they are; of a server nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    licence: String,
    commercial_use: bool,
    copyright: String,
    classes: usize,
    classes_licence: Option<String>,
    source: String,
    /// Measured when a model of the user's own was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_s_per_s: Option<f64>,
    sha256: String,
    citation: String,
}

impl ModelRow {
    fn new(card: &ModelCard, store: &ModelStore) -> Self {
        let patches = Segmentation { segment_s: card.window_s, hop_s: card.hop_s };
        let Segmentation { segment_s, hop_s } = card.segmentation().unwrap_or(patches);
        Self {
            name: card.name.clone(),
            version: card.version.clone(),
            task: card.task.clone(),
            installed: store.installed(card) == Installed::Present,
            path: store.weights_path(card).to_string_lossy().into_owned(),
            sample_rate: card.sample_rate,
            embedding_dimension: card.embedding_dimension,
            window_s: card.window_s,
            hop_s: card.hop_s,
            segment_s,
            segment_hop_s: hop_s,
            bytes: bytes_of(card, store),
            commercial_use: !card.forbids_commerce(),
            licence: card.weights.licence.clone(),
            copyright: card.weights.copyright.clone(),
            classes: card.class_count(),
            classes_licence: card.classes.as_ref().map(|classes| classes.licence.clone()),
            source: source_of(card),
            audio_s_per_s: card.measured.map(|measured| measured.audio_s_per_s),
            sha256: card.weights.sha256.to_string(),
            citation: card.citation.clone(),
        }
    }

    fn speed(&self) -> String {
        let speed =
            |speed: f64| format!("speed:      {speed} s of sound a second when it was added\n");
        self.audio_s_per_s.map(speed).unwrap_or_default()
    }

    /// What a vector stands for; of what it is the mean, where that is something else.
    fn stored(&self) -> String {
        let Self { segment_s, segment_hop_s, window_s, hop_s, .. } = self;
        let stored = format!("{} values for {segment_s} s", self.embedding_dimension);
        if (segment_s, segment_hop_s) == (window_s, hop_s) {
            return format!("{stored}, every {hop_s} s");
        }
        format!("{stored}, every {segment_hop_s} s: means of windows of {window_s} s")
    }

    fn size(&self) -> String {
        self.bytes.map_or_else(|| "elsewhere".to_owned(), readable_bytes)
    }

    /// The licence, and what it forbids.
    fn licence(&self) -> String {
        let Self { licence, commercial_use, .. } = self;
        if *commercial_use { licence.clone() } else { format!("{licence} (not commercial)") }
    }

    fn installed(&self) -> &'static str {
        if self.installed { "yes" } else { "no" }
    }

    fn text(&self) -> String {
        format!(
            "{} {}: {}
input:      mono at {} Hz
output:     {}; scores for {} classes
weights:    {}, {}, {}
classes:    {}
source:     {}
{}installed:  {} ({})
sha256:     {}
cite:       {}
",
            self.name,
            self.version,
            self.task,
            self.sample_rate,
            self.stored(),
            self.classes,
            self.size(),
            self.licence(),
            self.copyright,
            self.classes_licence.as_deref().unwrap_or("none"),
            self.source,
            self.speed(),
            self.installed(),
            self.path,
            self.sha256,
            self.citation,
        )
    }
}

impl Row for ModelRow {
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "version",
        "installed",
        "embedding_dimension",
        "window_s",
        "hop_s",
        "licence",
        "task",
        "segment_s",
        "segment_hop_s",
        "bytes",
        "commercial_use",
    ];
    const HEADINGS: &'static [&'static str] =
        &["Model", "Installed", "Size", "Values", "For", "Licence", "What it is for"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.version.clone(),
            self.installed.to_string(),
            self.embedding_dimension.to_string(),
            self.window_s.to_string(),
            self.hop_s.to_string(),
            self.licence.clone(),
            self.task.clone(),
            self.segment_s.to_string(),
            self.segment_hop_s.to_string(),
            self.bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
            self.commercial_use.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.installed().to_owned(),
            self.size(),
            self.embedding_dimension.to_string(),
            format!("{} s", self.segment_s),
            self.licence(),
            self.task.clone(),
        ]
    }
}
