//! `sonoteca extract`: a manifest into a dataset.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sonoteca::dataset::folder::{DatasetWriter, Earlier, Manifest, PART_BYTES};
use sonoteca::dataset::header::Header;
use sonoteca::dataset::lines::LineWriter;
use sonoteca::files::NewFile;
use sonoteca::ingest::{Decoders, Indexer, Output, Report, Wanted};
use sonoteca::model::EmbeddingModel;
use sonoteca::model::store::ModelStore;
use sonoteca::{Error, Result, search};

use super::embedding::{cancel_on_interrupt, compute_of, options_of, tell_of_sent};
use super::summary::list_failures;
use crate::cli::Status;
use crate::cli::args::ExtractArgs;
use crate::cli::printer::{
    Printer, Row, counted, readable_bytes, readable_duration, readable_path, say,
};
use crate::cli::progress::Progress;
use crate::cli::settings::Settings;

const BUFFER_BYTES: usize = 1 << 18;

pub(crate) fn run(
    args: &ExtractArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    // First of all: it must come before there are threads.
    let decoders = Decoders::start();
    let (manifest, entries) = open_manifest(&args.manifest)?;
    let store = ModelStore::of_user()?;
    let name = args.model.as_deref().unwrap_or(search::first_model());
    let models = [EmbeddingModel::load(name, &store, compute_of(&args.work))?];
    if let Some(sent) = models[0].sent() {
        printer.note(&format!("{name} is hosted: sound is sent to {}", sent.to));
    }
    let options = options_of(&args.work, args.vectors);
    let cancel = cancel_on_interrupt();
    let progress = Progress::new(settings);
    let indexer = Indexer {
        models: &models,
        decoders: &decoders,
        options: &options,
        cancel: &cancel,
        observer: &progress,
    };
    let work = Work { args, indexer: &indexer, manifest, entries };
    let written = work.write(indexer.header()?);
    progress.clear();
    // Whatever became of it.
    for sent in models.iter().filter_map(EmbeddingModel::sent) {
        tell_of_sent(&sent, printer);
    }
    tell(&written?, args, settings, printer)
}

/// A manifest, and how many lines it has.
fn open_manifest(path: &Path) -> Result<(BufReader<File>, Option<u64>)> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut file = if path == Path::new("-") {
        // On the disk, so that it can be counted first; and whoever writes it may go on.
        let mut file = tempfile::tempfile().map_err(failed)?;
        io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
        file.rewind().map_err(failed)?;
        file
    } else {
        File::open(path).map_err(failed)?
    };
    if !file.metadata().map_err(failed)?.is_file() {
        // A pipe, which is read once.
        return Ok((BufReader::with_capacity(BUFFER_BYTES, file), None));
    }
    let mut count = 0;
    let mut lines = BufReader::with_capacity(BUFFER_BYTES, &mut file);
    loop {
        let buffer = lines.fill_buf().map_err(failed)?;
        if buffer.is_empty() {
            break;
        }
        count += buffer.split(|&byte| byte == b'\n').count() as u64 - 1;
        let length = buffer.len();
        lines.consume(length);
    }
    file.rewind().map_err(failed)?;
    Ok((BufReader::with_capacity(BUFFER_BYTES, file), Some(count.max(1))))
}

/// Everything but where it goes.
struct Work<'a> {
    args: &'a ExtractArgs,
    indexer: &'a Indexer<'a>,
    manifest: BufReader<File>,
    entries: Option<u64>,
}

/// What was written, and where.
struct Written {
    report: Report,
    /// The files, those of earlier runs included; nothing, where there are none.
    dataset: Option<Manifest>,
    /// What earlier runs had written.
    before: u64,
}

