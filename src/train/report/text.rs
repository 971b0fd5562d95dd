//! A report for a terminal.
//!
//! In: a report. Out: lines of text with aligned tables, without colour.

// Writing to a string does not fail, so that results are dropped.
use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table as Drawn, presets};

use super::Report;
use super::numbers::{self, Table};

/// Pairs and mistakes that are listed; the HTML has more.
const LISTED: usize = 10;

/// The report as text.
pub(super) fn report(report: &Report) -> String {
    let mut text = format!("{}: {}\n", printable(&report.name), printable(&report.what_it_is()));
    for line in report.what_it_learnt_from().into_iter().chain([report.judged_by()]) {
        let _ = writeln!(text, "{}", printable(&line));
    }
    text += "\n";
    text += &drawn(&numbers::overall(report));
    let scores = &report.scores;
    if !scores.baseline.says.is_empty() {
        let _ = writeln!(text, "without hearing: {}", printable(&scores.baseline.says));
    }
    if let Some(temperature) = numbers::temperature(report) {
        let _ = writeln!(text, "{temperature}");
    }
    let thresholds =
        if scores.classes.is_empty() { Table::default() } else { numbers::thresholds(report) };
    for (heading, table) in [
        ("Classes", numbers::by_class(report)),
        ("Thresholds, and what they reach on rows that they were not chosen by", thresholds),
        ("Most often confused", numbers::confused(report, LISTED)),
        (numbers::mistakes_heading(report), numbers::mistakes(report, LISTED)),
    ] {
        if !table.rows.is_empty() {
            let _ = write!(text, "\n{heading}\n{}", drawn(&table));
        }
    }
    if !scores.notes.is_empty() {
        text += "\nNotes\n";
        for note in &scores.notes {
            let _ = writeln!(text, "- {}", printable(note));
        }
    }
    text
}

/// A table with two spaces between its columns, as the command line's are.
pub(super) fn drawn(table: &Table) -> String {
    let mut drawn = Drawn::new();
    drawn.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    drawn.set_header(table.headings.iter().map(|heading| printable(heading)));
    for row in &table.rows {
        drawn.add_row(row.iter().map(|cell| printable(cell)));
    }
    for (at, column) in drawn.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if !table.is_words(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    drawn.lines().flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()]).collect()
}

/// Names without line breaks and without what commands a terminal.
pub(super) fn printable(text: &str) -> String {
    let shown = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().map(shown).collect()
}
