//! `sonoteca label add`: a class, said of recordings or stretches of them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde::Serialize;
use sonoteca::audio::excerpt::Stretch;
use sonoteca::audio::segment::TimeRange;
use sonoteca::case::folded;
use sonoteca::label::places::Places;
use sonoteca::label::{BEHIND_END_S, stretch as stretch_of};
use sonoteca::near::nearest;
use sonoteca::store::Library;
use sonoteca::store::endings::Meant;
use sonoteca::store::labels::{Judgement, NewLabel};
use sonoteca::units::times::parse_seconds;
use sonoteca::{Error, Result};

use super::{current_folder, readable_range, recording, user_name};
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
    let meant = nearest_classes(library, &class)?;
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
    let added = rows.iter().filter_map(|row| row.label_id);
    let added: Vec<String> = added.map(|id| id.to_string()).collect();
    if !meant.is_empty() && !added.is_empty() {
        printer.note(&format!(
            "Nothing was called `{class}` before; there is {}. To take it back: sonoteca label \
             remove {}",
            meant.join(", "),
            added.join(" ")
        ));
    }
    Ok(Status::Done)
}

/// Classes of labels that may have been meant by a `class` that no label has.
fn nearest_classes(library: &Library, class: &str) -> Result<Vec<String>> {
    let known = library.label_class_names()?;
    if known.iter().any(|known| folded(known) == folded(class)) {
        return Ok(Vec::new());
    }
    Ok(nearest(class, known.iter().map(String::as_str)))
}

/// The recordings and the class that were typed.
fn parts<'a>(args: &'a AddArgs, places: &Places) -> Result<(&'a [OsString], String)> {
    let (targets, class) = match (&args.class, &args.words[..]) {
        (Some(class), targets) => (targets, class.as_str()),
        (None, [targets @ .., class]) if !targets.is_empty() => {
            let Some(class) = class.to_str() else { return Err(no_class()) };
            // Somebody who forgot the class gave recordings only.
            if names_recording(class, places) {
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

/// Whether `text` is the name of a recording, or of a stretch of one.
fn names_recording(text: &str, places: &Places) -> bool {
    let is_known = |name: &str| places.find(Path::new(name), &current_folder()) != Meant::None;
    let stretched = text.rsplit_once('@').filter(|(_, stretch)| times(stretch).is_some());
    is_known(text) || stretched.is_some_and(|(name, _)| is_known(name))
}

fn no_class() -> Error {
    Error::Usage {
        problem: "no class is given: the last word is one, behind the recordings",
        hint: "for example: sonoteca label add id:12@3.5-4.2 Dog, or say it with --class NAME",
    }
}

/// What `text` names: a recording, with `@START-END` a stretch of it, or with `@TIME` a point in it.
/// A name that only looks like a stretch of another wins.
fn target(text: &OsStr, places: &Places) -> Result<(i64, Option<TimeRange>)> {
    let whole = match recording(places, text) {
        Ok(id) => return Ok((id, None)),
        Err(error) => error,
    };
    let Some((name, stretch)) = text.to_str().and_then(|text| text.rsplit_once('@')) else {
        return Err(whole);
    };
    let id = match (recording(places, OsStr::new(name)), Stretch::parse(stretch)) {
        (Ok(id), _) => id,
        // What looks like a stretch is one, and what stands before it is mistyped.
        (Err(error), Some(_)) => return Err(error),
        (Err(_), None) => return Err(whole),
    };
    let Some((start_s, end_s)) = times(stretch) else {
        return Err(Error::Usage {
            problem: "what stands behind @ is neither a stretch nor a time",
            hint: "for example id:12@3.5-4.2, id:12@9m-9m20s, id:12@1:02:03.5- to the recording's \
                   end, or id:12@6.5 for a point",
        });
    };
    let duration_s = places.extent(id).map_or(0.0, |extent| extent.duration_s);
    // As importing has it, where other programs' files have points and ends a little late.
    let latest_s = duration_s + BEHIND_END_S;
    let is_there = end_s.is_none_or(|end_s| end_s <= latest_s);
    let range = if end_s == Some(start_s) {
        Some(stretch_of(start_s, start_s)).filter(|_| start_s >= 0.0)
    } else {
        let stretch = Stretch { start_s, end_s };
        stretch.within(duration_s).map(|range| stretch_of(range.start_s, range.end_s))
    };
    match range.filter(|_| is_there) {
        Some(range) => Ok((id, Some(range))),
        None => Err(Error::NoStretch {
            what: name.to_owned(),
            stretch: Stretch { start_s, end_s },
            duration_s,
        }),
    }
}

/// `START-END`, `START-`, or one time, which is a point: its beginning and its end.
fn times(text: &str) -> Option<(f64, Option<f64>)> {
    match Stretch::parse(text) {
        Some(Stretch { start_s, end_s }) => Some((start_s, end_s)),
        None => parse_seconds(text).map(|time_s| (time_s, Some(time_s))),
    }
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
