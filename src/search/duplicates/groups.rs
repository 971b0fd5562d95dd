//! Matches into groups: one stretch, and everything that is a copy of it.
//!
//! In: pairs of stretches that are the same sound. Out: [`Cluster`]s. Pure.
//!
//! A group is a star: its first stretch, and what matches *that*. Were groups made of everything
//! that hangs together, A ~ B and B ~ C would put A and C in one group that share nothing, and one
//! long recording full of excerpts would swallow a library. The first stretch is the longest;
//! what all of its copies have in common with each other follows from it and is not listed again.

use std::collections::HashMap;

use crate::audio::segment::TimeRange;

/// Share of the shorter stretch from which two count as the same one.
const SAME_STRETCH: f64 = 0.5;
/// Share of the longest match from which a recording may come first in its group.
const NEARLY_LONGEST: f64 = 0.9;

/// How two stretches were found to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Their vectors are near to each other; nobody listened.
    Vectors,
    /// Both were listened to.
    Heard,
    /// Their files are the same, byte for byte.
    SameFile,
}

/// A stretch of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    /// Number of the recording.
    pub(super) recording: usize,
    /// Its beginning and end.
    pub(super) range: TimeRange,
}

/// Two stretches that are the same sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// The two.
    pub(super) stretches: [Stretch; 2],
    /// Time in the second recording less the time in the first, in seconds.
    pub(super) lag_s: f64,
    /// How alike they are, in [0, 1].
    pub(super) similarity: f32,
    /// How that is known.
    pub(super) evidence: Evidence,
}

/// A stretch, and where its copies are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cluster {
    /// The stretch that the others are copies of, as far as they reach.
    pub(super) first: Stretch,
    /// Its copies, and for each the time in the first recording less the time in its own.
    pub(super) copies: Vec<Copy>,
}

/// A copy of a cluster's first stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Copy {
    /// Where it is.
    pub(super) stretch: Stretch,
    /// Time in the cluster's first recording less the time in this one, in seconds.
    pub(super) offset_s: f64,
    /// How alike it is to the first, in [0, 1].
    pub(super) similarity: f32,
    /// How that is known.
    pub(super) evidence: Evidence,
}

impl Stretch {
    fn length_s(&self) -> f64 {
        self.range.end_s - self.range.start_s
    }

    /// Whether more than half of the shorter one of two is in the other.
    fn is_same(&self, other: &Self) -> bool {
        self.overlap_s(other) > SAME_STRETCH * self.length_s().min(other.length_s())
    }

    /// Whether more than half of this one is in `other`.
    fn is_within(&self, other: &Self) -> bool {
        self.overlap_s(other) > SAME_STRETCH * self.length_s()
    }

    fn overlap_s(&self, other: &Self) -> f64 {
        if self.recording != other.recording {
            return 0.0;
        }
        self.range.end_s.min(other.range.end_s) - self.range.start_s.max(other.range.start_s)
    }
}

impl Cluster {
    /// Whether more than half of `stretch` is in one of the members.
    fn holds(&self, stretch: &Stretch) -> bool {
        stretch.is_within(&self.first)
            || self.copies.iter().any(|copy| stretch.is_within(&copy.stretch))
    }
}

impl Match {
    fn length_s(&self) -> f64 {
        self.stretches[0].length_s().max(self.stretches[1].length_s())
    }

    /// The same seen from side `side`: that side's stretch, and the other as its copy.
    fn seen_from(&self, side: usize) -> (Stretch, Copy) {
        let offset_s = if side == 0 { -self.lag_s } else { self.lag_s };
        let copy = Copy {
            stretch: self.stretches[1 - side],
            offset_s,
            similarity: self.similarity,
            evidence: self.evidence,
        };
        (self.stretches[side], copy)
    }
}