impl Work<'_> {
    fn write(self, header: Header) -> Result<Written> {
        let out = &self.args.out;
        let extension = out.extension().unwrap_or_default();
        if out == Path::new("-") {
            let output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
            let mut rows = LineWriter::new(header, output);
            let report = self.extract(&mut rows, Earlier::default(), &std::env::temp_dir())?;
            rows.finish()?;
            return Ok(Written { report, dataset: None, before: 0 });
        }
        if extension == "jsonl" || extension == "ndjson" {
            return self.write_lines(header);
        }
        if extension == "parquet" && !out.is_dir() {
            let folder = folder_of(out);
            let mut rows = DatasetWriter::to_file(out, header.clone(), self.args.force)?;
            let report = self.extract(&mut rows, Earlier::default(), &folder)?;
            // Half of a file that is one part is none.
            let parts = if report.interrupted { Vec::new() } else { rows.finish(true)? };
            let dataset = Some(Manifest::new(&header, &parts));
            return Ok(Written { report, dataset, before: 0 });
        }
        let part_bytes = self.args.part_size.unwrap_or(PART_BYTES);
        let (mut rows, earlier) =
            DatasetWriter::in_folder(out, header.clone(), part_bytes, "extract")?;
        let before = earlier.recordings;
        let report = self.extract(&mut rows, earlier, out)?;
        let parts = rows.finish(!report.interrupted)?;
        Ok(Written { report, dataset: Some(Manifest::new(&header, &parts)), before })
    }

    fn write_lines(self, header: Header) -> Result<Written> {
        let path = self.args.out.clone();
        let force = self.args.force;
        if !force && path.symlink_metadata().is_ok() {
            return Err(Error::Exists { path, options: OVERWRITE });
        }
        let failed = |source| Error::Io { action: "write", path: path.clone(), source };
        let file = NewFile::beside(&path).map_err(failed)?;
        let mut rows = LineWriter::new(header, BufWriter::with_capacity(BUFFER_BYTES, file));
        let report = self.extract(&mut rows, Earlier::default(), &folder_of(&path))?;
        let (output, _) = rows.finish()?;
        if !report.interrupted {
            let publish = || -> io::Result<()> {
                let file = output.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.sync()?;
                file.publish(&path, force)
            };
            publish().map_err(failed)?;
        }
        Ok(Written { report, dataset: None, before: 0 })
    }

    fn extract(
        self,
        rows: &mut dyn sonoteca::dataset::rows::RowWriter,
        earlier: Earlier,
        folder: &Path,
    ) -> Result<Report> {
        let wanted = Wanted { manifest: self.manifest, entries: self.entries, earlier };
        self.indexer.extract(wanted, &mut Output { rows, folder })
    }
}

const OVERWRITE: &str = "name another file with --out, or overwrite it with --force";

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Tells what became of it, and the status that follows.
fn tell(
    written: &Written,
    args: &ExtractArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let report = &written.report;
    for (path, flaw) in &report.flawed {
        printer.warning(&format!("{} is {flaw}; what there is was used", readable_path(path)));
    }
    list_failures(report, "rows of kind `failure`", printer);
    if report.failed_before > 0 {
        say(format_args!(
            "{} failed in an earlier run and were not tried again: rows of kind `failure`",
            counted(report.failed_before, "file")
        ));
    }
    let summary = Summary {
        recordings: report.indexed,
        segments: report.segments,
        failures: report.failures,
        passed_over: report.unchanged,
        repeated: report.skipped,
        audio_s: report.duration_s,
        elapsed_s: report.elapsed_s,
        interrupted: report.interrupted,
        dataset: written.dataset.clone(),
    };
    let status = if report.failures + report.failed_before > 0 || report.interrupted {
        Status::Failed
    } else if report.indexed + written.before == 0 {
        Status::NothingFound
    } else {
        Status::Done
    };
    let text = summary.text(args);
    if args.out == Path::new("-") {
        // Standard output is the rows'.
        if !settings.is_quiet() {
            say(format_args!("{}", text.trim_end()));
        }
    } else if settings.is_for_programs() || !settings.is_quiet() {
        printer.record(&summary, &text)?;
        printer.flush()?;
    }
    Ok(status)
}

/// The run in one object.
#[derive(Debug, Serialize)]
struct Summary {
    recordings: u64,
    segments: u64,
    failures: u64,
    /// Entries that an earlier run has written.
    passed_over: u64,
    repeated: u64,
    audio_s: f64,
    elapsed_s: f64,
    interrupted: bool,
    /// All files of the dataset.
    dataset: Option<Manifest>,
}

impl Summary {
    fn text(&self, args: &ExtractArgs) -> String {
        let speed = self.audio_s / self.elapsed_s.max(1e-3);
        let mut parts = vec![format!(
            "Extracted {} with {}, {} of audio, in {:.1} s ({speed:.0} × real time)",
            counted(self.recordings, "recording"),
            counted(self.segments, "segment"),
            readable_duration(self.audio_s),
            self.elapsed_s,
        )];
        if self.passed_over > 0 {
            let lines = counted(self.passed_over, "line");
            parts.push(format!("; {lines} of the manifest there already"));
        }
        if self.repeated > 0 {
            let lines = counted(self.repeated, "line");
            parts.push(format!("; {lines} more of files that it names twice"));
        }
        if self.interrupted {
            parts.push("; stopped before all was done: run it again to go on".to_owned());
        }
        if let Some(dataset) = &self.dataset {
            let size = readable_bytes(dataset.files.iter().map(|file| file.bytes).sum());
            let count = counted(dataset.files.len() as u64, "file");
            parts.push(format!("\n{size} in {count} at {}", args.out.display()));
        }
        parts.concat() + "\n"
    }
}

impl Row for Summary {
    const COLUMNS: &'static [&'static str] = &[
        "recordings",
        "segments",
        "failures",
        "passed_over",
        "repeated",
        "audio_s",
        "elapsed_s",
        "interrupted",
        "files",
    ];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![
            self.recordings.to_string(),
            self.segments.to_string(),
            self.failures.to_string(),
            self.passed_over.to_string(),
            self.repeated.to_string(),
            self.audio_s.to_string(),
            self.elapsed_s.to_string(),
            self.interrupted.to_string(),
            self.dataset.as_ref().map_or(0, |dataset| dataset.files.len()).to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
