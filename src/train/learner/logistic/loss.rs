//! The rows of a lesson as tensors, and the losses of many heads over them.
//!
//! In: weights. Out: values and gradients, and the losses of single rows. Rows in memory are gone
//! through by several threads, each with some of the heads, so that sums do not depend on how many
//! threads there are; rows in a file by one after another, read once for all heads. libtorch has one
//! thread each then: its own wait for one another by spinning, which on a busy machine takes longer
//! than the work.

use rayon::prelude::*;
use tch::Tensor;

use super::super::failed;
use super::super::lbfgs::Evaluation;
use super::problem::Problem;
use super::terms::{Terms, Visit};
use crate::error::Result;
use crate::model::torch::{Torch, to_vec};
use crate::train::learner::Lesson;
use crate::units::signed;

/// Heads that are evaluated at once by a thread: their number sets the order of no sum.
const HEADS_AT_ONCE: usize = 4;

/// The losses of several problems over the rows of a lesson.
pub(super) struct Losses<'a> {
    lesson: &'a Lesson<'a>,
    terms: Terms<'a>,
    /// The rows as tensors, where they are in memory.
    blocks: Option<Vec<Tensor>>,
    /// Rows of a block.
    block_rows: usize,
}

impl<'a> Losses<'a> {
    pub(super) fn new(lesson: &'a Lesson<'a>, problems: Vec<Problem>) -> Result<Self> {
        let terms = Terms {
            dimension: lesson.rows.dimension(),
            classes: lesson.class_count,
            targets: lesson.targets,
            problems,
        };
        let mut losses = Self { lesson, terms, blocks: None, block_rows: 1 };
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

    /// Values and gradients of the problems `numbers` at `points`.
    pub(super) fn evaluate(
        &self,
        numbers: &[usize],
        points: &[Vec<f32>],
    ) -> Result<Vec<Evaluation>> {
        let Some(blocks) = &self.blocks else {
            use_threads(rayon::current_num_threads());
            return self.terms.evaluate(numbers, points, |visit| self.read_blocks(visit));
        };
        let parts: Vec<(&[usize], &[Vec<f32>])> =
            numbers.chunks(HEADS_AT_ONCE).zip(points.chunks(HEADS_AT_ONCE)).collect();
        let (terms, block_rows) = (&self.terms, self.block_rows);
        if let [(numbers, points)] = parts[..] {
            use_threads(1);
            return terms
                .evaluate(numbers, points, |visit| visit_blocks(blocks, block_rows, visit));
        }
        // A tensor belongs to one thread at a time; a clone shares its numbers.
        let shared: Vec<Vec<Tensor>> =
            parts.iter().map(|_| blocks.iter().map(Tensor::shallow_clone).collect()).collect();
        let found: Vec<Vec<Evaluation>> = parts
            .into_par_iter()
            .zip(shared)
            .map(|((numbers, points), blocks)| {
                use_threads(1);
                terms.evaluate(numbers, points, |visit| visit_blocks(&blocks, block_rows, visit))
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
        let numbers: Vec<usize> = (0..points.len()).collect();
        let raw = self.terms.raw(&numbers, points).map_err(failed)?;
        let mut found = vec![f32::NAN; points.len() * count];
        use_threads(if self.blocks.is_some() { 1 } else { rayon::current_num_threads() });
        let mut visit = |first: usize, rows: &Tensor| {
            let outputs = self.terms.outputs(rows, &raw, points.len())?;
            let Some(losses) = self.terms.row_losses(first, &outputs)? else { return Ok(()) };
            for (row, losses) in to_vec(&losses)?.chunks_exact(points.len()).enumerate() {
                for (head, loss) in losses.iter().enumerate() {
                    found[head * count + first + row] = *loss;
                }
            }
            Ok(())
        };
        match &self.blocks {
            Some(blocks) => visit_blocks(blocks, self.block_rows, &mut visit)?,
            None => self.read_blocks(&mut visit)?,
        }
        Ok(found)
    }
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
