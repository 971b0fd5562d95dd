//! Rows in the order of what a head says about one class, and the numbers that follow from it.
//!
//! In: scores, what is known, and how often each group counts. Out: counts at the decision, the
//! area under the ROC curve, average precision. Rows of equal score are one step: no order among
//! them is believed.

/// A row whose class is known.
#[derive(Clone, Copy, Debug)]
struct Entry {
    group: u32,
    /// Whether the class is there.
    positive: bool,
    /// Whether the head decides that it is.
    said: bool,
    /// Whether the next one's score is lower.
    ends_step: bool,
}

/// What is known of a row, and said of it, about one class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked {
    pub(super) score: f32,
    pub(super) group: u32,
    pub(super) positive: bool,
    pub(super) said: bool,
}

/// Rows from the highest score to the lowest.
#[derive(Clone, Debug)]
pub(super) struct Ranking(Vec<Entry>);

/// Rows by what is true and what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) true_positives: u64,
    pub(super) false_positives: u64,
    pub(super) false_negatives: u64,
    pub(super) true_negatives: u64,
}

/// What a ranking gives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measures {
    pub(super) counts: Counts,
    pub(super) roc_auc: Option<f64>,
    pub(super) average_precision: Option<f64>,
}

/// A share, where there is anything to have a share of.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Counts {
    pub(super) fn positives(self) -> u64 {
        self.true_positives + self.false_negatives
    }

    pub(super) fn negatives(self) -> u64 {
        self.false_positives + self.true_negatives
    }

    pub(super) fn precision(self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    pub(super) fn recall(self) -> Option<f64> {
        share(self.true_positives, self.positives())
    }

    /// The harmonic mean of precision and recall; 0 where what is there was never said.
    pub(super) fn f1(self) -> Option<f64> {
        let twice = 2 * self.true_positives;
        share(twice, twice + self.false_positives + self.false_negatives)
    }

    /// The mean of recall among positives and among negatives.
    pub(super) fn balanced_accuracy(self) -> Option<f64> {
        let (recall, specificity) = (self.recall()?, share(self.true_negatives, self.negatives())?);
        Some(f64::midpoint(recall, specificity))
    }
}

impl Ranking {
    pub(super) fn new(mut rows: Vec<Ranked>) -> Self {
        rows.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        let ends = rows.iter().zip(rows.iter().skip(1)).map(|(row, next)| row.score > next.score);
        let ends: Vec<bool> = ends.chain([true]).collect();
        let entry = |(&Ranked { group, positive, said, .. }, ends_step)| Entry {
            group,
            positive,
            said,
            ends_step,
        };
        Self(rows.iter().zip(ends).map(entry).collect())
    }

    /// The numbers where each row counts as often as its group: `times` of all groups.
    ///
    /// The area under the ROC curve is the share of pairs of a positive and a negative row in
    /// which the positive one has the higher score, equal scores counting half (J. A. Hanley and
    /// B. J. `McNeil`, "The meaning and use of the area under a receiver operating characteristic
    /// curve", 1982). Average precision is the sum over the steps of precision times the gain in
    /// recall, without interpolation, as scikit-learn defines it. Neither exists where all rows
    /// are positive, or none is.
    pub(super) fn measure(&self, times: &[u32]) -> Measures {
        let mut counts = Counts::default();
        let (mut positives, mut negatives) = (0_u64, 0_u64);
        // In the step that is not over yet.
        let (mut step_positives, mut step_negatives) = (0_u64, 0_u64);
        let (mut pairs, mut precisions) = (0.0, 0.0);
        for entry in &self.0 {
            let weight = u64::from(times[entry.group as usize]);
            let count = match (entry.positive, entry.said) {
                (true, true) => &mut counts.true_positives,
                (false, true) => &mut counts.false_positives,
                (true, false) => &mut counts.false_negatives,
                (false, false) => &mut counts.true_negatives,
            };
            *count += weight;
            if entry.positive {
                step_positives += weight;
            } else {
                step_negatives += weight;
            }
            if entry.ends_step {
                if step_negatives > 0 {
                    pairs +=
                        step_negatives as f64 * (positives as f64 + step_positives as f64 / 2.0);
                }
                positives += step_positives;
                negatives += step_negatives;
                if step_positives > 0 {
                    let precision = positives as f64 / (positives + negatives) as f64;
                    precisions += step_positives as f64 * precision;
                }
                (step_positives, step_negatives) = (0, 0);
            }
        }
        let defined = positives > 0 && negatives > 0;
        Measures {
            counts,
            roc_auc: defined.then(|| pairs / (positives as f64 * negatives as f64)),
            average_precision: defined.then(|| precisions / positives as f64),
        }
    }

