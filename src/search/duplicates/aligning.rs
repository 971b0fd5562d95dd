//! Stretches that fingerprints agree on into matches, by their waveforms.
//!
//! In: [`Found`]. Out: [`Match`]es whose lag is exact to a fraction of a sample at 16 kHz.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::comparing::Found;
use super::groups::{Evidence, Match, Stretch};
use super::listening::pieces;
use super::waveform::fit;
use super::{Phase, Task};
use crate::audio::resample::FilterCache;
use crate::audio::segment::TimeRange;
use crate::frontend::fingerprint::{HOP_SAMPLES, Print, SAMPLE_RATE, SPAN_SAMPLES};

/// Matches whose pieces of sound are in memory at once.
const MATCHES_AT_ONCE: usize = 1_000;
/// Samples of a piece whose waveform is compared: a quarter of a second.
const PIECE: usize = 4_000;
/// Pieces that are compared of each match.
const PIECES: usize = 3;
/// Samples by which a piece may lie elsewhere than the fingerprint says: three prints.
const SLACK: usize = 3 * HOP_SAMPLES;

/// Compares the waveforms of all that was found, some at a time.
pub(super) fn align_all(task: &Task<'_>, found: &[Found], filters: &FilterCache) -> Vec<Match> {
    let (mut matches, mut done) = (Vec::new(), 0);
    for some in found.chunks(MATCHES_AT_ONCE) {
        if task.watcher.is_cancelled() {
            break;
        }
        matches.extend(align(task, some, filters));
        done += some.len();
        task.watcher.progressed(Phase::Aligning, done, found.len());
    }
    matches
}

/// Where the loudest pieces of `length` samples begin; they do not overlap.
pub(super) fn loudest_pieces(prints: &[Print], length: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..prints.len()).collect();
    order.sort_by_key(|&index| (u8::MAX - prints[index].level, index));
    let piece = piece_of(length);
    // Away from both ends, where the recordings may end a little before the fingerprint says.
    let (from, to) = (SLACK.min((length - piece) / 2), length - piece);
    let mut chosen: Vec<usize> = Vec::new();
    for index in order {
        // The window that is loudest should be in the middle.
        let middle = index * HOP_SAMPLES + SPAN_SAMPLES / 2;
        let start = middle.saturating_sub(piece / 2).clamp(from, to - from);
        if chosen.iter().all(|before| before.abs_diff(start) >= piece) {
            chosen.push(start);
        }
        if chosen.len() == PIECES {
            break;
        }
    }
    chosen
}

/// Samples of each piece of a stretch of `length` samples.
fn piece_of(length: usize) -> usize {
    PIECE.min(length.saturating_sub(2 * SLACK)).max(length.min(PIECE) / 2)
}

/// Compares the waveforms of what was found.
fn align(task: &Task<'_>, found: &[Found], filters: &FilterCache) -> Vec<Match> {
    // What is wanted of each recording: start, length, and for whom.
    let mut wanted: BTreeMap<usize, Vec<(usize, usize, Key)>> = BTreeMap::new();
    for (index, found) in found.iter().enumerate() {
        let length = piece_of(found.length);
        for (piece, &start) in found.pieces.iter().enumerate() {
            let first = found.starts[0] + start;
            let second = (found.starts[1] + start).saturating_sub(SLACK);
            let longer = found.starts[1] + start + length + SLACK - second;
            wanted.entry(found.pair.0).or_default().push((first, length, (index, piece, 0)));
            wanted.entry(found.pair.1).or_default().push((second, longer, (index, piece, 1)));
        }
    }
    let wanted: Vec<_> = wanted.into_iter().collect();
    let sounds: HashMap<Key, Vec<f32>> = wanted
        .into_par_iter()
        .flat_map_iter(|(number, mut wanted)| {
            wanted.sort_by_key(|&(start, ..)| start);
            let places: Vec<_> = wanted.iter().map(|&(start, length, _)| (start, length)).collect();
            // It could be read a moment ago; what cannot be read now fits nowhere.
            let heard = pieces(&task.contents[number].recording.path, &places, filters);
            let keys = wanted.into_iter().map(|(.., key)| key);
            keys.zip(heard.unwrap_or_default()).collect::<Vec<_>>()
        })
        .collect();
    found
        .par_iter()
        .enumerate()
        .filter_map(|(index, found)| {
            aligned(index, found, &sounds)
                .filter(|aligned| aligned.similarity >= task.options.threshold)
                .map(|aligned| to_the_ends(aligned, task))
        })
        .collect()
}

/// A match that leaves less of both recordings than a print spans, at an end: what is left cannot
/// be told from what was compared.
fn to_the_ends(mut matching: Match, task: &Task<'_>) -> Match {
    let rest = HOP_SAMPLES as f64 / f64::from(SAMPLE_RATE);
    let [a, b] = matching.stretches;
    let before_s = a.range.start_s.min(b.range.start_s);
    let duration_s = |stretch: Stretch| task.contents[stretch.recording].recording.duration_s;
    let behind_s = (duration_s(a) - a.range.end_s).min(duration_s(b) - b.range.end_s);
    for stretch in &mut matching.stretches {
        if before_s <= rest {
            stretch.range.start_s -= before_s;
        }
        if behind_s <= rest {
            // Less than nothing where resampling rounded the length up.
            stretch.range.end_s += behind_s;
        }
    }
    matching
}

/// A match's number, its piece's, and the side.
type Key = (usize, usize, usize);

/// What was found, with the lag to the sample and the waveforms' correlation.
fn aligned(index: usize, found: &Found, sounds: &HashMap<Key, Vec<f32>>) -> Option<Match> {
    let mut peaks = Vec::new();
    for (piece, &start) in found.pieces.iter().enumerate() {
        let sound = |side| sounds.get(&(index, piece, side));
        let Some(peak) = fit(sound(0)?, sound(1)?) else { continue };
        // Where the longer piece begins, as far as the recording's own beginning allows.
        let begins = (found.starts[1] + start).saturating_sub(SLACK);
        let shift = begins as f64 + peak.place - (found.starts[1] + start) as f64;
        peaks.push((peak.correlation, shift));
    }
    peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = *peaks.first()?;
    // The median: one piece of three may lie where a copy was faded or covered.
    let similarity = 0.5 * (peaks[(peaks.len() - 1) / 2].0 + peaks[peaks.len() / 2].0);
    let seconds = |samples: f64| samples / f64::from(SAMPLE_RATE);
    let lag = found.starts[1] as f64 - found.starts[0] as f64 + best.1;
    let stretch = |recording: usize, start: f64| Stretch {
        recording,
        range: TimeRange {
            start_s: seconds(start.max(0.0)),
            end_s: seconds(start.max(0.0) + found.length as f64),
        },
    };
    let start = found.starts[0] as f64;
    Some(Match {
        stretches: [stretch(found.pair.0, start), stretch(found.pair.1, start + lag)],
        lag_s: seconds(lag),
        similarity,
        evidence: Evidence::Heard,
    })
}
