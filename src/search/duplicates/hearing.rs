//! Candidates into matches, by listening: fingerprints say where, waveforms how well.
//!
//! In: candidates. Out: [`Match`]es, and the recordings that could not be listened to, whose
//! candidates are judged by their vectors.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::aligning::align_all;
use super::candidates::Candidate;
use super::comparing::compare;
use super::completion::{Link, missing};
use super::groups::{Evidence, Match, Stretch};
use super::listening::{KEEP, Prints, Stored};
use super::looking::Candidates;
use super::{Pair, Phase, Task, Unheard};
use crate::audio::resample::FilterCache;
use crate::audio::segment::TimeRange;
use crate::error::{Error, Result};

/// Votes that vectors need where nobody listened, except between recordings of one window.
const LEAST_VOTES: usize = 3;

/// Listens to the candidates.
pub(super) fn hear(
    task: &Task<'_>,
    candidates: Candidates,
    window_s: f64,
) -> Result<(Vec<Match>, Vec<Unheard>)> {
    let mut matches = Vec::new();
    if !task.options.verify {
        for (&pair, candidates) in &candidates {
            matches.extend(by_vectors(task, pair, candidates, window_s));
        }
        return Ok((matches, Vec::new()));
    }
    let filters = FilterCache::default();
    let prints = Prints::new()?;
    let (stored, unheard) = listen(task, &candidates, &prints, &filters)?;
    let (heard, deaf): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|((a, b), _)| stored.contains_key(a) && stored.contains_key(b));
    if !task.watcher.is_cancelled() {
        for (pair, candidates) in &deaf {
            matches.extend(by_vectors(task, *pair, candidates, window_s));
        }
    }
    let found = compare(task, &heard, &prints, &stored)?;
    let aligned = align_all(task, &found, &filters);
    let is_better = |a: usize, b: usize| super::is_better(&task.contents[a], &task.contents[b]);
    let links: Vec<Link> = aligned.iter().map(link).collect();
    let further: Vec<_> = missing(&links, &is_better).into_iter().collect();
    let found = compare(task, &further, &prints, &stored)?;
    matches.extend(aligned);
    matches.extend(align_all(task, &found, &filters));
    Ok((matches, unheard))
}

fn link(matching: &Match) -> Link {
    let [first, second] = matching.stretches;
    Link {
        pair: (first.recording, second.recording),
        start_s: first.range.start_s,
        end_s: first.range.end_s,
        lag_s: matching.lag_s,
    }
}

/// What the vectors alone say.
fn by_vectors(
    task: &Task<'_>,
    (first, second): Pair,
    candidates: &[Candidate],
    window_s: f64,
) -> Vec<Match> {
    let end_s = |number: usize| task.contents[number].recording.duration_s;
    let matching = candidates.iter().filter_map(|candidate| {
        let lag_s = 0.5 * (candidate.lag_s.0 + candidate.lag_s.1);
        let length_s = candidate.end_s - candidate.start_s + window_s;
        let stretch = |recording: usize, start_s: f64| Stretch {
            recording,
            range: TimeRange {
                start_s: start_s.max(0.0),
                end_s: (start_s + length_s).min(end_s(recording)),
            },
        };
        let matching = Match {
            stretches: [
                stretch(first, candidate.start_s),
                stretch(second, candidate.start_s + lag_s),
            ],
            lag_s,
            similarity: candidate.cosine.clamp(0.0, 1.0),
            evidence: Evidence::Vectors,
        };
        let is_long = matching.stretches.iter().all(|stretch| {
            stretch.range.end_s - stretch.range.start_s >= task.options.min_duration_s
        });
        // Near silence is near to all other near silence, steady rain to other rain.
        let is_distinct = 2 * candidate.distinct > candidate.votes;
        let is_alike = candidate.cosine >= task.options.cosine;
        // Two segments that find each other are two votes, which near silence gets as well.
        let is_borne_out = candidate.votes >= LEAST_VOTES || length_s > end_s(first);
        (is_long && is_alike && is_distinct && is_borne_out).then_some(matching)
    });
    matching.collect()
}

/// Takes the fingerprint of every recording that has a candidate.
fn listen(
    task: &Task<'_>,
    candidates: &Candidates,
    prints: &Prints,
    filters: &FilterCache,
) -> Result<(HashMap<usize, Stored>, Vec<Unheard>)> {
    let numbers: BTreeSet<usize> = candidates.keys().flat_map(|&(a, b)| [a, b]).collect();
    let numbers: Vec<usize> = numbers.into_iter().collect();
    let done = AtomicUsize::new(0);
    let go_on = || !task.watcher.is_cancelled();
    let listened: Vec<_> = numbers
        .par_iter()
        .filter(|_| go_on())
        .map(|&number| {
            let path = &task.contents[number].recording.path;
            let stored = prints.listen(path, filters, &go_on);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            task.watcher.progressed(Phase::Listening, done, numbers.len());
            (number, stored)
        })
        .collect();
    let (mut stored, mut unheard) = (HashMap::new(), Vec::new());
    for (number, result) in listened {
        match result {
            Ok(place) => {
                stored.insert(number, place);
            }
            // A full disk is no recording's fault.
            Err(error @ Error::Io { action: KEEP, .. }) => return Err(error),
            Err(error) => unheard.push((task.contents[number].recording.path.clone(), error)),
        }
    }
    Ok((stored, unheard))
}
