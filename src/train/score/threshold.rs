//! From which probability on a class is said to be there.
//!
//! In: calibrated probabilities of held-out rows. Out: [`Thresholds`]. What a threshold is said to
//! achieve elsewhere was found with thresholds from other folds.

use serde::{Deserialize, Serialize};

use super::super::task::Known;
use super::probability::Scale;
use super::ranking::Counts;
use super::rows::Rows;

/// Thresholds of one class, on its probability after the temperature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// The lowest one of the wanted precision; `None` where no threshold has it.
    pub for_precision: Option<Threshold>,
    /// The one of the greatest F1.
    pub for_f1: Option<Threshold>,
}

/// A threshold, and what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The least probability at which the class is said to be there.
    pub probability: f64,
    /// Precision on the rows that it was chosen by; `None` where it was chosen before.
    pub precision: Option<f64>,
    /// Recall on these.
    pub recall: Option<f64>,
    /// Precision on other rows than those that thresholds were chosen by: of other folds, or of
    /// recordings that are new to a head that has its threshold. `None` where nothing was said of
    /// them.
    pub precision_elsewhere: Option<f64>,
    /// Recall on these.
    pub recall_elsewhere: Option<f64>,
}

/// A row with a class that is known.
#[derive(Clone, Copy, Debug)]
struct Cell {
    probability: f64,
    part: u32,
    positive: bool,
}

/// A threshold with its counts.
#[derive(Clone, Copy, Debug)]
struct Step {
    probability: f64,
    counts: Counts,
}

/// Chooses one of the steps, which go from the highest threshold to the lowest.
type Choice<'a> = &'a dyn Fn(&mut dyn Iterator<Item = Step>) -> Option<Step>;

/// The thresholds of `class`.
pub(super) fn thresholds(
    rows: &Rows<'_>,
    class: usize,
    scale: &Scale,
    wanted_precision: f64,
) -> Thresholds {
    let mut cells = cells(rows, class, scale);
    cells.sort_unstable_by(|a, b| b.probability.total_cmp(&a.probability));
    let choose = |choice| crossed(&cells, rows.part_count, choice);
    Thresholds {
        for_precision: choose(&|steps| {
            steps.filter(|step| step.counts.precision() >= Some(wanted_precision)).last()
        }),
        for_f1: choose(&|steps| {
            steps.reduce(|best, step| if step.counts.f1() > best.counts.f1() { step } else { best })
        }),
    }
}

/// What the threshold of `class` that a head was given before reaches on these rows.
pub(super) fn given_thresholds(
    rows: &Rows<'_>,
    class: usize,
    scale: &Scale,
    given: &[f64],
) -> Thresholds {
    let Some(&probability) = given.get(class) else { return Thresholds::default() };
    let mut counts = Counts::default();
    for cell in cells(rows, class, scale) {
        cell.count(probability, &mut counts);
    }
    let threshold = Threshold {
        probability,
        precision: None,
        recall: None,
        precision_elsewhere: counts.precision(),
        recall_elsewhere: counts.recall(),
    };
    Thresholds { for_precision: Some(threshold), for_f1: None }
}

/// The rows of which it is known whether they are of `class`.
fn cells(rows: &Rows<'_>, class: usize, scale: &Scale) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        let positive = match rows.known(row, class) {
            Known::Yes => true,
            Known::No => false,
            Known::Unknown => continue,
        };
        let probability = scale.probability(rows, row, class);
        cells.push(Cell { probability, part: rows.parts[row], positive });
    }
    cells
}

impl Cell {
    /// Counts it as what it is, where a class is said from probability `least` on.
    fn count(&self, least: f64, counts: &mut Counts) {
        *(match (self.positive, self.probability >= least) {
            (true, true) => &mut counts.true_positives,
            (false, true) => &mut counts.false_positives,
            (true, false) => &mut counts.false_negatives,
            (false, false) => &mut counts.true_negatives,
        }) += 1;
    }
}