/// Groups `matches`; `is_better` says whether one recording is rather the original than another.
pub(super) fn group(matches: &[Match], is_better: &dyn Fn(usize, usize) -> bool) -> Vec<Cluster> {
    let mut order: Vec<usize> = (0..matches.len()).collect();
    order.sort_by(|&a, &b| matches[b].length_s().total_cmp(&matches[a].length_s()).then(a.cmp(&b)));
    // For each recording its matches, longest first, by match and side.
    let mut of_recording: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
    for &index in &order {
        for (side, stretch) in matches[index].stretches.iter().enumerate() {
            of_recording.entry(stretch.recording).or_default().push((index, side));
        }
    }
    let mut is_told = vec![false; matches.len()];
    let mut clusters = Vec::new();
    for &longest in &order {
        if is_told[longest] {
            continue;
        }
        let seed = first_stretch(&matches[longest], matches, &of_recording, &is_told, is_better);
        let alone = Cluster { first: seed, copies: Vec::new() };
        let mut cluster = star(alone, matches, &of_recording, &is_told);
        if !matches[longest].stretches.iter().all(|stretch| cluster.holds(stretch)) {
            // The likely original matches another part only: these two come first then.
            let (first, copy) = matches[longest].seen_from(0);
            let pair = Cluster { first, copies: vec![copy] };
            cluster = star(pair, matches, &of_recording, &is_told);
        }
        tell(&cluster, matches, &of_recording, &mut is_told);
        clusters.push(cluster);
    }
    clusters
}

/// The stretch that comes first: of those that hold nearly all of `longest`, the one in the
/// recording that is rather the original than the others.
fn first_stretch(
    longest: &Match,
    matches: &[Match],
    of_recording: &HashMap<usize, Vec<(usize, usize)>>,
    is_told: &[bool],
    is_better: &dyn Fn(usize, usize) -> bool,
) -> Stretch {
    let mut best = longest.stretches[0];
    let mut consider = |stretch: Stretch| {
        if is_better(stretch.recording, best.recording) {
            best = stretch;
        }
    };
    consider(longest.stretches[1]);
    let least_s = NEARLY_LONGEST * longest.length_s();
    for here in longest.stretches {
        for &(index, side) in of_recording.get(&here.recording).into_iter().flatten() {
            if matches[index].length_s() < least_s {
                break;
            }
            let (mine, copy) = matches[index].seen_from(side);
            if !is_told[index] && mine.is_same(&here) {
                consider(copy.stretch);
            }
        }
    }
    best
}

/// `cluster` with all that matches its first stretch.
fn star(
    mut cluster: Cluster,
    matches: &[Match],
    of_recording: &HashMap<usize, Vec<(usize, usize)>>,
    is_told: &[bool],
) -> Cluster {
    for &(index, side) in of_recording.get(&cluster.first.recording).into_iter().flatten() {
        let (mine, copy) = matches[index].seen_from(side);
        if is_told[index] || !mine.is_same(&cluster.first) {
            continue;
        }
        // Longest first: what comes later at the same place is a worse fit, as in loops.
        let is_there = copy.stretch.is_same(&cluster.first)
            || cluster.copies.iter().any(|before| before.stretch.is_same(&copy.stretch));
        if is_there {
            continue;
        }
        let range = &mut cluster.first.range;
        range.start_s = range.start_s.min(mine.range.start_s);
        range.end_s = range.end_s.max(mine.range.end_s);
        cluster.copies.push(copy);
    }
    cluster
}