    /// Recall and precision after each step, every row counting once; there is a positive row.
    pub(super) fn precision_recall(&self) -> Vec<(f64, f64)> {
        let positives = self.0.iter().filter(|entry| entry.positive).count().max(1);
        let mut found = 0_u32;
        let mut points = Vec::new();
        for (rows, entry) in (1_u32..).zip(&self.0) {
            found += u32::from(entry.positive);
            if entry.ends_step {
                let recall = f64::from(found) / positives as f64;
                points.push((recall, f64::from(found) / f64::from(rows)));
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(scores: &[(f32, bool)]) -> Ranking {
        let row = |(at, &(score, positive)): (usize, &(f32, bool))| Ranked {
            score,
            positive,
            group: u32::try_from(at).unwrap(),
            said: score >= 0.0,
        };
        Ranking::new(scores.iter().enumerate().map(row).collect())
    }

    #[test]
    fn equal_scores_are_one_step_whatever_their_order() {
        let all_equal = rows(&[(1.0, true), (1.0, false), (1.0, false), (1.0, true)]);
        let measures = all_equal.measure(&[1; 4]);
        assert_eq!(measures.roc_auc, Some(0.5));
        assert_eq!(measures.average_precision, Some(0.5));
    }

    #[test]
    fn one_class_alone_has_no_curve() {
        for positive in [true, false] {
            let measures = rows(&[(1.0, positive), (0.0, positive)]).measure(&[1; 2]);
            assert_eq!((measures.roc_auc, measures.average_precision), (None, None));
        }
        assert_eq!(rows(&[]).measure(&[]), Measures::default());
    }

    proptest! {
        /// Counting a group n times is having its rows n times; AUC is its definition by pairs.
        #[test]
        fn weights_are_copies_and_auc_counts_pairs(
            table in prop::collection::vec((-3_i8..3, any::<bool>(), 0_u32..4), 1..30),
        ) {
            let once: Vec<(f32, bool)> =
                table.iter().map(|&(score, positive, _)| (f32::from(score), positive)).collect();
            let times: Vec<u32> = table.iter().map(|row| row.2).collect();
            let copies: Vec<(f32, bool)> = table
                .iter()
                .flat_map(|&(score, positive, times)| {
                    std::iter::repeat_n((f32::from(score), positive), times as usize)
                })
                .collect();
            let weighted = rows(&once).measure(&times);
            let copied = rows(&copies).measure(&vec![1; copies.len()]);
            prop_assert_eq!(weighted.counts, copied.counts);
            prop_assert_eq!(weighted.average_precision, copied.average_precision);
            let mut pairs = (0.0, 0.0);
            for (high, _) in copies.iter().filter(|row| row.1) {
                for (low, _) in copies.iter().filter(|row| !row.1) {
                    pairs.0 += if high > low { 1.0 } else if high < low { 0.0 } else { 0.5 };
                    pairs.1 += 1.0;
                }
            }
            let expected = (pairs.1 > 0.0).then(|| pairs.0 / pairs.1);
            prop_assert_eq!(weighted.roc_auc.is_some(), expected.is_some());
            if let (Some(auc), Some(expected)) = (weighted.roc_auc, expected) {
                prop_assert!((auc - expected).abs() < 1e-12);
            }
        }
    }
}
