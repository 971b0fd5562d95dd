//! Held-out groups, drawn again and again.
//!
//! In: how many groups there are, and a seed. Out: how often each is drawn. Rows of a group are
//! not independent, so groups are drawn, with all their rows (the cluster bootstrap: A. C. Davison
//! and D. V. Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).

use rayon::prelude::*;

/// A row of groups that are drawn with replacement, as many as there are.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) struct Resampling {
    pub(in crate::train) groups: usize,
    pub(in crate::train) resamples: usize,
    pub(in crate::train) seed: u64,
}

impl Resampling {
    /// What `measure` says of each resample, given how often each group was drawn, in order. With
    /// less than two groups there is nothing to draw.
    pub(in crate::train) fn run<T: Send>(
        self,
        measure: impl Fn(&[u32]) -> T + Sync + Send,
    ) -> Vec<T> {
        let resamples = if self.groups < 2 { 0 } else { self.resamples };
        (0..resamples)
            .into_par_iter()
            .map_init(
                || vec![0_u32; self.groups],
                |drawn, resample| {
                    self.draw(resample, drawn);
                    measure(drawn)
                },
            )
            .collect()
    }

    /// The same for the same resample, whichever thread draws it.
    fn draw(self, resample: usize, drawn: &mut [u32]) {
        drawn.fill(0);
        let mut random = Random::new(self.seed ^ (resample as u64).wrapping_mul(GOLDEN_RATIO));
        for _ in 0..self.groups {
            drawn[random.below(self.groups)] += 1;
        }
    }
}

/// 2⁶⁴ over the golden ratio, odd.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// `SplitMix64` (G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number
/// generators", 2014): the same numbers everywhere, for ever.
#[derive(Clone, Debug)]
pub(in crate::train) struct Random(u64);

impl Random {
    pub(in crate::train) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give shifted copies of one sequence.
        Self(mixed(seed ^ 0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_RATIO);
        mixed(self.0)
    }

    /// A number from 0 to before `end`, which is not 0.
    #[expect(clippy::cast_possible_truncation, reason = "the product's upper half is below end")]
    pub(in crate::train) fn below(&mut self, end: usize) -> usize {
        // Multiplying instead of dividing; uneven by less than end in 2⁶⁴.
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resamples_are_as_large_as_what_they_are_of_and_differ() {
        let resampling = Resampling { groups: 50, resamples: 200, seed: 7 };
        let drawn = resampling.run(<[u32]>::to_vec);
        assert_eq!(drawn, resampling.run(<[u32]>::to_vec));
        assert!(drawn.iter().all(|drawn| drawn.iter().sum::<u32>() == 50));
        assert_ne!(drawn[0], drawn[1]);
        // Each group is drawn once a resample in the mean; the standard error is 0.07.
        for group in 0..50 {
            let mean = drawn.iter().map(|drawn| f64::from(drawn[group])).sum::<f64>() / 200.0;
            assert!((mean - 1.0).abs() < 0.35, "{mean}");
        }
        assert!(Resampling { groups: 1, ..resampling }.run(|_| ()).is_empty());
    }
}
