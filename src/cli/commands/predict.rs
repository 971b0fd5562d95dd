//! `sonoteca predict`: what a head hears in the library, or in files.

mod files;
mod output;
mod stored;

use std::time::{Duration, Instant};

use sonoteca::filter::Filter;
use sonoteca::index::scope::Allowed;
use sonoteca::milvus::Store;
use sonoteca::search::{self, Level, Scope};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::train::head::Head;
use sonoteca::train::predict::{Bar, Detection, Hearing, Left, Saved, save};
use sonoteca::train::task::Task;
use sonoteca::{Error, Result};

use super::search::tell_of_unmet;
use super::stores;
use crate::cli::Status;
use crate::cli::args::PredictArgs;
use crate::cli::printer::{Printer, counted, grouped};
use crate::cli::settings::Settings;
use output::{Output, Sound};

/// Time between lines that say how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What is asked, of which head.
struct Question {
    head: Head,
    model: StoredModel,
    level: Level,
    classes: Vec<usize>,
    bar: Bar,
}

pub(crate) fn run(
    args: &PredictArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let mut library = Library::open(&settings.library)?;
    let store = args.store.as_deref().map(|address| stores::open(address, printer)).transpose()?;
    let question = Question::new(args, &library, store.as_ref().map(Store::model))?;
    question.tell_of_thresholds(args, printer);
    let mut output = Output::new(settings.format, args.out.as_deref(), question.head.card())?;
    if !args.paths.is_empty() {
        let status = files::run(&args.paths, &question, &library, &mut output, printer)?;
        output.finish(printer)?;
        return Ok(status);
    }
    let filter = args.filter.as_deref().map(Filter::parse).transpose()?;
    if let Some(store) = &store {
        let left = stored::run(store, &question, filter.as_ref(), &mut output, printer)?;
        let rows = output.finish(printer)?;
        tell_of_left(left, printer);
        return Ok(told_of(rows, printer));
    }
    let Question { head, model, level, bar, classes } = &question;
    let allowed = search::allowed(&library, filter.as_ref(), model, *level)?;
    if args.save && matches!(allowed, Allowed::Segments(_)) {
        return Err(Error::Usage {
            problem: "--save is about whole recordings, and this filter is about moments in them",
            hint: "filter by what recordings have, or leave --save out",
        });
    }
    let total = library.count_searched_after(0, model.id, *level)?;
    let scope = Scope { allowed, ..Scope::default() };
    let mut hearing = Hearing::new(head, model, *level, scope)?;
    let mut saved = Saved::default();
    let mut told = Instant::now();
    loop {
        let some = hearing.next_some(&library)?;
        if some.is_empty() {
            break;
        }
        let found: Vec<(i64, Vec<Detection>)> =
            some.iter().map(|said| (said.recording, bar.detect(said))).collect();
        if args.save {
            let now = save(&mut library, head.card(), classes, &found)?;
            saved.labels += now.labels;
            saved.added += now.added;
            saved.removed += now.removed;
        }
        for (id, detections) in found.iter().filter(|(_, detections)| !detections.is_empty()) {
            // What another process removed meanwhile is passed over.
            if let Some(recording) = library.recording(*id)? {
                output.write(&Sound::stored(&recording), detections, printer)?;
            }
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let (read, total) = (grouped(hearing.read), grouped(total.max(hearing.read)));
            printer.note(&format!("{read} of {total} vectors"));
        }
    }
    let rows = output.finish(printer)?;
    tell_of_left(hearing.left, printer);
    if args.save {
        printer.note(&format!(
            "Labels of head:{}: {}, of which {} new; {} taken away.",
            head.card().name,
            grouped(saved.labels),
            grouped(saved.added),
            grouped(saved.removed)
        ));
    }
    let status = told_of(rows, printer);
    if status == Status::NothingFound {
        tell_of_unmet(&library, filter.as_ref(), printer)?;
    }
    Ok(status)
}

/// How it ends after so many rows.
fn told_of(rows: u64, printer: &Printer) -> Status {
    if rows > 0 {
        return Status::Done;
    }
    printer.note("Nothing was detected.");
    Status::NothingFound
}

impl Question {
    /// What `args` ask of the head in `library`, about vectors of `model`, or else of the library's.
    fn new(args: &PredictArgs, library: &Library, model: Option<StoredModel>) -> Result<Self> {
        let head = Head::load(library, &args.name)?;
        let card = head.card();
        let level = args.by.map_or(card.settings.by, super::super::args::By::level);
        let classes: Vec<usize> =
            args.class.iter().map(|class| head.class(class)).collect::<Result<_>>()?;
        if card.task == Task::Regression && (args.save || args.threshold.is_some()) {
            return Err(Error::Usage {
                problem: "the head says a number, which has no threshold and is no label",
                hint: "leave --save and --threshold out",
            });
        }
        let model = match model {
            Some(model) => {
                head.require_model(&model.identity)?;
                model
            }
            None => head.model_in(library)?,
        };
        let hop_s = model.segmentation.map_or(model.hop_s, |segments| segments.hop_s);
        let bar = Bar::new(card, level, hop_s, (args.threshold, &classes));
        Ok(Self { head, model, level, classes, bar })
    }

    /// Says when thresholds were measured on something else than what is asked about.
    fn tell_of_thresholds(&self, args: &PredictArgs, printer: &Printer) {
        let card = self.head.card();
        if args.threshold.is_some() || card.task == Task::Regression {
            return;
        }
        let found_on = match (card.settings.by, self.level) {
            (Level::Recording, Level::Segment) => "whole recordings",
            (Level::Segment, Level::Recording) => "segments",
            _ => return,
        };
        printer.note(&format!(
            "The thresholds of {} were found on {found_on}, which is not what is asked about; \
             --threshold sets another.",
            card.name
        ));
    }
}

/// Says what nothing was said of.
pub(super) fn tell_of_left(left: Left, printer: &Printer) {
    if left.unfit > 0 {
        let rows = counted(left.unfit, "vector");
        printer.note(&format!("Left out, being silent, clipped or damaged: {rows}."));
    }
    if left.unread > 0 {
        let rows = counted(left.unread, "stretch").replace("stretchs", "stretches");
        printer.warning(&format!(
            "{rows} could not be heard again: their files are gone, have changed, or do not decode"
        ));
    }
}
