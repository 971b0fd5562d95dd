//! Rows into batches: standardised, mixed, masked, padded, in an order that a seed decides.
//!
//! In: rows of a lesson. Out: [`Batch`]es with what is wanted of them.

use std::cmp::Reverse;
use std::ops::Range;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::Material;
use super::recipe::Recipe;
use super::wanted::{Coefficients, Wanted};
use crate::error::Result;
use crate::model::torch::Torch;
use crate::train::network::forward::{Batch, failed};
use crate::train::network::sequence::standardise;
use crate::units::signed;

/// Batches whose sequences are sorted by length together.
const BATCHES_SORTED: usize = 8;

/// Steps of a batch at most: where sequences are long, batches have fewer of them, so that what is
/// kept for the gradients takes some hundred megabytes at most.
const STEPS_AT_ONCE: usize = 4_000;

/// Bands that a mask hides at most, as a share of all; two masks.
const BANDS_HIDDEN: f64 = 0.2;

/// Steps that a mask hides at most, as a share of a sequence's; two masks.
const STEPS_HIDDEN: f64 = 0.2;

/// Makes batches of what is learnt from.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    pub(super) material: &'a Material<'a>,
    pub(super) recipe: &'a Recipe,
    pub(super) wanted: &'a Wanted,
    pub(super) mean: &'a [f32],
    pub(super) scale: &'a [f32],
    /// Steps of a sequence at most: of what is longer, another stretch is learnt from each time.
    pub(super) most_steps: usize,
}

impl Batches<'_> {
    /// `rows` in batches: shuffled, and those of similar length together.
    pub(super) fn shuffled(&self, rows: &[usize], chance: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let mut rows = rows.to_vec();
        rows.shuffle(chance);
        for some in rows.chunks_mut(BATCHES_SORTED * self.recipe.batch) {
            some.sort_by_key(|&row| Reverse(self.steps(row)));
        }
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for some in rows.chunks(BATCHES_SORTED * self.recipe.batch) {
            let mut rest = some;
            while let Some(&longest) = rest.first() {
                let steps = self.steps(longest).max(1);
                let count = (STEPS_AT_ONCE / steps).clamp(1, self.recipe.batch).min(rest.len());
                let (batch, later) = rest.split_at(count);
                batches.push(batch.to_vec());
                rest = later;
            }
        }
        batches.shuffle(chance);
        batches
    }

    /// One batch to learn from.
    pub(super) fn make(
        &self,
        rows: &[usize],
        chance: &mut ChaCha8Rng,
    ) -> Result<(Batch, Coefficients)> {
        let width = self.material.steps.dimension();
        let mut partners = rows.to_vec();
        partners.shuffle(chance);
        let mut mixed: Vec<(Vec<f32>, usize, usize, f32)> = Vec::with_capacity(rows.len());
        for (&row, &partner) in rows.iter().zip(&partners) {
            let mut steps = self.read(row, chance)?;
            let mut share = 1.0;
            if let Some(alpha) = self.recipe.mixup() {
                share = beta(alpha, chance);
                let other = self.read(partner, chance)?;
                mix(&mut steps, &other, share);
            }
            if self.recipe.masks() {
                hide(&mut steps, width, chance);
            }
            drop_some(&mut steps, self.recipe.input_dropout, chance);
            mixed.push((steps, row, partner, share));
        }
        mixed.sort_by_key(|(steps, ..)| Reverse(steps.len()));
        let longest = mixed.first().map_or(0, |(steps, ..)| steps.len());
        let mut padded = vec![0.0; mixed.len() * longest];
        let mut coefficients = Coefficients::default();
        for ((steps, row, partner, share), to) in mixed.iter().zip(padded.chunks_exact_mut(longest))
        {
            to[..steps.len()].copy_from_slice(steps);
            self.wanted.begin(&mut coefficients);
            self.wanted.add(*row, *share, &mut coefficients);
            if *share < 1.0 {
                self.wanted.add(*partner, 1.0 - share, &mut coefficients);
            }
        }
        let lengths = mixed.iter().map(|(steps, ..)| signed(steps.len() / width)).collect();
        let shape = [signed(mixed.len()), signed(longest / width), signed(width)];
        let steps = || -> Torch<Tensor> { Tensor::f_from_slice(&padded)?.f_view(shape) };
        Ok((Batch { steps: steps().map_err(failed)?, lengths }, coefficients))
    }

    /// How many steps of a row are learnt from at a time.
    fn steps(&self, row: usize) -> usize {
        self.material.spans[row].len().min(self.most_steps)
    }

    /// The steps of a row, standardised.
    fn read(&self, row: usize, chance: &mut ChaCha8Rng) -> Result<Vec<f32>> {
        let Range { start, end } = self.material.spans[row].clone();
        let spare = (end - start).saturating_sub(self.most_steps);
        let start = if spare > 0 { start + chance.random_range(0..=spare) } else { start };
        let count = self.steps(row);
        let mut steps = vec![0.0; count * self.material.steps.dimension()];
        self.material.steps.read_range(start, &mut steps)?;
        standardise(&mut steps, self.mean, self.scale);
        Ok(steps)
    }
}

