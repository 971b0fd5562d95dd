//! Candidates in the order of their exact cosines, each compared only when its turn may have come.
//!
//! In: a [`Collection`], and a query at length one. Out: one match after another, nearest first. Who
//! needs only the first ones, or can tell by the key that a candidate is no answer, saves reading the
//! vectors of the others from the library: that is most of a search's work. Refuses what
//! [`Collection::nearest`] does.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};

use super::{Collection, Keyed, Match};
use crate::error::Result;
use crate::index::metric::{cosine, normalise};
use crate::index::scan::Greatest;
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::segments::VectorKey;

/// Candidates that are being compared.
#[derive(Debug)]
pub(crate) struct Approach {
    /// The query at length one.
    unit: Vec<f32>,
    /// The most promising first.
    candidates: Vec<Keyed>,
    /// How many were looked at.
    next: usize,
    /// Those that were compared and not given yet.
    ready: BinaryHeap<Ready>,
    /// Whoever is not among the candidates is no nearer than this.
    floor: f32,
    /// Whether everything that may be an answer is among the candidates.
    pub(crate) is_all: bool,
    /// Candidates that the library does not have any more.
    pub(crate) gone: HashSet<VectorKey>,
    stored: Vec<f32>,
}

/// A match; the nearest is the greatest, of equally near ones that with the least key.
#[derive(Clone, Copy, Debug)]
struct Ready(Match);

impl Ord for Ready {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = other.0.key.segment.cmp(&self.0.key.segment);
        self.0.cosine.total_cmp(&other.0.cosine).then(by_key)
    }
}

impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ready {}

impl Collection {
    /// Those that may be among the `count` nearest to `unit`, a query at length one, within `scope` and
    /// without `gone`.
    ///
    /// # Errors
    /// As [`nearest`](Self::nearest).
    pub(crate) fn approach(
        &self,
        library: &Library,
        unit: &[f32],
        count: usize,
        scope: &Scope,
        gone: &HashSet<VectorKey>,
    ) -> Result<Approach> {
        let mut candidates = self.candidates(library, unit, count, scope, gone)?;
        let is_all = candidates.len() < count;
        let mut limits = Greatest::new(count);
        for candidate in &candidates {
            limits.offer(candidate.lower);
        }
        let floor = limits.threshold();
        candidates.retain(|candidate| candidate.upper >= floor);
        candidates.sort_by(|a, b| b.upper.total_cmp(&a.upper));
        Ok(Approach {
            unit: unit.to_vec(),
            candidates,
            next: 0,
            ready: BinaryHeap::new(),
            floor,
            is_all,
            gone: HashSet::new(),
            stored: Vec::with_capacity(unit.len()),
        })
    }

    /// The next of the matches that `admits`, nearest first, with its exact cosine; nothing where
    /// others than the candidates might be nearer.
    ///
    /// # Errors
    /// As [`nearest`](Self::nearest).
    pub(crate) fn next_match(
        &self,
        library: &Library,
        approach: &mut Approach,
        admits: impl Fn(VectorKey) -> bool,
    ) -> Result<Option<Match>> {
        let dimension = self.model.identity.dimension;
        loop {
            let Approach { unit, candidates, next, ready, floor, is_all, gone, stored } = approach;
            let candidate = candidates.get(*next).copied();
            if let Some(&Ready(nearest)) = ready.peek()
                // Those that are not compared yet could be as near, and come first by their keys.
                && candidate.is_none_or(|candidate| candidate.upper < nearest.cosine)
            {
                if nearest.cosine < *floor && !*is_all {
                    return Ok(None);
                }
                ready.pop();
                return Ok(Some(nearest));
            }
            let Some(Keyed { key, .. }) = candidate else { return Ok(None) };
            *next += 1;
            if !admits(key) {
                continue;
            }
            let is_there =
                library.searched_vector(key, self.model.id, self.level, dimension, stored)?
                    && normalise(stored, dimension).is_ok();
            if is_there {
                ready.push(Ready(Match { key, cosine: cosine(unit, stored) }));
            } else {
                gone.insert(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_and_then_the_first_comes_first() {
        let ready =
            |segment, cosine| Ready(Match { key: VectorKey { segment, recording: 1 }, cosine });
        let mut heap: BinaryHeap<Ready> =
            [ready(3, 0.5), ready(1, 0.25), ready(2, 0.5), ready(4, 0.75)].into();
        let order: Vec<i64> =
            std::iter::from_fn(|| heap.pop()).map(|one| one.0.key.segment).collect();
        assert_eq!(order, [4, 2, 3, 1]);
    }
}
