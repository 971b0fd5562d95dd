//! `sonoteca evaluate`: how well a head does on what it has not learnt from, or searches do.

use sonoteca::filter::Filter;
use sonoteca::search;
use sonoteca::store::Library;
use sonoteca::train::head::Head;
use sonoteca::train::head::card::RETRIEVAL;
use sonoteca::train::report::{Report, retrieval_as_text};
use sonoteca::train::retrieval::{RetrievalOptions, evaluate_retrieval};
use sonoteca::train::score::{Given, ScoreOptions, score};
use sonoteca::train::unseen::{self, Asked};
use sonoteca::{Error, Result};

use super::train::progress::TrainingProgress;
use super::train::{
    print_report, report_of, require_new_name, require_report_format, train, write_report,
};
use crate::cli::Status;
use crate::cli::args::{EvaluateArgs, Format};
use crate::cli::printer::{Printer, counted};
use crate::cli::settings::Settings;

pub(crate) fn run(
    args: &EvaluateArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    require_report_format(settings.format)?;
    let library = Library::open(&settings.library)?;
    if args.name.eq_ignore_ascii_case(RETRIEVAL) {
        return retrieval(args, &library, settings, printer);
    }
    if args.group_by.is_some() || args.model.is_some() {
        return Err(Error::Usage {
            problem: "a head is evaluated as it was trained: by its own model and groups",
            hint: "--group-by and --model are for: sonoteca evaluate retrieval",
        });
    }
    if let Some(path) = &args.report {
        require_new_name(path, &args.name)?;
    }
    let head = Head::load(&library, &args.name)?;
    let model = head.model_in(&library)?;
    let report = if let Some(filter) = &args.filter {
        let filter = Filter::parse(filter)?;
        let passing = library.passing(&filter, model.id, head.card().settings.by)?;
        let asked = unseen::ask(&library, &head, &model, Some(&passing))?;
        if asked.learnt_from > 0 {
            printer.note(&format!(
                "Left out, because the head learnt from them or from what belongs to them: {}.",
                counted(asked.learnt_from as u64, "recording")
            ));
        }
        let mut report = report_of_asked(&head, &asked);
        report.name_recordings(&library)?;
        report
    } else {
        let card = head.card();
        let how = (Some(card.kind), Some(card.task));
        let progress = TrainingProgress::new(settings);
        let trained = train(&library, &card.name, &model, how, &card.settings, &progress)?;
        report_of(&trained, &library)?
    };
    if let Some(path) = &args.report {
        write_report(&report, path)?;
        printer.note(&format!("Report: {}", path.display()));
    }
    print_report(&report, settings, printer)?;
    Ok(Status::Done)
}

/// What `head`, as it is, makes of recordings that are new to it: by its own temperature and
/// thresholds, since what was fitted to them would say how well heads can do, not how well it does.
fn report_of_asked(head: &Head, asked: &Asked) -> Report {
    let mut card = head.card().clone();
    let given = Given { temperature: card.temperature, thresholds: &card.thresholds };
    let options = ScoreOptions {
        precision: card.settings.precision,
        given: Some(given),
        ..ScoreOptions::default()
    };
    let mut scores = score(&asked.held_out, &options);
    if let (1.., Some(key)) = (asked.without_group, &card.settings.group_by) {
        scores.notes.push(format!(
            "{} no {key}, so that the head may have learnt from what belongs to them",
            have(asked.without_group)
        ));
    }
    card.scores = Some(scores);
    for note in &mut card.notes {
        *note = format!("when it was trained: {note}");
    }
    card.report(Some(&asked.held_out))
}

fn have(recordings: usize) -> String {
    let verb = if recordings == 1 { "has" } else { "have" };
    format!("{} {verb}", counted(recordings as u64, "recording"))
}

fn retrieval(
    args: &EvaluateArgs,
    library: &Library,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    if args.report.is_some() || args.filter.is_some() {
        return Err(Error::Usage {
            problem: "of retrieval there is no report with plots, and no filter",
            hint: "leave --report and --where out; --format json has every number",
        });
    }
    let model = search::choose_model(library, args.model.as_deref())?;
    let options = RetrievalOptions { group_by: args.group_by.as_deref(), ..Default::default() };
    let found = evaluate_retrieval(library, &model, &options)?;
    match settings.format {
        Format::Json => printer.object(&found)?,
        _ => printer.text(&retrieval_as_text(&found))?,
    }
    Ok(Status::Done)
}
