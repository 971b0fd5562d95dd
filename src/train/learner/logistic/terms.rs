//! Log losses of some heads over blocks of rows, and their gradients.
//!
//! In: heads' weights in standardised terms. Out: values and gradients, of the rows that each head
//! learns from. Standardisation is folded into the weights, so that the product with the rows is
//! one for all heads, though each has its own moments.

use tch::{Device, Kind, Tensor};

use super::super::lbfgs::Evaluation;
use super::problem::Problem;
use super::spans::Span;
use crate::error::Result;
use crate::model::torch::{Torch, to_vec};
use crate::train::task::{Known, Targets};
use crate::units::signed;

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
    /// The weights of these heads on raw rows: `[heads · classes, dimension]` and the biases.
    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    pub(super) fn raw(&self, numbers: &[usize], points: &[Vec<f32>]) -> Torch<(Tensor, Tensor)> {
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
        let weights = Tensor::f_from_slice(&weights)?.f_view([-1, signed(dimension)])?;
        Ok((weights, Tensor::f_from_slice(&biases)?))
    }

    /// What heads say of a block, `[rows, heads, classes]`.
    pub(super) fn outputs(
        &self,
        rows: &Tensor,
        (weights, biases): &(Tensor, Tensor),
        heads: usize,
    ) -> Torch<Tensor> {
        let classes = signed(self.classes);
        biases.f_addmm(rows, &weights.f_transpose(0, 1)?)?.f_view([-1, signed(heads), classes])
    }

    /// What a span gives to the values and slopes of the heads `numbers`, whose weights on raw rows
    /// are `raw`.
    pub(super) fn sums(
        &self,
        numbers: &[usize],
        raw: &(Tensor, Tensor),
        span: &Span<'_>,
    ) -> Result<Sums> {
        let (heads, width) = (numbers.len(), numbers.len() * self.classes);
        let mut sums = Sums::of(heads, width, self.dimension);
        span.for_each_block(&mut |first, rows| {
            let outputs = self.outputs(rows, raw, heads)?;
            let (losses, errors) = self.errors(numbers, first, &outputs)?;
            add(&mut sums.values, &to_vec(&losses)?);
            let errors = errors.f_view([-1, signed(width)])?;
            add(&mut sums.slopes, &to_vec(&errors.f_transpose(0, 1)?.f_matmul(rows)?)?);
            add(&mut sums.biases, &to_vec(&errors.f_sum_dim_intlist(0, false, Kind::Float)?)?);
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

    /// What the cells of a block count by each of the heads `numbers`: `[rows, heads, 1]` of one
    /// class, `[rows, heads, classes]` of several.
    fn weights(&self, numbers: &[usize], first: usize, rows: usize) -> Torch<Tensor> {
        let classes = self.classes;
        let mut weights = Vec::new();
        let width = match self.targets {
            Targets::Single(found) => {
                for (row, &class) in found.iter().enumerate().skip(first).take(rows) {
                    weights.extend(numbers.iter().map(|&number| {
                        let problem = &self.problems[number];
                        problem.weights[row] * problem.yes[class as usize]
                    }));
                }
                1
            }
            Targets::Multi(cells) => {
                let cells = cells.chunks_exact(classes).enumerate().skip(first).take(rows);
                for (row, cells) in cells {
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
                classes
            }
            // Refused before.
            Targets::Numbers(_) => return Tensor::f_zeros([1], (Kind::Float, Device::Cpu)),
        };
        Tensor::f_from_slice(&weights)?.f_view([signed(rows), signed(numbers.len()), signed(width)])
    }

    /// The mean of p (1 − p) of each row of a block, over heads, `[rows]`, and of each head
    /// `numbers` over what it learns of the block, to be summed, `[heads]`.
    pub(super) fn slack(
        &self,
        numbers: &[usize],
        first: usize,
        outputs: &Tensor,
    ) -> Torch<(Tensor, Tensor)> {
        let rows = usize::try_from(outputs.size()[0]).unwrap_or(0);
        let said = match self.targets {
            Targets::Single(_) => outputs.f_softmax(-1, Kind::Float)?,
            Targets::Multi(_) | Targets::Numbers(_) => outputs.f_sigmoid()?,
        };
        let slack = said.f_sub(&said.f_square()?)?;
        let of_heads = slack
            .f_mul(&self.weights(numbers, first, rows)?)?
            .f_sum_dim_intlist([0_i64, 2].as_slice(), false, Kind::Float)?
            .f_div_scalar(signed(self.classes))?;
        Ok((slack.f_mean_dim([1_i64, 2].as_slice(), false, Kind::Float)?, of_heads))
    }

    /// The summed loss of each head over a block, `[heads]`, and its derivative by the outputs,
    /// `[rows, heads, classes]`.
    fn errors(&self, numbers: &[usize], first: usize, outputs: &Tensor) -> Torch<(Tensor, Tensor)> {
        let rows = usize::try_from(outputs.size()[0]).unwrap_or(0);
        let classes = self.classes;
        let of_block = first..first + rows;
        let weights = self.weights(numbers, first, rows)?;
        match self.targets {
            Targets::Single(found) => {
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
                let wanted = presence(cells, classes)?;
                let losses = cell_losses(outputs, &wanted)?.f_mul(&weights)?.f_sum_dim_intlist(
                    [0_i64, 2].as_slice(),
                    false,
                    Kind::Float,
                )?;
                Ok((losses, outputs.f_sigmoid()?.f_sub(&wanted)?.f_mul(&weights)?))
            }
            Targets::Numbers(_) => Ok((outputs.f_zeros_like()?, outputs.f_zeros_like()?)),
        }
    }

    /// The loss of every row of a block by every head, `[rows, heads]`; NaN where nothing is known.
    pub(super) fn row_losses(&self, first: usize, outputs: &Tensor) -> Torch<Option<Tensor>> {
        let rows = usize::try_from(outputs.size()[0]).unwrap_or(0);
        let of_block = first..first + rows;
        match self.targets {
            Targets::Single(found) => {
                let wanted = wanted(&found[of_block], self.classes)?;
                let logs = outputs.f_log_softmax(-1, Kind::Float)?;
                let sums = logs.f_mul(&wanted)?.f_sum_dim_intlist(-1, false, Kind::Float)?;
                Ok(Some(sums.f_neg()?))
            }
            Targets::Multi(cells) => {
                let cells = &cells[of_block.start * self.classes..of_block.end * self.classes];
                let known = cells.iter().map(|known| f32::from(u8::from(*known != Known::Unknown)));
                let known: Vec<f32> = known.collect();
                let known = Tensor::f_from_slice(&known)?.f_view([-1, 1, signed(self.classes)])?;
                let sums = cell_losses(outputs, &presence(cells, self.classes)?)?
                    .f_mul(&known)?
                    .f_sum_dim_intlist(-1, false, Kind::Float)?;
                // Nothing known: 0 / 0 is not a number.
                sums.f_div(&known.f_sum_dim_intlist(-1, false, Kind::Float)?).map(Some)
            }
            Targets::Numbers(_) => Ok(None),
        }
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
