//! Detections as they are printed or written, recording by recording.
//!
//! In: the detections of one recording after another. Out: rows, a table of selections, or label
//! tracks, on standard output or in files that are whole when they appear. Refuses to overwrite,
//! and to put several recordings into one label track.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sonoteca::audio::segment::TimeRange;
use sonoteca::files::NewFile;
use sonoteca::label::LabelFormat;
use sonoteca::label::writing::{RavenRow, RavenSpec, RavenTable, file_name, track_line};
use sonoteca::store::recordings::StoredRecording;
use sonoteca::train::head::card::HeadCard;
use sonoteca::train::predict::{Detection, HeardFile};
use sonoteca::train::task::Task;
use sonoteca::{Error, Result};

use crate::cli::args::Format;
use crate::cli::interrupt;
use crate::cli::printer::{Printer, Row, path_hex, readable_path};

/// Rows of a table that are laid out together.
const AT_ONCE: usize = 1_000;
/// What a selection says besides where it is.
const FURTHER: [&str; 3] = ["Annotation", "Score", "Mean Score"];

/// What detections are of.
pub(super) struct Sound<'a> {
    /// The recording's row id; of a file its number.
    id: i64,
    is_stored: bool,
    path: &'a Path,
    duration_s: f64,
    sample_rate: u32,
}

impl<'a> Sound<'a> {
    pub(super) fn stored(recording: &'a StoredRecording) -> Self {
        Self {
            id: recording.id,
            is_stored: true,
            path: &recording.path,
            duration_s: recording.duration_s,
            sample_rate: recording.sample_rate,
        }
    }

    pub(super) fn file(path: &'a Path, heard: &HeardFile, number: i64) -> Self {
        let (duration_s, sample_rate) = (heard.duration_s, heard.sample_rate);
        Self { id: number, is_stored: false, path, duration_s, sample_rate }
    }
}

/// Where detections go.
pub(super) struct Output<'a> {
    format: Format,
    out: Option<&'a Path>,
    card: &'a HeadCard,
    rows: u64,
    recordings: usize,
    /// Rows of a table that wait.
    waiting: Vec<DetectionRow>,
    raven: Option<RavenTable<'static>>,
    /// The label track that goes to standard output.
    track: String,
    file: Option<BufWriter<NewFile>>,
}

impl<'a> Output<'a> {
    pub(super) fn new(format: Format, out: Option<&'a Path>, card: &'a HeadCard) -> Result<Self> {
        let mut output = Self {
            format,
            out,
            card,
            rows: 0,
            recordings: 0,
            waiting: Vec::new(),
            raven: None,
            track: String::new(),
            file: None,
        };
        let is_folder = matches!(format, Format::Audacity | Format::Raven);
        match out {
            Some(folder) if is_folder => {
                fs::create_dir_all(folder).map_err(io_error("make", folder))?;
            }
            Some(path) => {
                refuse_existing(path)?;
                interrupt::clean_up();
                let file = NewFile::beside(path).map_err(io_error("write", path))?;
                output.file = Some(BufWriter::new(file));
            }
            None => {}
        }
        Ok(output)
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the detections of a recording.
    pub(super) fn write(
        &mut self,
        sound: &Sound<'_>,
        detections: &[Detection],
        printer: &mut Printer,
    ) -> Result<()> {
        if detections.is_empty() {
            return Ok(());
        }
        let is_first = self.rows == 0;
        self.rows += detections.len() as u64;
        self.recordings += 1;
        match self.format {
            Format::Audacity | Format::Raven => self.labels(sound, detections, printer),
            format => {
                let rows =
                    detections.iter().map(|found| DetectionRow::new(sound, found, self.card));
                if format == Format::Table && self.out.is_none() {
                    self.waiting.extend(rows);
                    if self.waiting.len() >= AT_ONCE {
                        printer.rows(&self.waiting)?;
                        self.waiting.clear();
                    }
                    return Ok(());
                }
                let text = if format == Format::Json { json(rows)? } else { csv(rows, is_first)? };
                self.text(&text, printer)
            }
        }
    }

    /// Ends the output; how many rows there were.
    pub(super) fn finish(mut self, printer: &mut Printer) -> Result<u64> {
        if !self.waiting.is_empty() {
            // Of no rows, a spreadsheet would still have its heading.
            printer.rows(&self.waiting)?;
        }
        if self.format == Format::Audacity && self.out.is_none() {
            if self.recordings > 1 {
                return Err(Error::SeveralRecordings { recordings: self.recordings });
            }
            printer.text(&self.track)?;
        }
        if let (Some(file), Some(path)) = (self.file.take(), self.out) {
            let failed = io_error("write", path);
            let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
            file.sync().map_err(io_error("write", path))?;
            file.publish(path, false).map_err(io_error("write", path))?;
        }
        if let Some(path) = self.out {
            printer.note(&format!("Written to {}", path.display()));
        }
        Ok(self.rows)
    }

    fn text(&mut self, text: &str, printer: &mut Printer) -> Result<()> {
        match (&mut self.file, self.out) {
            (Some(file), Some(path)) => {
                file.write_all(text.as_bytes()).map_err(io_error("write", path))
            }
            _ => printer.text(text),
        }
    }

    fn labels(
        &mut self,
        sound: &Sound<'_>,
        detections: &[Detection],
        printer: &mut Printer,
    ) -> Result<()> {
        let detections: Vec<&Detection> = detections.iter().filter(|found| found.reaches).collect();
        let mut text = String::new();
        let Some(folder) = self.out else {
            if self.format == Format::Raven {
                let mut table = self.raven.take().unwrap_or_else(|| new_table(true, &mut text));
                selections(&mut table, sound, &detections, self.card, &mut text);
                table.next_file(sound.duration_s);
                self.raven = Some(table);
                return printer.text(&text);
            }
            if self.recordings == 1 {
                self.track = track(sound, &detections, self.card);
            }
            return Ok(());
        };
        let format = if self.format == Format::Raven {
            let mut table = new_table(false, &mut text);
            selections(&mut table, sound, &detections, self.card, &mut text);
            LabelFormat::Raven
        } else {
            text = track(sound, &detections, self.card);
            LabelFormat::Audacity
        };
        let path: PathBuf = folder.join(file_name(sound.path, sound.id, format));
        refuse_existing(&path)?;
        File::create_new(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(io_error("write", &path))
    }
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { action, path: path.clone(), source }
}

fn refuse_existing(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        let options = "name another with --out";
        return Err(Error::Exists { path: path.to_owned(), options });
    }
    Ok(())
}

fn extent(sound: &Sound<'_>, found: &Detection) -> TimeRange {
    found.range.unwrap_or(TimeRange { start_s: 0.0, end_s: sound.duration_s })
}

fn track(sound: &Sound<'_>, detections: &[&Detection], card: &HeadCard) -> String {
    let mut text = String::new();
    for found in detections {
        let label = format!("{} {:.3}", card.classes[found.class], found.score);
        track_line(&mut text, extent(sound, found), &label, None);
    }
    text
}

fn new_table(several: bool, text: &mut String) -> RavenTable<'static> {
    RavenTable::new(RavenSpec { several, further: &FURTHER, precise: false }, text)
}

