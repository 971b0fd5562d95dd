//! `sonoteca metadata import`: a table into the library.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use serde::Serialize;
use sonoteca::filter::Field;
use sonoteca::store::Library;
use sonoteca::store::endings::Meant;
use sonoteca::store::metadata::{Change, MetadataValue};
use sonoteca::{Error, Result};

use super::{current_folder, meant};
use crate::cli::Status;
use crate::cli::printer::{Printer, Row, counted};

/// Columns that name recordings, where nothing else is said.
const KEYS: [&str; 3] = ["path", "file", "filename"];

/// Lines that match nothing and are shown to people; programs see all.
const SHOWN: usize = 20;

/// A table, and how it is to be read.
pub(super) struct Table<'a> {
    pub(super) path: &'a Path,
    pub(super) key: Option<&'a str>,
    pub(super) delimiter: Option<u8>,
}

pub(super) fn run(
    table: &Table<'_>,
    dry_run: bool,
    library: &mut Library,
    printer: &mut Printer,
) -> Result<Status> {
    let (columns, pieces, mut report) = table.read(library)?;
    report.dry_run = dry_run;
    for column in columns.iter().filter(|column| Field::named(column).is_some()) {
        printer.note(&format!(
            "`{column}` is the name of a field too; in filters write meta(\"{column}\")"
        ));
    }
    let writer = library.begin()?;
    for ((recording, _), (key, value)) in &pieces {
        match writer.put_metadata(*recording, key, value)? {
            Change::Added => report.added += 1,
            Change::Changed => report.changed += 1,
            Change::None => report.unchanged += 1,
        }
    }
    if dry_run {
        drop(writer);
    } else {
        writer.commit()?;
    }
    for (column, cell) in &report.commas {
        printer.warning(&format!(
            "`{column}` has numbers with a decimal comma, such as `{cell}`, which are text where commas \
             part the cells; as numbers they are taken from a table parted by semicolons"
        ));
    }
    for unmatched in report.unmatched.iter().take(SHOWN) {
        printer.warning(&format!(
            "line {}: `{}` {}",
            unmatched.line, unmatched.name, unmatched.reason
        ));
    }
    if report.unmatched.len() > SHOWN {
        let others = (report.unmatched.len() - SHOWN) as u64;
        printer
            .warning(&format!("and {} more; all of them: --format json", counted(others, "line")));
    }
    printer.record(&report, &report.text())?;
    Ok(match (report.unmatched.is_empty(), report.lines) {
        (false, _) => Status::Failed,
        (true, 0) => Status::NothingFound,
        (true, _) => Status::Done,
    })
}

/// What a cell holds. Spreadsheets part cells with semicolons where the comma stands before decimals.
fn value_of(cell: &str, delimiter: u8) -> MetadataValue {
    if delimiter == b';' && has_decimal_comma(cell) {
        let number = MetadataValue::of_cell(&cell.replace(',', "."));
        if !matches!(number, MetadataValue::Text(_)) {
            return number;
        }
    }
    MetadataValue::of_cell(cell)
}

/// Whether `cell` is a number with a comma before its decimals.
fn has_decimal_comma(cell: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = cell.strip_prefix('-').unwrap_or(cell).split_once(',');
    parts.is_some_and(|(whole, decimals)| digits(whole) && digits(decimals))
}

/// Pieces by recording and key in lower case: where a table names one twice, the last one counts.
type Pieces = BTreeMap<(i64, String), (String, MetadataValue)>;

