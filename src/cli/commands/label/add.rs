//! `sonoteca label add`: a class, said of recordings or stretches of them.

use std::ffi::{OsStr, OsString};

use serde::Serialize;
use sonoteca::audio::excerpt::Stretch;
use sonoteca::audio::segment::TimeRange;
use sonoteca::label::places::Places;
use sonoteca::label::{BEHIND_END_S, stretch as stretch_of};
use sonoteca::store::Library;
use sonoteca::store::labels::{Judgement, NewLabel};
use sonoteca::{Error, Result};

use super::{readable_range, recording, user_name};
use crate::cli::Status;
use crate::cli::args::AddArgs;
use crate::cli::printer::{Printer, Row, counted};

pub(super) fn run(args: &AddArgs, library: &mut Library, printer: &mut Printer) -> Result<Status> {
    let places = Places::read(library)?;
    let (targets, class) = parts(args, &places)?;
    let judgement = match (args.negative, args.unsure) {
        (true, _) => Judgement::Negative,
        (false, true) => Judgement::Unsure,
        (false, false) => Judgement::Positive,
    };
    let source = args.source.clone().unwrap_or_else(user_name);
    // All of them are understood before the first is stored.
    let targets = targets.iter().map(|text| target(text, &places)).collect::<Result<Vec<_>>>()?;
    let writer = library.begin()?;
    let mut rows = Vec::new();
    for (recording, range) in targets {
        let (score, band_hz) = (None, None);
        let class = class.as_str();
        let source = source.as_str();
        let label = NewLabel { recording, class, range, judgement, source, score, band_hz };
        rows.push(AddedRow {
            label_id: writer.say_label(&label)?,
            recording_id: recording,
            start_s: range.map(|range| range.start_s),
            end_s: range.map(|range| range.end_s),
            class: class.to_owned(),
            judgement,
            source: source.to_owned(),
        });
    }
    writer.commit()?;
    let there = rows.iter().filter(|row| row.label_id.is_none()).count() as u64;
    if there > 0 {
        printer.note(&format!("Already there: {}", counted(there, "label")));
    }
    printer.rows(&rows)?;
    Ok(Status::Done)
}

/// The recordings and the class that were typed.
fn parts<'a>(args: &'a AddArgs, places: &Places) -> Result<(&'a [OsString], String)> {
    let (targets, class) = match (&args.class, &args.words[..]) {
        (Some(class), targets) => (targets, class.as_str()),
        (None, [targets @ .., class]) if !targets.is_empty() => {
            let Some(class) = class.to_str() else { return Err(no_class()) };
            // Somebody who forgot the class gave recordings only.
            if target(OsStr::new(class), places).is_ok() {
                return Err(no_class());
            }
            (targets, class)
        }
        _ => return Err(no_class()),
    };
    match class.trim() {
        "" => Err(no_class()),
        class => Ok((targets, class.to_owned())),
    }
}

fn no_class() -> Error {
    Error::Usage {
        problem: "no class is given: the last word is one, behind the recordings",
        hint: "for example: sonoteca label add id:12@3.5-4.2 Dog, or say it with --class NAME",
    }
}

/// What `text` names: a recording, or with `@START-END` a stretch of it. A name that only looks
/// like a stretch of another wins.
fn target(text: &OsStr, places: &Places) -> Result<(i64, Option<TimeRange>)> {
    let whole = match recording(places, text) {
        Ok(id) => return Ok((id, None)),
        Err(error) => error,
    };
    let Some((name, stretch)) = text.to_str().and_then(|text| text.rsplit_once('@')) else {
        return Err(whole);
    };
    let Some((start, end)) = stretch.split_once('-') else { return Err(whole) };
    let id = recording(places, OsStr::new(name))?;
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let (Some(start_s), Some(end_s)) =
        (number(start), if end.is_empty() { Some(None) } else { number(end).map(Some) })
    else {
        return Err(Error::Usage {
            problem: "a stretch is two numbers of seconds",
            hint: "for example @3.5-4.2, or @3.5- to the recording's end",
        });
    };
    let duration_s = places.extent(id).map_or(0.0, |extent| extent.duration_s);
    let stretch = Stretch { start_s, end_s };
    let is_there = end_s.is_none_or(|end_s| end_s <= duration_s + BEHIND_END_S);
    let Some(range) = stretch.within(duration_s).filter(|_| is_there) else {
        return Err(Error::NoStretch { what: name.to_owned(), stretch, duration_s });
    };
    Ok((id, Some(stretch_of(range.start_s, range.end_s))))
}

#[derive(Debug, Serialize)]
struct AddedRow {
    /// The new label; nothing, where it was there.
    label_id: Option<i64>,
    recording_id: i64,
    start_s: Option<f64>,
    end_s: Option<f64>,
    class: String,
    judgement: Judgement,
    source: String,
}

impl Row for AddedRow {
    const COLUMNS: &'static [&'static str] =
        &["label_id", "recording_id", "start_s", "end_s", "class", "judgement", "source"];
    const HEADINGS: &'static [&'static str] =
        &["Label", "Recording", "Seconds", "Class", "Judgement", "By"];

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<f64>| number.map_or_else(String::new, |n| n.to_string());
        vec![
            self.label_id.map_or_else(String::new, |id| id.to_string()),
            self.recording_id.to_string(),
            number(self.start_s),
            number(self.end_s),
            self.class.clone(),
            self.judgement.as_str().to_owned(),
            self.source.clone(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        let range = self.start_s.zip(self.end_s);
        vec![
            self.label_id.map_or_else(|| "there".to_owned(), |id| id.to_string()),
            format!("id:{}", self.recording_id),
            readable_range(range.map(|(start_s, end_s)| TimeRange { start_s, end_s })),
            self.class.clone(),
            self.judgement.as_str().to_owned(),
            self.source.clone(),
        ]
    }
}
