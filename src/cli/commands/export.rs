//! `sonoteca export`: vectors into files.

use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use sonoteca::dataset::exporting::{header_of, write_all};
use sonoteca::dataset::folder::{DatasetWriter, PART_BYTES};
use sonoteca::files::NewFile;
use sonoteca::filter::Filter;
use sonoteca::index::scope::Scope;
use sonoteca::search::export::{ExportSpec, write_csv, write_npy};
use sonoteca::search::{self, Level};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::store::vector::Precision;
use sonoteca::{Error, Result};

use super::search::tell_of_unmet;
use crate::cli::Status;
use crate::cli::args::ExportArgs;
use crate::cli::interrupt;
use crate::cli::printer::{Printer, counted};
use crate::cli::progress::rows::RowProgress;
use crate::cli::settings::Settings;

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 18;

pub(crate) fn run(args: &ExportArgs, settings: &Settings, printer: &Printer) -> Result<Status> {
    let filter = args.filter.as_deref().map(Filter::parse).transpose()?;
    let library = Library::open(&settings.library)?;
    let model = search::choose_model(&library, args.model.as_deref())?;
    if let Some(folder) = &args.parquet {
        return to_parquet(&library, &model, filter.as_ref(), folder, (settings, printer));
    }
    let level = args.by.level();
    let allowed = search::allowed(&library, filter.as_ref(), &model, level)?;
    let scope = Scope { allowed, ..Scope::default() };
    let spec = ExportSpec { model: &model, level, scope: &scope };
    let (rows, written) = match (&args.npy, &args.csv) {
        (Some(path), _) if is_standard_output(path) => (npy_to_output(&library, &spec)?, None),
        (Some(path), _) => (npy_to_file(&library, &spec, path, args.force)?, Some(path)),
        (None, Some(path)) if is_standard_output(path) => {
            let mut output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
            let rows = write_csv(&library, &spec, &mut output)?;
            output.flush().map_err(Error::Output)?;
            (rows, None)
        }
        (None, Some(path)) => (csv_to_file(&library, &spec, path, args.force)?, Some(path)),
        // One of them is required.
        (None, None) => (0, None),
    };
    let vectors = counted(rows, "vector");
    match written {
        Some(path) => printer.note(&format!("Wrote {vectors} to {}", path.display())),
        None => printer.note(&format!("Wrote {vectors}")),
    }
    if level == Level::Segment {
        let left_out = library.left_out(model.id)?.segments;
        if left_out > 0 {
            // Of the whole library, whatever the filter: nobody has looked which of them it lets pass.
            printer.note(&format!(
                "Left out, being silent, constant or clipped: {} of the library.",
                counted(left_out, "segment")
            ));
        }
    }
    if rows == 0 {
        tell_of_unmet(&library, filter.as_ref(), printer)?;
        return Ok(Status::NothingFound);
    }
    Ok(Status::Done)
}

/// Recordings that pass, and all their segments.
fn to_parquet(
    library: &Library,
    model: &StoredModel,
    filter: Option<&Filter>,
    folder: &Path,
    (settings, printer): (&Settings, &Printer),
) -> Result<Status> {
    // Two libraries in one folder would be one dataset.
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::Exists { path: folder.to_owned(), options: ANOTHER_FOLDER });
    }
    let allowed = search::allowed(library, filter, model, Level::Recording)?;
    let scope = Scope { allowed, ..Scope::default() };
    interrupt::clean_up();
    let header = header_of(library, model, Precision::Single)?;
    let (mut rows, _) = DatasetWriter::in_folder(folder, header, PART_BYTES, "export")?;
    let progress = RowProgress::new(settings, None);
    let recordings = write_all(library, model, &scope, &mut rows, &progress);
    progress.clear();
    let recordings = recordings?;
    let parts = rows.finish(true)?;
    let segments = parts.iter().map(|part| part.sums.segments).sum();
    printer.note(&format!(
        "Wrote {} with {} to {} in {}",
        counted(recordings, "recording"),
        counted(segments, "segment"),
        counted(parts.len() as u64, "file"),
        folder.display()
    ));
    Ok(if recordings == 0 { Status::NothingFound } else { Status::Done })
}

const ANOTHER_FOLDER: &str = "name another folder with --parquet, or empty this one";

fn is_standard_output(path: &Path) -> bool {
    path == Path::new("-")
}

/// The header's count of rows is known at the end only, and a pipe does not go back: the array is
/// put together in a temporary file.
fn npy_to_output(library: &Library, spec: &ExportSpec<'_>) -> Result<u64> {
    let temporary = tempfile::tempfile().map_err(Error::Output)?;
    let mut array = BufWriter::with_capacity(BUFFER_BYTES, temporary);
    let rows = write_npy(library, spec, &mut array, None)?;
    let mut whole = array.into_inner().map_err(|error| Error::Output(error.into_error()))?;
    let mut output = io::stdout().lock();
    whole
        .rewind()
        .and_then(|()| io::copy(&mut whole, &mut output))
        .and_then(|_| output.flush())
        .map_err(Error::Output)?;
    Ok(rows)
}

fn npy_to_file(library: &Library, spec: &ExportSpec<'_>, path: &Path, force: bool) -> Result<u64> {
    let table_path = path.with_extension("csv");
    if table_path == path {
        return Err(Error::Usage {
            problem: "the array would have the name of its table",
            hint: "give the array another name: --npy vectors.npy",
        });
    }
    let mut array = Target::new(path.to_owned(), force)?;
    let mut table = Target::new(table_path, force)?;
    let rows = write_npy(library, spec, &mut array.file, Some(&mut table.file))
        .map_err(|error| written_to(path, error))?;
    // The array last, and an earlier one first out of the way: where it is, its table is too.
    if force {
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Io { action: "replace", path: path.to_owned(), source });
            }
            _ => {}
        }
    }
    table.publish(force)?;
    array.publish(force)?;
    Ok(rows)
}

fn csv_to_file(library: &Library, spec: &ExportSpec<'_>, path: &Path, force: bool) -> Result<u64> {
    let mut table = Target::new(path.to_owned(), force)?;
    let rows =
        write_csv(library, spec, &mut table.file).map_err(|error| written_to(path, error))?;
    table.publish(force)?;
    Ok(rows)
}

/// `error` by the name of the file that was written to.
fn written_to(path: &Path, error: Error) -> Error {
    match error {
        Error::Output(source) => Error::Io { action: "write", path: path.to_owned(), source },
        error => error,
    }
}

/// A file that is written under a temporary name.
struct Target {
    path: PathBuf,
    file: BufWriter<NewFile>,
}

impl Target {
    fn new(path: PathBuf, force: bool) -> Result<Self> {
        if !force && path.symlink_metadata().is_ok() {
            return Err(Error::Exists { path, options: OVERWRITE });
        }
        interrupt::clean_up();
        let file = NewFile::beside(&path).map_err(|source| Error::Io {
            action: "write",
            path: path.clone(),
            source,
        })?;
        Ok(Self { path, file: BufWriter::with_capacity(BUFFER_BYTES, file) })
    }

    /// Gives the file its name, once it is on the disk.
    fn publish(self, force: bool) -> Result<()> {
        let Self { path, file } = self;
        let publish = || -> io::Result<()> {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync()?;
            file.publish(&path, force)
        };
        match publish() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::Exists { path, options: OVERWRITE })
            }
            result => result.map_err(|source| Error::Io { action: "write", path, source }),
        }
    }
}

const OVERWRITE: &str = "name another file, or overwrite it with --force";
