//! Near vectors into pairs of places that may hold the same sound.
//!
//! In: votes: two segments of two recordings with near vectors. Out: [`Candidate`]s. Pure.

use std::collections::BTreeMap;

/// Two segments whose vectors are near to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Vote {
    /// Where the one begins in the first recording, in seconds.
    pub(super) first_s: f64,
    /// Where the other begins in the second.
    pub(super) second_s: f64,
    /// Cosine of their angle.
    pub(super) cosine: f32,
    /// Whether they are much nearer to each other than to what else there is.
    pub(super) is_distinct: bool,
}

/// A stretch of two recordings that may be the same sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Where it begins in the first recording, in seconds.
    pub(super) start_s: f64,
    /// Where its last segment begins.
    pub(super) end_s: f64,
    /// Least and greatest time in the second recording less the time in the first, in seconds.
    pub(super) lag_s: (f64, f64),
    /// Mean over the first recording's segments of the best vote's cosine.
    pub(super) cosine: f32,
    /// How many segments of the first recording that is.
    pub(super) segments: usize,
    /// The last of these cosines.
    pub(super) newest: f32,
    /// Segments that speak for it.
    pub(super) votes: usize,
    /// Of these, how many were distinct.
    pub(super) distinct: usize,
}

/// Chains votes that continue each other: at nearly the same lag, and with no gap longer than
/// `gap_s` between their beginnings. `hop_s` is the time from one segment to the next: since each
/// recording is cut into segments from its own beginning, the lags of one stretch scatter by as
/// much.
pub(super) fn chain(votes: &[Vote], hop_s: f64, gap_s: f64) -> Vec<Candidate> {
    let lag = |vote: &Vote| vote.second_s - vote.first_s;
    // By whole hops of lag; a chain may move to the next one.
    let mut votes = votes.to_vec();
    votes.sort_by(|a, b| a.first_s.total_cmp(&b.first_s).then(lag(a).total_cmp(&lag(b))));
    let mut open: BTreeMap<i64, Candidate> = BTreeMap::new();
    let mut done = Vec::new();
    for vote in &votes {
        let lag_s = lag(vote);
        #[expect(clippy::cast_possible_truncation, reason = "recordings last less than 10^18 hops")]
        let key = (lag_s / hop_s).round() as i64;
        let near = (key - 1..=key + 1).find(|key| {
            open.get(key).is_some_and(|candidate| vote.first_s - candidate.end_s <= gap_s)
        });
        if let Some(candidate) = near.and_then(|near| open.get_mut(&near)) {
            // Of the votes of one segment, the best says how alike they are: its neighbours
            // are a hop beside.
            let is_same_segment = vote.first_s <= candidate.end_s;
            let best =
                if is_same_segment { candidate.newest.max(vote.cosine) } else { vote.cosine };
            if is_same_segment {
                candidate.cosine += (best - candidate.newest) / candidate.segments as f32;
            } else {
                candidate.segments += 1;
                candidate.cosine += (best - candidate.cosine) / candidate.segments as f32;
            }
            candidate.newest = best;
            candidate.end_s = vote.first_s;
            candidate.lag_s = (candidate.lag_s.0.min(lag_s), candidate.lag_s.1.max(lag_s));
            candidate.votes += 1;
            candidate.distinct += usize::from(vote.is_distinct);
        } else {
            let candidate = Candidate {
                start_s: vote.first_s,
                end_s: vote.first_s,
                lag_s: (lag_s, lag_s),
                cosine: vote.cosine,
                segments: 1,
                newest: vote.cosine,
                votes: 1,
                distinct: usize::from(vote.is_distinct),
            };
            done.extend(open.insert(key, candidate));
        }
    }
    done.extend(open.into_values());
    done.sort_by(|a, b| a.start_s.total_cmp(&b.start_s).then(a.lag_s.0.total_cmp(&b.lag_s.0)));
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vote(first_s: f64, second_s: f64) -> Vote {
        Vote { first_s, second_s, cosine: 0.9, is_distinct: true }
    }

    #[test]
    fn votes_at_one_lag_are_one_candidate_and_others_their_own() {
        // Patches of two recordings that were cut a fifth of a second apart, another lag, and the
        // first lag again after a long gap.
        let votes = [
            vote(0.0, 9.6),
            vote(0.48, 10.08),
            vote(0.96, 10.08),
            vote(1.44, 11.04),
            vote(0.48, 3.0),
            vote(20.0, 29.6),
        ];
        let candidates = chain(&votes, 0.48, 4.0);
        let spans: Vec<_> = candidates.iter().map(|c| (c.start_s, c.end_s, c.votes)).collect();
        assert_eq!(spans, [(0.0, 1.44, 4), (0.48, 0.48, 1), (20.0, 20.0, 1)]);
        assert!((candidates[0].lag_s.0 - 9.12).abs() < 1e-9);
        assert!((candidates[0].cosine - 0.9).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn every_vote_is_in_one_candidate_near_its_lag(
            votes in prop::collection::vec((0_u32..60, 0_u32..60), 0..200),
        ) {
            let votes: Vec<Vote> =
                votes.iter().map(|&(a, b)| vote(0.48 * f64::from(a), 0.48 * f64::from(b))).collect();
            let candidates = chain(&votes, 0.48, 4.0);
            prop_assert_eq!(candidates.iter().map(|c| c.votes).sum::<usize>(), votes.len());
            for vote in &votes {
                let lag_s = vote.second_s - vote.first_s;
                let holds = |c: &Candidate| {
                    (c.start_s..=c.end_s).contains(&vote.first_s)
                        && c.lag_s.0 <= lag_s && lag_s <= c.lag_s.1
                };
                prop_assert!(candidates.iter().any(holds));
            }
            // A chain stays within a hop of the lag that it began with.
            prop_assert!(candidates.iter().all(|c| c.lag_s.1 - c.lag_s.0 < 2.0 * 0.48 + 0.49));
        }
    }
}
