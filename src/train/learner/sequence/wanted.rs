//! What is wanted of a network, and how far it is from it.
//!
//! In: a lesson's targets. Out: coefficients of the loss a row, which are mixed as rows are.
//!
//! The losses are those of the other heads: the log loss of a softmax, or of sigmoids where
//! something is known, or the squared error of a standardised number. With a row's outputs z they
//! are, but for what does not depend on z, −Σ y log softmax(z), Σ w log(1 + eᶻ) − y z, and
//! w z² − 2 y z: all are linear in (w, y), so that mixed rows have mixed coefficients.

use tch::{Kind, Tensor};

use super::course::Course;
use crate::model::torch::Torch;
use crate::train::learner::logistic;
use crate::train::task::{Known, Targets, Task};

/// The coefficients of every row of a lesson.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    task: Task,
    classes: usize,
    /// `[rows, classes]`: how much each output counts, and the same times what it should be.
    weights: Vec<f32>,
    targets: Vec<f32>,
    /// Of numbers: what standardises them.
    pub(super) mean: f32,
    pub(super) spread: f32,
}

impl Wanted {
    /// What is wanted of all rows, by the class weights of those that are learnt from.
    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    pub(super) fn of(course: &Course<'_>, learns: &[usize]) -> Self {
        let (targets, classes) = (course.targets, course.classes);
        let rows = course.material.spans.len();
        let mut chosen = vec![false; rows];
        for &row in learns {
            chosen[row] = true;
        }
        let counts = (targets, classes);
        let (yes, no) = logistic::class_weights(course.class_weights, counts, &chosen);
        let mut wanted = Self {
            task: targets.task(),
            classes,
            weights: vec![0.0; rows * classes],
            targets: vec![0.0; rows * classes],
            mean: 0.0,
            spread: 1.0,
        };
        match targets {
            Targets::Single(of_row) => {
                for (row, &class) in of_row.iter().enumerate() {
                    let cell = row * classes + class as usize;
                    wanted.weights[cell] = yes[class as usize];
                    wanted.targets[cell] = yes[class as usize];
                }
            }
            Targets::Multi(cells) => {
                for (cell, known) in cells.iter().enumerate() {
                    let class = cell % classes;
                    (wanted.weights[cell], wanted.targets[cell]) = match known {
                        Known::Yes => (yes[class], yes[class]),
                        Known::No => (no[class], 0.0),
                        Known::Unknown => (0.0, 0.0),
                    };
                }
            }
            Targets::Numbers(numbers) => {
                let count = learns.len().max(1) as f64;
                let of = |row: &usize| f64::from(numbers[*row]);
                let mean = learns.iter().map(of).sum::<f64>() / count;
                let square = learns.iter().map(|row| (of(row) - mean).powi(2)).sum::<f64>();
                let spread = (square / count).sqrt();
                wanted.mean = mean as f32;
                wanted.spread = if spread > 0.0 { spread as f32 } else { 1.0 };
                for (row, number) in numbers.iter().enumerate() {
                    wanted.weights[row] = 1.0;
                    wanted.targets[row] = (number - wanted.mean) / wanted.spread;
                }
            }
        }
        wanted
    }

    /// Adds `share` of what is wanted of `row` to the coefficients of one output row.
    pub(super) fn add(&self, row: usize, share: f32, coefficients: &mut Coefficients) {
        let cells = row * self.classes..(row + 1) * self.classes;
        let at = coefficients.weights.len() - self.classes;
        for (place, cell) in cells.enumerate() {
            coefficients.weights[at + place] += share * self.weights[cell];
            coefficients.targets[at + place] += share * self.targets[cell];
        }
    }

    /// The mean loss of `outputs`, `[rows, classes]`, weighed.
    pub(super) fn loss(&self, outputs: &Tensor, wanted: &Coefficients) -> Torch<Tensor> {
        let total: f64 = wanted.weights.iter().map(|weight| f64::from(*weight)).sum();
        let tensor = |values: &[f32]| Tensor::f_from_slice(values)?.f_view_as(outputs);
        let (weights, targets) = (tensor(&wanted.weights)?, tensor(&wanted.targets)?);
        let cells = match self.task {
            Task::Single => outputs.f_log_softmax(1, Kind::Float)?.f_mul(&targets)?.f_neg()?,
            Task::Multi => {
                outputs.f_softplus()?.f_mul(&weights)?.f_sub(&outputs.f_mul(&targets)?)?
            }
            Task::Regression => outputs
                .f_square()?
                .f_mul(&weights)?
                .f_sub(&outputs.f_mul(&targets)?.f_mul_scalar(2.0)?)?,
        };
        cells.f_sum(Kind::Float)?.f_div_scalar(total.max(1e-12))
    }

    /// Begins another output row.
    pub(super) fn begin(&self, coefficients: &mut Coefficients) {
        let more = coefficients.weights.len() + self.classes;
        coefficients.weights.resize(more, 0.0);
        coefficients.targets.resize(more, 0.0);
    }
}

/// The coefficients of a batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Coefficients {
    weights: Vec<f32>,
    targets: Vec<f32>,
}