fn selections(
    table: &mut RavenTable<'static>,
    sound: &Sound<'_>,
    detections: &[&Detection],
    card: &HeadCard,
    text: &mut String,
) {
    for found in detections {
        let row = RavenRow {
            range: extent(sound, found),
            band: None,
            sample_rate: sound.sample_rate,
            path: sound.path,
            further: &[
                card.classes[found.class].clone(),
                format!("{:.4}", found.score),
                format!("{:.4}", found.mean),
            ],
        };
        table.row(&row, text);
    }
}

fn json(rows: impl Iterator<Item = DetectionRow>) -> Result<String> {
    let mut text = String::new();
    for row in rows {
        let line = serde_json::to_string(&row).map_err(|error| Error::Output(error.into()))?;
        text += &line;
        text += "\n";
    }
    Ok(text)
}

fn csv(rows: impl Iterator<Item = DetectionRow>, with_heading: bool) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Error::Output(error.into());
    if with_heading {
        writer.write_record(DetectionRow::COLUMNS).map_err(failed)?;
    }
    for row in rows {
        writer.write_record(row.cells()).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::Output(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A detection as it is printed.
#[derive(Debug, Serialize)]
struct DetectionRow {
    /// Null of files.
    recording_id: Option<i64>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    /// Null: all of it.
    start_s: Option<f64>,
    end_s: Option<f64>,
    class: String,
    /// The best probability, or the number.
    score: f64,
    mean_score: f64,
    segments: usize,
    reaches_threshold: bool,
    #[serde(skip)]
    readable_path: String,
    #[serde(skip)]
    is_number: bool,
}

impl DetectionRow {
    fn new(sound: &Sound<'_>, found: &Detection, card: &HeadCard) -> Self {
        Self {
            recording_id: sound.is_stored.then_some(sound.id),
            path: sound.path.to_string_lossy().into_owned(),
            path_hex: path_hex(sound.path),
            start_s: found.range.map(|range| range.start_s),
            end_s: found.range.map(|range| range.end_s),
            class: card.classes[found.class].clone(),
            score: found.score,
            mean_score: found.mean,
            segments: found.segments,
            reaches_threshold: found.reaches,
            readable_path: readable_path(sound.path).into_owned(),
            is_number: card.task == Task::Regression,
        }
    }
}

impl Row for DetectionRow {
    const COLUMNS: &'static [&'static str] = &[
        "recording_id",
        "path",
        "start_s",
        "end_s",
        "class",
        "score",
        "mean_score",
        "segments",
        "reaches_threshold",
    ];
    const HEADINGS: &'static [&'static str] =
        &["Id", "Recording", "Seconds", "Class", "Score", "Mean", "Segments"];

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<f64>| number.map_or_else(String::new, |n| n.to_string());
        vec![
            self.recording_id.map_or_else(String::new, |id| id.to_string()),
            self.path.clone(),
            number(self.start_s),
            number(self.end_s),
            self.class.clone(),
            self.score.to_string(),
            self.mean_score.to_string(),
            self.segments.to_string(),
            self.reaches_threshold.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        let seconds = match (self.start_s, self.end_s) {
            (Some(start_s), Some(end_s)) => format!("{start_s:.2}–{end_s:.2}"),
            _ => "all".to_owned(),
        };
        let below = if self.reaches_threshold { "" } else { " (below its threshold)" };
        let score = |score: f64| {
            if self.is_number { format!("{score:.4}") } else { format!("{score:.3}") }
        };
        vec![
            self.recording_id.map_or_else(String::new, |id| format!("id:{id}")),
            self.readable_path.clone(),
            seconds,
            format!("{}{below}", self.class),
            score(self.score),
            score(self.mean_score),
            self.segments.to_string(),
        ]
    }
}