/// The threshold that `choice` takes by all cells, and what its choices by others give on each
/// part.
fn crossed(cells: &[Cell], part_count: usize, choice: Choice<'_>) -> Option<Threshold> {
    let everywhere = choice(&mut steps(cells, None))?;
    let mut elsewhere = Counts::default();
    for part in (0..part_count).filter(|_| part_count > 1) {
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        let chosen = choice(&mut steps(cells, Some(part)));
        let least = chosen.map_or(f64::INFINITY, |step| step.probability);
        for cell in cells.iter().filter(|cell| cell.part == part) {
            cell.count(least, &mut elsewhere);
        }
    }
    Some(Threshold {
        probability: everywhere.probability,
        precision: everywhere.counts.precision(),
        recall: everywhere.counts.recall(),
        precision_elsewhere: elsewhere.precision(),
        recall_elsewhere: elsewhere.recall(),
    })
}

/// Every threshold that changes something, from the highest on, by the cells that are not in
/// `left_out`; none where nothing is positive.
fn steps(cells: &[Cell], left_out: Option<u32>) -> impl Iterator<Item = Step> {
    let belongs = move |cell: &&Cell| Some(cell.part) != left_out;
    let all = cells.iter().filter(belongs);
    let positives = all.clone().filter(|cell| cell.positive).count() as u64;
    let negatives = all.clone().count() as u64 - positives;
    let mut next = all.clone().skip(1);
    let (mut true_positives, mut false_positives) = (0, 0);
    all.filter(move |_| positives > 0).filter_map(move |cell| {
        *(if cell.positive { &mut true_positives } else { &mut false_positives }) += 1;
        let is_last = next.next().is_none_or(|next| next.probability < cell.probability);
        is_last.then(|| Step {
            probability: cell.probability,
            counts: Counts {
                true_positives,
                false_positives,
                false_negatives: positives - true_positives,
                true_negatives: negatives - false_positives,
            },
        })
    })
}

/// What thresholds of a class reach elsewhere, for a sentence about it.
pub(super) fn falls_short(threshold: &Threshold, wanted_precision: f64) -> bool {
    threshold.precision_elsewhere.is_some_and(|precision| precision < wanted_precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(of: &[(f64, bool)]) -> Vec<Cell> {
        let cell = |(at, &(probability, positive)): (u32, &(f64, bool))| Cell {
            probability,
            part: at % 2,
            positive,
        };
        (0..).zip(of).map(cell).collect()
    }

    #[test]
    fn the_lowest_threshold_counts_and_equal_rows_go_together() {
        let cells = cells(&[
            (0.9, true),
            (0.8, false),
            (0.7, true),
            (0.7, true),
            (0.6, false),
            (0.1, false),
        ]);
        let precise = |wanted: f64| {
            crossed(&cells, 1, &move |steps| {
                steps.filter(|step| step.counts.precision() >= Some(wanted)).last()
            })
        };
        // 3 of 4 from 0.7 on, though 1 of 2 at 0.8.
        let threshold = precise(0.75).unwrap();
        assert_eq!(
            (threshold.probability, threshold.precision, threshold.recall),
            (0.7, Some(0.75), Some(1.0))
        );
        assert_eq!(threshold.precision_elsewhere, None);
        assert_eq!(precise(1.0).map(|threshold| threshold.probability), Some(0.9));
        assert!(steps(&cells[4..], None).next().is_none());
        assert!(precise(1.1).is_none());
    }

    #[test]
    fn what_is_reached_elsewhere_is_not_what_was_chosen_by() {
        // Part 0 is perfect, part 1 the other way round: thresholds of the one fail on the other.
        let cells = cells(&[
            (0.9, true),
            (0.85, false),
            (0.8, true),
            (0.75, false),
            (0.2, false),
            (0.1, true),
        ]);
        let threshold = crossed(&cells, 2, &|steps| {
            steps.filter(|step| step.counts.precision() >= Some(1.0)).last()
        })
        .unwrap();
        assert_eq!(threshold.precision, Some(1.0));
        // By part 0 alone 0.8 is right, which is wrong in part 1; part 1 has no threshold.
        assert_eq!(threshold.precision_elsewhere, Some(0.0));
        assert_eq!(threshold.recall_elsewhere, Some(0.0));
        assert!(falls_short(&threshold, 1.0));
    }
}
