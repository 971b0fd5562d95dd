//! Tables: comma-separated values, and Raven's selection tables.
//!
//! In: lines under a header. Out: labels. Refuses tables without a column of classes, and those
//! that name no recording anywhere.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::columns::{Columns, Role};
use super::numbers::Numbers;
use super::{ReadingSpec, Visit, cells};
use crate::error::{Error, LabelProblem, Result};
use crate::label::places::Places;
use crate::label::problem::{Refusal, RowProblem, RowResult};
use crate::label::{LabelFormat, ReadLabel};
use crate::store::endings::Meant;

/// Names whose recordings are remembered; a table has few, or each once.
const REMEMBERED: usize = 1 << 16;

/// How far a selection table's last digit may be off, in seconds and in hertz: it writes nine
/// decimals of seconds and three of hertz.
const ROUNDED_S: f64 = 5.1e-10;
const ROUNDED_HZ: f64 = 5.1e-4;

pub(super) fn read(
    input: &mut dyn Read,
    (format, delimiter): (LabelFormat, u8),
    spec: &ReadingSpec<'_>,
    places: &Places,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(format == LabelFormat::Csv)
        .flexible(true)
        .from_reader(input);
    let headings = reader.byte_headers().map_err(|error| failed(spec, error))?;
    let headings: Vec<String> =
        headings.iter().map(|heading| String::from_utf8_lossy(heading).trim().to_owned()).collect();
    let columns = Columns::new(&headings, format, spec.class_column)
        .map_err(|problem| spec.problem(problem))?;
    let subject = match spec.recording {
        None if !columns.recordings.is_empty() => None,
        _ => Some(spec.subject(places).map_err(|problem| spec.problem(problem))?),
    };
    let folders = spec.folders();
    let names = HashMap::new();
    let numbers = Numbers::new(delimiter);
    let mut table =
        Table { format, columns, numbers, subject, places, folders, names, first: None };
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| failed(spec, error))? {
        if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        visit(table.label(line, &record).map_err(|problem| Refusal { line, problem }))?;
    }
    Ok(())
}

fn failed(spec: &ReadingSpec<'_>, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => spec.io(source),
        kind => spec.problem(LabelProblem::Table { problem: format!("{kind:?}") }),
    }
}

struct Table<'a> {
    format: LabelFormat,
    columns: Columns,
    numbers: Numbers,
    /// The recording that all of it is about, where no column says.
    subject: Option<i64>,
    places: &'a Places,
    folders: Vec<PathBuf>,
    names: HashMap<Vec<u8>, Meant>,
    /// The recording of the first selection.
    first: Option<i64>,
}

impl Table<'_> {
    fn label(&mut self, line: u64, record: &ByteRecord) -> RowResult<ReadLabel> {
        let expected = self.columns.width;
        if record.iter().skip(expected).any(|cell| !cell.trim_ascii().is_empty()) {
            return Err(RowProblem::Cells { found: record.len(), expected });
        }
        let recording = match self.subject {
            Some(recording) => recording,
            None => self.recording(record)?,
        };
        let extent = self.places.extent(recording).ok_or(RowProblem::NoRecording)?;
        let cell = |role: Role| -> RowResult<&str> {
            let cell = self.columns[role].and_then(|place| record.get(place)).unwrap_or_default();
            str::from_utf8(cell).map_err(|_| RowProblem::NotUtf8)
        };
        let class = cells::class(cell(Role::Class)?)?;
        let numbers = &self.numbers;
        let mut start = numbers.time("start", cell(Role::Start)?)?;
        let mut end = numbers.time("end", cell(Role::End)?)?;
        let mut band = cells::band(
            numbers.number("low", cell(Role::Low)?)?,
            numbers.number("high", cell(Role::High)?)?,
        )?;
        let judgement = cells::judgement(cell(Role::Judgement)?)?;
        let score = cells::score(numbers.number("score", cell(Role::Score)?)?)?;
        let source = Some(cell(Role::Source)?.trim()).filter(|source| !source.is_empty());
        let source = source.map(str::to_owned);
        if self.format == LabelFormat::Raven {
            let first = *self.first.get_or_insert(recording);
            if let Some(offset) = numbers.time("file offset", cell(Role::FileOffset)?)? {
                // Both count from the first file's beginning.
                end = end.zip(start).map(|(end, start)| billionths(offset + (end - start)));
                start = Some(offset);
            } else if first != recording {
                return Err(RowProblem::NoFileOffset);
            }
            if let (Some(begin), Some(finish)) = (start, end)
                && begin == 0.0
                && (finish - extent.duration_s).abs() < ROUNDED_S
            {
                (start, end) = (None, None);
            }
            let highest = f64::from(extent.sample_rate) / 2.0;
            band = band.filter(|&(low, high)| low > 0.0 || (high - highest).abs() > ROUNDED_HZ);
        }
        let range = cells::range(start, end, extent)?;
        Ok(ReadLabel { line, recording, class, range, judgement, source, score, band_hz: band })
    }

    /// The recording that a line names: the first of its names that is known.
    fn recording(&mut self, record: &ByteRecord) -> RowResult<i64> {
        let mut problem = RowProblem::NoRecording;
        for &place in &self.columns.recordings {
            let cell = record.get(place).unwrap_or_default();
            if cell.trim_ascii().is_empty() {
                continue;
            }
            let meant = if let Some(&meant) = self.names.get(cell) {
                meant
            } else {
                // Names of files may begin or end with a space.
                let meant = match self.places.find(path_of(cell), &self.folders) {
                    Meant::None => self.places.find(path_of(cell.trim_ascii()), &self.folders),
                    meant => meant,
                };
                if self.names.len() >= REMEMBERED {
                    self.names.clear();
                }
                self.names.insert(cell.to_vec(), meant);
                meant
            };
            let name = || cells::short(&String::from_utf8_lossy(cell));
            match meant {
                Meant::One(recording) => return Ok(recording),
                _ if problem != RowProblem::NoRecording => {}
                Meant::Several(count) => {
                    problem = RowProblem::SeveralRecordings { name: name(), count };
                }
                Meant::None => problem = RowProblem::UnknownRecording { name: name() },
            }
        }
        Err(problem)
    }
}

/// `seconds` without what sums of decimals leave behind the ninth.
fn billionths(seconds: f64) -> f64 {
    (seconds * 1e9).round() / 1e9
}

/// A path of the bytes that a table has.
#[cfg(unix)]
fn path_of(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> &Path {
    Path::new(str::from_utf8(bytes).unwrap_or_default())
}
