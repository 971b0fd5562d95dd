//! Scores of heads that say a number.
//!
//! In: numbers that were said, and the true ones. Out: [`NumberScores`]. Refuses correlations of
//! what does not vary.

use serde::{Deserialize, Serialize};

use super::super::task::Targets;
use super::estimate::{Estimate, written};
use super::resample::Resampling;
use super::rows::Rows;

/// How near numbers come to the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberScores {
    /// What the number is.
    pub name: String,
    /// Mean of |said − true|, in the number's own unit.
    #[serde(flatten, with = "written::mean_absolute_error")]
    pub mean_absolute_error: Estimate,
    /// Square root of the mean of (said − true)².
    #[serde(flatten, with = "written::root_mean_square_error")]
    pub root_mean_square_error: Estimate,
    /// The share of the variance that is explained: 1 less the squared errors over those of
    /// always saying the mean of the true numbers. Below 0 for heads that are worse than that.
    #[serde(flatten, with = "written::r_squared")]
    pub r_squared: Estimate,
    /// Correlation of ranks, equal numbers sharing theirs.
    #[serde(flatten, with = "written::spearman")]
    pub spearman: Estimate,
    /// Linear correlation.
    #[serde(flatten, with = "written::pearson")]
    pub pearson: Estimate,
    /// Mean of the true numbers.
    pub mean: Option<f64>,
    /// Their standard deviation (over n).
    pub standard_deviation: Option<f64>,
    /// The least and the greatest true number.
    pub range: Option<(f64, f64)>,
}

/// A row with both numbers, less the mean of the true ones, so that squares stay precise.
#[derive(Clone, Copy, Debug)]
struct Pair {
    group: u32,
    truth: f64,
    said: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Measures {
    mean_absolute_error: Option<f64>,
    root_mean_square_error: Option<f64>,
    r_squared: Option<f64>,
    spearman: Option<f64>,
    pearson: Option<f64>,
}

/// Scores of numbers; rows without finite ones are left out.
pub(super) fn score_numbers(
    rows: &Rows<'_>,
    resampling: Resampling,
    notes: &mut Vec<String>,
) -> NumberScores {
    let truths: &[f32] = match &rows.held_out.targets {
        Targets::Numbers(numbers) => numbers,
        Targets::Single(_) | Targets::Multi(_) => &[],
    };
    let pair = |((&truth, &said), &group): ((&f32, &f32), &u32)| Pair {
        group,
        truth: f64::from(truth),
        said: f64::from(said),
    };
    let is_finite = |pair: &Pair| pair.truth.is_finite() && pair.said.is_finite();
    let all = truths.iter().zip(rows.outputs.iter()).zip(&rows.groups).map(pair);
    let mut pairs: Vec<Pair> = all.filter(is_finite).collect();
    if pairs.len() < truths.len() {
        notes.push(format!(
            "{} of {} rows have no finite number and are left out of the scores",
            truths.len() - pairs.len(),
            truths.len()
        ));
    }
    let count = pairs.len() as f64;
    let mean =
        (!pairs.is_empty()).then(|| pairs.iter().map(|pair| pair.truth).sum::<f64>() / count);
    let truths = pairs.iter().map(|pair| pair.truth);
    let range = pairs.first().map(|first| {
        truths.fold((first.truth, first.truth), |(low, high), truth| {
            (low.min(truth), high.max(truth))
        })
    });
    for pair in &mut pairs {
        let mean = mean.unwrap_or_default();
        (pair.truth, pair.said) = (pair.truth - mean, pair.said - mean);
    }
    let squares: f64 = pairs.iter().map(|pair| pair.truth * pair.truth).sum();
    let varies = range.is_some_and(|(low, high)| low < high);
    if !varies && !pairs.is_empty() {
        notes.push("all held-out rows have one number: nothing can correlate with it".to_owned());
    }
    let orders = [Order::new(&pairs, |pair| pair.truth), Order::new(&pairs, |pair| pair.said)];
    let point = measure(&pairs, &orders, &vec![1; rows.group_count]);
    let resampled = resampling.run(|times| measure(&pairs, &orders, times));
    let estimate = |read: fn(&Measures) -> Option<f64>| {
        Estimate::resampled(read(&point), resampled.iter().map(read))
    };
    NumberScores {
        name: rows.held_out.classes[0].clone(),
        mean_absolute_error: estimate(|measures| measures.mean_absolute_error),
        root_mean_square_error: estimate(|measures| measures.root_mean_square_error),
        r_squared: estimate(|measures| measures.r_squared),
        spearman: estimate(|measures| measures.spearman),
        pearson: estimate(|measures| measures.pearson),
        mean,
        standard_deviation: mean.map(|_| (squares / count).sqrt()),
        range,
    }
}

/// What always saying the mean would get: mean absolute and root mean square error.
pub(super) fn of_mean(rows: &Rows<'_>) -> Option<(f64, f64)> {
    let Targets::Numbers(numbers) = &rows.held_out.targets else { return None };
    let numbers: Vec<f64> = numbers
        .iter()
        .zip(rows.outputs.iter())
        .filter(|(truth, said)| truth.is_finite() && said.is_finite())
        .map(|(&truth, _)| f64::from(truth))
        .collect();
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let errors = numbers.iter().map(|number| (number - mean).abs());
    let squares: f64 = errors.clone().map(|error| error * error).sum();
    (!numbers.is_empty()).then(|| (errors.sum::<f64>() / count, (squares / count).sqrt()))
}

fn measure(pairs: &[Pair], orders: &[Order; 2], times: &[u32]) -> Measures {
    let weight = |pair: &Pair| f64::from(times[pair.group as usize]);
    let (mut count, mut absolute, mut squared) = (0.0, 0.0, 0.0);
    for pair in pairs {
        let (weight, error) = (weight(pair), pair.said - pair.truth);
        count += weight;
        absolute += weight * error.abs();
        squared += weight * error * error;
    }
    if count == 0.0 {
        return Measures::default();
    }
    let weights: Vec<f64> = pairs.iter().map(weight).collect();
    let truths: Vec<f64> = pairs.iter().map(|pair| pair.truth).collect();
    let said: Vec<f64> = pairs.iter().map(|pair| pair.said).collect();
    let [true_ranks, said_ranks] = orders.each_ref().map(|order| order.ranks(&weights));
    let deviations = Moments::new(&truths, &said, &weights);
    Measures {
        mean_absolute_error: Some(absolute / count),
        root_mean_square_error: Some((squared / count).sqrt()),
        r_squared: deviations.first_varies().map(|total| 1.0 - squared / total),
        spearman: Moments::new(&true_ranks, &said_ranks, &weights).correlation(),
        pearson: deviations.correlation(),
    }
}

/// Weighted sums of squares and products about the means.
#[derive(Clone, Copy, Debug)]
struct Moments {
    first: f64,
    second: f64,
    product: f64,
    /// Squares before the means were taken off, by which rounding is judged.
    raw: (f64, f64),
}

/// What rounding leaves of squares that should have become 0.
const NOISE: f64 = 1e-12;

impl Moments {
    fn new(first: &[f64], second: &[f64], weights: &[f64]) -> Self {
        let count: f64 = weights.iter().sum();
        let mean = |values: &[f64]| {
            values.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>() / count
        };
        let (first_mean, second_mean) = (mean(first), mean(second));
        let mut sums = Self { first: 0.0, second: 0.0, product: 0.0, raw: (0.0, 0.0) };
        for ((&first, &second), &weight) in first.iter().zip(second).zip(weights) {
            let (a, b) = (first - first_mean, second - second_mean);
            sums.first += weight * a * a;
            sums.second += weight * b * b;
            sums.product += weight * a * b;
            sums.raw.0 += weight * first * first;
            sums.raw.1 += weight * second * second;
        }
        sums
    }

