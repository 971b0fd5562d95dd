//! `sonoteca label import`: files of labels into the library, all at once.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;
use sonoteca::case::folded;
use sonoteca::label::places::Places;
use sonoteca::label::problem::Refusal;
use sonoteca::label::reading::{ReadingSpec, read};
use sonoteca::label::{LabelFormat, ReadLabel, folders};
use sonoteca::shell::quoted;
use sonoteca::store::labels::{Judgement, NewLabel, Once};
use sonoteca::store::{Library, Writer};
use sonoteca::{Error, Result};

use super::{judgement, recording, user_name};
use crate::cli::Status;
use crate::cli::args::{FileFormat, ImportLabelsArgs};
use crate::cli::printer::{Printer, Row, counted, grouped, reason};
use crate::cli::settings::Settings;

/// Rows that were left out and are shown to people; programs see more.
const SHOWN: u64 = 20;

/// Classes that are named, with how many labels each has.
const CLASSES_TOLD: usize = 24;

/// Pages that are kept in memory: the indexes of a million labels.
const CACHE_MB: u32 = 128;

/// Rows that were left out and are told to programs.
const TOLD: usize = 10_000;

pub(super) fn run(
    args: &ImportLabelsArgs,
    library: &mut Library,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let places = Places::read(library)?;
    let recording = args.recording.as_deref().map(|name| recording(&places, name)).transpose()?;
    library.expect_many_writes(CACHE_MB)?;
    let mut import = Import {
        writer: library.begin()?,
        printer,
        report: Report { dry_run: args.dry_run, ..Report::default() },
        source: args.source.clone().unwrap_or_else(user_name),
        judgement: judgement(args.judgement),
        overruled: HashMap::new(),
    };
    if let Some(folder) = &args.from_folders {
        import.report.tells_classes = true;
        let meant = folders::read(folder, &places, &mut |row| import.take(folder, row))?;
        if let Some(meant) = meant {
            let import_of = |folder: &Path| {
                let folder = quoted(&folder.to_string_lossy());
                settings.pasted(&format!("sonoteca label import --from-folders {folder}"))
            };
            import.printer.warning(&format!(
                "all of it has one class, and lies in folders of {}; if they are the classes: {}",
                meant.display(),
                import_of(&meant)
            ));
        }
        if import.report.classes.is_empty() {
            let index = format!("sonoteca index {}", quoted(&folder.to_string_lossy()));
            import.printer.note(&format!(
                "The library holds no recording below {}; to take them in: {}",
                folder.display(),
                settings.pasted(&index)
            ));
        }
    }
    for path in &args.files {
        let spec = ReadingSpec {
            path,
            format: args.from_format.map(|format| match format {
                FileFormat::Csv => LabelFormat::Csv,
                FileFormat::Audacity => LabelFormat::Audacity,
                FileFormat::Raven => LabelFormat::Raven,
            }),
            delimiter: args.delimiter,
            class_column: args.class_column.as_deref(),
            recording,
        };
        let rows_before = import.report.rows;
        let result = open(path).and_then(|mut input| {
            read(&mut input, &spec, &places, &mut |row| import.take(path, row))
        });
        match result {
            Ok(format) => {
                import.printer.detail(&format!("{}: {format:?}", path.display()));
                if import.report.rows == rows_before {
                    import.printer.warning(&format!("{}: there is no label in it", path.display()));
                }
            }
            // A file that is none costs itself; a library that fails, everything.
            Err(error @ (Error::Labels { .. } | Error::Io { .. } | Error::Usage { .. })) => {
                import.fail(path, &error);
            }
            Err(error) => return Err(error),
        }
    }
    import.say_again()?;
    let Import { writer, printer, report, .. } = import;
    if args.dry_run {
        drop(writer);
    } else {
        writer.commit()?;
    }
    if report.refused > SHOWN {
        let others = counted(report.refused - SHOWN, "row");
        printer.warning(&format!("and {others} more; with their reasons: --format json"));
    }
    printer.record(&report, &report.text())?;
    Ok(match (report.refused > 0 || report.failed > 0, report.rows) {
        (true, _) => Status::Failed,
        (false, 0) => Status::NothingFound,
        (false, _) => Status::Done,
    })
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    if path.is_dir() {
        return Err(Error::Usage {
            problem: "a folder is no table of labels",
            hint: "where sub-folders are classes: sonoteca label import --from-folders FOLDER",
        });
    }
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let failed = |source| Error::Io { action: "open", path: path.to_owned(), source };
    Ok(Box::new(File::open(path).map_err(failed)?))
}

/// Labels on their way into a library.
struct Import<'a> {
    writer: Writer<'a>,
    printer: &'a mut Printer,
    report: Report,
    source: String,
    judgement: Judgement,
    /// Labels that the library has, but not as their sources' last word. They are said again if the
    /// files do not take them back either.
    overruled: HashMap<Said, ReadLabel>,
}

