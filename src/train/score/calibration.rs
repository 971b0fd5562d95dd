//! How far probabilities can be believed, and the one number that mends most of it.
//!
//! In: held-out logits. Out: [`Calibration`]. The numbers "after" come from temperatures that were
//! fitted to other rows than those that they are judged by: to other folds, or before.
//!
//! One temperature, and no bias by class: it cannot change what a head decides, and a bias for a
//! class of a few examples would be fitted to noise (C. Guo et al., "On calibration of modern
//! neural networks", 2017, section 4.2, where it also generalises best).

use serde::{Deserialize, Serialize};

use super::super::task::{Known, Targets, Task};
use super::probability::{log_loss, most_probable, probabilities};
use super::rows::Rows;

/// Rows that a temperature is fitted to at most; their share of the truth is precise enough for
/// one number, and a million rows would take as long as training.
const MOST_ROWS: usize = 50_000;
/// Probabilities in all of a reliability diagram, at most.
const MOST_CELLS: usize = 2_000_000;
/// Bins of a reliability diagram at most, as Guo et al. have, and the fewest that are in one.
const BINS: usize = 15;
const LEAST_IN_BIN: usize = 20;
/// Temperatures among which the best is looked for. At the lower end a head was never wrong, and
/// how sure it may be cannot be said.
const LEAST: f64 = 0.1;
const GREATEST: f64 = 100.0;

/// How far probabilities can be believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What logits are divided by before they become probabilities; 1 where nothing can be said, and
    /// where that makes the probabilities of other rows worse.
    pub temperature: f64,
    /// Mean of −ln p of what is true, without the temperature.
    pub log_loss_before: Option<f64>,
    /// The same with temperatures that were fitted to other rows.
    pub log_loss_after: Option<f64>,
    /// By how much probabilities are wrong in the mean over [`bins_before`](Self::bins_before).
    pub expected_calibration_error_before: Option<f64>,
    /// The same over [`bins_after`](Self::bins_after).
    pub expected_calibration_error_after: Option<f64>,
    /// The reliability diagram without the temperature.
    pub bins_before: Vec<Bin>,
    /// The same with temperatures that were fitted to other rows.
    pub bins_after: Vec<Bin>,
}

/// Rows whose probabilities are near one another: of [`Task::Single`] those of the most probable
/// class, of `Multi` those of all classes that are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Mean probability.
    pub probability: f64,
    /// In what share of them it was true.
    pub share: f64,
    /// How many there are.
    pub count: usize,
}

/// The temperature of the least log loss over `chosen` rows, by golden section over its logarithm
/// (the loss is convex in its inverse); `None` where it cannot be told.
fn fit(rows: &Rows<'_>, chosen: &[u32]) -> Option<f64> {
    const STEPS: usize = 40;
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let loss = |logarithm: f64| log_loss(rows, chosen, logarithm.exp());
    let (mut low, mut high) = (LEAST.ln(), GREATEST.ln());
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_left, mut at_right) = (loss(left)?, loss(right)?);
    for _ in 0..STEPS {
        // Flat at high temperatures only by rounding, so the lower one is kept.
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - golden * (high - low);
            at_left = loss(left)?;
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + golden * (high - low);
            at_right = loss(right)?;
        }
    }
    let temperature = f64::midpoint(low, high).exp();
    (temperature > LEAST * 1.001).then_some(temperature)
}

/// Rows evenly spread over all that `belongs`, at most `most`.
fn spread(rows: &Rows<'_>, most: usize, belongs: impl Fn(u32) -> bool) -> Vec<u32> {
    let all = (0..).zip(&rows.parts).filter(|&(_, &part)| belongs(part)).map(|(row, _)| row);
    let all: Vec<u32> = all.collect();
    all.iter().step_by(all.len().div_ceil(most).max(1)).copied().collect()
}

/// The temperature of the least log loss over all rows; `None` where it cannot be told.
pub(super) fn fitted(rows: &Rows<'_>) -> Option<f64> {
    fit(rows, &spread(rows, MOST_ROWS, |_| true))
}

