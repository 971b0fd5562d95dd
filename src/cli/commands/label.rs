//! `sonoteca label`: what is heard in recordings, in and out.

mod add;
mod export;
mod import;
mod list;
mod remove;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use sonoteca::filter::{Filter, Subject};
use sonoteca::label::places::Places;
use sonoteca::near::nearest;
use sonoteca::search;
use sonoteca::store::Library;
use sonoteca::store::endings::Meant;
use sonoteca::store::filtering::Passing;
use sonoteca::store::labels::{Judgement, LabelSelection};
use sonoteca::store::segments::Level;
use sonoteca::{Error, Result};

use crate::cli::Status;
use crate::cli::args::{JudgementName, LabelCommand, SelectionArgs};
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;

pub(crate) fn run(
    command: &LabelCommand,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let mut library = Library::open(&settings.library)?;
    match command {
        LabelCommand::Add(args) => add::run(args, &mut library, printer),
        LabelCommand::Remove(args) => remove::run(args, &mut library, printer),
        LabelCommand::List(args) => list::run(args, &library, settings, printer),
        LabelCommand::Import(args) => import::run(args, &mut library, settings, printer),
        LabelCommand::Export(args) => export::run(args, &library, settings, printer),
    }
}

/// The labels that `args` select.
fn selection(args: &SelectionArgs) -> LabelSelection {
    LabelSelection {
        classes: args.class.clone(),
        sources: args.source.clone(),
        judgements: args.judgement.iter().map(|&name| judgement(name)).collect(),
        ..LabelSelection::default()
    }
}

fn judgement(name: JudgementName) -> Judgement {
    match name {
        JudgementName::Positive => Judgement::Positive,
        JudgementName::Negative => Judgement::Negative,
        JudgementName::Unsure => Judgement::Unsure,
    }
}

/// A filter as it was typed, and the model whose class scores it speaks of.
type TypedFilter<'a> = (Option<&'a str>, Option<&'a str>);

/// The recordings that these are the names of, or that lie below them, and that pass this filter;
/// `None`: all.
fn recordings(
    library: &Library,
    names: &[OsString],
    (filter, model): TypedFilter<'_>,
) -> Result<Option<Vec<i64>>> {
    let passing =
        filter.map(|filter| passing(library, &Filter::parse(filter)?, model)).transpose()?;
    if names.is_empty() {
        return Ok(passing);
    }
    let places = Places::read(library)?;
    let mut named = Vec::new();
    for name in names {
        match recording(&places, name) {
            Ok(id) => named.push(id),
            Err(error) => match below(&places, Path::new(name)) {
                some if some.is_empty() => return Err(error),
                some => named.extend(some),
            },
        }
    }
    named.sort_unstable();
    named.dedup();
    if let Some(passing) = passing {
        named.retain(|id| passing.binary_search(id).is_ok());
    }
    Ok(Some(named))
}

/// The recordings that pass `filter`, by id.
fn passing(library: &Library, filter: &Filter, model: Option<&str>) -> Result<Vec<i64>> {
    // Only class scores are a model's, and a library without one may have labels.
    let scored = |subject: &Subject| matches!(subject, Subject::Class(_));
    let model = if filter.expression().mentions(&scored) {
        search::model_of_classes(library, filter, model)?.id
    } else {
        0
    };
    let (Passing::Recordings(ids) | Passing::Segments(ids)) =
        library.passing(filter, model, Level::Recording)?;
    Ok(ids)
}

/// The recording that `name` means: `id:N`, a path, or the end of one.
fn recording(places: &Places, name: &OsStr) -> Result<i64> {
    match places.find(Path::new(name), &current_folder()) {
        Meant::One(id) => Ok(id),
        Meant::Several(_) => Err(Error::Usage {
            problem: "several recordings of the library are called so",
            hint: "give more of its path, or its id:N, which searches show",
        }),
        Meant::None => {
            let id = name.to_str().and_then(|text| text.strip_prefix("id:")?.parse().ok());
            Err(match id {
                Some(id) => Error::UnknownRecording { id },
                None => not_called_so(places, Path::new(name)),
            })
        }
    }
}

/// The recordings that lie below the folder called `name`; none, where it is none.
fn below(places: &Places, name: &Path) -> Vec<i64> {
    let Ok(folder) = name.canonicalize() else { return Vec::new() };
    if !folder.is_dir() {
        return Vec::new();
    }
    places.paths().filter(|(path, _)| path.starts_with(&folder)).map(|(_, id)| id).collect()
}

/// That no recording is called `name`, and what the nearest are called.
fn not_called_so(places: &Places, name: &Path) -> Error {
    if name.is_dir() {
        return Error::Usage {
            problem: "a folder is no recording",
            hint: "label each of its recordings; or, where folders are classes, all at once: sonoteca \
                   label import --from-folders FOLDER",
        };
    }
    if name.is_file() {
        return Error::NotTakenIn { path: name.to_owned() };
    }
    let file_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let names: Vec<String> = places.paths().filter_map(|(path, _)| file_name(path)).collect();
    let typed = file_name(name).unwrap_or_default();
    Error::NotCalledSo {
        name: name.to_string_lossy().into_owned(),
        nearest: nearest(&typed, names.iter().map(String::as_str)),
    }
}

/// The current folder, by its real name.
fn current_folder() -> Vec<PathBuf> {
    std::env::current_dir().and_then(|folder| folder.canonicalize()).into_iter().collect()
}

/// Who says what nobody else is said to say.
fn user_name() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "someone".to_owned())
}

/// The text of a stretch for people.
fn readable_range(range: Option<sonoteca::audio::segment::TimeRange>) -> String {
    match range {
        None => "all of it".to_owned(),
        Some(range) if sonoteca::label::is_point(range) => format!("at {:.2}", range.start_s),
        Some(range) => format!("{:.2}–{:.2}", range.start_s, range.end_s),
    }
}
