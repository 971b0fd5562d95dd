//! Scores of heads that say classes.
//!
//! In: held-out rows. Out: numbers by class, and over all of them with intervals. A class is
//! ranked, measured and resampled before the next one, so that memory holds one at a time.

use serde::{Deserialize, Serialize};

use super::super::task::{Known, Targets, Task};
use super::estimate::Estimate;
use super::probability::{RowSums, Scale, most_probable};
use super::ranking::{Measures, Ranked, Ranking};
use super::resample::Resampling;
use super::rows::Rows;
use super::threshold::{Thresholds, given_thresholds, thresholds};

/// Rows times classes times resamples at most, some seconds' work. With more rows there are fewer
/// resamples, and their intervals are narrow anyway.
const MOST_WORK: usize = 1_000_000_000;
/// Resamples at least.
const LEAST_RESAMPLES: usize = 200;

/// What is known of one class, and how well a head says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Its name.
    pub class: String,
    /// Rows in which it is there.
    pub positives: u64,
    /// Rows in which it is not.
    pub negatives: u64,
    /// Rows of which nobody knows; they count nowhere.
    pub unknown: u64,
    /// Groups in which it is there.
    pub groups: usize,
    /// Of the rows that are said to be of it, the share that is; `None` where none is.
    pub precision: Option<f64>,
    /// Of the rows that are of it, the share that is said to be.
    pub recall: Option<f64>,
    /// The harmonic mean of the two.
    pub f1: Option<f64>,
    /// The probability that a row of it is ranked above a row of none, by its probability.
    pub roc_auc: Option<f64>,
    /// Precision in the mean over recall, by its probability.
    pub average_precision: Option<f64>,
    /// From which probability on it may be said to be there.
    pub thresholds: Thresholds,
}

/// Scores over all classes.
#[derive(Clone, Debug, Default)]
pub(super) struct Overall {
    pub(super) accuracy: Estimate,
    pub(super) balanced_accuracy: Estimate,
    pub(super) macro_f1: Estimate,
    pub(super) macro_roc_auc: Estimate,
    pub(super) mean_average_precision: Estimate,
    /// Resamples that the intervals come from.
    pub(super) resamples: usize,
}

/// A mean over the classes that have a value.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// What all classes together come to, in one resample.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    right: u64,
    rows: u64,
    balanced: Mean,
    f1: Mean,
    roc_auc: Mean,
    average_precision: Mean,
}

impl Sums {
    fn add(&mut self, task: Task, measures: Measures) {
        let counts = measures.counts;
        self.right += counts.true_positives;
        self.rows += counts.positives();
        self.balanced.add(match task {
            Task::Multi => counts.balanced_accuracy(),
            Task::Single | Task::Regression => counts.recall(),
        });
        self.f1.add(counts.f1());
        self.roc_auc.add(measures.roc_auc);
        self.average_precision.add(measures.average_precision);
    }

    fn accuracy(&self, task: Task) -> Option<f64> {
        match task {
            Task::Multi => self.balanced.value(),
            Task::Single | Task::Regression => super::ranking::share(self.right, self.rows),
        }
    }
}

/// Scores by class, and over all of them.
pub(super) fn score_classes(
    rows: &Rows<'_>,
    scale: &Scale,
    options: &super::ScoreOptions<'_>,
) -> (Vec<ClassScores>, Overall) {
    let task = rows.held_out.targets.task();
    let work = rows.len().saturating_mul(rows.class_count()).max(1);
    let fewer = (MOST_WORK / work).max(LEAST_RESAMPLES);
    let resampling = Resampling {
        groups: rows.group_count,
        resamples: options.resamples.min(fewer),
        seed: options.seed,
    };
    let row_sums: Vec<RowSums> = match task {
        Task::Single => (0..rows.len()).map(|row| RowSums::new(rows.row(row))).collect(),
        Task::Multi | Task::Regression => Vec::new(),
    };
    let once = vec![1; rows.group_count];
    let (mut point, mut resampled) = (Sums::default(), Vec::new());
    let mut classes = Vec::with_capacity(rows.class_count());
    for class in 0..rows.class_count() {
        let ranking = rank(rows, class, &row_sums);
        let measures = ranking.measure(&once);
        point.add(task, measures);
        let drawn = resampling.run(|times| ranking.measure(times));
        resampled.resize(drawn.len(), Sums::default());
        for (sums, measures) in resampled.iter_mut().zip(drawn) {
            sums.add(task, measures);
        }
        let thresholds = match options.given {
            Some(given) => given_thresholds(rows, class, scale, given.thresholds),
            None => thresholds(rows, class, scale, options.precision),
        };
        classes.push(of_class(rows, class, measures, thresholds));
    }
    let estimate = |read: &dyn Fn(&Sums) -> Option<f64>| {
        Estimate::resampled(read(&point), resampled.iter().map(read))
    };
    let overall = Overall {
        accuracy: estimate(&|sums| sums.accuracy(task)),
        balanced_accuracy: estimate(&|sums| sums.balanced.value()),
        macro_f1: estimate(&|sums| sums.f1.value()),
        macro_roc_auc: estimate(&|sums| sums.roc_auc.value()),
        mean_average_precision: estimate(&|sums| sums.average_precision.value()),
        resamples: resampled.len(),
    };
    (classes, overall)
}

fn of_class(
    rows: &Rows<'_>,
    class: usize,
    measures: Measures,
    thresholds: Thresholds,
) -> ClassScores {
    let counts = measures.counts;
    let (positives, negatives) = (counts.positives(), counts.negatives());
    let is_there = |row: &usize| rows.known(*row, class) == Known::Yes;
    let mut groups: Vec<u32> =
        (0..rows.len()).filter(is_there).map(|row| rows.groups[row]).collect();
    groups.sort_unstable();
    groups.dedup();
    ClassScores {
        class: rows.held_out.classes[class].clone(),
        positives,
        negatives,
        unknown: rows.len() as u64 - positives - negatives,
        groups: groups.len(),
        precision: counts.precision(),
        recall: counts.recall(),
        f1: counts.f1(),
        roc_auc: measures.roc_auc,
        average_precision: measures.average_precision,
        thresholds,
    }
}

/// The rows by what they say of `class`. Of [`Task::Single`] the most probable class is said, of
/// `Multi` what is at least as probable as not.
fn rank(rows: &Rows<'_>, class: usize, row_sums: &[RowSums]) -> Ranking {
    let mut ranked = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        let positive = match rows.known(row, class) {
            Known::Yes => true,
            Known::No => false,
            Known::Unknown => continue,
        };
        let logits = rows.row(row);
        let (score, said) = match &rows.held_out.targets {
            Targets::Single(_) => {
                let odds = row_sums.get(row).map_or(0.0, |sums| sums.log_odds(logits, class));
                (odds, most_probable(logits) == class)
            }
            Targets::Multi(_) | Targets::Numbers(_) => (logits[class], logits[class] >= 0.0),
        };
        ranked.push(Ranked { score, group: rows.groups[row], positive, said });
    }
    Ranking::new(ranked)
}
