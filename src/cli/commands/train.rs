//! `sonoteca train`: labels into a head.

pub(super) mod progress;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use sonoteca::files::NewFile;
use sonoteca::filter::Filter;
use sonoteca::search::{self, Level};
use sonoteca::shell::quoted;
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::train::examples::Dropped;
use sonoteca::train::head::card::{HeadCard, TrainingSettings, check_name};
use sonoteca::train::learner::{Augmentation, ClassWeights, HeadKind, Watch};
use sonoteca::train::report::Report;
use sonoteca::train::split::Plan;
use sonoteca::train::task::Task;
use sonoteca::train::training::{self, Order, Trained};
use sonoteca::{Error, Result, dates};

use crate::cli::Status;
use crate::cli::args::{AugmentName, Format, HeadName, TaskName, TrainArgs, WeightsName};
use crate::cli::printer::{Printer, counted, grouped};
use crate::cli::settings::Settings;
use progress::TrainingProgress;

/// The precision that thresholds are to have where none is said.
const USUAL_PRECISION: f64 = 0.9;

pub(crate) fn run(args: &TrainArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    check_name(&args.name)?;
    require_report_format(settings.format)?;
    if let Some(path) = &args.report {
        require_new_name(path, &args.name)?;
    }
    let task = args.task.map(task_of).or(args.target.as_ref().map(|_| Task::Regression));
    if args.target.is_some() && !args.classes.is_empty() {
        return Err(Error::Usage {
            problem: "--target is for numbers, and --classes for classes",
            hint: "leave one of the two out",
        });
    }
    require_meaning(args, task)?;
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
        classes: classes_of(&args.classes)?,
        target: args.target.clone(),
        exhaustive: args.exhaustive,
        group_by: args.group_by.clone(),
        filter: args.filter.clone(),
        plan: args.hold_out.map_or(Plan::Folds(usize::from(args.folds)), Plan::HoldOut),
        class_weights: match args.class_weights {
            WeightsName::None => ClassWeights::None,
            WeightsName::Balanced => ClassWeights::Balanced,
        },
        augmentation: match args.augment {
            AugmentName::None => Augmentation::None,
            AugmentName::Mixup => Augmentation::Mixup,
            AugmentName::Masks => Augmentation::Masks,
            AugmentName::Both => Augmentation::Both,
        },
        precision: args.precision.unwrap_or(USUAL_PRECISION),
        seed: args.seed,
    };
    let kind = args.head.map(kind_of);
    let earlier = library.head(&args.name)?.and_then(|head| {
        // One that no longer reads is replaced as well.
        HeadCard::parse(&head.name, &head.card).ok()
    });
    // What it said before it says again, unless that was asked for otherwise: a correction is no wish
    // for another kind of head.
    let task = task.or_else(|| same_task(earlier.as_ref(), args));
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
    for difference in earlier.iter().flat_map(|earlier| differences(earlier, card)) {
        printer.warning(&format!("the earlier {} was trained {difference}", card.name));
    }
    for Dropped { class, recordings } in &trained.dropped {
        printer.warning(&format!(
            "`{class}` was left out: {} labelled so, and nothing could be learnt of it, because other \
             classes are there too, or because it is too short; its labels: {}",
            match recordings {
                1 => "1 recording is".to_owned(),
                count => format!("{} recordings are", grouped(*count)),
            },
            settings.pasted(&format!("sonoteca label list --class {}", quoted(class)))
        ));
    }
    let report = report_of(&trained, &library)?;
    if let Some(path) = &args.report {
        write_report(&report, path)?;
        printer.note(&format!("Report: {}", path.display()));
    }
    print_report(&report, settings, printer)?;
    printer.note(&format!(
        "Trained {} ({}) on {}; use it: {}",
        card.name,
        card.kind.as_str(),
        counted(card.learnt_from.recordings as u64, "recording"),
        settings.pasted(&format!("sonoteca predict {}", card.name))
    ));
    Ok(Status::Done)
}

/// The classes that were typed between commas.
fn classes_of(typed: &[String]) -> Result<Vec<String>> {
    let classes: Vec<String> = typed.iter().map(|class| class.trim().to_owned()).collect();
    if classes.iter().any(String::is_empty) {
        return Err(Error::Usage {
            problem: "between two commas of --classes, or behind the last one, stands no class",
            hint: "for example: --classes robin,wren",
        });
    }
    Ok(classes)
}

