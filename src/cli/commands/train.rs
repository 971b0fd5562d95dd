//! `sonoteca train`: labels into a head.

pub(super) mod progress;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use sonoteca::filter::Filter;
use sonoteca::search;
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::train::head::card::{TrainingSettings, check_name};
use sonoteca::train::learner::{ClassWeights, HeadKind, Watch};
use sonoteca::train::report::Report;
use sonoteca::train::split::Plan;
use sonoteca::train::task::Task;
use sonoteca::train::training::{self, Order, Trained};
use sonoteca::{Error, Result, dates, files};

use crate::cli::Status;
use crate::cli::args::{Format, HeadName, TaskName, TrainArgs, WeightsName};
use crate::cli::printer::{Printer, counted};
use crate::cli::settings::Settings;
use progress::TrainingProgress;

pub(crate) fn run(args: &TrainArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    check_name(&args.name)?;
    if let Some(path) = &args.report {
        require_new_name(path)?;
    }
    let task = args.task.map(task_of).or(args.target.as_ref().map(|_| Task::Regression));
    if args.target.is_some() && task != Some(Task::Regression) {
        return Err(Error::Usage {
            problem: "--target is for numbers",
            hint: "say --task regression, or leave --target out",
        });
    }
    let mut library = Library::open(&settings.library)?;
    let model = search::choose_model(&library, args.model.as_deref())?;
    let wanted = TrainingSettings {
        by: args.by.level(),
        classes: args.classes.clone(),
        target: args.target.clone(),
        exhaustive: args.exhaustive,
        group_by: args.group_by.clone(),
        filter: args.filter.clone(),
        plan: args.hold_out.map_or(Plan::Folds(usize::from(args.folds)), Plan::HoldOut),
        class_weights: match args.class_weights {
            WeightsName::None => ClassWeights::None,
            WeightsName::Balanced => ClassWeights::Balanced,
        },
        precision: args.precision,
        seed: args.seed,
    };
    let kind = args.head.map(kind_of);
    let progress = TrainingProgress::new(settings);
    let trained = train(&library, &args.name, &model, (kind, task), &wanted, &progress)?;
    drop(progress);
    let writer = library.begin()?;
    let replaced = trained.head.put(&writer)?;
    writer.commit()?;
    let card = trained.head.card();
    if replaced {
        printer.note(&format!("The earlier head {} was replaced.", card.name));
    }
    let report = report_of(&trained);
    if let Some(path) = &args.report {
        write_report(&report, path)?;
        printer.note(&format!("Report: {}", path.display()));
    }
    print_report(&report, settings, printer)?;
    printer.note(&format!(
        "Trained {} ({}) on {}; use it: sonoteca predict {}",
        card.name,
        card.kind.as_str(),
        counted(card.learnt_from.recordings as u64, "recording"),
        card.name
    ));
    Ok(Status::Done)
}

/// Trains a head as `settings` say.
pub(super) fn train(
    library: &Library,
    name: &str,
    model: &StoredModel,
    (kind, task): (Option<HeadKind>, Option<Task>),
    settings: &TrainingSettings,
    progress: &TrainingProgress,
) -> Result<Trained> {
    let filter = settings.filter.as_deref().map(Filter::parse).transpose()?;
    let passing =
        filter.map(|filter| library.passing(&filter, model.id, settings.by)).transpose()?;
    let order = Order { name, model, kind, task, passing: passing.as_ref(), settings };
    let watch = |done| progress.at(done);
    training::train_watched(library, &order, dates::now(), Some(Watch(&watch)))
}

/// What is known of a head that was just trained.
pub(super) fn report_of(trained: &Trained) -> Report {
    trained.head.card().report(trained.held_out.as_ref())
}

/// Prints a report in the format that was asked for.
pub(super) fn print_report(
    report: &Report,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<()> {
    match settings.format {
        Format::Json => printer.object(report),
        _ => printer.text(&report.as_text()),
    }
}

/// Refuses to write where something is.
pub(super) fn require_new_name(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() && !is_report(path) {
        return Err(Error::Exists { path: path.to_owned(), options: "name another --report FILE" });
    }
    Ok(())
}

/// Whether a file is a report of ours, which is written anew with its head.
fn is_report(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| {
        text.starts_with("<!DOCTYPE html>")
            && text.contains("name=\"generator\" content=\"sonoteca")
    })
}

/// Writes a report as HTML, all or nothing.
pub(super) fn write_report(report: &Report, path: &Path) -> Result<()> {
    let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let mut file = files::temporary_beside(path).map_err(failed)?;
    file.write_all(report.as_html().as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn task_of(name: TaskName) -> Task {
    match name {
        TaskName::Single => Task::Single,
        TaskName::Multi => Task::Multi,
        TaskName::Regression => Task::Regression,
    }
}

fn kind_of(name: HeadName) -> HeadKind {
    match name {
        HeadName::Prototype => HeadKind::Prototype,
        HeadName::Logistic => HeadKind::Logistic,
        HeadName::Ridge => HeadKind::Ridge,
        HeadName::Mlp => HeadKind::Mlp,
        HeadName::Lstm => HeadKind::Lstm,
        HeadName::Crnn => HeadKind::Crnn,
        HeadName::TfLstm => HeadKind::TfLstm,
    }
}
