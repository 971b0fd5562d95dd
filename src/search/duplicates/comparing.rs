//! Fingerprints of pairs into the stretches that they have in common.
//!
//! In: candidates, and where fingerprints are stored. Out: [`Found`], to the print.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::aligning::loudest_pieces;
use super::alignment::{Diagonal, common_stretches};
use super::candidates::Candidate;
use super::listening::{Prints, Stored};
use super::{Pair, Phase, Task};
use crate::error::Result;
use crate::frontend::fingerprint::{HOP_SAMPLES, SAMPLE_RATE, SPAN_SAMPLES};
use crate::units::signed;

/// Up to this many prints (a minute) a recording is compared as a whole, at every lag.
const WHOLE: usize = 3_750;
/// Prints around a candidate that are compared with it in longer recordings: 3 s.
const MARGIN: i64 = 188;
/// Prints by which a candidate's lag may be wrong: a second.
const LAG_MARGIN: i64 = 62;
/// Prints from the edge of what was read from which a stretch may go on behind it.
const NEAR_EDGE: usize = 8;
/// Lags that are the same diagonal.
const SAME_LAG: i64 = 4;
/// Least share of bits that agree beyond chance. Copies had 0.48 or more; nothing else that
/// scored enough came below 0.43, and the waveforms decide.
const LEAST_AGREEMENT: f32 = 0.2;

/// A stretch that the fingerprints of a pair have in common; its beginnings and length count in
/// samples.
pub(super) struct Found {
    pub(super) pair: Pair,
    pub(super) starts: [usize; 2],
    pub(super) length: usize,
    /// Where its loudest pieces begin, in samples from the beginnings.
    pub(super) pieces: Vec<usize>,
}

/// Compares the fingerprints of pairs.
pub(super) fn compare(
    task: &Task<'_>,
    pairs: &[(Pair, Vec<Candidate>)],
    prints: &Prints,
    stored: &HashMap<usize, Stored>,
) -> Result<Vec<Found>> {
    let done = AtomicUsize::new(0);
    let found: Result<Vec<Vec<Found>>> = pairs
        .par_iter()
        .map(|(pair, candidates)| {
            if task.watcher.is_cancelled() {
                return Ok(Vec::new());
            }
            let comparison = Comparison {
                pair: *pair,
                stored: [stored[&pair.0], stored[&pair.1]],
                prints,
                task,
            };
            let found = comparison.stretches(candidates);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            task.watcher.progressed(Phase::Comparing, done, pairs.len());
            found
        })
        .collect();
    Ok(found?.into_iter().flatten().collect())
}

/// Two recordings that are compared.
struct Comparison<'a> {
    pair: Pair,
    stored: [Stored; 2],
    prints: &'a Prints,
    task: &'a Task<'a>,
}

impl Comparison<'_> {
    fn stretches(&self, candidates: &[Candidate]) -> Result<Vec<Found>> {
        let is_within = self.pair.0 == self.pair.1;
        if self.stored.iter().all(|stored| stored.count <= WHOLE) {
            let [a, b] = [0, 1].map(|side| self.prints.read(self.stored[side], 0..WHOLE));
            let least = if is_within { self.least_prints() } else { i64::MIN };
            let common = common_stretches(&a?, &b?, least..=i64::MAX);
            let found: Result<Vec<_>> =
                common.iter().map(|diagonal| self.found(diagonal)).collect();
            return Ok(found?.into_iter().flatten().collect());
        }
        let mut all: Vec<Diagonal> = Vec::new();
        for candidate in candidates {
            for diagonal in self.around(candidate, is_within)? {
                // Candidates of one stretch lead to the same diagonal.
                let is_known = |known: &Diagonal| {
                    (known.lag - diagonal.lag).abs() <= SAME_LAG
                        && known.start < diagonal.end
                        && diagonal.start < known.end
                };
                if !all.iter().any(is_known) {
                    all.push(diagonal);
                }
            }
        }
        let found: Result<Vec<_>> = all.iter().map(|diagonal| self.found(diagonal)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// What the two have in common around a candidate. Goes on as long as it does.
    fn around(&self, candidate: &Candidate, is_within: bool) -> Result<Vec<Diagonal>> {
        let lags = [candidate.lag_s.0, candidate.lag_s.1].map(prints_in);
        let least = if is_within { self.least_prints() } else { i64::MIN };
        let (mut before, mut behind) = (MARGIN, MARGIN);
        loop {
            let from = (prints_in(candidate.start_s) - before).max(0);
            let to = prints_in(candidate.end_s) + LAG_MARGIN + behind;
            let second = ((from + lags[0] - MARGIN).max(0), to + lags[1] + MARGIN);
            let range = |(from, to): (i64, i64)| {
                usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0)
            };
            let a = self.prints.read(self.stored[0], range((from, to)))?;
            let b = self.prints.read(self.stored[1], range(second))?;
            // Within what was read, lags count from where it begins.
            let shift = from - second.0;
            let lag = |lag: i64| lag.saturating_add(shift);
            let tried = lag((lags[0] - LAG_MARGIN).max(least))..=lag(lags[1] + LAG_MARGIN);
            let mut common = common_stretches(&a, &b, tried);
            let reaches_start =
                from > 0 && common.iter().any(|diagonal| diagonal.start <= NEAR_EDGE);
            let reaches_end = to < signed(self.stored[0].count)
                && common.iter().any(|diagonal| diagonal.end + NEAR_EDGE >= a.len());
            if !reaches_start && !reaches_end {
                for diagonal in &mut common {
                    diagonal.start += range((from, to)).start;
                    diagonal.end += range((from, to)).start;
                    diagonal.lag -= shift;
                }
                return Ok(common);
            }
            before *= if reaches_start { 4 } else { 1 };
            behind *= if reaches_end { 4 } else { 1 };
        }
    }

    /// A diagonal as a stretch of both recordings, with the pieces that will be listened to;
    /// nothing when it is too short or agrees too little.
    fn found(&self, diagonal: &Diagonal) -> Result<Option<Found>> {
        let mut end = diagonal.end;
        if self.pair.0 == self.pair.1 {
            // Parts of one recording that overlap are the same because they are the same.
            let lag = usize::try_from(diagonal.lag).unwrap_or(0);
            end = end.min(diagonal.start + lag);
        }
        if end <= diagonal.start {
            return Ok(None);
        }
        let second = i64::try_from(diagonal.start).unwrap_or(i64::MAX) + diagonal.lag;
        let second = usize::try_from(second).unwrap_or(0);
        let length = (end - diagonal.start - 1) * HOP_SAMPLES + SPAN_SAMPLES;
        let length_s = length as f64 / f64::from(SAMPLE_RATE);
        let is_too_short = length_s < self.task.options.min_duration_s;
        if is_too_short || diagonal.agreement() < LEAST_AGREEMENT {
            return Ok(None);
        }
        let prints = self.prints.read(self.stored[0], diagonal.start..end)?;
        Ok(Some(Found {
            pair: self.pair,
            starts: [diagonal.start * HOP_SAMPLES, second * HOP_SAMPLES],
            length,
            pieces: loudest_pieces(&prints, length),
        }))
    }

    /// The shortest stretch that counts, in prints: one at least, because at a lag of none every
    /// recording is the same as itself.
    fn least_prints(&self) -> i64 {
        prints_in(self.task.options.min_duration_s).max(1)
    }
}

/// A time in prints.
#[expect(clippy::cast_possible_truncation, reason = "far less than 2^63 prints")]
fn prints_in(seconds: f64) -> i64 {
    (seconds * f64::from(SAMPLE_RATE) / HOP_SAMPLES as f64).round() as i64
}
