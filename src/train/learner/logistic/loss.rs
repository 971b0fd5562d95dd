//! The losses of many heads over the rows of a lesson, by several threads.
//!
//! In: weights. Out: values and gradients, and the losses of single rows. Threads share out heads and
//! [`Spans`] of rows; what a span gives is added in the order of spans, so that sums do not depend on
//! how many threads there are.

use std::mem;

use rayon::prelude::*;

use super::super::lbfgs::{self, Enough, Evaluation};
use super::curvature::{Curvature, Curve, Way};
use super::problem::Problem;
use super::products::Outputs;
use super::spans::{Span, Spans, use_threads};
use super::terms::{Sums, Terms};
use crate::error::{Result, TrainingProblem};
use crate::train::learner::Lesson;

/// Heads that are evaluated at once by a thread: their number sets the order of no sum.
const HEADS_AT_ONCE: usize = 4;

/// The least curvature that a loss is taken to have: one that is never wrong has none.
const LEAST_SLACK: f64 = 1e-5;

/// The losses of several problems over the rows of a lesson.
pub(super) struct Losses<'a> {
    lesson: &'a Lesson<'a>,
    terms: Terms<'a>,
    spans: Spans<'a>,
}

/// Heads that are evaluated together: their numbers, their weights, and these on raw rows.
struct Group<'a> {
    numbers: &'a [usize],
    curves: &'a [Curve],
    weights: Vec<Vec<f32>>,
    raw: Outputs,
}

impl<'a> Losses<'a> {
    pub(super) fn new(lesson: &'a Lesson<'a>, problems: Vec<Problem>) -> Self {
        let terms = Terms {
            dimension: lesson.rows.dimension(),
            classes: lesson.class_count,
            targets: lesson.targets,
            problems,
        };
        let spans = Spans::of(lesson.rows);
        Self { lesson, terms, spans }
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
    /// gradient by these is steeper than `enough`. `goes_on` is asked before every evaluation.
    pub(super) fn minimise(
        &self,
        points: &[Vec<f32>],
        enough: Enough,
        mut goes_on: impl FnMut() -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let (curvature, curves) = self.curves(points)?;
        let inside = curvature.turn(points, &curves, Way::In)?;
        let found = lbfgs::minimise(inside, enough, |numbers, points| {
            goes_on()?;
            let curves: Vec<Curve> = numbers.iter().map(|&number| curves[number]).collect();
            self.evaluate(numbers, points, &curvature, &curves)
        })?;
        curvature.turn(&found, &curves, Way::Out)
    }

    /// How curved the problems are at their points, in which directions and each by itself.
    fn curves(&self, points: &[Vec<f32>]) -> Result<(Curvature, Vec<Curve>)> {
        let numbers: Vec<usize> = (0..points.len()).collect();
        let terms = &self.terms;
        let of_spans =
            self.of_outputs(points, |first, outputs| terms.slack(&numbers, first, outputs))?;
        let mut of_heads = vec![0.0_f64; points.len()];
        let mut of_rows = Vec::with_capacity(self.lesson.rows.len());
        for (_, (rows, heads)) in of_spans.into_iter().flatten() {
            of_rows.extend(rows);
            of_heads.iter_mut().zip(heads).for_each(|(sum, more)| *sum += more);
        }
        use_threads(1);
        // Of one head those of all others are much the same.
        let Some(Problem { moments, .. }) = self.terms.problems.first() else {
            return Err(TrainingProblem::Diverged { what: "loss" }.into());
        };
        let curvature = Curvature::new(self.lesson.rows, moments, &of_rows)?;
        let curve = |(loss, problem): (f64, &Problem)| Curve {
            loss: loss.max(LEAST_SLACK),
            penalty: problem.penalty,
        };
        Ok((curvature, of_heads.into_iter().zip(&self.terms.problems).map(curve).collect()))
    }

    /// Values and gradients of the problems `numbers` at `points`, both in the coordinates of these
    /// `curves`.
    fn evaluate(
        &self,
        numbers: &[usize],
        points: &[Vec<f32>],
        curvature: &Curvature,
        curves: &[Curve],
    ) -> Result<Vec<Evaluation>> {
        let (terms, shared) = (&self.terms, || curvature.share());
        let parts = numbers.chunks(HEADS_AT_ONCE).zip(points.chunks(HEADS_AT_ONCE));
        let parts: Vec<_> =
            parts.zip(curves.chunks(HEADS_AT_ONCE)).map(|p| (p, shared())).collect();
        let groups: Vec<Group<'_>> = parts
            .into_par_iter()
            .map(|(((numbers, points), curves), curvature)| {
                use_threads(1);
                let weights = curvature.turn(points, curves, Way::Out)?;
                let raw = terms.raw(numbers, &weights);
                Ok(Group { numbers, curves, weights, raw })
            })
            .collect::<Result<_>>()?;
        let tasks: Vec<(&Group<'_>, Span<'_>)> = groups
            .iter()
            .flat_map(|group| self.spans.each().map(move |span| (group, span)))
            .collect();
        let mut sums: Vec<Sums> = tasks
            .into_par_iter()
            .map(|(group, span)| terms.sums(group.numbers, &group.raw, &span))
            .collect::<Result<_>>()?;
        let of_group = sums.len() / groups.len().max(1);
        let parts: Vec<_> = groups
            .into_iter()
            .map(|group| {
                let rest = sums.split_off(of_group);
                (group, mem::replace(&mut sums, rest), shared())
            })
            .collect();
        let found: Vec<Vec<Evaluation>> = parts
            .into_par_iter()
            .map(|(group, sums, curvature)| {
                use_threads(1);
                let evaluations = terms.evaluations(group.numbers, &group.weights, &sums);
                turned(evaluations, group.curves, &curvature)
            })
            .collect::<Result<_>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The loss of every row by every head, `[heads, rows]`; NaN of rows of which nothing is known.
    pub(super) fn row_losses(&self, points: &[Vec<f32>]) -> Result<Vec<f32>> {
        let count = self.lesson.rows.len();
        let mut found = vec![f32::NAN; points.len() * count];
        let terms = &self.terms;
        let of_spans = self
            .of_outputs(points, |first, outputs| terms.row_losses(first, outputs, points.len()))?;
        for (first, losses) in of_spans.into_iter().flatten() {
            for (row, losses) in losses.chunks_exact(points.len()).enumerate() {
                for (head, loss) in losses.iter().enumerate() {
                    found[head * count + first + row] = *loss;
                }
            }
        }
        Ok(found)
    }

    /// What `of_block` makes of what all heads say of every block, `[rows, heads, classes]`, with the
    /// number of the block's first row; by span.
    fn of_outputs<T: Send>(
        &self,
        points: &[Vec<f32>],
        of_block: impl Fn(usize, &[f32]) -> T + Sync,
    ) -> Result<Vec<Vec<(usize, T)>>> {
        let numbers: Vec<usize> = (0..points.len()).collect();
        let raw = self.terms.raw(&numbers, points);
        let spans: Vec<Span<'_>> = self.spans.each().collect();
        let of_span = |span: Span<'_>| {
            let mut found = Vec::new();
            span.for_each_block(&mut |first, rows| {
                found.push((first, of_block(first, &raw.of(rows))));
                Ok(())
            })?;
            Ok(found)
        };
        spans.into_par_iter().map(of_span).collect()
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
