//! Which rows of a generation may be found: within the scope, and not removed since.
//!
//! In: a scope, ranges of removed segments. Out: a test of a row that takes a nanosecond or two.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::index::scope::{Allowed, Scope};
use crate::store::segments::VectorKey;

/// Ids up to which a set of them is a bit each; more are searched in a list.
const BITS_UP_TO: i64 = 1 << 28;

/// A set of row ids.
enum Ids<'a> {
    All,
    Bits(Vec<u64>),
    Sorted(&'a [i64]),
}

impl<'a> Ids<'a> {
    fn of(sorted: &'a [i64]) -> Self {
        match sorted.last() {
            Some(&last) if (0..BITS_UP_TO).contains(&last) => {
                let mut bits = vec![0; usize::try_from(last / 64 + 1).unwrap_or(0)];
                for &id in sorted {
                    if let Ok(id) = usize::try_from(id) {
                        bits[id / 64] |= 1 << (id % 64);
                    }
                }
                Self::Bits(bits)
            }
            _ => Self::Sorted(sorted),
        }
    }

    fn contains(&self, id: i64) -> bool {
        match self {
            Self::All => true,
            Self::Bits(bits) => usize::try_from(id)
                .is_ok_and(|id| bits.get(id / 64).is_some_and(|bits| bits >> (id % 64) & 1 == 1)),
            Self::Sorted(ids) => ids.binary_search(&id).is_ok(),
        }
    }
}

/// What may be found.
pub(crate) struct Passing<'a> {
    segments: Ids<'a>,
    recordings: Ids<'a>,
    /// Recordings that do not pass, ascending. There may be many: no set is made of them.
    all_but: &'a [i64],
    except: HashSet<i64>,
    /// Ranges of segments that were removed, ascending, apart.
    dead: &'a [RangeInclusive<i64>],
    /// Vectors that turned out not to be there any more.
    gone: &'a HashSet<VectorKey>,
}

impl<'a> Passing<'a> {
    pub(crate) fn new(
        scope: &'a Scope,
        dead: &'a [RangeInclusive<i64>],
        gone: &'a HashSet<VectorKey>,
    ) -> Self {
        let (segments, recordings, all_but) = match &scope.allowed {
            Allowed::All => (Ids::All, Ids::All, &[][..]),
            Allowed::Recordings(ids) => (Ids::All, Ids::of(ids), &[][..]),
            Allowed::Segments(ids) => (Ids::of(ids), Ids::All, &[][..]),
            Allowed::AllBut(ids) => (Ids::All, Ids::All, ids.as_slice()),
        };
        let except = scope.except.iter().copied().collect();
        Self { segments, recordings, all_but, except, dead, gone }
    }

    /// Whether everything passes.
    pub(crate) fn is_all(&self) -> bool {
        !self.is_filtered()
            && self.all_but.is_empty()
            && self.except.is_empty()
            && self.dead.is_empty()
            && self.gone.is_empty()
    }

    /// Whether a filter leaves only some.
    pub(crate) fn is_filtered(&self) -> bool {
        !matches!((&self.segments, &self.recordings), (Ids::All, Ids::All))
    }

    /// Whether the vector of `key` may be found.
    #[inline]
    pub(crate) fn contains(&self, key: VectorKey) -> bool {
        self.segments.contains(key.segment)
            && self.recordings.contains(key.recording)
            && (self.except.is_empty() || !self.except.contains(&key.recording))
            && (self.all_but.is_empty() || self.all_but.binary_search(&key.recording).is_err())
            && !is_in(self.dead, key.segment)
            && (self.gone.is_empty() || !self.gone.contains(&key))
    }
}

/// Whether `id` is in one of `ranges`, which ascend and lie apart.
pub(crate) fn is_in(ranges: &[RangeInclusive<i64>], id: i64) -> bool {
    if ranges.is_empty() {
        return false;
    }
    let behind = ranges.partition_point(|range| *range.start() <= id);
    behind > 0 && ranges[behind - 1].contains(&id)
}

/// `ranges` in ascending order, those that touch or overlap as one.
pub(crate) fn merged(mut ranges: Vec<RangeInclusive<i64>>) -> Vec<RangeInclusive<i64>> {
    ranges.sort_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<i64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_merged_and_found() {
        let ranges = merged(vec![8..=9, 1..=2, 3..=4, 8..=8, 20..=20]);
        assert_eq!(ranges, [1..=4, 8..=9, 20..=20]);
        let inside: Vec<i64> = (0..25).filter(|&id| is_in(&ranges, id)).collect();
        assert_eq!(inside, [1, 2, 3, 4, 8, 9, 20]);
    }

    /// Counting what passes takes longer than a walk of the graph: of a list of what does not, it
    /// would be done for each of a library's segments.
    #[test]
    fn what_leaves_most_is_no_filter() {
        let gone = HashSet::new();
        let is = |allowed, except| {
            let scope = Scope { allowed, except };
            let passing = Passing::new(&scope, &[], &gone);
            (passing.is_all(), passing.is_filtered())
        };
        assert_eq!(is(Allowed::All, Vec::new()), (true, false));
        assert_eq!(is(Allowed::All, vec![1]), (false, false));
        assert_eq!(is(Allowed::AllBut(vec![1]), Vec::new()), (false, false));
        assert_eq!(is(Allowed::Recordings(vec![1]), Vec::new()), (false, true));
    }

    #[test]
    fn the_same_as_the_scope_says() {
        let gone = HashSet::from([VectorKey { segment: 7, recording: 7 }]);
        for allowed in [
            Allowed::All,
            Allowed::Recordings(vec![1, 3, 7, i64::MAX]),
            Allowed::Recordings(vec![1, 3, 7]),
            Allowed::Segments(vec![]),
            Allowed::Segments(vec![0, 5, 7, 130]),
            Allowed::AllBut(vec![]),
            Allowed::AllBut(vec![1, 7, i64::MAX]),
        ] {
            let scope = Scope { allowed, except: vec![3] };
            let passing = Passing::new(&scope, &[10..=12], &gone);
            for segment in -2..140 {
                for recording in [-1, 1, 2, 3, 7, 1 << 40, i64::MAX] {
                    let key = VectorKey { segment, recording };
                    let expected = scope.contains(key)
                        && !(10..=12).contains(&segment)
                        && !gone.contains(&key);
                    assert_eq!(passing.contains(key), expected, "{key:?} {scope:?}");
                }
            }
        }
    }
}
