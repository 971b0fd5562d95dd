//! Files of labels, written.
//!
//! In: labels, or whatever else has a stretch and a name, such as the hits of a search. Out: lines
//! of the three formats. Refuses nothing: what would end a cell or a line becomes a space.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use super::{LabelFormat, is_point};
use crate::audio::segment::TimeRange;
use crate::store::labels::Judgement;

mod table;

pub use table::{CsvColumns, CsvLabel, csv_heading, csv_line};

/// The columns of a selection table that Raven writes itself.
const RAVEN_COLUMNS: [&str; 7] = [
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
];

/// Those by which it finds the files of a table of several.
const RAVEN_FILES: [&str; 2] = ["Begin Path", "File Offset (s)"];

/// What a label track has behind a class that is not simply there.
pub(super) const JUDGEMENT_WORDS: [(Judgement, &str); 2] =
    [(Judgement::Negative, " [negative]"), (Judgement::Unsure, " [unsure]")];

/// A name for the file of labels of a recording, which no other recording has: recordings of one
/// name lie in different folders.
pub fn file_name(path: &Path, id: i64, format: LabelFormat) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    let ending = match format {
        LabelFormat::Csv => "csv",
        LabelFormat::Audacity => "txt",
        LabelFormat::Raven => "Table.1.selections.txt",
    };
    format!("{stem}-id{id}.{ending}")
}

/// Text without what would end a cell or a line.
pub fn one_cell(text: &str) -> Cow<'_, str> {
    if text.contains(|c: char| c.is_control()) {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    } else {
        text.into()
    }
}

/// A class as a label track has it, which has no other place for a judgement.
pub fn track_label(class: &str, judgement: Judgement) -> String {
    let word = JUDGEMENT_WORDS.iter().find(|(known, _)| *known == judgement);
    format!("{class}{}", word.map_or("", |(_, word)| word))
}

/// Adds a label to a label track.
pub fn track_line(text: &mut String, range: TimeRange, label: &str, band: Option<(f64, f64)>) {
    let (start, end) = (seconds_6(range.start_s), seconds_6(end_s(range)));
    // Writing to a string does not fail.
    let _ = writeln!(text, "{start}\t{end}\t{}", one_cell(label));
    if let Some((low, high)) = band {
        let _ = writeln!(text, "\\\t{low:.6}\t{high:.6}");
    }
}

/// Seconds as Audacity writes them.
pub(super) fn seconds_6(seconds: f64) -> String {
    format!("{seconds:.6}")
}

/// Where a stretch ends; a point, where it begins.
fn end_s(range: TimeRange) -> f64 {
    if is_point(range) { range.start_s } else { range.end_s }
}

/// How a selection table is written.
#[derive(Clone, Copy, Debug)]
pub struct RavenSpec<'a> {
    /// Whether it is of several files: then each selection names its own.
    pub several: bool,
    /// Further columns.
    pub further: &'a [&'a str],
    /// Whether times have nine decimals and frequencies three, as Raven Pro writes them, instead
    /// of six and as many as there are.
    pub precise: bool,
}

/// A selection.
#[derive(Clone, Copy, Debug)]
pub struct RavenRow<'a> {
    /// The stretch.
    pub range: TimeRange,
    /// The band of frequencies, in hertz; `None`: all that the recording has.
    pub band: Option<(f64, f64)>,
    /// Frames per second of the recording.
    pub sample_rate: u32,
    /// Its path.
    pub path: &'a Path,
    /// What stands in the further columns.
    pub further: &'a [String],
}

/// A selection table that is being written.
#[derive(Debug)]
pub struct RavenTable<'a> {
    spec: RavenSpec<'a>,
    selections: u64,
    /// Where the current file begins, behind the ones before it, in the last written digit.
    before: i128,
}

impl<'a> RavenTable<'a> {
    /// An empty table; its header goes into `text`.
    pub fn new(spec: RavenSpec<'a>, text: &mut String) -> Self {
        let files = if spec.several { &RAVEN_FILES[..] } else { &[] };
        let columns: Vec<&str> = [&RAVEN_COLUMNS[..], files, spec.further].concat();
        text.push_str(&columns.join("\t"));
        text.push('\n');
        Self { spec, selections: 0, before: 0 }
    }

    /// Adds a selection.
    pub fn row(&mut self, row: &RavenRow<'_>, text: &mut String) {
        self.selections += 1;
        // In whole digits, so that neither a sum nor a difference of written times is off by one.
        let (start, end) = (self.units(row.range.start_s), self.units(end_s(row.range)));
        let (low, high) = row.band.unwrap_or((0.0, f64::from(row.sample_rate) / 2.0));
        let _ = write!(
            text,
            "{}\tSpectrogram 1\t1\t{}\t{}\t{}\t{}",
            self.selections,
            self.seconds(self.before + start),
            self.seconds(self.before + end),
            self.hertz(low),
            self.hertz(high)
        );
        if self.spec.several {
            let path = row.path.to_string_lossy();
            let _ = write!(text, "\t{}\t{}", one_cell(&path), self.seconds(start));
        }
        for cell in row.further {
            let _ = write!(text, "\t{}", one_cell(cell));
        }
        text.push('\n');
    }

    /// Goes on to the next file, behind one of `duration_s`.
    pub fn next_file(&mut self, duration_s: f64) {
        self.before += self.units(duration_s);
    }

    fn digits(&self) -> u32 {
        if self.spec.precise { 9 } else { 6 }
    }

    /// Seconds in the last written digit.
    #[expect(clippy::cast_possible_truncation, reason = "what is meant; more than that saturates")]
    fn units(&self, seconds: f64) -> i128 {
        (seconds * f64::from(10_u32.pow(self.digits()))).round() as i128
    }

    fn seconds(&self, units: i128) -> String {
        let unit = 10_i128.pow(self.digits());
        let digits = self.digits() as usize;
        format!("{}.{:0digits$}", units / unit, units % unit)
    }

    fn hertz(&self, hertz: f64) -> String {
        if self.spec.precise { format!("{hertz:.3}") } else { hertz.to_string() }
    }
}

/// Whether `range` says more than six decimals do.
pub fn is_precise(range: TimeRange) -> bool {
    let more = |seconds: f64| (seconds * 1e6 - (seconds * 1e6).round()).abs() > 1e-3;
    more(range.start_s) || more(end_s(range))
}
