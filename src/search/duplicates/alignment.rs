//! Two fingerprints into the stretches that they have in common.
//!
//! In: prints of two recordings, and which displacements to try. Out: [`Diagonal`]s: where the
//! same sound is in both. Pure.
//!
//! At the right displacement ("lag") the prints of two copies differ in 5 to 20 % of their bits,
//! those of different sounds in half. Each print scores [`TOLERATED`] bits less those that differ,
//! so that the sum along a lag rises through a common stretch and falls outside: its greatest
//! partial sums are the stretches, with their ends where they belong.

use crate::frontend::fingerprint::Print;
use crate::units::signed;

/// Differing bits of 32 at which a print speaks neither for nor against.
const TOLERATED: i32 = 10;
/// Prints more than this many decibels below the loudest nearby say nothing: what is left of them
/// in a copy is the codec's or the converter's noise.
const BELOW_LOUDEST_DB: u8 = 45;
/// Level below which a print says nothing: −80 dB of full scale, a few steps of 16 bits.
const LEAST_LEVEL: u8 = 40;
/// A stretch ends where the sum has fallen by so much: half a second of other sound.
const DROP: i32 = 180;
/// Sums below this are chance.
const LEAST_SCORE: i32 = 50;
/// Stretches that are kept of one pair.
const MOST_STRETCHES: usize = 64;
/// Lags that a stretch may move by before it goes on: tapes and clocks run unevenly.
const LAG_DRIFT: i64 = 4;
/// Prints between two parts of one stretch: a second.
const LARGEST_GAP: usize = 62;

/// A stretch that two recordings have in common. Positions are counted in prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Diagonal {
    /// First print in the first recording.
    pub(super) start: usize,
    /// Behind the last one.
    pub(super) end: usize,
    /// Position in the second recording less position in the first.
    pub(super) lag: i64,
    /// Prints that were compared: loud enough in both.
    pub(super) compared: u32,
    /// Their bits that differ.
    pub(super) differing: u32,
    /// Sum of scores.
    pub(super) score: i32,
}

impl Diagonal {
    /// First and last position in the second recording.
    pub(super) fn in_second(&self) -> (i64, i64) {
        (signed(self.start) + self.lag, signed(self.end) + self.lag)
    }

    /// How well the bits agree: 1 when all do, 0 when half of them do, as by chance.
    pub(super) fn agreement(&self) -> f32 {
        1.0 - 2.0 * self.differing as f32 / (32 * self.compared.max(1)) as f32
    }
}

/// The stretches common to `first` and `second` at lags within `lags`, the best first.
pub(super) fn common_stretches(
    first: &[Print],
    second: &[Print],
    lags: std::ops::RangeInclusive<i64>,
) -> Vec<Diagonal> {
    let (a, b) = (Counted::new(first), Counted::new(second));
    let length = |prints: &[Print]| i64::try_from(prints.len()).unwrap_or(i64::MAX);
    let from = (*lags.start()).max(1 - length(first));
    let to = (*lags.end()).min(length(second) - 1);
    let mut found = Vec::new();
    for lag in from..=to {
        scan(&a, &b, lag, &mut found);
    }
    found.sort_by_key(|diagonal| (-diagonal.score, diagonal.lag, diagonal.start));
    let mut kept: Vec<Diagonal> = Vec::new();
    for diagonal in found {
        if !kept.iter().any(|better| covers(better, &diagonal)) {
            kept.push(diagonal);
        }
        if kept.len() >= MOST_STRETCHES {
            break;
        }
    }
    join(kept)
}

/// Prints, and which of them say something.
struct Counted<'a> {
    prints: &'a [Print],
    least: u8,
}

impl<'a> Counted<'a> {
    fn new(prints: &'a [Print]) -> Self {
        let loudest = prints.iter().map(|print| print.level).max().unwrap_or(0);
        Self { prints, least: loudest.saturating_sub(BELOW_LOUDEST_DB).max(LEAST_LEVEL) }
    }
}

/// Appends the stretches along one lag to `found`.
fn scan(a: &Counted<'_>, b: &Counted<'_>, lag: i64, found: &mut Vec<Diagonal>) {
    let start = usize::try_from(-lag).unwrap_or(0);
    let offset = usize::try_from(lag).unwrap_or(0);
    let count = a.prints[start..].len().min(b.prints[offset..].len());
    let pairs = a.prints[start..][..count].iter().zip(&b.prints[offset..][..count]);
    let nothing = Diagonal { start: 0, end: 0, lag, compared: 0, differing: 0, score: 0 };
    // The running sum from `here.start`, and the greatest one so far.
    let (mut here, mut best) = (nothing, nothing);
    let mut end = |best: &mut Diagonal| {
        if best.score >= LEAST_SCORE {
            found.push(*best);
        }
        *best = nothing;
    };
    for (index, (x, y)) in pairs.enumerate() {
        if x.level < a.least || y.level < b.least {
            continue;
        }
        if here.compared == 0 {
            here.start = start + index;
        }
        let differing = (x.bits ^ y.bits).count_ones();
        here.compared += 1;
        here.differing += differing;
        here.score += TOLERATED - differing.cast_signed();
        here.end = start + index + 1;
        if here.score > best.score {
            best = here;
        }
        if here.score <= 0 || best.score - here.score > DROP {
            end(&mut best);
            here = nothing;
        }
    }
    end(&mut best);
}

