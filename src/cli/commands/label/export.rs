//! `sonoteca label export`: labels in files, or on standard output.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sonoteca::audio::segment::TimeRange;
use sonoteca::files::NewFile;
use sonoteca::label::LabelFormat;
use sonoteca::label::places::Places;
use sonoteca::label::writing::{
    CsvColumns, CsvLabel, RavenRow, RavenSpec, RavenTable, csv_heading, csv_line, file_name,
    is_precise, track_label, track_line,
};
use sonoteca::store::Library;
use sonoteca::store::endings::Extent;
use sonoteca::store::labels::{Judgement, LabelOrder, LabelSelection, StoredLabel};
use sonoteca::{Error, Result};

use super::list::LabelRow;
use super::{current_folder, recordings, selection, user_name};
use crate::cli::Status;
use crate::cli::args::{ExportLabelsArgs, Format};
use crate::cli::interrupt;
use crate::cli::printer::{Printer, counted};
use crate::cli::settings::Settings;

pub(super) fn run(
    args: &ExportLabelsArgs,
    library: &Library,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let mut selection = selection(&args.selection);
    selection.recordings =
        recordings(library, &[], (args.filter.as_deref(), args.model.as_deref()))?;
    let export = Export::new(args, library, selection)?;
    if export.labels == 0 {
        printer.note(if export.selection.is_all() {
            "There are no labels yet: sonoteca label add, or sonoteca label import FILE"
        } else {
            "There are no such labels."
        });
        return Ok(Status::NothingFound);
    }
    let labels = counted(export.labels, "label");
    match (settings.format, &args.out) {
        (Format::Audacity | Format::Raven, Some(folder)) => {
            let files = export.to_folder(folder, settings.format)?;
            let files = counted(files, "file");
            printer.note(&format!("Wrote {labels} to {}: {files}", folder.display()));
        }
        (_, Some(path)) => {
            export.to_file(path, settings.format)?;
            printer.note(&format!("Wrote {labels} to {}", path.display()));
        }
        (Format::Audacity, None) if export.recordings > 1 => {
            let recordings = usize::try_from(export.recordings).unwrap_or(usize::MAX);
            return Err(Error::SeveralRecordings { recordings });
        }
        (format, None) => {
            let mut output = BufWriter::new(io::stdout().lock());
            export.write(&mut output, format)?;
            output.flush().map_err(Error::Output)?;
        }
    }
    Ok(Status::Done)
}

/// Labels that are to be written, and what is known of all of them.
struct Export<'a> {
    library: &'a Library,
    selection: LabelSelection,
    class_column: &'a str,
    paths: HashMap<i64, (PathBuf, Extent)>,
    /// The folder that paths are relative to.
    base: Option<PathBuf>,
    columns: CsvColumns,
    /// Whether some time needs more than six decimals.
    is_precise: bool,
    labels: u64,
    recordings: u64,
}

impl<'a> Export<'a> {
    fn new(
        args: &'a ExportLabelsArgs,
        library: &'a Library,
        selection: LabelSelection,
    ) -> Result<Self> {
        let base = match &args.relative_to {
            None => current_folder().pop(),
            Some(folder) => {
                let failed = |source| Error::Io { action: "find", path: folder.clone(), source };
                Some(folder.canonicalize().map_err(failed)?)
            }
        };
        let places = Places::read(library)?;
        let paths = places
            .paths()
            .filter_map(|(path, id)| Some((id, (path.to_owned(), places.extent(id)?))));
        let mut export = Self {
            library,
            selection,
            class_column: &args.class_column,
            paths: paths.collect(),
            base,
            columns: CsvColumns::default(),
            is_precise: false,
            labels: 0,
            recordings: 0,
        };
        export.look()?;
        Ok(export)
    }

    /// Looks at all labels: a header stands before them.
    fn look(&mut self) -> Result<()> {
        let user = user_name();
        let mut columns = CsvColumns::default();
        let (mut labels, mut recordings, mut last, mut precise) = (0, 0, None, false);
        self.library.for_each_label(&self.selection, LabelOrder::Recording, |label| {
            labels += 1;
            if last.replace(label.recording) != Some(label.recording) {
                recordings += 1;
            }
            columns.judgement |= label.judgement != Judgement::Positive;
            columns.source |= label.source != user;
            columns.score |= label.score.is_some();
            columns.band |= label.band_hz.is_some();
            precise |= self.extent_of(&label).is_some_and(|(range, ..)| is_precise(range));
            Ok(())
        })?;
        (self.columns, self.is_precise) = (columns, precise);
        (self.labels, self.recordings) = (labels, recordings);
        Ok(())
    }

    /// The stretch of `label`, all of the recording where it has none, and the recording.
    fn extent_of(&self, label: &StoredLabel) -> Option<(TimeRange, &Path, Extent)> {
        let (path, extent) = self.paths.get(&label.recording)?;
        let whole = TimeRange { start_s: 0.0, end_s: extent.duration_s };
        Some((label.range.unwrap_or(whole), path, *extent))
    }

