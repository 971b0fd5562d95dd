//! Results to standard output, everything else to standard error.
//!
//! In: rows, notes and errors. Out: text, in the format that was asked for; colour on a terminal
//! only.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use sonoteca::{Error, Result};

use super::args::Format;
use super::settings::{Settings, Verbosity};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// A result: the same facts for programs, spreadsheets and people.
pub(crate) trait Row: Serialize {
    /// The columns of a spreadsheet.
    const COLUMNS: &'static [&'static str];
    /// The headings of a table.
    const HEADINGS: &'static [&'static str];
    /// A spreadsheet's cells.
    fn cells(&self) -> Vec<String>;
    /// A table's cells.
    fn readable(&self) -> Vec<String>;
}

/// Where a command's output goes.
pub(crate) struct Printer {
    format: Format,
    verbosity: Verbosity,
    /// The option that commands about the same library need.
    library_option: Option<String>,
    output: BufWriter<anstream::Stdout>,
}

impl Printer {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            format: settings.format,
            verbosity: settings.verbosity,
            library_option: settings.library_option(),
            output: BufWriter::new(anstream::stdout()),
        }
    }

    /// Prints results in the format that was asked for.
    pub(crate) fn rows<R: Row>(&mut self, rows: &[R]) -> Result<()> {
        match self.format {
            // Labels have no rows; only searches write them.
            Format::Table | Format::Audacity | Format::Raven => self.table(rows),
            Format::Json => rows.iter().try_for_each(|row| self.json(row)),
            Format::Csv => self.csv(rows),
        }
        .map_err(Error::Output)
    }

    /// Prints one result with a text of its own for people.
    pub(crate) fn record<R: Row>(&mut self, row: &R, text: &str) -> Result<()> {
        match self.format {
            Format::Table | Format::Audacity | Format::Raven => {
                self.output.write_all(text.as_bytes()).map_err(Error::Output)
            }
            Format::Json | Format::Csv => self.rows(std::slice::from_ref(row)),
        }
    }

    /// Prints a spreadsheet whose columns only the data know: records of cells, the headings first.
    pub(crate) fn spreadsheet(
        &mut self,
        records: impl IntoIterator<Item = Vec<Vec<u8>>>,
    ) -> Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.output);
        for record in records {
            writer.write_record(record).map_err(|error| Error::Output(error.into()))?;
        }
        writer.flush().map_err(Error::Output)
    }

    /// Prints an object whose keys only the data know.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.output, object)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(self.output))
            .map_err(Error::Output)
    }

    fn table<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let table = laid_out(R::HEADINGS, rows.iter().map(Row::readable).collect());
        writeln!(self.output, "{table}")
    }

    /// Prints a table, and below each row its note, where there are notes.
    pub(crate) fn annotated_table(
        &mut self,
        headings: &[&str],
        rows: Vec<Vec<String>>,
        notes: &[String],
    ) -> Result<()> {
        let mut table = laid_out(headings, rows);
        if notes.is_empty() {
            return writeln!(self.output, "{table}").map_err(Error::Output);
        }
        // A row has to be a line for its note to be below it.
        table.set_content_arrangement(ContentArrangement::Disabled);
        let lines = table.to_string();
        let mut lines = lines.lines();
        let mut text = lines.next().unwrap_or_default().to_owned() + "\n";
        for (index, line) in lines.enumerate() {
            text += line;
            text += "\n";
            if let Some(note) = notes.get(index) {
                // Writing to a string does not fail.
                let _ = writeln!(text, "      {note}");
            }
        }
        self.text(&text)
    }

    /// Prints text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        self.output.write_all(text.as_bytes()).map_err(Error::Output)
    }

    /// Prints a spreadsheet.
    pub(crate) fn sheet(
        &mut self,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<String>>,
    ) -> Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.output);
        let write = || -> io::Result<()> {
            writer.write_record(columns)?;
            for row in rows {
                writer.write_record(row)?;
            }
            writer.flush()
        };
        write().map_err(Error::Output)
    }

    /// Columns of the terminal that results go to; nothing, where they go elsewhere.
    #[expect(clippy::unused_self, reason = "where output goes is the printer's to know")]
    pub(crate) fn terminal_width(&self) -> Option<u16> {
        Table::new().width().filter(|_| io::stdout().is_terminal())
    }

    fn json<R: Row>(&mut self, row: &R) -> io::Result<()> {
        serde_json::to_writer(&mut self.output, row)?;
        writeln!(self.output)
    }

    fn csv<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.output);
        writer.write_record(R::COLUMNS)?;
        for row in rows {
            writer.write_record(row.cells())?;
        }
        writer.flush()
    }

    /// Writes out what is still held back.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.output.flush().map_err(Error::Output)
    }

    /// Whether only results are printed, and errors.
    pub(crate) fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Says something that is neither a result nor an error.
    pub(crate) fn note(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            say(format_args!("{text}"));
        }
    }

    /// Says something that is for the curious.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbosity == Verbosity::Verbose {
            say(format_args!("{text}"));
        }
    }

    /// Warns of something that the results do not show.
    pub(crate) fn warning(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            say(format_args!("{WARNING}warning:{WARNING:#} {text}"));
        }
    }

    /// Prints an error, its causes, and what to try.
    pub(crate) fn error(&self, error: &Error) {
        say(format_args!("{ERROR}error:{ERROR:#} {error}"));
        for cause in causes(error) {
            say(format_args!("  because {cause}"));
        }
        if let Some(hint) = error.hint() {
            self.hint(&hint);
        }
    }

    /// Prints what to try, for the library that is meant.
    pub(crate) fn hint(&self, hint: &str) {
        let option = self.library_option.as_ref().filter(|_| names_library_command(hint));
        let option = option.map(|option| format!(" (with {option})")).unwrap_or_default();
        say(format_args!("{HINT}hint:{HINT:#} {hint}{option}"));
    }
}

