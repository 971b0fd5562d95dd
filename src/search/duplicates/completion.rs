//! Which pairs should be compared too, because both match a third recording.
//!
//! In: pairs that match. Out: further candidates. Pure.
//!
//! Each segment asks for some nearest neighbours only. Where a sound has many copies they crowd
//! each other out, and a copy may have found some of the others but not the likely original. Of
//! everything that hangs together the likely original is therefore compared with all: as many
//! pairs as there are recordings, not their square.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::candidates::Candidate;

/// Share of the longest match from which a recording may be the centre.
const NEARLY_LONGEST: f64 = 0.9;

/// Two recordings that match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Link {
    /// Their numbers, ascending.
    pub(super) pair: (usize, usize),
    /// Where the match begins in the first one, in seconds.
    pub(super) start_s: f64,
    /// Where it ends.
    pub(super) end_s: f64,
    /// Time in the second recording less the time in the first.
    pub(super) lag_s: f64,
}

/// The pairs of each centre with what it is linked to by way of others only.
pub(super) fn missing(
    links: &[Link],
    is_better: &dyn Fn(usize, usize) -> bool,
) -> BTreeMap<(usize, usize), Vec<Candidate>> {
    let mut of_recording: BTreeMap<usize, Vec<(usize, Link)>> = BTreeMap::new();
    for link in links.iter().filter(|link| link.pair.0 != link.pair.1) {
        let there = Link {
            pair: (link.pair.1, link.pair.0),
            start_s: link.start_s + link.lag_s,
            end_s: link.end_s + link.lag_s,
            lag_s: -link.lag_s,
        };
        of_recording.entry(link.pair.0).or_default().push((link.pair.1, *link));
        of_recording.entry(link.pair.1).or_default().push((link.pair.0, there));
    }
    let mut candidates = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for &start in of_recording.keys() {
        if seen.contains(&start) {
            continue;
        }
        let together = reached(start, &of_recording, |_, _| {});
        let longest = |recording: usize| {
            let lengths =
                of_recording[&recording].iter().map(|(_, link)| link.end_s - link.start_s);
            lengths.fold(0.0, f64::max)
        };
        let longest_s = together.iter().map(|&recording| longest(recording)).fold(0.0, f64::max);
        let centre = together
            .iter()
            .copied()
            .filter(|&recording| longest(recording) >= NEARLY_LONGEST * longest_s)
            .reduce(|best, recording| if is_better(recording, best) { recording } else { best });
        seen.extend(together);
        let Some(centre) = centre else { continue };
        let direct: BTreeSet<usize> =
            of_recording[&centre].iter().map(|(other, _)| *other).collect();
        reached(centre, &of_recording, |other, path| {
            if !direct.contains(&other) {
                candidates.insert(ascending(centre, other), vec![candidate(centre, other, path)]);
            }
        });
    }
    candidates
}

/// All that `start` is linked to, nearest first; `visit` is told how, as a link from `start`.
fn reached(
    start: usize,
    of_recording: &BTreeMap<usize, Vec<(usize, Link)>>,
    mut visit: impl FnMut(usize, &Link),
) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([start]);
    let mut waiting: VecDeque<(usize, Option<Link>)> = VecDeque::from([(start, None)]);
    while let Some((recording, path)) = waiting.pop_front() {
        if let Some(path) = &path {
            visit(recording, path);
        }
        for (other, link) in of_recording.get(&recording).into_iter().flatten() {
            if reached.insert(*other) {
                let lag_s = path.map_or(0.0, |path| path.lag_s);
                let onward = Link {
                    pair: (start, *other),
                    start_s: link.start_s - lag_s,
                    end_s: link.end_s - lag_s,
                    lag_s: lag_s + link.lag_s,
                };
                waiting.push_back((*other, Some(onward)));
            }
        }
    }
    reached
}

fn ascending(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// The path from `centre` to `other` as a candidate of the pair.
fn candidate(centre: usize, other: usize, path: &Link) -> Candidate {
    let (start_s, lag_s) = if centre < other {
        (path.start_s, path.lag_s)
    } else {
        (path.start_s + path.lag_s, -path.lag_s)
    };
    Candidate {
        start_s,
        end_s: start_s + path.end_s - path.start_s,
        lag_s: (lag_s, lag_s),
        cosine: 0.0,
        segments: 0,
        newest: 0.0,
        votes: 0,
        distinct: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likely_original_is_compared_with_all() {
        let link =
            |a: usize, b: usize, lag_s: f64| Link { pair: (a, b), start_s: 1.0, end_s: 4.0, lag_s };
        // 2 is the original; 0 – 1 – 2 – 3 is a chain, 7 and 8 are another sound.
        let links = [link(0, 1, 0.5), link(1, 2, 0.25), link(2, 3, 1.0), link(7, 8, 0.0)];
        let found = missing(&links, &|a, b| a.abs_diff(2) < b.abs_diff(2));
        let pairs: Vec<_> = found.keys().copied().collect();
        assert_eq!(pairs, [(0, 2)]);
        let candidate = found[&(0, 2)][0];
        assert!((candidate.lag_s.0 - 0.75).abs() < 1e-12);
        assert!((candidate.start_s - 1.0).abs() < 1e-12, "{candidate:?}");
    }
}
