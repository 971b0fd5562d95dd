//! `sonoteca index`: adds recordings to the library and says what became of them.

use std::io::Read;
use std::path::{Path, PathBuf};

use sonoteca::ingest::{PlanOptions, Selection};
use sonoteca::{Error, Result};

use super::embedding::Embedding;
use super::summary::{Besides, tell};
use crate::cli::Status;
use crate::cli::args::IndexArgs;
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;

pub(crate) fn run(args: &IndexArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    // First of all: it must come before there are threads.
    let embedding = Embedding::start("index", &args.embedding, settings);
    let mut paths = args.paths.clone();
    if let Some(list) = &args.files_from {
        paths.extend(listed(list)?);
    }
    require_any(&paths)?;
    let mut session = embedding.open(printer)?;
    let selection = Selection::Paths(paths);
    let report = session.index(&selection, PlanOptions::default(), printer)?;
    session.refresh("index", printer);
    tell(&report, Besides::default(), settings, printer)
}

/// The paths that the file at `list` names, one a line.
fn listed(list: &Path) -> Result<Vec<PathBuf>> {
    let mut text = Vec::new();
    let read = if list == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut text).map(drop)
    } else {
        std::fs::File::open(list).and_then(|mut file| file.read_to_end(&mut text).map(drop))
    };
    read.map_err(|source| Error::Io { action: "read", path: list.to_owned(), source })?;
    // As `find -print0` writes them, for names with line ends.
    let separator = if text.contains(&0) { 0 } else { b'\n' };
    Ok(text
        .split(|&byte| byte == separator)
        .map(|line| if separator == 0 { line } else { line.strip_suffix(b"\r").unwrap_or(line) })
        .filter(|line| !line.is_empty())
        .map(path_of)
        .collect())
}

#[cfg(unix)]
fn path_of(line: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(line))
}

#[cfg(not(unix))]
fn path_of(line: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(line).into_owned())
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