impl Table<'_> {
    /// The names of its columns, its pieces, and what became of its lines.
    fn read(&self, library: &Library) -> Result<(Vec<String>, Pieces, Report)> {
        let mut input = self.open()?;
        let delimiter = self.delimiter(&mut input)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(input);
        let (names, columns) = self.columns(reader.byte_headers().map_err(|e| self.error(e))?)?;
        let endings = library.endings()?;
        let folders = self.folders();
        let mut report = Report::default();
        let (mut pieces, mut recordings) = (Pieces::new(), Vec::new());
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(|error| self.error(error))? {
            report.lines += 1;
            let name = record.get(names).unwrap_or_default();
            let line = record.position().map_or(0, csv::Position::line);
            let mut refuse = |reason: String| {
                let name = String::from_utf8_lossy(name).into_owned();
                report.unmatched.push(Unmatched { line, name, reason });
            };
            let width = columns.len();
            if record.len() != width {
                let cells = record.len();
                refuse(format!("stands in a line of {cells} cells, expected {width}"));
                continue;
            }
            // A quotation mark without its other half takes in the lines behind it.
            if record.iter().any(|cell| cell.contains(&b'\n')) {
                refuse("stands in a cell of several lines; a \" may be missing".to_owned());
                continue;
            }
            if name.is_empty() {
                refuse("names no recording".to_owned());
                continue;
            }
            let recording = match meant(library, &endings, path_of(name), &folders)? {
                Meant::One(recording) => recording,
                Meant::Several(count) => {
                    refuse(format!("is how the paths of {count} recordings end"));
                    continue;
                }
                Meant::None => {
                    refuse("is no recording of the library".to_owned());
                    continue;
                }
            };
            let cells: Vec<Option<&str>> =
                record.iter().map(|cell| str::from_utf8(cell).ok()).collect();
            if cells.iter().enumerate().any(|(index, cell)| index != names && cell.is_none()) {
                refuse(
                    "stands in a line that is not UTF-8: save the file as CSV in UTF-8".to_owned(),
                );
                continue;
            }
            recordings.push(recording);
            for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
                let cell = cell.unwrap_or_default();
                if index != names && !column.is_empty() && !cell.is_empty() {
                    let value = value_of(cell, delimiter);
                    if has_decimal_comma(cell) && matches!(value, MetadataValue::Text(_)) {
                        report.commas.entry(column.clone()).or_insert_with(|| cell.to_owned());
                    }
                    let piece = (column.clone(), value);
                    pieces.insert((recording, column.to_ascii_lowercase()), piece);
                }
            }
        }
        recordings.sort_unstable();
        recordings.dedup();
        report.recordings = recordings.len() as u64;
        let mut others = columns;
        others.remove(names);
        Ok((others, pieces, report))
    }

    /// Where the names of recordings stand, and the names of all columns.
    fn columns(&self, headings: &ByteRecord) -> Result<(usize, Vec<String>)> {
        let mut columns = Vec::new();
        for heading in headings {
            // Spreadsheets begin their files with a mark.
            let heading = heading.strip_prefix(b"\xef\xbb\xbf").unwrap_or(heading);
            let heading = str::from_utf8(heading).map_err(|_| {
                self.problem(
                    "its first line is not UTF-8: save the file as CSV in UTF-8".to_owned(),
                )
            })?;
            // The library tells keys apart as SQLite does: by more than the case of ASCII.
            let same = |known: &String| !heading.is_empty() && known.eq_ignore_ascii_case(heading);
            if columns.iter().any(same) {
                return Err(self.problem(format!("it has two columns called `{heading}`")));
            }
            columns.push(heading.to_owned());
        }
        let wanted = self.key.map_or_else(|| KEYS.to_vec(), |key| vec![key]);
        let place = wanted.iter().find_map(|wanted| {
            columns.iter().position(|column| column.eq_ignore_ascii_case(wanted))
        });
        match place {
            Some(place) => Ok((place, columns)),
            None => Err(self.problem(format!(
                "expected a column called {}, found {}",
                wanted.join(" or "),
                if columns.is_empty() { "nothing".to_owned() } else { columns.join(", ") }
            ))),
        }
    }

    fn open(&self) -> Result<Box<dyn BufRead>> {
        if self.is_standard_input() {
            return Ok(Box::new(io::stdin().lock()));
        }
        let file = File::open(self.path).map_err(|source| Error::Io {
            action: "open",
            path: self.path.to_owned(),
            source,
        })?;
        Ok(Box::new(io::BufReader::new(file)))
    }

    fn is_standard_input(&self) -> bool {
        self.path == Path::new("-")
    }

    /// What parts the cells: what was said, what the file's name says, or what parts the first line so
    /// that a column names recordings.
    fn delimiter(&self, input: &mut dyn BufRead) -> Result<u8> {
        if let Some(delimiter) = self.delimiter {
            return Ok(delimiter);
        }
        let extension = self.path.extension().and_then(|extension| extension.to_str());
        let is_tabbed = extension.is_some_and(|extension| {
            ["tsv", "tab"].iter().any(|e| extension.eq_ignore_ascii_case(e))
        });
        if is_tabbed {
            return Ok(b'\t');
        }
        let failed = |source| Error::Io { action: "read", path: self.path.to_owned(), source };
        let start = input.fill_buf().map_err(failed)?;
        let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first));
        let names = |delimiter: char| {
            let is_key = |cell: &str| match self.key {
                Some(key) => cell.eq_ignore_ascii_case(key),
                None => KEYS.iter().any(|key| cell.eq_ignore_ascii_case(key)),
            };
            first.split(delimiter).any(|cell| is_key(cell.trim().trim_matches('"')))
        };
        Ok(if !names(',') && names(';') { b';' } else { b',' })
    }

    /// What relative names may be relative to.
    fn folders(&self) -> Vec<PathBuf> {
        let own = if self.is_standard_input() {
            None
        } else {
            self.path.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()))
        };
        own.into_iter().chain(current_folder()).collect()
    }

    fn problem(&self, problem: String) -> Error {
        Error::MetadataTable { path: self.path.to_owned(), problem }
    }

    fn error(&self, error: csv::Error) -> Error {
        match error.into_kind() {
            csv::ErrorKind::Io(source) => {
                Error::Io { action: "read", path: self.path.to_owned(), source }
            }
            kind => self.problem(format!("{kind:?}")),
        }
    }
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

/// What became of a table.
#[derive(Debug, Default, Serialize)]
struct Report {
    lines: u64,
    /// Recordings that lines are about.
    recordings: u64,
    /// Pieces that were not there.
    added: u64,
    /// Pieces that were something else.
    changed: u64,
    unchanged: u64,
    unmatched: Vec<Unmatched>,
    dry_run: bool,
    /// Columns with numbers that were taken as text for their commas, each with one.
    #[serde(skip)]
    commas: BTreeMap<String, String>,
}

/// A line that was not brought in.
#[derive(Debug, Serialize)]
struct Unmatched {
    line: u64,
    name: String,
    reason: String,
}

impl Report {
    fn text(&self) -> String {
        let verb = if self.dry_run { "Would be brought in" } else { "Brought in" };
        let unmatched = match self.unmatched.len() as u64 {
            0 => String::new(),
            count => format!(" {} match no recording.", counted(count, "line")),
        };
        format!(
            "{verb}: {} of {} ({} new, {} changed, {} as before).{unmatched}\n",
            counted(self.added + self.changed + self.unchanged, "piece"),
            counted(self.recordings, "recording"),
            self.added,
            self.changed,
            self.unchanged
        )
    }
}

impl Row for Report {
    const COLUMNS: &'static [&'static str] =
        &["lines", "recordings", "added", "changed", "unchanged", "unmatched", "dry_run"];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![
            self.lines.to_string(),
            self.recordings.to_string(),
            self.added.to_string(),
            self.changed.to_string(),
            self.unchanged.to_string(),
            self.unmatched.len().to_string(),
            self.dry_run.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
