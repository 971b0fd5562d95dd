//! Files of labels, read row by row.
//!
//! In: bytes, and whatever is known about them. Out: labels, and the rows that are none with their
//! reasons, in their order; one row is in memory. Refuses files that are no text, and tables
//! without the columns that are needed.

mod cells;
mod columns;
mod numbers;
mod table;
mod track;

use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use super::places::Places;
use super::problem::Refusal;
use super::{LabelFormat, ReadLabel};
use crate::error::{Error, LabelProblem, Result};
use crate::store::endings::Meant;

/// Bytes from which a format is guessed.
const HEAD_BYTES: u64 = 1 << 16;

/// What spreadsheets begin text with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file is to be read.
#[derive(Clone, Copy, Debug)]
pub struct ReadingSpec<'a> {
    /// The file's path, for its name, its ending and its folder; `-` is standard input.
    pub path: &'a Path,
    /// Its format; guessed, where nothing is said.
    pub format: Option<LabelFormat>,
    /// What separates the cells of a table; guessed likewise.
    pub delimiter: Option<u8>,
    /// The column of the classes; guessed likewise.
    pub class_column: Option<&'a str>,
    /// The recording that all of it is about.
    pub recording: Option<i64>,
}

/// What is called with each row: a label, or why it is none.
pub type Visit<'a> = dyn FnMut(std::result::Result<ReadLabel, Refusal>) -> Result<()> + 'a;

/// Calls `visit` with each row of `input`, which is the content of `spec.path`; returns the format
/// that it has.
///
/// # Errors
/// [`Error::Labels`] for what is no file of labels at all, [`Error::Io`], and what `visit` fails
/// with.
pub fn read(
    input: &mut dyn Read,
    spec: &ReadingSpec<'_>,
    places: &Places,
    visit: &mut Visit<'_>,
) -> Result<LabelFormat> {
    let mut head = Vec::new();
    let mut input = input;
    (&mut input).take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| spec.io(error))?;
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(spec.problem(LabelProblem::NotText { found: "UTF-16" }));
    }
    if head.contains(&0) {
        return Err(spec.problem(LabelProblem::NotText { found: "no text" }));
    }
    if head.starts_with(BYTE_ORDER_MARK) {
        head.drain(..BYTE_ORDER_MARK.len());
    }
    let format = spec.format.unwrap_or_else(|| guess(&head, spec.path));
    let delimiter = spec.delimiter.unwrap_or_else(|| guess_delimiter(&head, spec.path));
    let mut input = BufReader::new(Cursor::new(head).chain(input));
    if input.fill_buf().map_err(|error| spec.io(error))?.is_empty() {
        return Ok(format);
    }
    match format {
        LabelFormat::Audacity => track::read(&mut input, spec, places, visit)?,
        LabelFormat::Csv => table::read(&mut input, (format, delimiter), spec, places, visit)?,
        LabelFormat::Raven => table::read(&mut input, (format, b'\t'), spec, places, visit)?,
    }
    Ok(format)
}

impl ReadingSpec<'_> {
    fn problem(&self, problem: LabelProblem) -> Error {
        Error::Labels { path: self.path.to_owned(), problem }
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::Io { action: "read", path: self.path.to_owned(), source }
    }

    /// What relative names may be relative to: the file's folder, and the current one.
    fn folders(&self) -> Vec<PathBuf> {
        let own = if self.path == Path::new("-") {
            None
        } else {
            self.path.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()))
        };
        let current = std::env::current_dir().and_then(|folder| folder.canonicalize());
        // What a table names relative to where it is read is what we wrote.
        current.into_iter().chain(own).collect()
    }

    /// The recording that the file is about as a whole.
    fn subject(&self, places: &Places) -> std::result::Result<i64, LabelProblem> {
        if let Some(recording) = self.recording {
            return Ok(recording);
        }
        match places.of_label_file(self.path) {
            Meant::One(recording) => Ok(recording),
            Meant::Several(count) => Err(LabelProblem::SeveralRecordings { count }),
            Meant::None => Err(LabelProblem::NoRecording),
        }
    }
}

/// The format of what begins with `head`, by its first line that is not empty.
fn guess(head: &[u8], path: &Path) -> LabelFormat {
    let Some(line) = first_line(head) else {
        // Nothing in it: what it would have been.
        let is_text = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"));
        return if is_text { LabelFormat::Audacity } else { LabelFormat::Csv };
    };
    let mut tabbed = line.split('\t');
    // With a decimal comma too, as some versions of Audacity write them.
    let is_number = |cell: Option<&str>| {
        cell.is_some_and(|cell| cell.trim().replacen(',', ".", 1).parse::<f64>().is_ok())
    };
    if is_number(tabbed.next()) && line.contains('\t') {
        return LabelFormat::Audacity;
    }
    let names: Vec<String> = line.split('\t').map(columns::plain).collect();
    let has = |name: &str| names.iter().any(|found| found == name);
    if (has("begintimes") || has("begintime")) && (has("selection") || has("view")) {
        LabelFormat::Raven
    } else {
        LabelFormat::Csv
    }
}

/// What separates the cells of a table: what there is most of in its first line, outside of quotes.
fn guess_delimiter(head: &[u8], path: &Path) -> u8 {
    let line = first_line(head).unwrap_or_default();
    let unquoted: String = line.split('"').step_by(2).collect();
    let count = |delimiter: u8| unquoted.bytes().filter(|&byte| byte == delimiter).count();
    let tabbed = ["tsv", "tab"]
        .iter()
        .any(|known| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(known)));
    if tabbed {
        return b'\t';
    }
    // The comma last: of those of which there are as many, it is taken.
    [b'\t', b';', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',')
}

fn first_line(head: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let mut lines = head.split(|&byte| byte == b'\n' || byte == b'\r');
    lines.find(|line| !line.trim_ascii().is_empty()).map(String::from_utf8_lossy)
}