/// The calibration of heads that say classes.
pub(super) fn calibrate(rows: &Rows<'_>, notes: &mut Vec<String>) -> Calibration {
    let everything = spread(rows, usize::MAX, |_| true);
    let fitted = fitted(rows);
    if fitted.is_none() && !everything.is_empty() {
        notes.push(
            "the head was too seldom wrong to tell how sure it may be: its temperature stays 1"
                .to_owned(),
        );
    }
    let by_part: Option<Vec<f64>> = (rows.part_count > 1).then(|| {
        (0..rows.part_count)
            .map(|part| spread(rows, MOST_ROWS, |other| other as usize != part))
            .map(|others| fit(rows, &others).unwrap_or(1.0))
            .collect()
    });
    let bins_before = bins(rows, |_| 1.0);
    let (mut bins_after, mut log_loss_after) = (Vec::new(), None);
    if let Some(temperatures) = by_part {
        bins_after = bins(rows, |row| temperatures[rows.parts[row] as usize]);
        let (mut sum, mut cells) = (0.0, 0);
        for row in 0..rows.len() {
            let temperature = temperatures[rows.parts[row] as usize];
            let (loss, known) = super::probability::loss_of_row(rows, row, temperature);
            sum += loss;
            cells += known;
        }
        log_loss_after = (cells > 0).then(|| sum / cells as f64);
    }
    let log_loss_before = log_loss(rows, &everything, 1.0);
    // What other rows say of it counts more than that it fits its own.
    let is_worse = fitted.is_some()
        && log_loss_before.zip(log_loss_after).is_some_and(|(before, after)| after > before);
    if is_worse {
        notes.push(
            "a temperature made the probabilities of other rows worse, not better: it stays 1"
                .to_owned(),
        );
    }
    Calibration {
        temperature: if is_worse { 1.0 } else { fitted.unwrap_or(1.0) },
        log_loss_before,
        log_loss_after,
        expected_calibration_error_before: expected_error(&bins_before),
        expected_calibration_error_after: expected_error(&bins_after),
        bins_before,
        bins_after,
    }
}

/// How far a temperature of before makes probabilities of these rows right.
pub(super) fn judge(rows: &Rows<'_>, temperature: f64) -> Calibration {
    let everything = spread(rows, usize::MAX, |_| true);
    let (bins_before, bins_after) = (bins(rows, |_| 1.0), bins(rows, |_| temperature));
    Calibration {
        temperature,
        log_loss_before: log_loss(rows, &everything, 1.0),
        log_loss_after: log_loss(rows, &everything, temperature),
        expected_calibration_error_before: expected_error(&bins_before),
        expected_calibration_error_after: expected_error(&bins_after),
        bins_before,
        bins_after,
    }
}

/// The mean over all rows of how far their bin's probability is from its share.
fn expected_error(bins: &[Bin]) -> Option<f64> {
    let count: usize = bins.iter().map(|bin| bin.count).sum();
    let sum: f64 =
        bins.iter().map(|bin| bin.count as f64 * (bin.probability - bin.share).abs()).sum();
    (count > 0).then(|| sum / count as f64)
}

/// Bins of about as many probabilities each, the least first; equal ones share a bin (M. P.
/// Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015, take
/// bins of one width, where most are empty or nearly so).
fn bins(rows: &Rows<'_>, temperature: impl Fn(usize) -> f64) -> Vec<Bin> {
    let task = rows.held_out.targets.task();
    let cells = if task == Task::Multi { rows.class_count() } else { 1 };
    let stride = (rows.len().saturating_mul(cells)).div_ceil(MOST_CELLS).max(1);
    let mut said: Vec<(f64, bool)> = Vec::new();
    let mut row_says = Vec::new();
    for row in (0..rows.len()).step_by(stride) {
        probabilities(task, rows.row(row), temperature(row), &mut row_says);
        match &rows.held_out.targets {
            Targets::Single(truths) => {
                let best = most_probable(rows.row(row));
                said.push((row_says[best], truths[row] as usize == best));
            }
            Targets::Multi(_) => {
                for (class, &probability) in row_says.iter().enumerate() {
                    match rows.known(row, class) {
                        Known::Yes => said.push((probability, true)),
                        Known::No => said.push((probability, false)),
                        Known::Unknown => {}
                    }
                }
            }
            Targets::Numbers(_) => {}
        }
    }
    said.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let count = (said.len() / LEAST_IN_BIN).clamp(1, BINS);
    let least = said.len().div_ceil(count).max(1);
    let mut bins = Vec::new();
    let mut rest = said.as_slice();
    while !rest.is_empty() {
        let last = rest[least.min(rest.len()) - 1].0;
        let mut length = rest.partition_point(|cell| cell.0 <= last).max(1);
        // Few that are left over make no bin of their own.
        if rest.len() - length < least / 2 {
            length = rest.len();
        }
        let (bin, behind) = rest.split_at(length);
        let true_ones = bin.iter().filter(|cell| cell.1).count();
        bins.push(Bin {
            probability: bin.iter().map(|cell| cell.0).sum::<f64>() / length as f64,
            share: true_ones as f64 / length as f64,
            count: length,
        });
        rest = behind;
    }
    bins
}
