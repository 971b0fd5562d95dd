//! What plots show of held-out rows.
//!
//! In: held-out rows. Out: [`Curves`], thinned out to what a plot can show.

use super::super::held_out::HeldOut;
use super::super::task::{Known, Targets};
use super::probability::RowSums;
use super::ranking::{Ranked, Ranking};
use super::rows::Rows;

/// Points of a curve, at most.
const MOST_POINTS: usize = 200;
/// Rows that are drawn as points, at most.
const MOST_PAIRS: usize = 2_000;

/// What plots show of held-out rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// By class, in the order of the head's classes.
    pub precision_recall: Vec<PrecisionRecall>,
    /// Of numbers the true one and the one that was said, of all rows or some of them.
    pub numbers: Vec<(f64, f64)>,
}

/// Precision over recall.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// The class.
    pub class: String,
    /// Recall and precision, from the highest threshold to the lowest; empty where the class is
    /// in all rows or none.
    pub points: Vec<(f64, f64)>,
    /// The share of the class among all rows, which any order would have for precision.
    pub share: Option<f64>,
}

/// What plots show of `held_out`.
pub fn curves(held_out: &HeldOut) -> Curves {
    let Ok(rows) = Rows::new(held_out) else { return Curves::default() };
    if let Targets::Numbers(truths) = &held_out.targets {
        let pairs: Vec<(f64, f64)> = truths
            .iter()
            .zip(rows.outputs.iter())
            .map(|(&truth, &said)| (f64::from(truth), f64::from(said)))
            .filter(|(truth, said)| truth.is_finite() && said.is_finite())
            .collect();
        let numbers = thinned(&pairs, MOST_PAIRS);
        return Curves { numbers, ..Curves::default() };
    }
    let of_class = |class| precision_recall(&rows, class);
    Curves {
        precision_recall: (0..rows.class_count()).map(of_class).collect(),
        ..Curves::default()
    }
}

fn precision_recall(rows: &Rows<'_>, class: usize) -> PrecisionRecall {
    let mut ranked = Vec::new();
    for row in 0..rows.len() {
        let positive = match rows.known(row, class) {
            Known::Yes => true,
            Known::No => false,
            Known::Unknown => continue,
        };
        let logits = rows.row(row);
        let score = match &rows.held_out.targets {
            Targets::Single(_) => RowSums::new(logits).log_odds(logits, class),
            Targets::Multi(_) | Targets::Numbers(_) => logits[class],
        };
        ranked.push(Ranked { score, group: 0, positive, said: false });
    }
    let positives = ranked.iter().filter(|row| row.positive).count();
    let share = (!ranked.is_empty()).then(|| positives as f64 / ranked.len() as f64);
    let has_both = positives > 0 && positives < ranked.len();
    let points = if has_both { Ranking::new(ranked).precision_recall() } else { Vec::new() };
    let class = rows.held_out.classes[class].clone();
    PrecisionRecall { class, points: thinned(&points, MOST_POINTS), share }
}

/// At most `most` and one of them, evenly spread, the last among them.
fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(most).max(1);
    let mut kept: Vec<_> = points.iter().step_by(stride).copied().collect();
    if points.len() % stride != 1 && stride > 1 {
        kept.extend(points.last());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinned_points_keep_the_first_and_the_last() {
        let points: Vec<(f64, f64)> = (0..1001).map(|at| (f64::from(at), 0.0)).collect();
        for count in [0, 1, 2, 199, 200, 201, 399, 1000, 1001] {
            let kept = thinned(&points[..count], 200);
            assert!(kept.len() <= 201);
            assert_eq!(kept.first(), points[..count].first());
            assert_eq!(kept.last(), points[..count].last());
        }
    }
}
