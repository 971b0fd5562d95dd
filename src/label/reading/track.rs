//! Audacity's label tracks.
//!
//! In: lines of start, end and label, with or without a second line of frequencies. Out: labels.
//! Refuses tracks whose recording nobody names.

use std::io::{BufRead, Read as _};

use super::numbers::Numbers;
use super::{ReadingSpec, Visit, cells};
use crate::error::{LabelProblem, Result};
use crate::label::ReadLabel;
use crate::label::places::Places;
use crate::label::problem::{Refusal, RowProblem, RowResult};
use crate::label::writing::{JUDGEMENT_WORDS, seconds_6};
use crate::store::endings::Extent;

/// Bytes of the longest line.
const LONGEST_LINE: u64 = 1 << 20;

pub(super) fn read(
    input: &mut dyn BufRead,
    spec: &ReadingSpec<'_>,
    places: &Places,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let recording = spec.subject(places).map_err(|problem| spec.problem(problem))?;
    let no_recording = || spec.problem(LabelProblem::NoRecording);
    let extent = places.extent(recording).ok_or_else(no_recording)?;
    let mut pending: Option<std::result::Result<ReadLabel, Refusal>> = None;
    let numbers = Numbers::new(b'\t');
    let mut bytes = Vec::new();
    let mut line = 0;
    loop {
        bytes.clear();
        let read = input.take(LONGEST_LINE).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| spec.io(error))?;
        if read == 0 {
            break;
        }
        if read as u64 == LONGEST_LINE {
            let problem = "a line of more than a megabyte".to_owned();
            return Err(spec.problem(LabelProblem::Table { problem }));
        }
        line += 1;
        let refused = |problem| Refusal { line, problem };
        let Ok(text) = str::from_utf8(&bytes) else {
            pending.replace(Err(refused(RowProblem::NotUtf8))).map_or(Ok(()), &mut *visit)?;
            continue;
        };
        let text = text.trim_end_matches(['\n', '\r']);
        if text.trim().is_empty() {
            continue;
        }
        if let Some(band) = text.strip_prefix("\\\t") {
            // It belongs to the line before it, and so does what is wrong with it.
            pending = match pending {
                Some(Ok(label)) => Some(
                    band_of(band, extent, &numbers)
                        .map(|band_hz| ReadLabel { band_hz, ..label })
                        .map_err(refused),
                ),
                None => Some(Err(refused(RowProblem::NotALabel))),
                refusal => refusal,
            };
            continue;
        }
        let label = label_of(text, line, (recording, extent), &numbers).map_err(refused);
        pending.replace(label).map_or(Ok(()), &mut *visit)?;
    }
    pending.map_or(Ok(()), visit)
}

fn label_of(
    text: &str,
    line: u64,
    (recording, extent): (i64, Extent),
    numbers: &Numbers,
) -> RowResult<ReadLabel> {
    let (start, rest) = text.split_once('\t').ok_or(RowProblem::NotALabel)?;
    let start = numbers.number("start", start)?.ok_or(RowProblem::NotALabel)?;
    let (end, label) = rest.split_once('\t').unwrap_or((rest, ""));
    let (end, label) = match numbers.number("end", end) {
        Ok(Some(end)) => (end, label),
        // A point may have one time only.
        Err(RowProblem::NotANumber { .. }) if label.is_empty() => (start, end),
        Ok(None) => (start, label),
        Err(problem) => return Err(problem),
    };
    let suffix = JUDGEMENT_WORDS.iter().find(|(_, suffix)| label.trim_end().ends_with(suffix));
    let class = cells::class(match suffix {
        Some((_, suffix)) => label.trim_end().strip_suffix(suffix).unwrap_or(label),
        None => label,
    })?;
    let judgement = suffix.map(|(judgement, _)| *judgement);
    let is_whole = start == 0.0 && seconds_6(end) == seconds_6(extent.duration_s);
    let range = if is_whole { None } else { cells::range(Some(start), Some(end), extent)? };
    let (source, score, band_hz) = (None, None, None);
    Ok(ReadLabel { line, recording, class, range, judgement, source, score, band_hz })
}

/// A band of frequencies; where an end is undefined, which Audacity writes as -1, that of hearing.
fn band_of(text: &str, extent: Extent, numbers: &Numbers) -> RowResult<Option<(f64, f64)>> {
    let (low, high) = text.split_once('\t').ok_or(RowProblem::Band)?;
    let low = numbers.number("low", low)?.filter(|&low| low >= 0.0);
    let high = numbers.number("high", high)?.filter(|&high| high >= 0.0);
    if low.is_none() && high.is_none() {
        return Ok(None);
    }
    let highest = f64::from(extent.sample_rate) / 2.0;
    cells::band(Some(low.unwrap_or(0.0)), Some(high.unwrap_or(highest)))
}
