//! Log losses of many heads over the same rows, and their gradients, in one pass.
//!
//! In: heads' weights in standardised terms. Out: values and gradients, of the rows that each head
//! learns from. Standardisation is folded into the weights, so that the product with the rows is
//! one for all heads, though each has its own moments.

use tch::{Kind, Tensor};

use super::super::failed;
use super::super::lbfgs::Evaluation;
use super::super::moments::Moments;
use crate::error::Result;
use crate::model::torch::{Torch, to_vec};
use crate::train::learner::{ClassWeights, Lesson};
use crate::train::task::{Known, Targets};
use crate::units::signed;

/// One head to be fitted: which rows it learns from, and how much each counts.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    moments: Moments,
    /// `[rows]`: one over the number of rows that are learnt from, or 0.
    weights: Vec<f32>,
    /// What a row counts more by where a class is there, `[classes]`, and where it is not.
    yes: Vec<f32>,
    no: Vec<f32>,
    learnt: f64,
    /// λ of λ |W|² / 2.
    penalty: f64,
}

impl Problem {
    /// The problem of the rows that `learns` says.
    #[expect(clippy::cast_possible_truncation, reason = "weights are float32")]
    pub(super) fn new(lesson: &Lesson<'_>, moments: Moments, learns: &[bool]) -> Self {
        let learnt = learns.iter().filter(|learns| **learns).count().max(1) as f64;
        let weight = |learns: &bool| if *learns { (1.0 / learnt) as f32 } else { 0.0 };
        let (yes, no) = class_weights(lesson, learns);
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

/// What rows count by class: n / (classes · n_class), or of cells n / (2 n_yes) and n / (2 n_no).
#[expect(clippy::cast_possible_truncation, reason = "weights are float32")]
pub(in crate::train::learner) fn class_weights(
    lesson: &Lesson<'_>,
    learns: &[bool],
) -> (Vec<f32>, Vec<f32>) {
    let classes = lesson.class_count;
    if lesson.class_weights == ClassWeights::None {
        return (vec![1.0; classes], vec![1.0; classes]);
    }
    let (mut yes, mut no) = (vec![0.0_f64; classes], vec![0.0_f64; classes]);
    let rows = learns.iter().enumerate().filter(|(_, learns)| **learns);
    for (row, _) in rows {
        match lesson.targets {
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
    if matches!(lesson.targets, Targets::Single(_)) {
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

/// The losses of several problems over the rows of a lesson.
pub(super) struct Losses<'a> {
    lesson: &'a Lesson<'a>,
    problems: Vec<Problem>,
    /// The rows as tensors, where they are in memory.
    blocks: Option<Vec<Tensor>>,
    /// Rows of a block.
    block_rows: usize,
}

impl<'a> Losses<'a> {
    pub(super) fn new(lesson: &'a Lesson<'a>, problems: Vec<Problem>) -> Result<Self> {
        let mut losses =
            Self { lesson, problems, blocks: None, block_rows: lesson.rows.len().max(1) };
        if lesson.rows.in_memory().is_some() {
            let mut blocks = Vec::new();
            lesson.rows.for_each_block(|first, block| {
                if first == 0 {
                    losses.block_rows = block.len() / lesson.rows.dimension();
                }
                blocks.push(losses.tensor(block).map_err(failed)?);
                Ok(())
            })?;
            losses.blocks = Some(blocks);
        }
        Ok(losses)
    }

    /// Sets C of all problems.
    pub(super) fn set_strength(&mut self, strength: f64) {
        for problem in &mut self.problems {
            problem.penalty = 1.0 / (strength * problem.learnt);
        }
    }

    /// Sets C of each problem.
    pub(super) fn set_strengths(&mut self, strengths: &[f64]) {
        for (problem, strength) in self.problems.iter_mut().zip(strengths) {
            problem.penalty = 1.0 / (strength * problem.learnt);
        }
    }

    fn tensor(&self, block: &[f32]) -> Torch<Tensor> {
        Tensor::f_from_slice(block)?.f_view([-1, signed(self.lesson.rows.dimension())])
    }

    /// Calls `visit` with every block's first row and tensor, `[rows, dimension]`.
    fn for_each_block(&self, mut visit: impl FnMut(usize, &Tensor) -> Torch<()>) -> Result<()> {
        let _guard = tch::no_grad_guard();
        match &self.blocks {
            Some(blocks) => blocks
                .iter()
                .enumerate()
                .try_for_each(|(block, rows)| visit(block * self.block_rows, rows))
                .map_err(failed),
            None => self.lesson.rows.for_each_block(|first, block| {
                self.tensor(block).and_then(|rows| visit(first, &rows)).map_err(failed)
            }),
        }
    }

    /// The weights of these heads on raw rows: `[heads · classes, dimension]` and the biases.
    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    fn raw(&self, numbers: &[usize], points: &[Vec<f32>]) -> Torch<(Tensor, Tensor)> {
        let dimension = self.lesson.rows.dimension();
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
        let weights = Tensor::f_from_slice(&weights)?.f_view([-1, signed(dimension)])?;
        Ok((weights, Tensor::f_from_slice(&biases)?))
    }

    /// What heads say of a block, `[rows, heads, classes]`.
    fn outputs(
        &self,
        rows: &Tensor,
        (weights, biases): &(Tensor, Tensor),
        heads: usize,
    ) -> Torch<Tensor> {
        let classes = signed(self.lesson.class_count);
        biases.f_addmm(rows, &weights.f_transpose(0, 1)?)?.f_view([-1, signed(heads), classes])
    }

    /// Values and gradients of the problems `numbers` at `points`.
    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    pub(super) fn evaluate(
        &self,
        numbers: &[usize],
        points: &[Vec<f32>],
    ) -> Result<Vec<Evaluation>> {
        let (dimension, classes) = (self.lesson.rows.dimension(), self.lesson.class_count);
        let (heads, width) = (numbers.len(), numbers.len() * classes);
        let raw = self.raw(numbers, points).map_err(failed)?;
        let mut values = vec![0.0_f64; heads];
        let mut slopes = vec![0.0_f64; width * dimension];
        let mut biases = vec![0.0_f64; width];
        self.for_each_block(|first, rows| {
            let outputs = self.outputs(rows, &raw, heads)?;
            let (losses, errors) = self.errors(numbers, first, &outputs)?;
            add(&mut values, &to_vec(&losses)?);
            let errors = errors.f_view([-1, signed(width)])?;
            add(&mut slopes, &to_vec(&errors.f_transpose(0, 1)?.f_matmul(rows)?)?);
            add(&mut biases, &to_vec(&errors.f_sum_dim_intlist(0, false, Kind::Float)?)?);
            Ok(())
        })?;
        let evaluations = numbers.iter().zip(points).enumerate().map(|(head, (&number, point))| {
            let Problem { moments, penalty, .. } = &self.problems[number];
            let mut evaluation =
                Evaluation { value: values[head], gradient: Vec::with_capacity(point.len()) };
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
            evaluation
        });
        Ok(evaluations.collect())
    }

    /// The summed loss of each head over a block, `[heads]`, and its derivative by the outputs,
    /// `[rows, heads, classes]`.
    fn errors(&self, numbers: &[usize], first: usize, outputs: &Tensor) -> Torch<(Tensor, Tensor)> {
        let rows = usize::try_from(outputs.size()[0]).unwrap_or(0);
        let (heads, classes) = (numbers.len(), self.lesson.class_count);
        let shape = [signed(rows), signed(heads), 1];
        let of_block = first..first + rows;
        match self.lesson.targets {
            Targets::Single(found) => {
                let mut weights = Vec::with_capacity(rows * heads);
                for row in of_block.clone() {
                    weights.extend(numbers.iter().map(|&number| {
                        let problem = &self.problems[number];
                        problem.weights[row] * problem.yes[found[row] as usize]
                    }));
                }
                let weights = Tensor::f_from_slice(&weights)?.f_view(shape)?;
                let wanted = wanted(&found[of_block], classes)?;
                let logs = outputs.f_log_softmax(-1, Kind::Float)?;
                let losses = logs
                    .f_mul(&wanted)?
                    .f_mul(&weights)?
                    .f_sum_dim_intlist([0_i64, 2].as_slice(), false, Kind::Float)?
                    .f_neg()?;
                Ok((losses, logs.f_exp()?.f_sub(&wanted)?.f_mul(&weights)?))
            }
            Targets::Multi(cells) => {
                let cells = &cells[of_block.start * classes..of_block.end * classes];
                let mut weights = Vec::with_capacity(rows * heads * classes);
                for (row, cells) in of_block.zip(cells.chunks_exact(classes)) {
                    for &number in numbers {
                        let problem = &self.problems[number];
                        weights.extend(cells.iter().enumerate().map(|(class, known)| {
                            problem.weights[row]
                                * match known {
                                    Known::Yes => problem.yes[class],
                                    Known::No => problem.no[class],
                                    Known::Unknown => 0.0,
                                }
                        }));
                    }
                }
                let weights = Tensor::f_from_slice(&weights)?.f_view_as(outputs)?;
                let wanted = presence(cells, classes)?;
                let losses = cell_losses(outputs, &wanted)?.f_mul(&weights)?.f_sum_dim_intlist(
                    [0_i64, 2].as_slice(),
                    false,
                    Kind::Float,
                )?;
                Ok((losses, outputs.f_sigmoid()?.f_sub(&wanted)?.f_mul(&weights)?))
            }
            // Refused before.
            Targets::Numbers(_) => Ok((outputs.f_zeros_like()?, outputs.f_zeros_like()?)),
        }
    }

    /// The loss of every row by every head, `[heads, rows]`; NaN of rows of which nothing is known.
    pub(super) fn row_losses(&self, points: &[Vec<f32>]) -> Result<Vec<f32>> {
        let (count, classes) = (self.lesson.rows.len(), self.lesson.class_count);
        let numbers: Vec<usize> = (0..points.len()).collect();
        let raw = self.raw(&numbers, points).map_err(failed)?;
        let mut found = vec![f32::NAN; points.len() * count];
        self.for_each_block(|first, rows| {
            let outputs = self.outputs(rows, &raw, points.len())?;
            let block = usize::try_from(outputs.size()[0]).unwrap_or(0);
            let losses = match self.lesson.targets {
                Targets::Single(targets) => {
                    let wanted = wanted(&targets[first..first + block], classes)?;
                    outputs
                        .f_log_softmax(-1, Kind::Float)?
                        .f_mul(&wanted)?
                        .f_sum_dim_intlist(-1, false, Kind::Float)?
                        .f_neg()?
                }
                Targets::Multi(cells) => {
                    let cells = &cells[first * classes..(first + block) * classes];
                    let known =
                        cells.iter().map(|known| f32::from(u8::from(*known != Known::Unknown)));
                    let known: Vec<f32> = known.collect();
                    let known = Tensor::f_from_slice(&known)?.f_view([-1, 1, signed(classes)])?;
                    let sums = cell_losses(&outputs, &presence(cells, classes)?)?
                        .f_mul(&known)?
                        .f_sum_dim_intlist(-1, false, Kind::Float)?;
                    // Nothing known: 0 / 0 is not a number.
                    sums.f_div(&known.f_sum_dim_intlist(-1, false, Kind::Float)?)?
                }
                Targets::Numbers(_) => return Ok(()),
            };
            let losses = to_vec(&losses)?;
            for (row, losses) in losses.chunks_exact(points.len()).enumerate() {
                for (head, loss) in losses.iter().enumerate() {
                    found[head * count + first + row] = *loss;
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// One where a row's class is, else zero, `[rows, 1, classes]`.
fn wanted(found: &[u32], classes: usize) -> Torch<Tensor> {
    let mut wanted = vec![0.0_f32; found.len() * classes];
    for (row, class) in wanted.chunks_exact_mut(classes).zip(found) {
        row[*class as usize] = 1.0;
    }
    Tensor::f_from_slice(&wanted)?.f_view([-1, 1, signed(classes)])
}

/// One where a class is known to be, else zero, `[rows, 1, classes]`.
fn presence(cells: &[Known], classes: usize) -> Torch<Tensor> {
    let yes: Vec<f32> =
        cells.iter().map(|known| f32::from(u8::from(*known == Known::Yes))).collect();
    Tensor::f_from_slice(&yes)?.f_view([-1, 1, signed(classes)])
}

/// log(1 + e^z) − t z, by cell.
fn cell_losses(outputs: &Tensor, wanted: &Tensor) -> Torch<Tensor> {
    outputs.f_softplus()?.f_sub(&outputs.f_mul(wanted)?)
}

fn add(sums: &mut [f64], more: &[f32]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += f64::from(*more);
    }
}