    fn write(&self, output: &mut dyn Write, format: Format) -> Result<()> {
        match format {
            Format::Table | Format::Csv => self.write_csv(output),
            Format::Json => {
                self.library.for_each_label(&self.selection, LabelOrder::Added, |label| {
                    let Some((_, path, _)) = self.extent_of(&label) else { return Ok(()) };
                    serde_json::to_writer(&mut *output, &LabelRow::new(label, path))
                        .map_err(io::Error::from)
                        .and_then(|()| writeln!(output))
                        .map_err(Error::Output)
                })
            }
            Format::Audacity | Format::Raven => {
                // No file's name says which recording it is about.
                self.tracks(format, true, |_, _, text| {
                    output.write_all(text.as_bytes()).map_err(Error::Output)
                })
            }
        }
    }

    fn write_csv(&self, output: &mut dyn Write) -> Result<()> {
        let mut writer = csv::Writer::from_writer(output);
        let failed = |error: csv::Error| Error::Output(error.into());
        writer.write_record(csv_heading(self.columns)).map_err(failed)?;
        self.library.for_each_label(&self.selection, LabelOrder::Added, |label| {
            let Some((_, path, _)) = self.extent_of(&label) else { return Ok(()) };
            let below = self.base.as_ref().and_then(|base| path.strip_prefix(base).ok());
            let line = CsvLabel {
                path: below.unwrap_or(path),
                range: label.range,
                class: &label.class,
                judgement: label.judgement,
                source: &label.source,
                score: label.score,
                band_hz: label.band_hz,
            };
            writer.write_record(csv_line(&line, self.columns)).map_err(failed)
        })?;
        writer.flush().map_err(Error::Output)
    }

    fn to_file(&self, path: &Path, format: Format) -> Result<()> {
        refuse_existing(path)?;
        let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
        interrupt::clean_up();
        let file = NewFile::beside(path).map_err(failed)?;
        let mut file = BufWriter::new(file);
        self.write(&mut file, format).map_err(|error| match error {
            Error::Output(source) => failed(source),
            error => error,
        })?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync().map_err(failed)?;
        file.publish(path, false).map_err(failed)
    }

    /// Writes a file a recording; how many there are.
    fn to_folder(&self, folder: &Path, format: Format) -> Result<u64> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { action: "write", path, source }
        };
        let of_file =
            if format == Format::Raven { LabelFormat::Raven } else { LabelFormat::Audacity };
        let target = |id: i64, path: &Path| folder.join(file_name(path, id, of_file));
        fs::create_dir_all(folder).map_err(failed(folder))?;
        // Nothing is written when something would be overwritten.
        self.tracks(format, false, |id, path, _| refuse_existing(&target(id, path)))?;
        let mut open: Option<(i64, PathBuf, BufWriter<File>)> = None;
        let mut files = 0;
        let close = |open: Option<(i64, PathBuf, BufWriter<File>)>| match open {
            Some((_, path, mut file)) => file.flush().map_err(failed(&path)),
            None => Ok(()),
        };
        self.tracks(format, false, |id, path, text| {
            if open.as_ref().is_none_or(|(last, ..)| *last != id) {
                let path = target(id, path);
                let file = BufWriter::new(File::create_new(&path).map_err(failed(&path))?);
                files += 1;
                close(open.replace((id, path, file)))?;
            }
            match &mut open {
                Some((_, path, file)) => file.write_all(text.as_bytes()).map_err(failed(path)),
                None => Ok(()),
            }
        })?;
        close(open)?;
        Ok(files)
    }

    /// Calls `visit` with recordings and what is to be written of them, piece by piece: into one
    /// table of `several`, or a file each.
    fn tracks(
        &self,
        format: Format,
        several: bool,
        mut visit: impl FnMut(i64, &Path, &str) -> Result<()>,
    ) -> Result<()> {
        let mut further = vec![self.class_column];
        further.extend(self.columns.judgement.then_some("Judgement"));
        further.extend(self.columns.source.then_some("Source"));
        further.extend(self.columns.score.then_some("Score"));
        let spec = RavenSpec { several, further: &further, precise: self.is_precise };
        let mut table: Option<RavenTable<'_>> = None;
        let mut last: Option<(i64, f64)> = None;
        let mut text = String::new();
        self.library.for_each_label(&self.selection, LabelOrder::Recording, |label| {
            let Some((range, path, extent)) = self.extent_of(&label) else { return Ok(()) };
            text.clear();
            if format != Format::Raven {
                let class = track_label(&label.class, label.judgement);
                track_line(&mut text, range, &class, label.band_hz);
                return visit(label.recording, path, &text);
            }
            let before = last.replace((label.recording, extent.duration_s));
            match (&mut table, before) {
                (Some(table), Some((id, duration_s))) if several => {
                    if id != label.recording {
                        table.next_file(duration_s);
                    }
                }
                (Some(_), Some((id, _))) if id == label.recording => {}
                _ => table = Some(RavenTable::new(spec, &mut text)),
            }
            let mut cells = vec![label.class];
            cells.extend(self.columns.judgement.then(|| label.judgement.as_str().to_owned()));
            cells.extend(self.columns.source.then_some(label.source));
            let score = label.score.map_or_else(String::new, |score| score.to_string());
            cells.extend(self.columns.score.then_some(score));
            let row = RavenRow {
                range,
                band: label.band_hz,
                sample_rate: extent.sample_rate,
                path,
                further: &cells,
            };
            if let Some(table) = &mut table {
                table.row(&row, &mut text);
            }
            visit(label.recording, path, &text)
        })
    }
}

fn refuse_existing(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        let (path, options) = (path.to_owned(), "name another place with --out");
        return Err(Error::Exists { path, options });
    }
    Ok(())
}
