//! The rows of a lesson as tensors, and the losses of many heads over them.
//!
//! In: weights. Out: values and gradients, and the losses of single rows. Rows in memory are gone
//! through by several threads, each with some of the heads, so that sums do not depend on how many
//! threads there are; rows in a file by one after another, read once for all heads. libtorch has one
//! thread each then: its own wait for one another by spinning, which on a busy machine takes longer
//! than the work.

use std::mem;

use rayon::prelude::*;
use tch::Tensor;

use super::super::failed;
use super::super::lbfgs::{self, Evaluation};
use super::curvature::{Curvature, Curve, Way};
use super::problem::Problem;
use super::terms::{Terms, Visit};
use crate::error::Result;
use crate::model::torch::{Torch, to_vec};
use crate::train::learner::Lesson;
use crate::units::signed;

/// Heads that are evaluated at once by a thread: their number sets the order of no sum.
const HEADS_AT_ONCE: usize = 4;

/// The least curvature that a loss is taken to have: one that is never wrong has none.
const LEAST_SLACK: f64 = 1e-5;

/// The losses of several problems over the rows of a lesson.
pub(super) struct Losses<'a> {
    lesson: &'a Lesson<'a>,
    terms: Terms<'a>,
    curvature: &'a Curvature,
    /// The rows as tensors, where they are in memory.
    blocks: Option<Vec<Tensor>>,
    /// Rows of a block.
    block_rows: usize,
}

impl<'a> Losses<'a> {
    pub(super) fn new(
        lesson: &'a Lesson<'a>,
        problems: Vec<Problem>,
        curvature: &'a Curvature,
    ) -> Result<Self> {
        let terms = Terms {
            dimension: lesson.rows.dimension(),
            classes: lesson.class_count,
            targets: lesson.targets,
            problems,
        };
        let mut losses = Self { lesson, terms, curvature, blocks: None, block_rows: 1 };
        if lesson.rows.in_memory().is_some() {
            let mut blocks = Vec::new();
            lesson.rows.for_each_block(|first, block| {
                if first == 0 {
                    losses.block_rows = block.len() / lesson.rows.dimension();
                }
                blocks.push(tensor(block, lesson.rows.dimension()).map_err(failed)?);
                Ok(())
            })?;
            losses.blocks = Some(blocks);
        }
        Ok(losses)
    }

    /// Sets C of all problems.
    pub(super) fn set_strength(&mut self, strength: f64) {
        for problem in &mut self.terms.problems {
            problem.set_strength(strength);
        }
    }

    /// Sets C of each problem.
    pub(super) fn set_strengths(&mut self, strengths: &[f64]) {
        for (problem, strength) in self.terms.problems.iter_mut().zip(strengths) {
            problem.set_strength(*strength);
        }
    }

    /// Minimises all problems, from `points` on, `[classes, dimension + 1]` each, until no entry of a
    /// gradient by these exceeds `tolerance`. `goes_on` is asked before every evaluation.
    pub(super) fn minimise(
        &self,
        points: &[Vec<f32>],
        tolerance: f64,
        mut goes_on: impl FnMut() -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let curves = self.curves(points)?;
        let inside = self.curvature.turn(points, &curves, Way::In)?;
        let found = lbfgs::minimise(inside, tolerance, |numbers, points| {
            goes_on()?;
            let curves: Vec<Curve> = numbers.iter().map(|&number| curves[number]).collect();
            self.evaluate(numbers, points, &curves)
        })?;
        self.curvature.turn(&found, &curves, Way::Out)
    }

    /// How curved each problem is at its point.
    fn curves(&self, points: &[Vec<f32>]) -> Result<Vec<Curve>> {
        let numbers: Vec<usize> = (0..points.len()).collect();
        let mut slack = vec![0.0_f64; points.len()];
        self.visit_outputs(points, &mut |first, outputs| {
            let more = to_vec(&self.terms.slack(&numbers, first, outputs)?)?;
            slack.iter_mut().zip(more).for_each(|(sum, more)| *sum += f64::from(more));
            Ok(())
        })?;
        let curve = |(loss, problem): (f64, &Problem)| Curve {
            loss: loss.max(LEAST_SLACK),
            penalty: problem.penalty,
        };
        Ok(slack.into_iter().zip(&self.terms.problems).map(curve).collect())
    }