/// Whether most of `other` is in `better`, in both recordings: the same stretch by a lag beside.
fn covers(better: &Diagonal, other: &Diagonal) -> bool {
    let length = signed(other.end - other.start);
    let overlap = |a: (i64, i64), b: (i64, i64)| a.1.min(b.1) - a.0.max(b.0);
    let first = |diagonal: &Diagonal| (signed(diagonal.start), signed(diagonal.end));
    2 * overlap(first(better), first(other)) > length
        && 2 * overlap(better.in_second(), other.in_second()) > length
}

/// Puts parts of one stretch together where the lag moved a little.
fn join(mut parts: Vec<Diagonal>) -> Vec<Diagonal> {
    parts.sort_by_key(|part| part.start);
    let mut joined: Vec<Diagonal> = Vec::new();
    for part in parts {
        let before = joined.iter_mut().find(|before| {
            (before.lag - part.lag).abs() <= LAG_DRIFT
                && part.start <= before.end + LARGEST_GAP
                && part.end > before.end
        });
        match before {
            Some(before) => {
                // The longer part says where in the second recording it is.
                if part.score > before.score {
                    before.lag = part.lag;
                }
                before.end = part.end;
                before.compared += part.compared;
                before.differing += part.differing;
                before.score += part.score;
            }
            None => joined.push(part),
        }
    }
    joined.sort_by_key(|diagonal| (-diagonal.score, diagonal.lag, diagonal.start));
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Prints of a sound that no other seed has, at −40 dB.
    fn prints(count: usize, seed: u32) -> Vec<Print> {
        let mut state = u64::from(seed) * 2 + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from(state >> 32).unwrap()
        };
        (0..count).map(|_| Print { bits: next(), level: 80 }).collect()
    }

    /// The same with an eighth of the bits turned, which is more than an MP3 encoder does.
    fn worn(prints: &[Print], seed: u32) -> Vec<Print> {
        let noise = [seed, seed + 1, seed + 2].map(|seed| self::prints(prints.len(), seed));
        let turned =
            |index: usize| noise[0][index].bits & noise[1][index].bits & noise[2][index].bits;
        prints
            .iter()
            .enumerate()
            .map(|(index, print)| Print { bits: print.bits ^ turned(index), ..*print })
            .collect()
    }

    proptest! {
        #[test]
        fn a_worn_excerpt_is_found_where_it_is(
            start in 0_usize..150,
            count in 26_usize..150,
            before in 0_usize..100,
            behind in 0_usize..100,
            seed in 1_u32..1000,
        ) {
            let original = prints(300, seed);
            let mut other = prints(before, seed + 2_000);
            other.extend(worn(&original[start..start + count], seed + 4_000));
            other.extend(prints(behind, seed + 3_000));
            let found = common_stretches(&original, &other, i64::MIN..=i64::MAX);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].lag, signed(before) - signed(start));
            // A random print that happens to agree in 22 bits moves an end: one in 50, so that
            // three in a row are one in 100,000.
            prop_assert!(found[0].start.abs_diff(start) <= 4);
            prop_assert!(found[0].end.abs_diff(start + count) <= 4);
            // An eighth of the bits turned leaves 1 − 2 / 8.
            prop_assert!((found[0].agreement() - 0.75).abs() < 0.1);
        }

        #[test]
        fn other_sounds_have_nothing_in_common(seed in 1_u32..1000) {
            let (a, b) = (prints(300, seed), prints(300, seed + 5_000));
            prop_assert_eq!(common_stretches(&a, &b, i64::MIN..=i64::MAX), []);
        }
    }

    #[test]
    fn silence_says_nothing() {
        let silence = vec![Print { bits: 0, level: 0 }; 300];
        assert!(common_stretches(&silence, &silence, i64::MIN..=i64::MAX).is_empty());
        assert!(common_stretches(&[], &silence, i64::MIN..=i64::MAX).is_empty());
    }

    #[test]
    fn a_lag_that_creeps_is_one_stretch() {
        let original = prints(600, 1);
        // One print is lost in the middle.
        let mut copy = original.clone();
        copy.remove(300);
        let found = common_stretches(&original, &copy, -5..=5);
        assert_eq!(found.len(), 1);
        assert!(found[0].start == 0 && found[0].end >= 599, "{found:?}");
    }
}
