//! `sonoteca label list`: counts by class, or single labels.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Serialize;
use sonoteca::Result;
use sonoteca::label::places::Places;
use sonoteca::store::Library;
use sonoteca::store::labels::{Judgement, LabelClass, LabelOrder, LabelSelection, StoredLabel};

use super::{readable_range, recordings, selection};
use crate::cli::Status;
use crate::cli::args::{Format, ListLabelsArgs};
use crate::cli::printer::{Printer, Row, path_hex, readable_path};
use crate::cli::settings::Settings;

/// Labels that are printed at once where columns need not be as wide as the widest.
const AT_ONCE: usize = 1_000;

pub(super) fn run(
    args: &ListLabelsArgs,
    library: &Library,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let mut selection = selection(&args.selection);
    selection.recordings =
        recordings(library, &args.recordings, (args.filter.as_deref(), args.model.as_deref()))?;
    let found = if selection.is_all() && !args.all {
        summary(library, printer)?
    } else {
        each(library, &selection, settings.format, printer)?
    };
    if found {
        return Ok(Status::Done);
    }
    printer.note(if selection.is_all() {
        "There are no labels yet: sonoteca label add, or sonoteca label import FILE"
    } else {
        "There are no such labels."
    });
    Ok(Status::NothingFound)
}

/// Prints how many labels there are of each class; whether there is any.
fn summary(library: &Library, printer: &mut Printer) -> Result<bool> {
    let classes = library.label_classes(&LabelSelection::default())?;
    let rows: Vec<ClassRow> = classes.into_iter().map(ClassRow::new).collect();
    printer.rows(&rows)?;
    Ok(!rows.is_empty())
}

/// Prints each label of `selection`; whether there is any.
fn each(
    library: &Library,
    selection: &LabelSelection,
    format: Format,
    printer: &mut Printer,
) -> Result<bool> {
    let paths = paths(library)?;
    let mut rows: Vec<LabelRow> = Vec::new();
    let mut found = false;
    library.for_each_label(selection, LabelOrder::Added, |label| {
        let is_first = !std::mem::replace(&mut found, true);
        let path = paths.get(&label.recording).cloned().unwrap_or_default();
        let row = LabelRow::new(label, &path);
        match format {
            Format::Json => return printer.object(&row),
            Format::Csv => {
                // A table of values is printed as it comes, its header with the first row.
                let heading = LabelRow::COLUMNS.iter().map(|name| name.as_bytes().to_vec());
                let cells = row.cells().into_iter().map(String::into_bytes).collect();
                let lines = is_first.then(|| heading.collect()).into_iter().chain([cells]);
                return printer.spreadsheet(lines);
            }
            _ => rows.push(row),
        }
        if rows.len() == AT_ONCE {
            printer.rows(&rows)?;
            rows.clear();
        }
        Ok(())
    })?;
    if !rows.is_empty() {
        printer.rows(&rows)?;
    }
    Ok(found)
}

/// The paths of all recordings, by id.
pub(super) fn paths(library: &Library) -> Result<HashMap<i64, PathBuf>> {
    let places = Places::read(library)?;
    Ok(places.paths().map(|(path, id)| (id, path.to_owned())).collect())
}

#[derive(Debug, Serialize)]
struct ClassRow {
    class: String,
    positive: u64,
    negative: u64,
    unsure: u64,
    recordings: u64,
    by_people: u64,
    by_machines: u64,
}

impl ClassRow {
    fn new(class: LabelClass) -> Self {
        let LabelClass { class, positive, negative, unsure, recordings, by_people, by_machines } =
            class;
        Self { class, positive, negative, unsure, recordings, by_people, by_machines }
    }
}

impl Row for ClassRow {
    const COLUMNS: &'static [&'static str] =
        &["class", "positive", "negative", "unsure", "recordings", "by_people", "by_machines"];
    const HEADINGS: &'static [&'static str] =
        &["Class", "Positive", "Negative", "Unsure", "Recordings", "By people", "By machines"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.class.clone(),
            self.positive.to_string(),
            self.negative.to_string(),
            self.unsure.to_string(),
            self.recordings.to_string(),
            self.by_people.to_string(),
            self.by_machines.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}

/// A label, for programs and people.
#[derive(Debug, Serialize)]
pub(super) struct LabelRow {
    id: i64,
    recording_id: i64,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    start_s: Option<f64>,
    end_s: Option<f64>,
    class: String,
    judgement: Judgement,
    source: String,
    score: Option<f64>,
    low_hz: Option<f64>,
    high_hz: Option<f64>,
    created_at: String,
    #[serde(skip)]
    readable_path: String,
    #[serde(skip)]
    readable_range: String,
}

impl LabelRow {
    pub(super) fn new(label: StoredLabel, path: &std::path::Path) -> Self {
        Self {
            id: label.id,
            recording_id: label.recording,
            path: path.to_string_lossy().into_owned(),
            path_hex: path_hex(path),
            start_s: label.range.map(|range| range.start_s),
            end_s: label.range.map(|range| range.end_s),
            class: label.class,
            judgement: label.judgement,
            source: label.source,
            score: label.score,
            low_hz: label.band_hz.map(|(low, _)| low),
            high_hz: label.band_hz.map(|(_, high)| high),
            created_at: label.created_at,
            readable_path: readable_path(path).into_owned(),
            readable_range: readable_range(label.range),
        }
    }
}

impl Row for LabelRow {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "recording_id",
        "path",
        "start_s",
        "end_s",
        "class",
        "judgement",
        "source",
        "score",
        "low_hz",
        "high_hz",
        "created_at",
    ];
    const HEADINGS: &'static [&'static str] =
        &["Label", "Recording", "Seconds", "Class", "Judgement", "By", "Score"];

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<f64>| number.map_or_else(String::new, |n| n.to_string());
        vec![
            self.id.to_string(),
            self.recording_id.to_string(),
            self.path.clone(),
            number(self.start_s),
            number(self.end_s),
            self.class.clone(),
            self.judgement.as_str().to_owned(),
            self.source.clone(),
            number(self.score),
            number(self.low_hz),
            number(self.high_hz),
            self.created_at.clone(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.readable_path.clone(),
            self.readable_range.clone(),
            self.class.clone(),
            self.judgement.as_str().to_owned(),
            self.source.clone(),
            self.score.map_or_else(String::new, |score| format!("{score:.3}")),
        ]
    }
}
