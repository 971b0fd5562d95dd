//! `sonoteca import`: a dataset into the library, or into a store.

use serde::Serialize;
use sonoteca::dataset::PartReader;
use sonoteca::dataset::folder::{Manifest, manifest, parts};
use sonoteca::dataset::importing::{ImportOptions, Report, import};
use sonoteca::milvus::importing::import as import_into_store;
use sonoteca::milvus::{Address, Counts};
use sonoteca::model::{identity_of, registry};
use sonoteca::store::Library;
use sonoteca::store::vector::Precision;
use sonoteca::{DatasetProblem, Error, MilvusProblem, Result};

use super::embedding::{cancel_on_interrupt, take_lock};
use super::refresh::refresh;
use super::stores::warn_of_version;
use crate::cli::Status;
use crate::cli::args::{ImportArgs, Vectors};
use crate::cli::printer::{Printer, Row, counted, grouped};
use crate::cli::progress::rows::RowProgress;
use crate::cli::settings::Settings;

pub(crate) fn run(args: &ImportArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    let files = parts(&args.parquet)?;
    let listed = manifest(&args.parquet, &files)?;
    if listed.is_none() && args.parquet.is_dir() {
        printer.warning(&format!(
            "{} has no _manifest.json, so that whoever wrote it was not done, or its parts were \
             put together; what is there is imported",
            args.parquet.display()
        ));
    }
    // No library is made for what is no dataset.
    for file in &files {
        PartReader::open(file)?;
    }
    let cancel = cancel_on_interrupt();
    let known = listed.as_ref().map_or(&[][..], |manifest| &manifest.files);
    if let Some(address) = &args.store {
        let address: Address = address.parse()?;
        let progress = RowProgress::new(settings, Some(&cancel));
        let done = import_into_store(&address, &files, known, &progress);
        progress.clear();
        let (report, store) = done?;
        check_counts(args, listed.as_ref(), &report)?;
        if let Some(store) = store {
            warn_of_version(&store, printer)?;
            let counts = store.counts()?;
            let (recordings, segments) = (counts.recordings, counts.segments);
            if let Some(manifest) = listed.as_ref().filter(|_| !report.interrupted) {
                check_store(&address, counts, manifest, &report)?;
            }
            printer.note(&format!(
                "{address} holds {} with {}",
                counted(recordings, "recording"),
                counted(segments, "segment")
            ));
        }
        return tell(&report, None, settings, printer);
    }
    let mut library = Library::open_or_create(&settings.library)?;
    let _lock = take_lock(&library, "import", &cancel, printer)?;
    let options = ImportOptions {
        vectors: match args.vectors {
            Vectors::F16 => Precision::Half,
            Vectors::F32 => Precision::Single,
        },
    };
    let progress = RowProgress::new(settings, Some(&cancel));
    let report = import(&mut library, &files, known, options, &progress);
    progress.clear();
    let report = report?;
    if report.imported > 0 {
        library.checkpoint()?;
        refresh(&library, "import", &cancel, settings, printer);
    }
    for model in library.models()? {
        let installed = registry::find(&model.identity.name).map(identity_of);
        if installed.is_ok_and(|installed| installed != model.identity) {
            printer.warning(&format!(
                "this sonoteca's {} is another version than the vectors': they can be searched by \
                 id:N, not by files",
                model.identity.name
            ));
        }
    }
    check_counts(args, listed.as_ref(), &report)?;
    tell(&report, Some("sonoteca failures"), settings, printer)
}

/// Refuses other counts than the dataset's manifest says.
fn check_counts(args: &ImportArgs, listed: Option<&Manifest>, report: &Report) -> Result<()> {
    let Some(manifest) = listed.filter(|_| !report.interrupted) else { return Ok(()) };
    let found = report.imported + report.unchanged + report.failed;
    if found == manifest.recordings {
        return Ok(());
    }
    let (what, expected) = ("recordings", manifest.recordings);
    let problem = DatasetProblem::Count { what, found, expected };
    Err(Error::Dataset { path: args.parquet.clone(), problem })
}

/// Refuses a server that has fewer rows than the dataset it was given, of earlier runs included; it may have
/// more, of other datasets.
fn check_store(
    address: &Address,
    counts: Counts,
    manifest: &Manifest,
    report: &Report,
) -> Result<()> {
    // How many segments those had that it cannot hold is not known.
    let segments = if report.failed == 0 { manifest.segments } else { 0 };
    let recordings = manifest.recordings.saturating_sub(report.failed);
    for (what, found, expected) in
        [("recordings", counts.recordings, recordings), ("segments", counts.segments, segments)]
    {
        if found < expected {
            let problem = MilvusProblem::Lost { what, found, expected };
            return Err(Error::Milvus { address: address.to_string(), problem });
        }
    }
    Ok(())
}

/// Says what was done; `failures` is where these were noted, if anywhere.
fn tell(
    report: &Report,
    failures: Option<&str>,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let summary = Summary {
        imported: report.imported,
        unchanged: report.unchanged,
        failed: report.failed,
        segments: report.segments,
        failures: report.failures,
        files: report.files,
        elapsed_s: report.elapsed_s,
        interrupted: report.interrupted,
    };
    let mut parts = vec![format!(
        "Imported {} with {} in {:.1} s; {} there already",
        counted(report.imported, "recording"),
        counted(report.segments, "segment"),
        report.elapsed_s,
        grouped(report.unchanged),
    )];
    if report.failed > 0 {
        parts.push(format!("; {} failed", grouped(report.failed)));
    }
    if report.failures > 0 {
        let noted = counted(report.failures, "failure");
        parts.push(match failures {
            Some(failures) => format!("; {noted} noted: {failures}"),
            None => format!("; {noted} in the dataset, which are not brought in"),
        });
    }
    if report.interrupted {
        parts.push("; stopped before all was done: run it again to go on".to_owned());
    }
    let text = parts.concat() + "\n";
    if settings.is_for_programs() || !settings.is_quiet() {
        printer.record(&summary, &text)?;
        printer.flush()?;
    }
    Ok(match report {
        report if report.interrupted || report.failed > 0 => Status::Failed,
        report if report.imported + report.unchanged == 0 => Status::NothingFound,
        _ => Status::Done,
    })
}

/// The run in one object.
#[derive(Debug, Serialize)]
struct Summary {
    imported: u64,
    unchanged: u64,
    failed: u64,
    segments: u64,
    failures: u64,
    files: u64,
    elapsed_s: f64,
    interrupted: bool,
}

impl Row for Summary {
    const COLUMNS: &'static [&'static str] = &[
        "imported",
        "unchanged",
        "failed",
        "segments",
        "failures",
        "files",
        "elapsed_s",
        "interrupted",
    ];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![
            self.imported.to_string(),
            self.unchanged.to_string(),
            self.failed.to_string(),
            self.segments.to_string(),
            self.failures.to_string(),
            self.files.to_string(),
            self.elapsed_s.to_string(),
            self.interrupted.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
