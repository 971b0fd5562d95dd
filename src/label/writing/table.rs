//! Tables of comma-separated values.
//!
//! In: labels. Out: lines as bytes, since paths need not be text.

use std::path::Path;

use super::end_s;
use crate::audio::segment::TimeRange;
use crate::store::labels::Judgement;

/// Which columns a table has besides path, start, end and class: those in which something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "columns are there or not, each for itself")]
pub struct CsvColumns {
    /// Judgements.
    pub judgement: bool,
    /// Sources.
    pub source: bool,
    /// Scores.
    pub score: bool,
    /// Bands of frequencies.
    pub band: bool,
}

/// A label as a line.
#[derive(Clone, Copy, Debug)]
pub struct CsvLabel<'a> {
    /// The recording's path, as it is to be written.
    pub path: &'a Path,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
    /// The class.
    pub class: &'a str,
    /// What is said.
    pub judgement: Judgement,
    /// Who or what says so.
    pub source: &'a str,
    /// How sure it is.
    pub score: Option<f64>,
    /// The lowest and the highest frequency in hertz.
    pub band_hz: Option<(f64, f64)>,
}

/// The header of a table, cell by cell.
pub fn csv_heading(columns: CsvColumns) -> Vec<Vec<u8>> {
    let mut names = vec!["path", "start", "end", "class"];
    names.extend(columns.judgement.then_some("judgement"));
    names.extend(columns.source.then_some("source"));
    names.extend(columns.score.then_some("score"));
    names.extend(columns.band.then_some(["low_hz", "high_hz"]).into_iter().flatten());
    names.into_iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// A line of a table, cell by cell. Numbers have as many digits as give every bit back.
pub fn csv_line(label: &CsvLabel<'_>, columns: CsvColumns) -> Vec<Vec<u8>> {
    let number = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
    let mut cells = vec![
        path_cell(label.path),
        number(label.range.map(|range| range.start_s)).into_bytes(),
        number(label.range.map(end_s)).into_bytes(),
        label.class.as_bytes().to_vec(),
    ];
    let mut add = |is_there: bool, cell: String| {
        if is_there {
            cells.push(cell.into_bytes());
        }
    };
    add(columns.judgement, label.judgement.as_str().to_owned());
    add(columns.source, label.source.to_owned());
    add(columns.score, number(label.score));
    add(columns.band, number(label.band_hz.map(|(low, _)| low)));
    add(columns.band, number(label.band_hz.map(|(_, high)| high)));
    cells
}

/// A path such that it is read as one: `id:7` would be recording 7.
fn path_cell(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.starts_with(b"id:") { [b"./", bytes].concat() } else { bytes.to_vec() }
}
