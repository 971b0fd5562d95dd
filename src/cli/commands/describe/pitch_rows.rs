//! The pitch that is heard, as rows.
//!
//! In: tracks. Out: tables, objects, a spreadsheet or a label track.

use serde::Serialize;
use sonoteca::Result;
use sonoteca::describe::{Note, PitchFrame, PitchTrack, PitchedStretch};
use sonoteca::label::writing::track_line;

use super::rows::stretch;
use crate::cli::printer::{Printer, Row, grouped};

/// Everything about one recording, as people read it.
pub(super) fn table(
    track: &PitchTrack,
    name: &str,
    has_frames: bool,
    printer: &mut Printer,
) -> Result<()> {
    let (start_s, duration_s) = (track.start_s, track.end.duration_s);
    let noun = if track.stretches.len() == 1 { "stretch" } else { "stretches" };
    printer.text(&format!(
        "{name}, {start_s:.2} to {:.2} s: {} {noun} of pitch by {}\n",
        start_s + duration_s,
        grouped(track.stretches.len() as u64),
        track.model
    ))?;
    let tracks = std::slice::from_ref(track);
    if has_frames && !track.kept.is_empty() {
        printer.text("\n")?;
        return printer.rows(&frames(tracks));
    }
    if !has_frames && !track.stretches.is_empty() {
        printer.text("\n")?;
        return printer.rows(&stretches(tracks));
    }
    Ok(())
}

/// What is said of each track as a whole, then its rows.
pub(super) fn objects(
    tracks: &[PitchTrack],
    name: &str,
    has_frames: bool,
    printer: &mut Printer,
) -> Result<()> {
    for track in tracks {
        printer.object(&Summary::new(name, track))?;
    }
    if has_frames { printer.rows(&frames(tracks)) } else { printer.rows(&stretches(tracks)) }
}

pub(super) fn stretches(tracks: &[PitchTrack]) -> Vec<StretchRow> {
    let all = tracks.iter().flat_map(|track| track.stretches.iter().map(move |one| (track, one)));
    all.map(|(track, one)| StretchRow::new(track, one)).collect()
}

pub(super) fn frames(tracks: &[PitchTrack]) -> Vec<FrameRow> {
    let all = tracks.iter().flat_map(|track| track.kept.iter().map(move |one| (track, one)));
    all.map(|(track, one)| FrameRow::new(track, one)).collect()
}

/// Adds the stretches of all tracks to a label track, each with the band that it lies in.
pub(super) fn add_to_track(text: &mut String, tracks: &[PitchTrack]) {
    for PitchedStretch { range, frequency_hz, lowest_hz, highest_hz, confidence, .. } in
        tracks.iter().flat_map(|track| &track.stretches)
    {
        let label = format!("{} {frequency_hz:.1} Hz {confidence:.3}", note(*frequency_hz));
        track_line(text, *range, &label, Some((*lowest_hz, *highest_hz)));
    }
}

/// A note and its octave.
fn note(frequency_hz: f64) -> String {
    let Note { name, octave, .. } = Note::nearest(frequency_hz);
    format!("{name}{octave}")
}

/// What is said of the whole recording.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    kind: &'static str,
    recording: &'a str,
    model: &'a str,
    start_s: f64,
    duration_s: f64,
    frame_hop_s: f64,
    frames: usize,
    pitched_frames: usize,
    pitch_confidence: f32,
}

impl<'a> Summary<'a> {
    fn new(recording: &'a str, track: &'a PitchTrack) -> Self {
        Self {
            kind: "recording",
            recording,
            model: &track.model,
            start_s: track.start_s,
            duration_s: track.end.duration_s,
            frame_hop_s: track.frame_hop_s,
            frames: track.frames,
            pitched_frames: track.pitched,
            pitch_confidence: track.least_confidence,
        }
    }
}

/// A stretch with a pitch.
#[derive(Debug, Serialize)]
pub(super) struct StretchRow {
    kind: &'static str,
    model: String,
    start_s: f64,
    end_s: f64,
    note: String,
    /// How far the pitch lies above the note, in hundredths of a semitone.
    cents: i32,
    frequency_hz: f64,
    lowest_hz: f64,
    highest_hz: f64,
    confidence: f32,
}

impl StretchRow {
    fn new(track: &PitchTrack, one: &PitchedStretch) -> Self {
        Self {
            kind: "pitch",
            model: track.model.clone(),
            start_s: one.range.start_s,
            end_s: one.range.end_s,
            note: note(one.frequency_hz),
            cents: Note::nearest(one.frequency_hz).cents,
            frequency_hz: one.frequency_hz,
            lowest_hz: one.lowest_hz,
            highest_hz: one.highest_hz,
            confidence: one.confidence,
        }
    }
}

impl Row for StretchRow {
    const COLUMNS: &'static [&'static str] = &[
        "model",
        "start_s",
        "end_s",
        "note",
        "cents",
        "frequency_hz",
        "lowest_hz",
        "highest_hz",
        "confidence",
    ];
    const HEADINGS: &'static [&'static str] = &["Seconds", "Note", "Pitch", "Range", "Confidence"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.model.clone(),
            self.start_s.to_string(),
            self.end_s.to_string(),
            self.note.clone(),
            self.cents.to_string(),
            self.frequency_hz.to_string(),
            self.lowest_hz.to_string(),
            self.highest_hz.to_string(),
            self.confidence.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            stretch((self.start_s, self.end_s)),
            format!("{} {:+}", self.note, self.cents),
            format!("{:.1} Hz", self.frequency_hz),
            format!("{:.1}–{:.1} Hz", self.lowest_hz, self.highest_hz),
            format!("{:.3}", self.confidence),
        ]
    }
}

/// A frame.
#[derive(Debug, Serialize)]
pub(super) struct FrameRow {
    kind: &'static str,
    model: String,
    time_s: f64,
    frequency_hz: f64,
    confidence: f32,
}

impl FrameRow {
    fn new(track: &PitchTrack, &PitchFrame { time_s, pitch }: &PitchFrame) -> Self {
        Self {
            kind: "frame",
            model: track.model.clone(),
            time_s,
            frequency_hz: pitch.frequency_hz,
            confidence: pitch.confidence,
        }
    }
}

impl Row for FrameRow {
    const COLUMNS: &'static [&'static str] = &["model", "time_s", "frequency_hz", "confidence"];
    const HEADINGS: &'static [&'static str] = &["Seconds", "Pitch", "Confidence"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.model.clone(),
            self.time_s.to_string(),
            self.frequency_hz.to_string(),
            self.confidence.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            format!("{:.2}", self.time_s),
            format!("{:.1} Hz", self.frequency_hz),
            format!("{:.3}", self.confidence),
        ]
    }
}