    /// Values and gradients of the problems `numbers` at `points`, both in the coordinates of these
    /// `curves`.
    fn evaluate(
        &self,
        numbers: &[usize],
        points: &[Vec<f32>],
        curves: &[Curve],
    ) -> Result<Vec<Evaluation>> {
        let Some(blocks) = &self.blocks else {
            use_threads(rayon::current_num_threads());
            let weights = self.curvature.turn(points, curves, Way::Out)?;
            let read = |visit: Visit<'_>| self.read_blocks(visit);
            return turned(self.terms.evaluate(numbers, &weights, read)?, curves, self.curvature);
        };
        let parts = numbers.chunks(HEADS_AT_ONCE).zip(points.chunks(HEADS_AT_ONCE));
        let parts: Vec<_> = parts.zip(curves.chunks(HEADS_AT_ONCE)).collect();
        let (terms, block_rows) = (&self.terms, self.block_rows);
        // A tensor belongs to one thread at a time; a clone shares its numbers.
        let share = || {
            let blocks: Vec<Tensor> = blocks.iter().map(Tensor::shallow_clone).collect();
            (blocks, self.curvature.share())
        };
        let shared: Vec<(Vec<Tensor>, Curvature)> = parts.iter().map(|_| share()).collect();
        let found: Vec<Vec<Evaluation>> = parts
            .into_par_iter()
            .zip(shared)
            .map(|(((numbers, points), curves), (blocks, curvature))| {
                use_threads(1);
                let weights = curvature.turn(points, curves, Way::Out)?;
                let visit = |visit: Visit<'_>| visit_blocks(&blocks, block_rows, visit);
                turned(terms.evaluate(numbers, &weights, visit)?, curves, &curvature)
            })
            .collect::<Result<_>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Reads the rows from their file, block by block.
    fn read_blocks(&self, visit: Visit<'_>) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.lesson.rows.for_each_block(|first, block| {
            let rows = tensor(block, self.terms.dimension).map_err(failed)?;
            visit(first, &rows).map_err(failed)
        })
    }

    /// The loss of every row by every head, `[heads, rows]`; NaN of rows of which nothing is known.
    pub(super) fn row_losses(&self, points: &[Vec<f32>]) -> Result<Vec<f32>> {
        let count = self.lesson.rows.len();
        let mut found = vec![f32::NAN; points.len() * count];
        self.visit_outputs(points, &mut |first, outputs| {
            let Some(losses) = self.terms.row_losses(first, outputs)? else { return Ok(()) };
            for (row, losses) in to_vec(&losses)?.chunks_exact(points.len()).enumerate() {
                for (head, loss) in losses.iter().enumerate() {
                    found[head * count + first + row] = *loss;
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `visit` with what all heads say of every block, `[rows, heads, classes]`.
    fn visit_outputs(&self, points: &[Vec<f32>], visit: Visit<'_>) -> Result<()> {
        let numbers: Vec<usize> = (0..points.len()).collect();
        let raw = self.terms.raw(&numbers, points).map_err(failed)?;
        use_threads(if self.blocks.is_some() { 1 } else { rayon::current_num_threads() });
        let mut say = |first: usize, rows: &Tensor| {
            visit(first, &self.terms.outputs(rows, &raw, points.len())?)
        };
        match &self.blocks {
            Some(blocks) => visit_blocks(blocks, self.block_rows, &mut say),
            None => self.read_blocks(&mut say),
        }
    }
}

/// Evaluations with their gradients by coordinates instead of weights.
fn turned(
    mut evaluations: Vec<Evaluation>,
    curves: &[Curve],
    curvature: &Curvature,
) -> Result<Vec<Evaluation>> {
    let slopes: Vec<Vec<f32>> =
        evaluations.iter_mut().map(|evaluation| mem::take(&mut evaluation.gradient)).collect();
    let slopes = curvature.turn(&slopes, curves, Way::Out)?;
    for (evaluation, gradient) in evaluations.iter_mut().zip(slopes) {
        evaluation.gradient = gradient;
    }
    Ok(evaluations)
}

/// Calls `visit` with blocks of `block_rows` rows each.
fn visit_blocks(blocks: &[Tensor], block_rows: usize, visit: Visit<'_>) -> Result<()> {
    let _guard = tch::no_grad_guard();
    blocks
        .iter()
        .enumerate()
        .try_for_each(|(block, rows)| visit(block * block_rows, rows))
        .map_err(failed)
}

/// How many threads libtorch may use for what this thread asks of it.
pub(in crate::train::learner) fn use_threads(count: usize) {
    tch::set_num_threads(i32::try_from(count).unwrap_or(1));
}

fn tensor(block: &[f32], dimension: usize) -> Torch<Tensor> {
    Tensor::f_from_slice(block)?.f_view([-1, signed(dimension)])
}
