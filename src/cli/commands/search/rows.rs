//! Hits as rows: for people, programs and spreadsheets.
//!
//! In: hits. Out: rows for the printer, with a bar for the score where somebody looks at a
//! terminal.

use serde::Serialize;
use sonoteca::Result;
use sonoteca::search::copying::is_missing;
use sonoteca::search::explain::Explanation;
use sonoteca::search::words::LEAST_SCORE;
use sonoteca::search::{Hit, Level};

use crate::cli::printer::{Printer, Row, path_hex, readable_path};

/// Classes that are shown of each hit.
const CLASSES_SHOWN: usize = 3;
/// Characters of a full bar.
const BAR_CHARACTERS: u8 = 8;
/// The narrowest terminal that has room for bars.
pub(super) const ROOM_FOR_BARS: u16 = 80;

/// A hit as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct HitRow {
    rank: usize,
    score: f32,
    recording_id: i64,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    start_s: f64,
    end_s: f64,
    /// Where the best segment lies, and how many there are.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    event: Option<EventRow>,
    duration_s: f64,
    status: String,
    codec: String,
    missing: bool,
    classes: Vec<ClassRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<ExplainRow>,
    #[serde(skip)]
    readable_path: String,
}

#[derive(Debug, Serialize)]
struct EventRow {
    best_start_s: f64,
    best_end_s: f64,
    segments: usize,
}

#[derive(Debug, Serialize)]
struct ClassRow {
    name: String,
    score: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct ExplainRow {
    shared: Vec<SharedRow>,
    spread: Option<SpreadRow>,
}

#[derive(Debug, Serialize)]
struct SharedRow {
    name: String,
    query: f64,
    hit: f64,
}

#[derive(Debug, Serialize)]
struct SpreadRow {
    segments: usize,
    least: f32,
    median: f32,
    best: f32,
    near: f32,
    near_share: f64,
}

impl HitRow {
    /// The row of `hit`; looks whether its file is there.
    pub(super) fn new(hit: &Hit, level: Level, explanation: Option<Explanation>) -> Self {
        let path = &hit.recording.path;
        let missing = is_missing(path);
        let flaw = Some(hit.recording.status.as_str()).filter(|status| *status != "ok");
        let flaws: Vec<&str> = flaw.into_iter().chain(missing.then_some("gone")).collect();
        let mut readable = readable_path(path).into_owned();
        if !flaws.is_empty() {
            readable = format!("{readable} ({})", flaws.join(", "));
        }
        Self {
            rank: hit.rank,
            score: hit.score,
            recording_id: hit.recording.id,
            path: path.to_string_lossy().into_owned(),
            path_hex: path_hex(path),
            start_s: hit.range.start_s,
            end_s: hit.range.end_s,
            event: (level == Level::Segment).then_some(EventRow {
                best_start_s: hit.best.start_s,
                best_end_s: hit.best.end_s,
                segments: hit.segments,
            }),
            duration_s: hit.recording.duration_s,
            status: hit.recording.status.clone(),
            codec: hit.recording.codec.clone(),
            missing,
            classes: shown_classes(hit)
                .map(|(name, score)| ClassRow { name: name.to_owned(), score })
                .collect(),
            explain: explanation.map(ExplainRow::new),
            readable_path: readable,
        }
    }

    fn class_names(&self) -> String {
        let names: Vec<&str> = self.classes.iter().map(|class| class.name.as_str()).collect();
        names.join("; ")
    }

    fn seconds(&self) -> String {
        match self.event {
            None => format!("{:.2}", self.duration_s),
            Some(_) => format!("{:.2}–{:.2}", self.start_s, self.end_s),
        }
    }
}

/// The classes of a hit that are worth showing.
pub(super) fn shown_classes(hit: &Hit) -> impl Iterator<Item = (&str, f64)> {
    hit.classes
        .iter()
        .filter(|class| class.score >= LEAST_SCORE)
        .take(CLASSES_SHOWN)
        .map(|class| (class.name.as_str(), class.score))
}

impl Row for HitRow {
    const COLUMNS: &'static [&'static str] = &[
        "rank",
        "score",
        "recording_id",
        "path",
        "start_s",
        "end_s",
        "duration_s",
        "status",
        "codec",
        "classes",
        "best_start_s",
        "best_end_s",
        "segments",
        "missing",
    ];
    const HEADINGS: &'static [&'static str] =
        &["#", "Score", "Recording", "Seconds", "Id", "Sounds like"];

    fn cells(&self) -> Vec<String> {
        let event = |value: &dyn Fn(&EventRow) -> String| {
            self.event.as_ref().map(value).unwrap_or_default()
        };
        vec![
            self.rank.to_string(),
            self.score.to_string(),
            self.recording_id.to_string(),
            self.path.clone(),
            self.start_s.to_string(),
            self.end_s.to_string(),
            self.duration_s.to_string(),
            self.status.clone(),
            self.codec.clone(),
            self.class_names(),
            event(&|event| event.best_start_s.to_string()),
            event(&|event| event.best_end_s.to_string()),
            event(&|event| event.segments.to_string()),
            self.missing.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.rank.to_string(),
            format!("{:.3}", self.score),
            self.readable_path.clone(),
            self.seconds(),
            format!("id:{}", self.recording_id),
            self.class_names(),
        ]
    }
}

