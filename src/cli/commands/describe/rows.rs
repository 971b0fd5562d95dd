//! What is heard, as rows.
//!
//! In: hearings. Out: tables, objects, a spreadsheet or a label track.

use serde::Serialize;
use sonoteca::Result;
use sonoteca::describe::{ClassSummary, Event, Hearing, Listening};
use sonoteca::label::writing::track_line;

use super::pitch_rows;
use crate::cli::args::{DescribeArgs, Format};
use crate::cli::printer::{Printer, Row, counted};

pub(super) fn print(
    args: &DescribeArgs,
    name: &str,
    listening: &Listening,
    format: Format,
    printer: &mut Printer,
) -> Result<()> {
    let Listening { hearings, pitches, .. } = listening;
    match format {
        Format::Audacity | Format::Raven => {
            let mut text = track(hearings);
            pitch_rows::add_to_track(&mut text, pitches);
            printer.text(&text)
        }
        // Models of one kind, as was asked for.
        Format::Csv => match (hearings.is_empty(), args.segments) {
            (false, true) => printer.rows(&segments(hearings)),
            (false, false) => printer.rows(&events(hearings)),
            (true, true) => printer.rows(&pitch_rows::frames(pitches)),
            (true, false) => printer.rows(&pitch_rows::stretches(pitches)),
        },
        Format::Json => {
            for hearing in hearings {
                printer.object(&Summary::new(name, hearing, usize::from(args.top)))?;
            }
            if args.segments {
                printer.rows(&segments(hearings))?;
            } else {
                printer.rows(&events(hearings))?;
            }
            pitch_rows::objects(pitches, name, args.segments, printer)
        }
        Format::Table => {
            for (index, hearing) in hearings.iter().enumerate() {
                if index > 0 {
                    printer.text("\n")?;
                }
                tables(args, name, hearing, printer)?;
            }
            for (index, pitch) in pitches.iter().enumerate() {
                if index > 0 || !hearings.is_empty() {
                    printer.text("\n")?;
                }
                pitch_rows::table(pitch, name, args.segments, printer)?;
            }
            Ok(())
        }
    }
}

fn tables(args: &DescribeArgs, name: &str, hearing: &Hearing, printer: &mut Printer) -> Result<()> {
    let (start_s, duration_s) = (hearing.start_s, hearing.end.duration_s);
    printer.text(&format!(
        "{name}, {start_s:.2} to {:.2} s: {} by {}\n",
        start_s + duration_s,
        counted(hearing.segments as u64, "segment"),
        hearing.model
    ))?;
    if hearing.left_out < hearing.segments {
        let classes: Vec<ClassRow> = classes(hearing, usize::from(args.top));
        printer.text("\n")?;
        printer.rows(&classes)?;
    }
    let hearings = std::slice::from_ref(hearing);
    if args.segments && !hearing.heard.is_empty() {
        printer.text("\n")?;
        return printer.rows(&segments(hearings));
    }
    if !args.segments && !hearing.events.is_empty() {
        printer.text("\n")?;
        return printer.rows(&events(hearings));
    }
    Ok(())
}

fn class_name(hearing: &Hearing, class: usize) -> String {
    hearing.class_names.get(class).cloned().unwrap_or_default()
}

fn classes(hearing: &Hearing, count: usize) -> Vec<ClassRow> {
    let classes = hearing.classes(count).into_iter();
    classes.map(|summary| ClassRow::new(hearing, &summary)).collect()
}

fn events(hearings: &[Hearing]) -> Vec<EventRow> {
    let all = hearings.iter().flat_map(|hearing| hearing.events.iter().map(move |e| (hearing, e)));
    all.map(|(hearing, event)| EventRow::new(hearing, event)).collect()
}

fn segments(hearings: &[Hearing]) -> Vec<SegmentRow> {
    let mut rows = Vec::new();
    for hearing in hearings {
        for segment in &hearing.heard {
            let row = |&(class, score): &(usize, f32)| SegmentRow {
                kind: "segment",
                model: hearing.model.clone(),
                start_s: segment.range.start_s,
                end_s: segment.range.end_s,
                class: class_name(hearing, class),
                score,
            };
            rows.extend(segment.classes.iter().map(row));
        }
    }
    rows
}

/// A label track of all events; of several models, each says who heard it.
fn track(hearings: &[Hearing]) -> String {
    let mut text = String::new();
    for hearing in hearings {
        let prefix =
            if hearings.len() > 1 { format!("{}: ", hearing.model) } else { String::new() };
        for event in &hearing.events {
            let class = class_name(hearing, event.class);
            track_line(
                &mut text,
                event.range,
                &format!("{prefix}{class} {:.3}", event.score),
                None,
            );
        }
    }
    text
}

