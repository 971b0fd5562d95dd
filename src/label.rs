//! Labels in files that people have, in and out.
//!
//! In: tables, label tracks, selection tables, folders. Out: labels of recordings, and the same
//! files again. Refuses single rows, by their line, and nothing else for their sake.
//!
//! Three formats: tables of comma-separated values ([`LabelFormat::Csv`]), Audacity's label tracks
//! and Raven's selection tables. What [`reading`] takes from a file in the form in which
//! [`writing`], Audacity or Raven Pro wrote it, [`writing`] gives back byte for byte.
//!
//! - A label track is text: start, end and label parted by tabs, times in seconds with six
//!   decimals, no header; a second line `\`, low, high has frequencies (Audacity's manual,
//!   "Importing and Exporting Labels"). It says nothing of judgements: ` [negative]` and
//!   ` [unsure]` behind a class do.
//! - A selection table has a header and a line a selection, parted by tabs (Raven Pro's manual,
//!   chapter 6). Raven reads several files as one sequence: `Begin Time (s)` and `End Time (s)`
//!   count from the beginning of the first, `File Offset (s)` from that of the file in `Begin
//!   Path`. In a table of one file all of these are the same.
//! - A point, where a label begins and ends at once, is a stretch of [`POINT_S`]: too short to
//!   cover anything, and written as a point again.
//! - A label of a whole recording is one from 0 to its end in the formats that have no other word.

pub mod folders;
pub mod places;
pub mod problem;
pub mod reading;
pub mod writing;

use crate::audio::segment::TimeRange;
use crate::store::labels::Judgement;

/// How long a label of no length is, in seconds: less than any format writes down, and more than
/// rounding takes from times of a year.
pub const POINT_S: f64 = 1e-7;

/// How far behind a recording's end a label may end, in seconds. Programs do not agree about the
/// ends of compressed files by up to two MPEG frames (52 ms at 44.1 kHz), and people round.
pub const BEHIND_END_S: f64 = 0.1;

/// How files of labels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelFormat {
    /// A table with a header: path, start, end, class.
    Csv,
    /// A label track of Audacity.
    Audacity,
    /// A selection table of Raven.
    Raven,
}

/// A label as a file has it, of a recording of the library.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadLabel {
    /// The line that it begins in, counted from 1.
    pub line: u64,
    /// The recording's row id.
    pub recording: i64,
    /// The class.
    pub class: String,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
    /// What is said; nothing, where the file does not say.
    pub judgement: Option<Judgement>,
    /// Who or what says so, where the file does.
    pub source: Option<String>,
    /// How sure it is, in [0, 1].
    pub score: Option<f64>,
    /// The lowest and the highest frequency in hertz.
    pub band_hz: Option<(f64, f64)>,
}

/// The stretch from `start_s` to `end_s`, where a point is as short as stretches are.
pub fn stretch(start_s: f64, end_s: f64) -> TimeRange {
    #[expect(clippy::float_cmp, reason = "a point is where both are the same")]
    let end_s = if start_s == end_s { start_s + POINT_S } else { end_s };
    TimeRange { start_s, end_s }
}

/// Whether `range` was made of a point, as far as times of a year can tell.
pub fn is_point(range: TimeRange) -> bool {
    (range.end_s - range.start_s - POINT_S).abs() < POINT_S / 5.0
}