/// Marks the matches that `cluster` tells: those between two of its stretches.
fn tell(
    cluster: &Cluster,
    matches: &[Match],
    of_recording: &HashMap<usize, Vec<(usize, usize)>>,
    is_told: &mut [bool],
) {
    let mut members: HashMap<usize, Vec<Stretch>> = HashMap::new();
    for stretch in cluster.copies.iter().map(|copy| copy.stretch).chain([cluster.first]) {
        members.entry(stretch.recording).or_default().push(stretch);
    }
    let is_member = |stretch: &Stretch| {
        members
            .get(&stretch.recording)
            .is_some_and(|there| there.iter().any(|member| stretch.is_within(member)))
    };
    for recording in members.keys() {
        for &(index, _) in of_recording.get(recording).into_iter().flatten() {
            if !is_told[index] && matches[index].stretches.iter().all(is_member) {
                is_told[index] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stretch(recording: usize, start_s: f64, end_s: f64) -> Stretch {
        Stretch { recording, range: TimeRange { start_s, end_s } }
    }

    /// Where `length_s` from `start_s` of recording `a` are the same as in recording `b`.
    fn same(a: usize, start_s: f64, length_s: f64, b: usize, lag_s: f64) -> Match {
        let end_s = start_s + length_s;
        Match {
            stretches: [stretch(a, start_s, end_s), stretch(b, start_s + lag_s, end_s + lag_s)],
            lag_s,
            similarity: 0.9,
            evidence: Evidence::Heard,
        }
    }

    /// Lower numbers are rather the original.
    fn groups(matches: &[Match]) -> Vec<Cluster> {
        group(matches, &|a, b| a < b)
    }

    #[test]
    fn copies_of_one_recording_are_one_group() {
        // 0 is 5 s long; 1 a copy, 2 a cut from 1 s on, 3 half a second of it; 2 and 3 match 1 and
        // each other as well.
        let matches = [
            same(0, 0.0, 5.0, 1, 0.02),
            same(0, 1.0, 3.0, 2, -1.0),
            same(1, 1.02, 3.0, 2, -1.02),
            same(0, 2.0, 0.5, 3, -2.0),
            same(2, 1.0, 0.5, 3, -1.0),
        ];
        let found = groups(&matches);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].first, stretch(0, 0.0, 5.0));
        let offsets: Vec<_> =
            found[0].copies.iter().map(|copy| (copy.stretch.recording, copy.offset_s)).collect();
        assert_eq!(offsets, [(1, -0.02), (2, 1.0), (3, 2.0)]);
    }

    #[test]
    fn what_only_hangs_together_is_not_one_group() {
        // 0 and 2 share different parts with 1, and nothing with each other.
        let found = groups(&[same(0, 0.0, 5.0, 1, 0.0), same(1, 8.0, 4.0, 2, -8.0)]);
        assert_eq!(found.len(), 2);
        // Two copies of 1 of which nobody compared the copies: a star around 1.
        let found = groups(&[same(1, 0.0, 5.0, 3, 0.0), same(1, 0.0, 5.0, 2, 0.0)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].copies.len(), 2);
    }

    #[test]
    fn excerpts_of_a_long_recording_are_groups_of_their_own() {
        let matches: Vec<Match> =
            (1..40).map(|clip| same(0, 60.0 * clip as f64, 3.0, clip, 0.0)).collect();
        assert_eq!(groups(&matches).len(), 39);
    }

    proptest! {
        #[test]
        fn every_match_is_told_and_every_copy_was_matched(
            pairs in prop::collection::vec((0_usize..8, 0_usize..8, 0_u32..6, 0_u32..6, 1_u32..5), 0..60),
        ) {
            let matches: Vec<Match> = pairs
                .iter()
                .filter(|(a, b, ..)| a != b)
                .map(|&(a, b, start, other, length)| {
                    let lag_s = f64::from(other) - f64::from(start);
                    same(a, f64::from(start), f64::from(length), b, lag_s)
                })
                .collect();
            let found = groups(&matches);
            prop_assert!(found.len() <= matches.len());
            for matching in &matches {
                let told = found.iter().any(|cluster| {
                    let members: Vec<Stretch> = cluster
                        .copies
                        .iter()
                        .map(|copy| copy.stretch)
                        .chain([cluster.first])
                        .collect();
                    let is_member = |stretch: &Stretch| {
                        members.iter().any(|member| stretch.is_same(member))
                    };
                    matching.stretches.iter().all(is_member)
                });
                prop_assert!(told, "{matching:?} in {found:?}");
            }
            for cluster in &found {
                for copy in &cluster.copies {
                    let is_matched = matches.iter().any(|matching| {
                        (0..2).any(|side| {
                            let (mine, other) = matching.seen_from(side);
                            mine.recording == cluster.first.recording && other == *copy
                        })
                    });
                    prop_assert!(is_matched);
                }
            }
        }
    }
}
