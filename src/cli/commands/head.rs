//! `sonoteca head`: the heads of a library, in and out.

use serde::Serialize;
use sonoteca::case::folded;
use sonoteca::shell::quoted;
use sonoteca::store::Library;
use sonoteca::store::labels::MACHINE;
use sonoteca::train::head::card::HeadCard;
use sonoteca::train::head::{Head, read_files, write_files};
use sonoteca::train::score::Estimate;
use sonoteca::{Error, Result};

use super::train::require_report_format;
use crate::cli::Status;
use crate::cli::args::{Format, HeadCommand};
use crate::cli::printer::{Printer, Row};
use crate::cli::settings::Settings;

pub(crate) fn run(
    command: &HeadCommand,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let mut library = Library::open(&settings.library)?;
    match command {
        HeadCommand::List => list(&library, printer),
        HeadCommand::Show { name } => {
            require_report_format(settings.format)?;
            let head = Head::load(&library, name)?;
            match settings.format {
                Format::Json => printer.object(head.card())?,
                _ => printer.text(&head.card().report(None).as_text())?,
            }
            Ok(Status::Done)
        }
        HeadCommand::Export { name, weights: true, .. } => {
            let head = Head::load(&library, name)?;
            printer.object(&head.plain_weights()?)?;
            Ok(Status::Done)
        }
        HeadCommand::Export { name, out, weights: false, replace } => {
            let head = Head::load(&library, name)?;
            for path in write_files(&head, out, *replace)? {
                printer.note(&format!("Written: {}", path.display()));
            }
            Ok(Status::Done)
        }
        HeadCommand::Import { file, name, replace } => {
            let mut head = read_files(file)?;
            if let Some(name) = name {
                head = head.renamed(name)?;
            }
            if !replace && library.head(&head.card().name)?.is_some() {
                return Err(Error::Usage {
                    problem: "the library has a head of that name",
                    hint: "give it another: --name NAME; or take that one's place: --replace",
                });
            }
            let writer = library.begin()?;
            head.put(&writer)?;
            writer.commit()?;
            let own = head.card().model.identity();
            if !library.models()?.iter().any(|model| model.identity == own) {
                printer.warning(&format!(
                    "this library has no vectors of {}, which {} reads; index with that first",
                    own.name,
                    head.card().name
                ));
            }
            printer.note(&format!("Brought in {}.", head.card().name));
            Ok(Status::Done)
        }
        HeadCommand::Remove { names } => {
            // All or none: a name that is misspelt should not cost the others.
            for name in names {
                Head::load(&library, name).map(drop).or_else(|error| match error {
                    // A damaged head can be removed, too.
                    Error::Training(sonoteca::TrainingProblem::NoHead { .. }) => Err(error),
                    _ => Ok(()),
                })?;
            }
            let writer = library.begin()?;
            for name in names {
                writer.remove_head(name)?;
            }
            writer.commit()?;
            printer.note(&format!("Removed {}.", names.join(", ")));
            let sources = library.label_sources()?;
            for name in names {
                let source = format!("{MACHINE}{name}");
                if sources.iter().any(|other| folded(other) == folded(&source)) {
                    let remove = format!("sonoteca label remove --source {}", quoted(&source));
                    printer.note(&format!(
                        "The labels that it said stay; to take them away: {}",
                        settings.pasted(&remove)
                    ));
                }
            }
            Ok(Status::Done)
        }
    }
}

fn list(library: &Library, printer: &mut Printer) -> Result<Status> {
    let mut rows = Vec::new();
    for stored in library.heads()? {
        match HeadCard::parse(&stored.name, &stored.card) {
            Ok(card) => rows.push(HeadRow::of(&card)),
            Err(error) => printer.error(&error),
        }
    }
    if rows.is_empty() {
        printer.note("There is no head yet: sonoteca train NAME");
        return Ok(Status::NothingFound);
    }
    printer.rows(&rows)?;
    Ok(Status::Done)
}

#[derive(Debug, Serialize)]
struct HeadRow {
    name: String,
    kind: &'static str,
    task: String,
    classes: Vec<String>,
    model: String,
    recordings: usize,
    trained_at: String,
    accuracy: Option<f64>,
    accuracy_low: Option<f64>,
    accuracy_high: Option<f64>,
    r_squared: Option<f64>,
}

impl HeadRow {
    fn of(card: &HeadCard) -> Self {
        let accuracy = card.scores.as_ref().map(|scores| scores.accuracy);
        let Estimate { value, low, high } = accuracy.unwrap_or_default();
        let numbers = card.scores.as_ref().and_then(|scores| scores.numbers.as_ref());
        Self {
            name: card.name.clone(),
            kind: card.kind.as_str(),
            task: format!("{:?}", card.task).to_lowercase(),
            classes: card.classes.clone(),
            model: card.model.name.clone(),
            recordings: card.learnt_from.recordings,
            trained_at: card.trained_at.clone(),
            accuracy: value,
            accuracy_low: low,
            accuracy_high: high,
            r_squared: numbers.and_then(|numbers| numbers.r_squared.value),
        }
    }
}

impl Row for HeadRow {
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "kind",
        "task",
        "classes",
        "model",
        "recordings",
        "trained_at",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "r_squared",
    ];
    const HEADINGS: &'static [&'static str] =
        &["Name", "Kind", "Classes", "Model", "Recordings", "Held-out accuracy", "Trained"];

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        vec![
            self.name.clone(),
            self.kind.to_owned(),
            self.task.clone(),
            self.classes.join(";"),
            self.model.clone(),
            self.recordings.to_string(),
            self.trained_at.clone(),
            number(self.accuracy),
            number(self.accuracy_low),
            number(self.accuracy_high),
            number(self.r_squared),
        ]
    }

    fn readable(&self) -> Vec<String> {
        // Of several classes at once nearly all cells are no, and saying so is right.
        let of_what = if self.task == "multi" { ", balanced" } else { "" };
        let accuracy = match (self.accuracy, self.accuracy_low.zip(self.accuracy_high)) {
            (Some(value), Some((low, high))) => {
                format!("{value:.3} ({low:.3} to {high:.3}){of_what}")
            }
            (Some(value), None) => format!("{value:.3}{of_what}"),
            (None, _) => {
                self.r_squared.map_or_else(|| "unknown".to_owned(), |r| format!("R² {r:.3}"))
            }
        };
        let classes = match &self.classes[..] {
            few @ ([] | [_] | [_, _] | [_, _, _]) => few.join(", "),
            [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
        };
        vec![
            self.name.clone(),
            self.kind.to_owned(),
            classes,
            self.model.clone(),
            self.recordings.to_string(),
            accuracy,
            self.trained_at.clone(),
        ]
    }
}
