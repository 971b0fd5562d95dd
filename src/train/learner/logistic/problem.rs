//! One head that is to be fitted: which rows it learns from, and how much each counts.
//!
//! In: a lesson, and which of its rows are learnt from. Out: weights of rows and classes.

use super::super::moments::Moments;
use crate::train::learner::{ClassWeights, Lesson};
use crate::train::task::{Known, Targets};

/// One head to be fitted: which rows it learns from, and how much each counts.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) moments: Moments,
    /// `[rows]`: one over the number of rows that are learnt from, or 0.
    pub(super) weights: Vec<f32>,
    /// What a row counts more by where a class is there, `[classes]`, and where it is not.
    pub(super) yes: Vec<f32>,
    pub(super) no: Vec<f32>,
    learnt: f64,
    /// λ of λ |W|² / 2.
    pub(super) penalty: f64,
}

impl Problem {
    /// Sets C.
    pub(super) fn set_strength(&mut self, strength: f64) {
        self.penalty = 1.0 / (strength * self.learnt);
    }

    /// The problem of the rows that `learns` says.
    #[expect(clippy::cast_possible_truncation, reason = "weights are float32")]
    pub(super) fn new(lesson: &Lesson<'_>, moments: Moments, learns: &[bool]) -> Self {
        let learnt = learns.iter().filter(|learns| **learns).count().max(1) as f64;
        let weight = |learns: &bool| if *learns { (1.0 / learnt) as f32 } else { 0.0 };
        let counts = (lesson.targets, lesson.class_count);
        let (yes, no) = class_weights(lesson.class_weights, counts, learns);
        Self {
            moments,
            weights: learns.iter().map(weight).collect(),
            yes,
            no,
            learnt,
            penalty: 0.0,
        }
    }
}

/// What rows count by class: all rows over those of the class and the number of classes; of cells
/// all that are known over twice those with yes, or with no.
#[expect(clippy::cast_possible_truncation, reason = "weights are float32")]
pub(in crate::train::learner) fn class_weights(
    weights: ClassWeights,
    (targets, classes): (&Targets, usize),
    learns: &[bool],
) -> (Vec<f32>, Vec<f32>) {
    if weights == ClassWeights::None {
        return (vec![1.0; classes], vec![1.0; classes]);
    }
    let (mut yes, mut no) = (vec![0.0_f64; classes], vec![0.0_f64; classes]);
    let rows = learns.iter().enumerate().filter(|(_, learns)| **learns);
    for (row, _) in rows {
        match targets {
            Targets::Single(found) => yes[found[row] as usize] += 1.0,
            Targets::Multi(cells) => {
                for (class, known) in cells[row * classes..][..classes].iter().enumerate() {
                    match known {
                        Known::Yes => yes[class] += 1.0,
                        Known::No => no[class] += 1.0,
                        Known::Unknown => {}
                    }
                }
            }
            Targets::Numbers(_) => {}
        }
    }
    let share = |total: f64, parts: f64, count: f64| {
        if count > 0.0 { (total / (parts * count)) as f32 } else { 1.0 }
    };
    if matches!(targets, Targets::Single(_)) {
        let total: f64 = yes.iter().sum();
        let present = yes.iter().filter(|count| **count > 0.0).count() as f64;
        return (
            yes.iter().map(|&count| share(total, present, count)).collect(),
            no.iter().map(|_| 1.0).collect(),
        );
    }
    let of = |counts: &[f64]| {
        (0..classes).map(|class| share(yes[class] + no[class], 2.0, counts[class])).collect()
    };
    (of(&yes), of(&no))
}
