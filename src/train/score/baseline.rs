//! What a head that says nothing useful would get, by which scores are judged.
//!
//! In: held-out rows, of which only the truth is looked at. Out: [`Baseline`].

use serde::{Deserialize, Serialize};

use super::super::task::Task;
use super::classes::ClassScores;
use super::numbers::of_mean;
use super::ranking::share;
use super::rows::Rows;

/// Scores without any hearing. They know the held-out rows' own shares and mean, which no head
/// does, so they are not easy to beat by luck.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// What it says, in words.
    pub says: String,
    /// Of always saying the most frequent class; of `Multi` of any answer that does not depend on
    /// the sound.
    pub accuracy: Option<f64>,
    /// The same, all classes counting alike.
    pub balanced_accuracy: Option<f64>,
    /// Of always saying the most frequent class; of `Multi` of always saying yes.
    pub macro_f1: Option<f64>,
    /// Of any order that does not depend on the sound: a half.
    pub macro_roc_auc: Option<f64>,
    /// Of any such order: the classes' mean share.
    pub mean_average_precision: Option<f64>,
    /// Of the classes' shares as probabilities.
    pub log_loss: Option<f64>,
    /// Of always saying the mean.
    pub mean_absolute_error: Option<f64>,
    /// Of always saying the mean.
    pub root_mean_square_error: Option<f64>,
}

impl Baseline {
    pub(super) fn new(rows: &Rows<'_>, classes: &[ClassScores]) -> Self {
        match rows.held_out.targets.task() {
            Task::Single => Self::of_single(classes),
            Task::Multi => Self::of_multi(classes),
            Task::Regression => {
                let errors = of_mean(rows);
                Self {
                    says: "always the mean of the held-out rows".to_owned(),
                    mean_absolute_error: errors.map(|(absolute, _)| absolute),
                    root_mean_square_error: errors.map(|(_, squared)| squared),
                    ..Self::default()
                }
            }
        }
    }

    fn of_single(classes: &[ClassScores]) -> Self {
        let rows: u64 = classes.iter().map(|class| class.positives).sum();
        let there = classes.iter().filter(|class| class.positives > 0);
        let count = there.clone().count() as u64;
        // The first of several, as the most probable class is.
        let most = there.clone().rev().max_by_key(|class| class.positives);
        let accuracy = most.and_then(|class| share(class.positives, rows));
        let entropies = there.map(|class| {
            let share = class.positives as f64 / rows as f64;
            -share * share.ln()
        });
        Self {
            says: most
                .map(|class| format!("always `{}`, the most frequent class", class.class))
                .unwrap_or_default(),
            accuracy,
            balanced_accuracy: share(1, count),
            macro_f1: accuracy.map(|share| 2.0 * share / (1.0 + share) / count as f64),
            log_loss: (rows > 0).then(|| entropies.sum()),
            ..Self::of_orders(classes)
        }
    }

    fn of_multi(classes: &[ClassScores]) -> Self {
        let known = |class: &ClassScores| class.positives + class.negatives;
        let cells: u64 = classes.iter().map(known).sum();
        let shares: Vec<f64> =
            classes.iter().filter_map(|class| share(class.positives, known(class))).collect();
        let f1: Vec<f64> = shares
            .iter()
            .filter(|&&share| share > 0.0)
            .map(|share| 2.0 * share / (1.0 + share))
            .collect();
        let entropy = |count: u64, of: u64| {
            if count == 0 { 0.0 } else { -(count as f64) * (count as f64 / of as f64).ln() }
        };
        let loss: f64 = classes
            .iter()
            .map(|class| {
                entropy(class.positives, known(class)) + entropy(class.negatives, known(class))
            })
            .sum();
        let orders = Self::of_orders(classes);
        Self {
            says: "an answer that does not depend on the sound".to_owned(),
            accuracy: orders.macro_roc_auc,
            balanced_accuracy: orders.macro_roc_auc,
            macro_f1: mean(&f1),
            log_loss: (cells > 0).then(|| loss / cells as f64),
            ..orders
        }
    }

    /// Of orders that do not depend on the sound, in the mean over the classes that have both
    /// rows of it and others.
    fn of_orders(classes: &[ClassScores]) -> Self {
        let shares: Vec<f64> = classes
            .iter()
            .filter(|class| class.positives > 0 && class.negatives > 0)
            .filter_map(|class| share(class.positives, class.positives + class.negatives))
            .collect();
        Self {
            macro_roc_auc: (!shares.is_empty()).then_some(0.5),
            mean_average_precision: mean(&shares),
            ..Self::default()
        }
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
