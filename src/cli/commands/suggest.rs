//! `sonoteca suggest`: what to listen to and label next.

use serde::Serialize;
use sonoteca::Result;
use sonoteca::filter::Filter;
use sonoteca::search::{self, Scope};
use sonoteca::shell::quoted;
use sonoteca::store::Library;
use sonoteca::store::recordings::StoredRecording;
use sonoteca::train::head::Head;
use sonoteca::train::head::card::HeadCard;
use sonoteca::train::rank::suggest::{SuggestSpec, Suggestion, Why, suggest};

use super::predict::tell_of_left;
use crate::cli::Status;
use crate::cli::args::{By, Format, SuggestArgs};
use crate::cli::printer::{Printer, Row, path_hex, readable_path};
use crate::cli::settings::Settings;

pub(crate) fn run(
    args: &SuggestArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let filter = args.filter.as_deref().map(Filter::parse).transpose()?;
    let library = Library::open(&settings.library)?;
    let head = Head::load(&library, &args.name)?;
    let model = head.model_in(&library)?;
    let level = args.by.map_or(head.card().settings.by, By::level);
    let class = args.class.as_deref().map(|class| head.class(class)).transpose()?;
    let allowed = search::allowed(&library, filter.as_ref(), &model, level)?;
    let scope = Scope { allowed, ..Scope::default() };
    let spec = SuggestSpec { count: args.count as usize, class, level, scope };
    let (found, left) = suggest(&library, &head, &model, &spec)?;
    tell_of_left(left, printer);
    let mut rows = Vec::with_capacity(found.len());
    for suggestion in &found {
        // What another process removed meanwhile is no suggestion.
        if let Some(recording) = library.recording(suggestion.recording)? {
            rows.push(SuggestionRow::new(suggestion, &recording, head.card(), settings));
        }
    }
    if rows.is_empty() {
        printer.note("There is nothing left to label: all of it has labels by people.");
        return Ok(Status::NothingFound);
    }
    if settings.format == Format::Table {
        let commands: Vec<String> = rows
            .iter()
            .map(|row| format!("{}\n      {}", row.command, row.other_command))
            .collect();
        let cells = rows.iter().map(Row::readable).collect();
        printer.annotated_table(SuggestionRow::HEADINGS, cells, &commands)?;
    } else {
        printer.rows(&rows)?;
    }
    Ok(Status::Done)
}

/// A suggestion as it is printed.
#[derive(Debug, Serialize)]
struct SuggestionRow {
    recording_id: i64,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    /// Null: all of it.
    start_s: Option<f64>,
    end_s: Option<f64>,
    /// `unsure` or `probable`.
    kind: &'static str,
    class: String,
    /// The class that is almost as probable.
    other_class: Option<String>,
    score: f64,
    margin: f64,
    why: String,
    /// What labels it so, once somebody has listened.
    command: String,
    /// What labels it otherwise: as the other class, or as none of this one.
    other_command: String,
    #[serde(skip)]
    readable_path: String,
}

impl SuggestionRow {
    fn new(
        suggestion: &Suggestion,
        recording: &StoredRecording,
        card: &HeadCard,
        settings: &Settings,
    ) -> Self {
        let name = |class: usize| card.classes[class].clone();
        let (kind, class, other, why) = match suggestion.why {
            Why::Between(first, second) => {
                let why = format!("unsure between {} and {}", name(first), name(second));
                ("unsure", first, Some(second), why)
            }
            Why::Whether(class) => ("unsure", class, None, format!("unsure about {}", name(class))),
            Why::Probably(class) => ("probable", class, None, format!("probably {}", name(class))),
        };
        let stretch = suggestion.range.map_or_else(String::new, |range| {
            format!("@{}-{}", seconds(range.start_s), seconds(range.end_s))
        });
        let label = |class: usize, further: &str| {
            let (id, class) = (recording.id, name(class));
            // Not taken for an option.
            let class = match quoted(&class) {
                word if class.starts_with('-') => format!("--class={word}"),
                word => word,
            };
            settings.pasted(&format!("sonoteca label add id:{id}{stretch} {class}{further}"))
        };
        let other_command =
            other.map_or_else(|| label(class, " --negative"), |other| label(other, ""));
        Self {
            recording_id: recording.id,
            path: recording.path.to_string_lossy().into_owned(),
            path_hex: path_hex(&recording.path),
            start_s: suggestion.range.map(|range| range.start_s),
            end_s: suggestion.range.map(|range| range.end_s),
            kind,
            class: name(class),
            other_class: other.map(name),
            score: suggestion.score,
            margin: suggestion.margin,
            why,
            command: label(class, ""),
            other_command,
            readable_path: readable_path(&recording.path).into_owned(),
        }
    }
}

/// Seconds to a thousandth, without zeros at the end.
fn seconds(seconds: f64) -> String {
    let text = format!("{seconds:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Row for SuggestionRow {
    const COLUMNS: &'static [&'static str] = &[
        "recording_id",
        "path",
        "start_s",
        "end_s",
        "kind",
        "class",
        "other_class",
        "score",
        "margin",
        "why",
        "command",
        "other_command",
    ];
    const HEADINGS: &'static [&'static str] = &["Id", "Recording", "Seconds", "Why", "Score"];

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<f64>| number.map_or_else(String::new, |n| n.to_string());
        vec![
            self.recording_id.to_string(),
            self.path.clone(),
            number(self.start_s),
            number(self.end_s),
            self.kind.to_owned(),
            self.class.clone(),
            self.other_class.clone().unwrap_or_default(),
            self.score.to_string(),
            self.margin.to_string(),
            self.why.clone(),
            self.command.clone(),
            self.other_command.clone(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        let range = match (self.start_s, self.end_s) {
            (Some(start_s), Some(end_s)) => format!("{start_s:.2}–{end_s:.2}"),
            _ => "all".to_owned(),
        };
        vec![
            format!("id:{}", self.recording_id),
            self.readable_path.clone(),
            range,
            self.why.clone(),
            format!("{:.3}", self.score),
        ]
    }
}