/// What a word is about, and whose it is: recording, stretch, class, source.
type Said = (i64, Option<[u64; 2]>, String, String);

impl Import<'_> {
    fn take(&mut self, path: &Path, row: std::result::Result<ReadLabel, Refusal>) -> Result<()> {
        self.report.rows += 1;
        let label = match row {
            Ok(label) => label,
            Err(Refusal { line, problem }) => {
                self.refuse(path, line, problem.to_string());
                return Ok(());
            }
        };
        let new = self.new_label(&label);
        let said = (
            new.recording,
            new.range.map(|range| [range.start_s.to_bits(), range.end_s.to_bits()]),
            folded(new.class),
            new.source.to_owned(),
        );
        let class = (new.judgement == Judgement::Positive).then(|| new.class.to_owned());
        match self.writer.add_label_once(&new)? {
            Once::Added(_) => {
                self.report.added += 1;
                self.overruled.remove(&said);
            }
            Once::There => {
                self.report.already_there += 1;
                self.overruled.remove(&said);
            }
            Once::Overruled => {
                self.report.already_there += 1;
                self.overruled.insert(said, label);
            }
        }
        if let Some(class) = class {
            *self.report.classes.entry(class).or_default() += 1;
        }
        Ok(())
    }

    fn new_label<'a>(&'a self, label: &'a ReadLabel) -> NewLabel<'a> {
        NewLabel {
            recording: label.recording,
            class: &label.class,
            range: label.range,
            judgement: label.judgement.unwrap_or(self.judgement),
            source: label.source.as_deref().unwrap_or(&self.source),
            score: label.score,
            band_hz: label.band_hz,
        }
    }

    /// Stores what the files say last, where the library's last word is another. Only now is that
    /// known: a file that has a word and its opposite changes nothing when it is read twice.
    fn say_again(&mut self) -> Result<()> {
        let mut labels: Vec<(Said, ReadLabel)> = self.overruled.drain().collect();
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, label) in labels {
            self.writer.add_label(&self.new_label(&label))?;
            self.report.added += 1;
            self.report.already_there -= 1;
        }
        Ok(())
    }

    fn refuse(&mut self, path: &Path, line: u64, reason: String) {
        self.report.refused += 1;
        if self.report.refused <= SHOWN {
            let place = if line > 0 { format!(", line {line}") } else { String::new() };
            self.printer.warning(&format!("{}{place}: {reason}", path.display()));
        }
        if self.report.problems.len() < TOLD {
            let file = path.to_string_lossy().into_owned();
            let line = (line > 0).then_some(line);
            self.report.problems.push(Problem { file, line, reason });
        }
    }

    fn fail(&mut self, path: &Path, error: &Error) {
        self.report.failed += 1;
        self.printer.error(error);
        let file = path.to_string_lossy().into_owned();
        self.report.problems.push(Problem { file, line: None, reason: reason(error) });
    }
}

/// What became of the rows.
#[derive(Debug, Default, Serialize)]
struct Report {
    rows: u64,
    added: u64,
    already_there: u64,
    /// Rows that were left out.
    refused: u64,
    /// Files that could not be read at all.
    failed: u64,
    /// Labels that say that a class is there, by class; those that were there already included.
    classes: BTreeMap<String, u64>,
    /// Why; of rows, the first ten thousand.
    problems: Vec<Problem>,
    dry_run: bool,
    /// Nobody has written the classes down that are folders' names.
    #[serde(skip)]
    tells_classes: bool,
}

/// A row, or a file, that was left out.
#[derive(Debug, Serialize)]
struct Problem {
    file: String,
    line: Option<u64>,
    reason: String,
}

impl Report {
    fn text(&self) -> String {
        let verb = if self.dry_run { "Would be brought in" } else { "Brought in" };
        let mut text = format!("{verb}: {}", counted(self.added, "label"));
        for (count, what) in [(self.already_there, "already there"), (self.refused, "left out")] {
            if count > 0 {
                text += ", ";
                text += &grouped(count);
                text += " ";
                text += what;
            }
        }
        text += ".\n";
        if !self.tells_classes || self.classes.is_empty() {
            return text;
        }
        // Writing to a string does not fail.
        if self.classes.len() <= CLASSES_TOLD {
            let each = self.classes.iter();
            let each: Vec<String> =
                each.map(|(class, count)| format!("{class} {}", grouped(*count))).collect();
            let _ = writeln!(text, "Classes: {}.", each.join(", "));
        } else {
            let _ = writeln!(text, "Classes: {}.", grouped(self.classes.len() as u64));
        }
        text
    }
}

impl Row for Report {
    const COLUMNS: &'static [&'static str] =
        &["rows", "added", "already_there", "refused", "failed", "dry_run"];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![
            self.rows.to_string(),
            self.added.to_string(),
            self.already_there.to_string(),
            self.refused.to_string(),
            self.failed.to_string(),
            self.dry_run.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