/// `share` of the one and the rest of the other; what is shorter is followed by its mean.
fn mix(steps: &mut Vec<f32>, other: &[f32], share: f32) {
    steps.resize(steps.len().max(other.len()), 0.0);
    for value in steps.iter_mut() {
        *value *= share;
    }
    for (value, other) in steps.iter_mut().zip(other) {
        *value += (1.0 - share) * other;
    }
}

/// How much of a row is in a mixed one (H. Zhang, M. Cisse, Y. Dauphin and D. Lopez-Paz, "mixup:
/// Beyond Empirical Risk Minimization", ICLR 2018): a draw from Beta(α, α), by Jöhnk's method; the
/// larger part is the row's own.
#[expect(clippy::cast_possible_truncation, reason = "a share")]
fn beta(alpha: f64, chance: &mut ChaCha8Rng) -> f32 {
    for _ in 0..1_000 {
        let (a, b) =
            (chance.random::<f64>().powf(1.0 / alpha), chance.random::<f64>().powf(1.0 / alpha));
        if a + b > 0.0 && a + b <= 1.0 {
            return (a / (a + b)).max(b / (a + b)) as f32;
        }
    }
    1.0
}

/// Hides two stretches of bands and two of time behind their mean (D. S. Park and others,
/// "SpecAugment", Interspeech 2019, section 2; without warping time, which it found to matter
/// least).
fn hide(steps: &mut [f32], width: usize, chance: &mut ChaCha8Rng) {
    let count = steps.len() / width;
    let mut stretch = |all: usize, share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below all")]
        let most = (all as f64 * share) as usize;
        let length = chance.random_range(0..=most);
        let start = chance.random_range(0..=all - length);
        start..start + length
    };
    for _ in 0..2 {
        let bands = stretch(width, BANDS_HIDDEN);
        let times = stretch(count, STEPS_HIDDEN);
        for (time, step) in steps.chunks_exact_mut(width).enumerate() {
            if times.contains(&time) {
                step.fill(0.0);
            } else {
                step[bands.clone()].fill(0.0);
            }
        }
    }
}

/// Leaves out a share of values at random; the others make up for it.
#[expect(clippy::cast_possible_truncation, reason = "a share")]
pub(super) fn drop_some(values: &mut [f32], share: f64, chance: &mut ChaCha8Rng) {
    if share <= 0.0 {
        return;
    }
    let kept = (1.0 / (1.0 - share)) as f32;
    for value in values {
        *value = if chance.random::<f32>() < share as f32 { 0.0 } else { *value * kept };
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn rows_of_other_lengths_are_mixed_with_silence_behind_the_shorter() {
        for (steps, other, mixed) in [
            (vec![4.0, 8.0], vec![1.0], vec![3.25, 6.0]),
            (vec![4.0], vec![1.0, 2.0], vec![3.25, 0.5]),
        ] {
            let mut steps = steps;
            mix(&mut steps, &other, 0.75);
            assert_eq!(steps, mixed);
        }
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        assert!((0..1_000).all(|_| (0.5..=1.0).contains(&beta(0.2, &mut chance))));
    }

    #[test]
    fn masks_hide_whole_bands_and_times_and_no_more_than_they_may() {
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        let (mut hidden, width, count) = (0, 10, 20);
        for _ in 0..200 {
            let mut steps = vec![1.0; width * count];
            hide(&mut steps, width, &mut chance);
            let bands = (0..width)
                .filter(|band| steps.iter().skip(*band).step_by(width).all(|x| *x <= 0.0));
            let times = steps.chunks_exact(width).filter(|step| step.iter().all(|x| *x <= 0.0));
            let (bands, times) = (bands.count(), times.count());
            // Two stretches of a fifth at most, each.
            assert!(bands <= 4 && times <= 8, "{bands} bands, {times} times");
            let shown = steps.iter().filter(|x| **x > 0.0).count();
            assert_eq!(shown, (width - bands) * (count - times));
            hidden += usize::from(shown < width * count);
        }
        assert!(hidden > 100);
        // Of one step nothing is hidden in time, and nothing breaks.
        let mut one = vec![1.0; width];
        hide(&mut one, width, &mut chance);
        assert!(one.contains(&1.0));
    }
}