/// Where something begins and ends, as people read it.
pub(super) fn stretch((start_s, end_s): (f64, f64)) -> String {
    format!("{start_s:.2}–{end_s:.2}")
}

/// What is said of the whole recording.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    kind: &'static str,
    recording: &'a str,
    model: &'a str,
    start_s: f64,
    duration_s: f64,
    segments: usize,
    silent_segments: usize,
    segment_s: f64,
    hop_s: f64,
    threshold: f32,
    top: usize,
    classes: Vec<ClassRow>,
}

impl<'a> Summary<'a> {
    fn new(recording: &'a str, hearing: &'a Hearing, count: usize) -> Self {
        let is_heard = hearing.left_out < hearing.segments;
        Self {
            kind: "recording",
            recording,
            model: &hearing.model,
            start_s: hearing.start_s,
            duration_s: hearing.end.duration_s,
            segments: hearing.segments,
            silent_segments: hearing.left_out,
            segment_s: hearing.window_s,
            hop_s: hearing.hop_s,
            threshold: hearing.spec.threshold,
            top: hearing.spec.top,
            classes: if is_heard { classes(hearing, count) } else { Vec::new() },
        }
    }
}

/// What is said of a class over the whole recording.
#[derive(Debug, Serialize)]
struct ClassRow {
    class: String,
    heard_s: f64,
    highest_score: f32,
    mean_score: f32,
}

impl ClassRow {
    fn new(hearing: &Hearing, summary: &ClassSummary) -> Self {
        Self {
            class: class_name(hearing, summary.class),
            heard_s: summary.heard_s,
            highest_score: summary.highest,
            mean_score: summary.mean,
        }
    }
}

impl Row for ClassRow {
    const COLUMNS: &'static [&'static str] = &["class", "heard_s", "highest_score", "mean_score"];
    const HEADINGS: &'static [&'static str] = &["Class", "Heard", "Highest", "Mean"];

    fn cells(&self) -> Vec<String> {
        let (highest, mean) = (self.highest_score.to_string(), self.mean_score.to_string());
        vec![self.class.clone(), self.heard_s.to_string(), highest, mean]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.class.clone(),
            format!("{:.2} s", self.heard_s),
            format!("{:.3}", self.highest_score),
            format!("{:.3}", self.mean_score),
        ]
    }
}

/// An event.
#[derive(Debug, Serialize)]
struct EventRow {
    kind: &'static str,
    model: String,
    start_s: f64,
    end_s: f64,
    class: String,
    /// The best segment's.
    score: f32,
    mean_score: f32,
    segments: usize,
}

impl EventRow {
    fn new(hearing: &Hearing, event: &Event) -> Self {
        Self {
            kind: "event",
            model: hearing.model.clone(),
            start_s: event.range.start_s,
            end_s: event.range.end_s,
            class: class_name(hearing, event.class),
            score: event.score,
            mean_score: event.mean,
            segments: event.segments,
        }
    }
}

impl Row for EventRow {
    const COLUMNS: &'static [&'static str] =
        &["model", "start_s", "end_s", "class", "score", "mean_score", "segments"];
    const HEADINGS: &'static [&'static str] = &["Seconds", "Class", "Score", "Mean", "Segments"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.model.clone(),
            self.start_s.to_string(),
            self.end_s.to_string(),
            self.class.clone(),
            self.score.to_string(),
            self.mean_score.to_string(),
            self.segments.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            stretch((self.start_s, self.end_s)),
            self.class.clone(),
            format!("{:.3}", self.score),
            format!("{:.3}", self.mean_score),
            self.segments.to_string(),
        ]
    }
}

/// A class in a segment.
#[derive(Debug, Serialize)]
struct SegmentRow {
    kind: &'static str,
    model: String,
    start_s: f64,
    end_s: f64,
    class: String,
    score: f32,
}

impl Row for SegmentRow {
    const COLUMNS: &'static [&'static str] = &["model", "start_s", "end_s", "class", "score"];
    const HEADINGS: &'static [&'static str] = &["Seconds", "Class", "Score"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.model.clone(),
            self.start_s.to_string(),
            self.end_s.to_string(),
            self.class.clone(),
            self.score.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![stretch((self.start_s, self.end_s)), self.class.clone(), format!("{:.3}", self.score)]
    }
}
