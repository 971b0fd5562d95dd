//! Held-out rows into numbers that can be believed.
//!
//! In: [`HeldOut`]. Out: [`Scores`], [`Mistake`]s, [`Curves`]. Refuses to make a number of nothing: what is
//! not defined is `None`, and [`Scores::notes`] says why.
//!
//! Every interval is of 95 % and comes from drawing groups with replacement, 2,000 times and
//! always the same ones for a seed.

mod baseline;
mod calibration;
mod classes;
mod confusion;
mod curves;
pub(super) mod estimate;
mod mistakes;
mod notes;
mod numbers;
mod probability;
mod ranking;
pub(super) mod resample;
pub(super) mod rows;
mod threshold;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::held_out::HeldOut;
use super::task::Task;
use estimate::written;
use resample::Resampling;
use rows::Rows;

pub use baseline::Baseline;
pub use calibration::{Bin, Calibration};
pub use classes::ClassScores;
pub use confusion::{Confused, Confusion};
pub use curves::{Curves, PrecisionRecall, curves};
pub use estimate::Estimate;
pub use mistakes::{Mistake, mistakes};
pub use numbers::NumberScores;
pub use probability::probabilities;
pub use threshold::{Threshold, Thresholds};

/// What a head was given when it was trained, and is judged with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Given<'a> {
    /// What logits are divided by.
    pub temperature: f64,
    /// From which probability on each class counts as there, `[classes]`; empty of numbers.
    pub thresholds: &'a [f64],
}

/// How to score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreOptions<'a> {
    /// The precision that thresholds are looked for, in (0, 1].
    pub precision: f64,
    /// How often groups are drawn for intervals.
    pub resamples: usize,
    /// What the draws depend on.
    pub seed: u64,
    /// The temperature and the thresholds that are judged; where there are none, they are fitted to
    /// what is scored.
    pub given: Option<Given<'a>>,
}

impl Default for ScoreOptions<'_> {
    fn default() -> Self {
        Self { precision: 0.9, resamples: 2_000, seed: 0, given: None }
    }
}

/// What is known about how well a head does on what it has not learnt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// What the head says.
    pub task: Task,
    /// Held-out rows.
    pub rows: usize,
    /// Groups that they come from; intervals draw these.
    pub groups: usize,
    /// Folds: 1 where one part was held out once.
    pub folds: usize,
    /// Of [`Task::Single`] the share of rows whose most probable class is right. Of `Multi` the
    /// same as [`balanced_accuracy`](Self::balanced_accuracy), since most cells are no, and saying
    /// no to everything would be nearly always right. Of numbers `None`.
    #[serde(flatten, with = "written::accuracy")]
    pub accuracy: Estimate,
    /// Of `Single` the mean recall of the classes that are there. Of `Multi` the mean over classes
    /// of recall among yes and among no at a probability of a half, over what is known.
    #[serde(flatten, with = "written::balanced_accuracy")]
    pub balanced_accuracy: Estimate,
    /// Mean F1 of the classes that are there or were said.
    #[serde(flatten, with = "written::macro_f1")]
    pub macro_f1: Estimate,
    /// Mean area under the ROC curve of each class against the rest.
    #[serde(flatten, with = "written::macro_roc_auc")]
    pub macro_roc_auc: Estimate,
    /// Mean average precision of each class against the rest.
    #[serde(flatten, with = "written::mean_average_precision")]
    pub mean_average_precision: Estimate,
    /// By class; empty of numbers.
    pub classes: Vec<ClassScores>,
    /// Which classes are taken for which; only of `Single`.
    pub confusion: Option<Confusion>,
    /// How far probabilities can be believed; `None` of numbers.
    pub calibration: Option<Calibration>,
    /// How near numbers come; `None` of classes.
    pub numbers: Option<NumberScores>,
    /// What a head that says nothing useful would get.
    pub baseline: Baseline,
    /// The precision that thresholds were looked for.
    pub wanted_precision: f64,
    /// Resamples that intervals come from; 0 where there is none.
    pub resamples: usize,
    /// What keeps these numbers from being what they seem.
    pub notes: Vec<String>,
}

/// Scores held-out rows. Rows that do not fit together get no scores and a note that says so.
pub fn score(held_out: &HeldOut, options: &ScoreOptions<'_>) -> Scores {
    let mut scores = Scores::none(held_out, options);
    match Rows::new(held_out) {
        Ok(rows) => scores.fill(&rows, options),
        Err(problem) => scores.notes.push(problem),
    }
    scores
}

impl Scores {
    /// The scores of a head of which nothing was held out.
    pub fn nothing(task: Task) -> Self {
        Self {
            task,
            rows: 0,
            groups: 0,
            folds: 0,
            accuracy: Estimate::default(),
            balanced_accuracy: Estimate::default(),
            macro_f1: Estimate::default(),
            macro_roc_auc: Estimate::default(),
            mean_average_precision: Estimate::default(),
            classes: Vec::new(),
            confusion: None,
            calibration: None,
            numbers: None,
            baseline: Baseline::default(),
            wanted_precision: 0.0,
            resamples: 0,
            notes: Vec::new(),
        }
    }

    fn none(held_out: &HeldOut, options: &ScoreOptions<'_>) -> Self {
        Self {
            rows: held_out.len(),
            wanted_precision: options.precision,
            ..Self::nothing(held_out.targets.task())
        }
    }

    fn fill(&mut self, rows: &Rows<'_>, options: &ScoreOptions<'_>) {
        (self.groups, self.folds) = (rows.group_count, rows.fold_count);
        if self.task == Task::Regression {
            let (groups, seed) = (rows.group_count, options.seed);
            let resampling = Resampling { groups, resamples: options.resamples, seed };
            self.numbers = Some(numbers::score_numbers(rows, resampling, &mut self.notes));
            self.resamples = if groups < 2 { 0 } else { options.resamples };
        } else {
            let calibration = match options.given {
                Some(given) => calibration::judge(rows, given.temperature),
                None => calibration::calibrate(rows, &mut self.notes),
            };
            let scale = probability::Scale::new(rows, calibration.temperature);
            let (classes, overall) = classes::score_classes(rows, &scale, options);
            self.accuracy = overall.accuracy;
            self.balanced_accuracy = overall.balanced_accuracy;
            self.macro_f1 = overall.macro_f1;
            self.macro_roc_auc = overall.macro_roc_auc;
            self.mean_average_precision = overall.mean_average_precision;
            self.resamples = overall.resamples;
            self.classes = classes;
            self.confusion = Confusion::new(rows);
            self.calibration = Some(calibration);
        }
        self.baseline = Baseline::new(rows, &self.classes);
        notes::mend_perfect(self);
        notes::explain(self, rows, options);
    }
}