/// Columns that `--explain` adds to a spreadsheet.
pub(super) const EXPLAIN_COLUMNS: [&str; 7] = [
    "shared_classes",
    "spread_segments",
    "spread_least",
    "spread_median",
    "spread_best",
    "spread_near",
    "spread_near_share",
];

impl ExplainRow {
    pub(super) fn new(explanation: Explanation) -> Self {
        let shared = explanation.shared.into_iter().map(|class| SharedRow {
            name: class.name,
            query: class.query_score,
            hit: class.hit_score,
        });
        let spread = explanation.spread.map(|spread| SpreadRow {
            segments: spread.segments,
            least: spread.least,
            median: spread.median,
            best: spread.best,
            near: spread.near,
            near_share: spread.near_share,
        });
        Self { shared: shared.collect(), spread }
    }

    fn shared(&self) -> String {
        let classes = self
            .shared
            .iter()
            .map(|class| format!("{} {:.2} and {:.2}", class.name, class.query, class.hit));
        classes.collect::<Vec<_>>().join("; ")
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.shared()];
        cells.extend(match &self.spread {
            None => vec![String::new(); EXPLAIN_COLUMNS.len() - 1],
            Some(spread) => vec![
                spread.segments.to_string(),
                spread.least.to_string(),
                spread.median.to_string(),
                spread.best.to_string(),
                spread.near.to_string(),
                spread.near_share.to_string(),
            ],
        });
        cells
    }

    /// The line below a hit.
    pub(super) fn line(&self) -> String {
        let shared = match self.shared.as_slice() {
            [] => "no class in common".to_owned(),
            _ => format!("both: {}", self.shared()),
        };
        let spread = match &self.spread {
            None => "no segment is fit to be searched".to_owned(),
            Some(spread) => format!(
                "segments {:.2} to {:.2}, median {:.2}, {:.0} % from {:.2} on",
                spread.least,
                spread.best,
                spread.median,
                100.0 * spread.near_share,
                spread.near
            ),
        };
        format!("{shared}; {spread}")
    }
}

/// Prints `rows` for spreadsheets.
pub(super) fn print_csv(rows: &[HitRow], explained: bool, printer: &mut Printer) -> Result<()> {
    if !explained {
        return printer.rows(rows);
    }
    let columns = [HitRow::COLUMNS, &EXPLAIN_COLUMNS].concat();
    let cells = |row: &HitRow| {
        let mut cells = row.cells();
        cells.extend(row.explain.iter().flat_map(ExplainRow::cells));
        cells
    };
    printer.sheet(&columns, rows.iter().map(cells))
}

/// Prints `rows` for people.
pub(super) fn print_table(rows: &[HitRow], printer: &mut Printer) -> Result<()> {
    let mut headings = HitRow::HEADINGS.to_vec();
    let mut cells: Vec<Vec<String>> = rows.iter().map(Row::readable).collect();
    if printer.terminal_width().is_some_and(|width| width >= ROOM_FOR_BARS) {
        headings.insert(2, "");
        for (row, cells) in rows.iter().zip(&mut cells) {
            cells.insert(2, bar(row.score));
        }
    }
    let notes: Vec<String> =
        rows.iter().filter_map(|row| row.explain.as_ref().map(ExplainRow::line)).collect();
    printer.annotated_table(&headings, cells, &notes)
}

/// A bar as long as a score is high, to an eighth of a character.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and eight times the characters"
)]
pub(super) fn bar(score: f32) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (score.clamp(0.0, 1.0) * 8.0 * f32::from(BAR_CHARACTERS)).round() as usize;
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_score() {
        assert_eq!(bar(1.0), "████████");
        assert_eq!(bar(0.5), "████");
        assert_eq!(bar(0.51), "████▏");
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(-0.5), "");
        assert_eq!(bar(f32::NAN), "");
    }
}
