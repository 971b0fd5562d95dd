//! Outputs of heads as probabilities.
//!
//! In: logits and a temperature. Out: the probability of each class, and log losses.

use rayon::prelude::*;

use super::super::task::{Known, Targets, Task};
use super::rows::Rows;

/// Rows whose losses one task sums, so that sums do not depend on how many threads there are.
const ROWS_AT_ONCE: usize = 4_096;

/// Writes what a head says of one row into `probabilities`, `[classes]`: of [`Task::Single`] the
/// softmax of its logits over the temperature, of `Multi` the sigmoid of each, of `Regression` the
/// number as it is.
///
/// The temperature changes how sure a head is, but neither which class of `Single` is the most
/// probable nor which of `Multi` are more probable than not.
pub fn probabilities(task: Task, logits: &[f32], temperature: f64, probabilities: &mut Vec<f64>) {
    probabilities.clear();
    let scaled = logits.iter().map(|&logit| f64::from(logit) / temperature);
    match task {
        Task::Single => {
            probabilities.extend(scaled);
            let greatest = probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut sum = 0.0;
            for value in probabilities.iter_mut() {
                *value = (*value - greatest).exp();
                sum += *value;
            }
            for value in probabilities.iter_mut() {
                *value /= sum;
            }
        }
        Task::Multi => probabilities.extend(scaled.map(sigmoid)),
        Task::Regression => probabilities.extend(logits.iter().map(|&number| f64::from(number))),
    }
}

fn sigmoid(logit: f64) -> f64 {
    if logit >= 0.0 { 1.0 / (1.0 + (-logit).exp()) } else { logit.exp() / (1.0 + logit.exp()) }
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The mean of −ln p over `chosen` rows of [`Task::Single`], or over their known cells of `Multi`,
/// where p is the probability, at a temperature, of what is true.
pub(super) fn log_loss(rows: &Rows<'_>, chosen: &[u32], temperature: f64) -> Option<f64> {
    let sums: Vec<(f64, u64)> = chosen
        .par_chunks(ROWS_AT_ONCE)
        .map(|chosen| {
            chosen.iter().fold((0.0, 0), |(loss, cells), &row| {
                let (more, known) = loss_of_row(rows, row as usize, temperature);
                (loss + more, cells + known)
            })
        })
        .collect();
    let (loss, cells) =
        sums.iter().fold((0.0, 0), |(loss, cells), sum| (loss + sum.0, cells + sum.1));
    (cells > 0).then(|| loss / cells as f64)
}

/// The sum of the losses of one row, and how many there are.
pub(super) fn loss_of_row(rows: &Rows<'_>, row: usize, temperature: f64) -> (f64, u64) {
    let scaled = |logit: f32| f64::from(logit) / temperature;
    let logits = rows.row(row);
    match &rows.held_out.targets {
        Targets::Single(truths) => {
            let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let greatest = scaled(greatest);
            let sum: f64 = logits.iter().map(|&logit| (scaled(logit) - greatest).exp()).sum();
            (greatest + sum.ln() - scaled(logits[truths[row] as usize]), 1)
        }
        Targets::Multi(_) => logits.iter().enumerate().fold((0.0, 0), |(loss, cells), cell| {
            let (class, &logit) = cell;
            match rows.known(row, class) {
                Known::Yes => (loss + softplus(-scaled(logit)), cells + 1),
                Known::No => (loss + softplus(scaled(logit)), cells + 1),
                Known::Unknown => (loss, cells),
            }
        }),
        Targets::Numbers(_) => (0.0, 0),
    }
}

/// The most probable class of a row; the first of several.
pub(in crate::train) fn most_probable(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

/// What says how a row's classes of [`Task::Single`] compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowSums {
    /// The class of the greatest logit.
    top: usize,
    greatest: f64,
    /// The sum of e to the power of all logits less the greatest.
    sum: f64,
    /// The logarithm of that sum, and the greatest logit, without the top class.
    others_of_top: f64,
}

impl RowSums {
    pub(super) fn new(logits: &[f32]) -> Self {
        let top = most_probable(logits);
        let mut others: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let greatest = if others.is_empty() { 0.0 } else { others.swap_remove(top) };
        let sum = 1.0 + others.iter().map(|other| (other - greatest).exp()).sum::<f64>();
        let second = others.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let rest: f64 = others.iter().map(|other| (other - second).exp()).sum();
        Self { top, greatest, sum, others_of_top: second + rest.ln() }
    }

    /// The logarithm of the odds of `class`, for ranking: it grows with the softmax probability
    /// and tells apart what rounds to 1. Of an only class 0.
    ///
    /// In float32, as precise as logits are: rows that are equal but for rounding stay equal.
    pub(super) fn log_odds(&self, logits: &[f32], class: usize) -> f32 {
        if logits.len() < 2 {
            return 0.0;
        }
        let logit = f64::from(logits[class]);
        // At least 1 remains of the sum, the top class's own part.
        let others = if class == self.top {
            self.others_of_top
        } else {
            self.greatest + (self.sum - (logit - self.greatest).exp()).max(1.0).ln()
        };
        #[expect(clippy::cast_possible_truncation, reason = "meant to drop rounding noise")]
        let odds = (logit - others) as f32;
        odds.clamp(f32::MIN, f32::MAX)
    }
}

/// Probabilities of all rows at one temperature, one by one.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    temperature: f64,
    /// Of [`Task::Single`] the logarithm of each row's sum.
    log_sums: Vec<f64>,
}