    fn first_varies(&self) -> Option<f64> {
        (self.first > NOISE * self.raw.0).then_some(self.first)
    }

    fn correlation(&self) -> Option<f64> {
        let first = self.first_varies()?;
        let second = (self.second > NOISE * self.raw.1).then_some(self.second)?;
        Some((self.product / (first.sqrt() * second.sqrt())).clamp(-1.0, 1.0))
    }
}

/// Rows from the least to the greatest number.
#[derive(Clone, Debug)]
struct Order(Vec<(u32, EndsEqual)>);

/// Whether the next row's number is greater.
type EndsEqual = bool;

impl Order {
    fn new(pairs: &[Pair], read: impl Fn(&Pair) -> f64) -> Self {
        let mut order: Vec<(f64, u32)> = pairs.iter().map(read).zip(0..).collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut next = order.iter().skip(1);
        let mut ends = |number| next.next().is_none_or(|next| next.0 > number);
        Self(order.iter().map(|&(number, row)| (row, ends(number))).collect())
    }

    /// The mean rank of each row among all, each counted as often as its weight says.
    fn ranks(&self, weights: &[f64]) -> Vec<f64> {
        let mut ranks = vec![0.0; weights.len()];
        let (mut below, mut equal, mut first) = (0.0, 0.0, 0);
        for (place, &(row, ends_equal)) in self.0.iter().enumerate() {
            equal += weights[row as usize];
            if ends_equal {
                for &(row, _) in &self.0[first..=place] {
                    ranks[row as usize] = below + f64::midpoint(equal, 1.0);
                }
                (below, equal, first) = (below + equal, 0.0, place + 1);
            }
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_share_a_rank_and_weights_are_copies() {
        let pair = |truth| Pair { group: 0, truth, said: 0.0 };
        let order = Order::new(&[3.0, 1.0, 3.0, 2.0].map(pair), |pair| pair.truth);
        assert_eq!(order.ranks(&[1.0; 4]), [3.5, 1.0, 3.5, 2.0]);
        // 1, 2, 2, 3, 3: the 2 is there twice, one 3 is not.
        assert_eq!(order.ranks(&[0.0, 1.0, 2.0, 2.0])[1..], [1.0, 4.5, 2.5]);
    }

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        let constant = Moments::new(&[0.1; 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], &[1.0; 7]);
        assert_eq!((constant.first_varies(), constant.correlation()), (None, None));
    }
}
