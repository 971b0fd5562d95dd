//! Log losses of some heads over blocks of rows, and their gradients.
//!
//! In: heads' weights in standardised terms. Out: values and gradients, of the rows that each head
//! learns from. Standardisation is folded into the weights, so that the product with the rows is
//! one for all heads, though each has its own moments.

use super::super::lbfgs::Evaluation;
use super::problem::Problem;
use super::products::{Outputs, add_slopes};
use super::spans::Span;
use crate::error::Result;
use crate::train::task::{Known, Targets};

/// Sums over rows: of losses, `[heads]`, and of their derivatives by the weights on raw rows,
/// `[heads · classes, dimension]`, and by the biases, `[heads · classes]`.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    values: Vec<f64>,
    slopes: Vec<f64>,
    biases: Vec<f64>,
}

impl Sums {
    fn of(heads: usize, width: usize, dimension: usize) -> Self {
        Self {
            values: vec![0.0; heads],
            slopes: vec![0.0; width * dimension],
            biases: vec![0.0; width],
        }
    }

    fn add(&mut self, more: &Self) {
        let add = |sums: &mut [f64], more: &[f64]| {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        };
        add(&mut self.values, &more.values);
        add(&mut self.slopes, &more.slopes);
        add(&mut self.biases, &more.biases);
    }
}

/// What the losses are of; threads may share it.
#[derive(Clone, Debug)]
pub(super) struct Terms<'a> {
    pub(super) dimension: usize,
    pub(super) classes: usize,
    pub(super) targets: &'a Targets,
    pub(super) problems: Vec<Problem>,
}

