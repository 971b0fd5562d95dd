//! `sonoteca metadata`: what people know of their recordings, in and out.

mod import;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};
use sonoteca::store::Library;
use sonoteca::store::endings::{Endings, Meant};
use sonoteca::store::metadata::{MetadataKey, MetadataValue};
use sonoteca::{Error, Result};

use crate::cli::Status;
use crate::cli::args::{Format, MetadataCommand};
use crate::cli::printer::{Printer, Row, counted, path_hex};
use crate::cli::settings::Settings;

pub(crate) fn run(
    command: &MetadataCommand,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let mut library = Library::open(&settings.library)?;
    match command {
        MetadataCommand::Import { table, key, delimiter, dry_run } => {
            let table = import::Table { path: table, key: key.as_deref(), delimiter: *delimiter };
            import::run(&table, *dry_run, &mut library, printer)
        }
        MetadataCommand::List { recording: None } => list_keys(&library, printer),
        MetadataCommand::List { recording: Some(recording) } => {
            list_of(&library, recording, printer)
        }
        MetadataCommand::Remove { key } => remove(&mut library, key, printer),
        MetadataCommand::Export => export(&library, settings, printer),
    }
}

fn list_keys(library: &Library, printer: &mut Printer) -> Result<Status> {
    let rows: Vec<KeyRow> = library
        .metadata_keys()?
        .into_iter()
        .map(|MetadataKey { key, recordings, numbers }| KeyRow { key, recordings, numbers })
        .collect();
    if rows.is_empty() {
        return Ok(nothing_yet(printer));
    }
    printer.rows(&rows)?;
    Ok(Status::Done)
}

fn nothing_yet(printer: &Printer) -> Status {
    printer.note("There is no metadata yet: sonoteca metadata import FILE.csv");
    Status::NothingFound
}

fn list_of(library: &Library, recording: &OsStr, printer: &mut Printer) -> Result<Status> {
    let path = Path::new(recording);
    let id = match meant(library, &library.endings()?, path, &current_folder())? {
        Meant::One(id) => id,
        Meant::None | Meant::Several(_) => {
            return Err(Error::NotInLibrary { path: path.to_owned() });
        }
    };
    let rows: Vec<PieceRow> = library
        .metadata(id)?
        .into_iter()
        .map(|(key, value)| PieceRow { key, value: json(&value), text: value.to_string() })
        .collect();
    if rows.is_empty() {
        printer.note("There is no metadata of this recording.");
        return Ok(Status::NothingFound);
    }
    printer.rows(&rows)?;
    Ok(Status::Done)
}

fn remove(library: &mut Library, key: &str, printer: &mut Printer) -> Result<Status> {
    let writer = library.begin()?;
    let removed = writer.remove_metadata(key)? as u64;
    writer.commit()?;
    if removed == 0 {
        printer.note(&format!("No recording has metadata called `{key}`."));
        return Ok(Status::NothingFound);
    }
    let row = RemovedRow { key: key.to_owned(), recordings: removed };
    let text = format!("Removed `{key}` from {}.\n", counted(removed, "recording"));
    printer.record(&row, &text)?;
    Ok(Status::Done)
}

/// A line a recording, a column a key; as JSON, an object a recording.
fn export(library: &Library, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    let keys: Vec<String> = library.metadata_keys()?.into_iter().map(|key| key.key).collect();
    if keys.is_empty() {
        return Ok(nothing_yet(printer));
    }
    // A key of that name would be taken for the recordings' names.
    let is_taken = keys.iter().any(|key| key.eq_ignore_ascii_case("path"));
    let first = if is_taken { "recording" } else { "path" };
    let mut recordings: Vec<(PathBuf, Vec<(String, MetadataValue)>)> = Vec::new();
    library.for_each_metadata(|path, key, value| {
        match recordings.last_mut().filter(|(last, _)| last == path) {
            Some((_, pieces)) => pieces.push((key, value)),
            None => recordings.push((path.to_owned(), vec![(key, value)])),
        }
        Ok(())
    })?;
    if settings.format == Format::Json {
        for (path, pieces) in recordings {
            let mut object = Map::new();
            object.insert("path".to_owned(), path.to_string_lossy().into());
            if let Some(bytes) = path_hex(&path) {
                object.insert("path_hex".to_owned(), bytes.into());
            }
            let pieces = pieces.into_iter().map(|(key, value)| (key, json(&value)));
            object.insert("metadata".to_owned(), Value::Object(pieces.collect()));
            printer.object(&object)?;
        }
        return Ok(Status::Done);
    }
    let mut headings = vec![first.as_bytes().to_vec()];
    headings.extend(keys.iter().map(|key| key.as_bytes().to_vec()));
    let lines = recordings.into_iter().map(|(path, pieces)| {
        let mut cells = vec![path.as_os_str().as_encoded_bytes().to_vec()];
        cells.extend(keys.iter().map(|key| {
            let piece = pieces.iter().find(|(found, _)| found.eq_ignore_ascii_case(key));
            piece.map_or_else(Vec::new, |(_, value)| value.to_string().into_bytes())
        }));
        cells
    });
    printer.spreadsheet(std::iter::once(headings).chain(lines))?;
    if is_taken {
        printer.note("To import this again: sonoteca metadata import FILE --key recording");
    }
    Ok(Status::Done)
}

/// The recording that `name` means: `id:N`, a path, or the end of one.
fn meant(library: &Library, endings: &Endings, name: &Path, folders: &[PathBuf]) -> Result<Meant> {
    let id = name.to_str().and_then(|text| text.strip_prefix("id:")?.parse().ok());
    if let Some(id) = id {
        return Ok(library
            .recording(id)?
            .map_or(Meant::None, |recording| Meant::One(recording.id)));
    }
    Ok(match endings.find(name, folders) {
        // A link's name: the library has the file's own.
        Meant::None => match name.canonicalize() {
            Ok(real) => endings.find(&real, folders),
            Err(_) => Meant::None,
        },
        meant => meant,
    })
}

/// The current folder, by its real name.
fn current_folder() -> Vec<PathBuf> {
    std::env::current_dir().and_then(|folder| folder.canonicalize()).into_iter().collect()
}

fn json(value: &MetadataValue) -> Value {
    match value {
        MetadataValue::Integer(number) => (*number).into(),
        MetadataValue::Real(number) => (*number).into(),
        MetadataValue::Text(text) => text.clone().into(),
    }
}

#[derive(Debug, Serialize)]
struct KeyRow {
    key: String,
    recordings: u64,
    numbers: u64,
}

impl Row for KeyRow {
    const COLUMNS: &'static [&'static str] = &["key", "recordings", "numbers"];
    const HEADINGS: &'static [&'static str] = &["Name", "Recordings", "Of these, numbers"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.recordings.to_string(), self.numbers.to_string()]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}

#[derive(Debug, Serialize)]
struct PieceRow {
    key: String,
    value: Value,
    #[serde(skip)]
    text: String,
}

impl Row for PieceRow {
    const COLUMNS: &'static [&'static str] = &["key", "value"];
    const HEADINGS: &'static [&'static str] = &["Name", "Value"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.text.clone()]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}

#[derive(Debug, Serialize)]
struct RemovedRow {
    key: String,
    recordings: u64,
}

impl Row for RemovedRow {
    const COLUMNS: &'static [&'static str] = &["key", "recordings"];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.recordings.to_string()]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