impl Scale {
    pub(super) fn new(rows: &Rows<'_>, temperature: f64) -> Self {
        let log_sum = |row| {
            let scaled = |&logit: &f32| f64::from(logit) / temperature;
            let logits = rows.row(row);
            let greatest = logits.iter().map(scaled).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|logit| (scaled(logit) - greatest).exp()).sum();
            greatest + sum.ln()
        };
        let is_single = rows.held_out.targets.task() == Task::Single;
        let log_sums = if is_single { (0..rows.len()).map(log_sum).collect() } else { Vec::new() };
        Self { temperature, log_sums }
    }

    /// The probability of `class` in `row`.
    pub(super) fn probability(&self, rows: &Rows<'_>, row: usize, class: usize) -> f64 {
        let scaled = f64::from(rows.row(row)[class]) / self.temperature;
        self.log_sums.get(row).map_or_else(|| sigmoid(scaled), |sum| (scaled - sum).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(task: Task, logits: &[f32], temperature: f64) -> Vec<f64> {
        let mut values = Vec::new();
        probabilities(task, logits, temperature, &mut values);
        values
    }

    #[test]
    fn probabilities_are_finite_whatever_the_logits() {
        for logits in [[f32::MAX, f32::MIN, 0.0], [0.0; 3], [1e-30, -1e30, 88.0]] {
            let softmax = of(Task::Single, &logits, 0.1);
            assert!((softmax.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{softmax:?}");
            let sigmoids = of(Task::Multi, &logits, 0.1);
            assert!(sigmoids.iter().all(|p| (0.0..=1.0).contains(p)), "{sigmoids:?}");
        }
        assert!(of(Task::Single, &[], 1.0).is_empty());
        assert_eq!(of(Task::Multi, &[0.0], 3.0), [0.5]);
    }

    #[test]
    fn odds_tell_apart_what_rounds_to_one() {
        let odds = |logits: &[f32], class| RowSums::new(logits).log_odds(logits, class);
        assert!(odds(&[90.0, 0.0, 0.0], 0) > odds(&[60.0, 0.0, 0.0], 0));
        assert!(of(Task::Single, &[60.0, 0.0, 0.0], 1.0)[0] >= 1.0);
        assert!(odds(&[5.0], 0).abs() <= 0.0);
        // The order of the other classes is no reason to rank rows.
        let [one, other] = [[1.0, 0.3, 2.0, -1.7], [1.0, -1.7, 0.3, 2.0]].map(|row| odds(&row, 0));
        assert_eq!(one.to_bits(), other.to_bits());
        for class in 0..3 {
            let logits = [0.5, -1.0, 2.0];
            let p = of(Task::Single, &logits, 1.0)[class];
            // Float noise of float32.
            assert!((f64::from(odds(&logits, class)) - (p / (1.0 - p)).ln()).abs() < 1e-6);
            assert!(odds(&[f32::MAX, f32::MIN, 0.0], class).is_finite());
        }
    }
}