/// Commands that are about a library.
const LIBRARY_COMMANDS: [&str; 19] = [
    "index",
    "sync",
    "remove",
    "failures",
    "search",
    "duplicates",
    "reindex",
    "info",
    "compact",
    "label",
    "metadata",
    "train",
    "evaluate",
    "predict",
    "suggest",
    "head",
    "serve",
    "import",
    "export",
];

/// Whether a hint has a command in it that reads or writes a library, and says not itself which.
fn names_library_command(hint: &str) -> bool {
    let of_library = |command: &str| {
        let mut words = command.split([' ', '`', ':', ';', ',']);
        match words.next() {
            Some("models") => words.next() == Some("drop"),
            Some(first) => LIBRARY_COMMANDS.contains(&first) && words.all(|word| word != "--help"),
            None => false,
        }
    };
    !hint.contains("--library") && hint.split("sonoteca ").skip(1).any(of_library)
}

fn laid_out(headings: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headings)
        // A name with a line break would be two lines.
        .add_rows(rows.into_iter().map(|row| row.into_iter().map(|cell| cell.replace('\n', " "))));
    table
}

/// Writes a line to standard error; where that is closed there is nobody to tell.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// An error's causes, the nearest first.
fn causes(error: &Error) -> impl Iterator<Item = String> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause.to_string())
    })
}

/// An error with its causes in one line.
pub(crate) fn in_one_line(error: &Error) -> String {
    std::iter::once(error.to_string()).chain(causes(error)).collect::<Vec<_>>().join(": ")
}

/// Why a file failed, without naming the file again where the causes do not.
pub(crate) fn reason(error: &Error) -> String {
    let causes: Vec<String> = causes(error).collect();
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

/// A path as people read it: relative to the current folder when it lies below.
pub(crate) fn readable_path(path: &Path) -> Cow<'_, str> {
    let current = std::env::current_dir().and_then(|folder| folder.canonicalize());
    match current.as_ref().map(|folder| path.strip_prefix(folder)) {
        Ok(Ok(below)) => below.to_string_lossy(),
        _ => path.to_string_lossy(),
    }
}

/// The bytes of a path that is not UTF-8, in hexadecimal; its text has replacements for some.
pub(crate) fn path_hex(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| hex(path.as_os_str().as_encoded_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A count with its thousands apart.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun, in the singular or with an s.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A length of time as people say it.
pub(crate) fn readable_duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "time is positive")]
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", grouped(whole / 3_600), whole / 60 % 60),
    }
}

/// A guess at a length of time, no more exact than a guess is.
pub(crate) fn rough_duration(seconds: f64) -> String {
    if seconds < 60.0 {
        // To five seconds.
        return format!("{:.0} s", (seconds / 5.0).ceil() * 5.0);
    }
    readable_duration(seconds)
}

/// A number of bytes as people say it.
pub(crate) fn readable_bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if size < 1_000.0 {
            let decimals = usize::from(unit != "bytes" && size < 100.0);
            return format!("{size:.decimals$} {unit}");
        }
        size /= 1_000.0;
    }
    format!("{size:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_that_need_the_library_are_told_from_others() {
        for (hint, needs) in [
            ("`sonoteca label list` lists the labels", true),
            ("sonoteca models drop yamnet", true),
            ("get it again: sonoteca models pull yamnet; then sonoteca index FOLDER", true),
            ("get it again: sonoteca models pull yamnet", false),
            ("the language of filters: sonoteca search --help", false),
            ("make one with `sonoteca index FOLDER`, or name another with --library FILE", false),
            ("use the sonoteca that wrote it", false),
            ("save it as text in UTF-8", false),
        ] {
            assert_eq!(names_library_command(hint), needs, "{hint}");
        }
    }
}