impl Terms<'_> {
    /// What these heads say, on raw rows: `[heads · classes]` outputs.
    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    pub(super) fn raw(&self, numbers: &[usize], points: &[Vec<f32>]) -> Outputs {
        let dimension = self.dimension;
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (&number, point) in numbers.iter().zip(points) {
            let moments = &self.problems[number].moments;
            for row in point.chunks_exact(dimension + 1) {
                let mut bias = f64::from(row[dimension]);
                for ((weight, mean), scale) in row.iter().zip(&moments.mean).zip(&moments.scale) {
                    let weight = weight / scale;
                    bias -= f64::from(weight) * f64::from(*mean);
                    weights.push(weight);
                }
                biases.push(bias as f32);
            }
        }
        Outputs { weights, biases }
    }

    /// What a span gives to the values and slopes of the heads `numbers`, whose outputs on raw rows are
    /// `raw`.
    pub(super) fn sums(&self, numbers: &[usize], raw: &Outputs, span: &Span<'_>) -> Result<Sums> {
        let width = raw.biases.len();
        let mut sums = Sums::of(numbers.len(), width, self.dimension);
        let mut slopes = vec![0.0_f32; width * self.dimension];
        span.for_each_block(&mut |first, rows| {
            let mut errors = raw.of(rows);
            self.turn_to_errors(numbers, first, &mut errors, &mut sums.values);
            errors.chunks_exact(width).for_each(|errors| add(&mut sums.biases, errors));
            slopes.fill(0.0);
            add_slopes(rows, &errors, width, &mut slopes);
            add(&mut sums.slopes, &slopes);
            Ok(())
        })?;
        Ok(sums)
    }

    /// Values and gradients of the problems `numbers` at `points`, from the sums of all spans.
    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    pub(super) fn evaluations(
        &self,
        numbers: &[usize],
        points: &[Vec<f32>],
        of_spans: &[Sums],
    ) -> Vec<Evaluation> {
        let (dimension, classes) = (self.dimension, self.classes);
        let width = numbers.len() * classes;
        let mut sums = Sums::of(numbers.len(), width, dimension);
        for more in of_spans {
            sums.add(more);
        }
        let Sums { values, slopes, biases } = sums;
        let evaluations = numbers.iter().zip(points).enumerate().map(|(head, (&number, point))| {
            let Problem { moments, penalty, .. } = &self.problems[number];
            let mut evaluation = Evaluation {
                value: values[head],
                gradient: Vec::with_capacity(point.len()),
                steepest: 0.0,
            };
            for (class, row) in point.chunks_exact(dimension + 1).enumerate() {
                let output = head * classes + class;
                let slopes = &slopes[output * dimension..][..dimension];
                for (index, (slope, weight)) in slopes.iter().zip(row).enumerate() {
                    let (mean, scale) = (moments.mean[index], moments.scale[index]);
                    let weight = f64::from(*weight);
                    let slope = (slope - biases[output] * f64::from(mean)) / f64::from(scale);
                    evaluation.gradient.push((slope + penalty * weight) as f32);
                    evaluation.value += penalty / 2.0 * weight * weight;
                }
                evaluation.gradient.push(biases[output] as f32);
            }
            let steepest = evaluation.gradient.iter().fold(0.0_f32, |most, g| most.max(g.abs()));
            evaluation.steepest = f64::from(steepest);
            evaluation
        });
        evaluations.collect()
    }

    /// Turns what the heads `numbers` say of a block, `[rows, heads, classes]`, into the derivatives of
    /// their losses by it; adds the losses to `values`, `[heads]`.
    fn turn_to_errors(
        &self,
        numbers: &[usize],
        first: usize,
        outputs: &mut [f32],
        values: &mut [f64],
    ) {
        let classes = self.classes;
        for (row, outputs) in outputs.chunks_exact_mut(numbers.len() * classes).enumerate() {
            let heads = outputs.chunks_exact_mut(classes).zip(numbers).zip(&mut *values);
            for ((outputs, &number), value) in heads {
                *value += self.errors(&self.problems[number], first + row, outputs);
            }
        }
    }

    /// The same of one head and one row; its loss.
    fn errors(&self, problem: &Problem, row: usize, outputs: &mut [f32]) -> f64 {
        let weight = problem.weights[row];
        match self.targets {
            Targets::Single(found) => {
                let class = found[row] as usize;
                let weight = weight * problem.yes[class];
                let log_sum = log_sum(outputs);
                let loss = weight * (log_sum - outputs[class]);
                for (place, output) in outputs.iter_mut().enumerate() {
                    let wanted = if place == class { 1.0 } else { 0.0 };
                    *output = weight * ((*output - log_sum).exp() - wanted);
                }
                f64::from(loss)
            }
            Targets::Multi(_) => {
                let mut loss = 0.0;
                for (class, output) in outputs.iter_mut().enumerate() {
                    let weight = self.weight(problem, row, class);
                    let wanted = self.wanted(row, class);
                    loss += f64::from(weight * cell_loss(*output, wanted));
                    *output = weight * (sigmoid(*output) - wanted);
                }
                loss
            }
            // Refused before.
            Targets::Numbers(_) => {
                outputs.fill(0.0);
                0.0
            }
        }
    }

    /// The mean of p (1 − p) of each row of a block, over heads, `[rows]`, and of each head
    /// `numbers` over what it learns of the block, to be summed, `[heads]`.
    pub(super) fn slack(
        &self,
        numbers: &[usize],
        first: usize,
        outputs: &[f32],
    ) -> (Vec<f32>, Vec<f64>) {
        let classes = self.classes;
        let (mut of_rows, mut of_heads) = (Vec::new(), vec![0.0; numbers.len()]);
        for (row, outputs) in outputs.chunks_exact(numbers.len() * classes).enumerate() {
            let row = first + row;
            let mut of_row = 0.0;
            let heads = outputs.chunks_exact(classes).zip(numbers).zip(&mut of_heads);
            for ((outputs, &number), of_head) in heads {
                let log_sum = log_sum(outputs);
                for (class, &output) in outputs.iter().enumerate() {
                    let said = match self.targets {
                        Targets::Single(_) => (output - log_sum).exp(),
                        Targets::Multi(_) | Targets::Numbers(_) => sigmoid(output),
                    };
                    let slack = said - said * said;
                    let weight = self.weight(&self.problems[number], row, class);
                    of_row += slack;
                    *of_head += f64::from(slack * weight) / classes as f64;
                }
            }
            of_rows.push(of_row / outputs.len() as f32);
        }
        (of_rows, of_heads)
    }

    /// The loss of every row of a block by every head, `[rows, heads]`; NaN where nothing is known.
    pub(super) fn row_losses(&self, first: usize, outputs: &[f32], heads: usize) -> Vec<f32> {
        let mut losses = Vec::with_capacity(outputs.len() / self.classes);
        for (row, outputs) in outputs.chunks_exact(heads * self.classes).enumerate() {
            let row = first + row;
            losses.extend(outputs.chunks_exact(self.classes).map(|outputs| match self.targets {
                Targets::Single(found) => log_sum(outputs) - outputs[found[row] as usize],
                Targets::Multi(_) => {
                    let (mut sum, mut count) = (0.0, 0.0);
                    for (class, &output) in outputs.iter().enumerate() {
                        if self.known(row, class) != Known::Unknown {
                            sum += cell_loss(output, self.wanted(row, class));
                            count += 1.0;
                        }
                    }
                    // Nothing known: 0 / 0 is not a number.
                    sum / count
                }
                Targets::Numbers(_) => f32::NAN,
            }));
        }
        losses
    }

    /// What a cell counts by a head.
    fn weight(&self, problem: &Problem, row: usize, class: usize) -> f32 {
        problem.weights[row]
            * match self.targets {
                Targets::Single(found) => problem.yes[found[row] as usize],
                Targets::Multi(_) | Targets::Numbers(_) => match self.known(row, class) {
                    Known::Yes => problem.yes[class],
                    Known::No => problem.no[class],
                    Known::Unknown => 0.0,
                },
            }
    }

    /// What is known of a class in a row, of several that may be there at once.
    fn known(&self, row: usize, class: usize) -> Known {
        match self.targets {
            Targets::Multi(cells) => cells[row * self.classes + class],
            Targets::Single(_) | Targets::Numbers(_) => Known::Unknown,
        }
    }

    /// One where a class is known to be, else zero.
    fn wanted(&self, row: usize, class: usize) -> f32 {
        if self.known(row, class) == Known::Yes { 1.0 } else { 0.0 }
    }
}

/// log Σ e^z, of finite z however large.
fn log_sum(outputs: &[f32]) -> f32 {
    let most = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    most + outputs.iter().map(|output| (output - most).exp()).sum::<f32>().ln()
}

fn sigmoid(output: f32) -> f32 {
    1.0 / (1.0 + (-output).exp())
}

/// log(1 + e^z) − t z.
fn cell_loss(output: f32, wanted: f32) -> f32 {
    output.max(0.0) + (-output.abs()).exp().ln_1p() - output * wanted
}

fn add(sums: &mut [f64], more: &[f32]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += f64::from(*more);
    }
}
