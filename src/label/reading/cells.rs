//! What stands in a cell.
//!
//! In: text. Out: a number, a class, a judgement, a stretch. Refuses what is none, in words.

use crate::audio::segment::TimeRange;
use crate::label::problem::{RowProblem, RowResult};
use crate::label::{BEHIND_END_S, stretch};
use crate::store::endings::Extent;
use crate::store::labels::Judgement;

/// Bytes of the longest class; more is a table whose quotation marks do not close.
const LONGEST_CLASS: usize = 1000;

/// The beginning of what stands in a cell that should have been a number.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

/// A class, without the space around it.
pub(super) fn class(text: &str) -> RowResult<String> {
    match text.trim() {
        "" => Err(RowProblem::NoClass),
        class if class.len() > LONGEST_CLASS => Err(RowProblem::LongClass { found: class.len() }),
        class => Ok(class.to_owned()),
    }
}

/// A judgement by its word, or another that people use; nothing, where the cell is empty.
pub(super) fn judgement(text: &str) -> RowResult<Option<Judgement>> {
    let text = text.trim();
    Ok(Some(match text.to_lowercase().as_str() {
        "" => return Ok(None),
        "positive" | "pos" | "present" | "presence" | "yes" | "y" | "true" | "1" | "1.0" | "+"
        | "p" => Judgement::Positive,
        "negative" | "neg" | "absent" | "absence" | "no" | "n" | "false" | "0" | "0.0" | "-" => {
            Judgement::Negative
        }
        "unsure" | "uncertain" | "unknown" | "maybe" | "?" | "u" => Judgement::Unsure,
        _ => return Err(RowProblem::Judgement { text: short(text) }),
    }))
}

/// A score from 0 to 1.
pub(super) fn score(number: Option<f64>) -> RowResult<Option<f64>> {
    match number {
        Some(found) if !(0.0..=1.0).contains(&found) => Err(RowProblem::Score { found }),
        score => Ok(score),
    }
}

/// A band of frequencies by its ends.
pub(super) fn band(low: Option<f64>, high: Option<f64>) -> RowResult<Option<(f64, f64)>> {
    match (low, high) {
        (None, None) => Ok(None),
        (Some(found), _) | (_, Some(found)) if found < 0.0 => {
            Err(RowProblem::Negative { column: "frequency", found })
        }
        (Some(low), Some(high)) if low <= high => Ok(Some((low, high))),
        _ => Err(RowProblem::Band),
    }
}

/// A stretch of a recording by its ends; `None`: all of it. One end alone goes to that of the
/// recording.
pub(super) fn range(
    start: Option<f64>,
    end: Option<f64>,
    extent: Extent,
) -> RowResult<Option<TimeRange>> {
    if start.is_none() && end.is_none() {
        return Ok(None);
    }
    let (start_s, end_s) = (start.unwrap_or(0.0), end.unwrap_or(extent.duration_s));
    if start_s < 0.0 {
        return Err(RowProblem::Negative { column: "start", found: start_s });
    }
    if end_s < start_s {
        return Err(RowProblem::EndBeforeStart { start_s, end_s });
    }
    if end_s > extent.duration_s + BEHIND_END_S {
        return Err(RowProblem::BehindEnd { end_s, duration_s: extent.duration_s });
    }
    Ok(Some(stretch(start_s, end_s)))
}