/// Refuses options that say nothing of numbers, instead of passing over them.
fn require_meaning(args: &TrainArgs, task: Option<Task>) -> Result<()> {
    let is_of_classes =
        args.exhaustive || args.precision.is_some() || args.class_weights != WeightsName::None;
    if task == Some(Task::Regression) && is_of_classes {
        return Err(Error::Usage {
            problem: "--exhaustive, --precision and --class-weights are for classes, not for numbers",
            hint: "leave them out, or train on classes: without --target",
        });
    }
    Ok(())
}

/// The task of the head that is trained again, where its classes are.
fn same_task(earlier: Option<&HeadCard>, args: &TrainArgs) -> Option<Task> {
    let earlier = earlier?;
    let is_of_one = args.classes.len() == 1 || earlier.classes.len() == 1;
    (earlier.task != Task::Regression && !is_of_one).then_some(earlier.task)
}

/// How a head was trained otherwise than the one that it replaces, whose settings it does not
/// inherit, in words.
fn differences(earlier: &HeadCard, card: &HeadCard) -> Vec<String> {
    let (before, now) = (&earlier.settings, &card.settings);
    let option = |name: &str, value: &Option<String>| match value {
        None => format!("without {name}"),
        Some(value) => format!("with {name} {}", quoted(value)),
    };
    let by = |level: Level| match level {
        Level::Recording => "with --by recording".to_owned(),
        Level::Segment => "with --by segment".to_owned(),
    };
    let all = [
        (
            format!("with --head {}", earlier.kind.as_str()),
            format!("with --head {}", card.kind.as_str()),
        ),
        (by(before.by), by(now.by)),
        (option("--group-by", &before.group_by), option("--group-by", &now.group_by)),
        (option("--where", &before.filter), option("--where", &now.filter)),
        (option("--target", &before.target), option("--target", &now.target)),
        (augmented(before.augmentation), augmented(now.augmentation)),
        (exhaustive(before.exhaustive), exhaustive(now.exhaustive)),
        (format!("with --seed {}", before.seed), format!("with --seed {}", now.seed)),
    ];
    let changed = all.into_iter().filter(|(before, now)| before != now);
    changed.map(|(before, now)| format!("{before}, this one {now}")).collect()
}

fn augmented(how: Augmentation) -> String {
    format!("with --augment {how:?}").to_lowercase()
}

fn exhaustive(is_exhaustive: bool) -> String {
    if is_exhaustive { "with --exhaustive" } else { "without --exhaustive" }.to_owned()
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

/// What is known of a head that was just trained on `library`.
pub(super) fn report_of(trained: &Trained, library: &Library) -> Result<Report> {
    let mut report = trained.head.card().report(trained.held_out.as_ref());
    report.name_recordings(library)?;
    Ok(report)
}

/// Refuses what a report cannot be printed as, before anything takes time.
pub(super) fn require_report_format(format: Format) -> Result<()> {
    if format == Format::Csv {
        return Err(Error::Usage {
            problem: "a report is several tables, and CSV is one",
            hint: "choose --format json, or write the plots and tables with --report FILE.html",
        });
    }
    Ok(())
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

/// Refuses to write a report of the head called `head` where something else is, or where nothing can
/// be, before anything takes time.
pub(super) fn require_new_name(path: &Path, head: &str) -> Result<()> {
    // Gone when it is dropped.
    NewFile::beside(path).map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })?;
    if path.symlink_metadata().is_ok() && !is_report(path, head) {
        return Err(Error::Exists { path: path.to_owned(), options: "name another --report FILE" });
    }
    Ok(())
}

/// Whether a file is a report of ours of this head, which is written anew with it.
fn is_report(path: &Path, head: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| {
        text.starts_with("<!DOCTYPE html>")
            && text.contains("name=\"generator\" content=\"sonoteca")
            && text.contains(&format!("<h1>{head}</h1>"))
    })
}

/// Writes a report as HTML, all or nothing.
pub(super) fn write_report(report: &Report, path: &Path) -> Result<()> {
    let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let mut file = NewFile::beside(path).map_err(failed)?;
    file.write_all(report.as_html().as_bytes()).map_err(failed)?;
    file.publish(path, true).map_err(failed)
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
