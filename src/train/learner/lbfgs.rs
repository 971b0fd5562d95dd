//! Many smooth convex functions made small at the same time.
//!
//! In: starting points, and a function that gives all values and gradients at once. Out: minima.
//! Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5) with a
//! backtracking line search. The problems keep step, so that whoever evaluates them reads its data
//! once for all; one that is done is asked no more.

use std::collections::VecDeque;

use rayon::prelude::*;

use crate::error::{Result, TrainingProblem};

/// Corrections that are remembered, at most and at least: a third fewer evaluations than with 8.
const MEMORY: usize = 24;
const LEAST_MEMORY: usize = 6;

/// Bytes that the corrections of all problems may take before there are fewer of each.
const MEMORY_BYTES: usize = 256 << 20;

/// Evaluations at most.
const EVALUATIONS: usize = 300;

/// How much of the promised decrease a step has to keep (Armijo; Nocedal and Wright, 3.1).
const DECREASE: f64 = 1e-4;

/// When a minimum is near enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enough {
    /// The largest entry of a gradient.
    pub(super) steepest: f64,
    /// A value that falls by less than this share of itself, twice running, has arrived.
    pub(super) gain: f64,
}

/// A point with its value and gradient.
#[derive(Clone, Debug, Default)]
pub(super) struct Evaluation {
    pub(super) value: f64,
    pub(super) gradient: Vec<f32>,
    /// What has to become as small as is wanted: the largest entry of the gradient, by whatever
    /// coordinates that is meant.
    pub(super) steepest: f64,
}

/// One of the problems.
struct Descent {
    point: Vec<f32>,
    value: f64,
    gradient: Vec<f32>,
    steepest: f64,
    direction: Vec<f32>,
    /// Of the gradient along the direction.
    slope: f64,
    step: f64,
    history: VecDeque<(Vec<f32>, Vec<f32>, f64)>,
    small_gains: u32,
    is_done: bool,
}

/// Minimises as many functions as there are `points`, each until that is `enough`, in coordinates in
/// which their curvature is about one. `evaluate` is given the numbers of the problems that are not
/// done and their trial points, and returns an evaluation each.
///
/// # Errors
/// [`TrainingProblem::Diverged`], and what `evaluate` fails with.
pub(super) fn minimise(
    points: Vec<Vec<f32>>,
    enough: Enough,
    mut evaluate: impl FnMut(&[usize], &[Vec<f32>]) -> Result<Vec<Evaluation>>,
) -> Result<Vec<Vec<f32>>> {
    let all: Vec<usize> = (0..points.len()).collect();
    // Two points a correction.
    let of_one: usize = points.iter().map(|point| 8 * point.len()).sum();
    let memory = (MEMORY_BYTES / of_one.max(1)).clamp(LEAST_MEMORY, MEMORY);
    let first = evaluate(&all, &points)?;
    let mut descents: Vec<Descent> = points
        .into_iter()
        .zip(first)
        .map(|(point, evaluation)| Descent::new(point, evaluation, enough))
        .collect::<Result<_>>()?;
    for _ in 0..EVALUATIONS {
        let active: Vec<usize> = (0..descents.len()).filter(|&i| !descents[i].is_done).collect();
        if active.is_empty() {
            break;
        }
        let trials: Vec<Vec<f32>> = active.par_iter().map(|&i| descents[i].trial()).collect();
        let found = evaluate(&active, &trials)?;
        let mut moving: Vec<&mut Descent> =
            descents.iter_mut().filter(|descent| !descent.is_done).collect();
        moving.par_iter_mut().zip(trials).zip(found).try_for_each(
            |((descent, trial), evaluation)| descent.consider(trial, evaluation, enough, memory),
        )?;
    }
    Ok(descents.into_iter().map(|descent| descent.point).collect())
}

impl Descent {
    fn new(point: Vec<f32>, evaluation: Evaluation, enough: Enough) -> Result<Self> {
        if !evaluation.value.is_finite() {
            return Err(TrainingProblem::Diverged { what: "loss" }.into());
        }
        let mut descent = Self {
            point,
            value: evaluation.value,
            gradient: evaluation.gradient,
            steepest: evaluation.steepest,
            direction: Vec::new(),
            slope: 0.0,
            step: 1.0,
            history: VecDeque::new(),
            small_gains: 0,
            is_done: false,
        };
        descent.aim(enough);
        Ok(descent)
    }

    #[expect(clippy::cast_possible_truncation, reason = "points are float32")]
    fn trial(&self) -> Vec<f32> {
        let step = self.step as f32;
        self.point.iter().zip(&self.direction).map(|(x, d)| step.mul_add(*d, *x)).collect()
    }

    fn consider(
        &mut self,
        trial: Vec<f32>,
        found: Evaluation,
        enough: Enough,
        memory: usize,
    ) -> Result<()> {
        let gain = self.value - found.value;
        // Near the end the promised decrease is below what float32 sums resolve.
        let rounding = 1e-9 * self.value.abs();
        // A value that is not a number is no gain either.
        let is_enough = gain + rounding >= -DECREASE * self.step * self.slope;
        if !is_enough {
            self.step *= 0.4;
            if self.step < 1e-6 {
                // No step along a descent direction helps: rounding decides by now.
                self.is_done = true;
            }
            return Ok(());
        }
        if !found.value.is_finite() {
            return Err(TrainingProblem::Diverged { what: "loss" }.into());
        }
        let moved = difference(&trial, &self.point);
        let turned = difference(&found.gradient, &self.gradient);
        let curvature = inner(&moved, &turned);
        if curvature > 1e-10 * inner(&turned, &turned).sqrt() * inner(&moved, &moved).sqrt() {
            if self.history.len() == memory {
                self.history.pop_front();
            }
            self.history.push_back((moved, turned, curvature));
        }
        let is_small = gain <= enough.gain * self.value.abs();
        self.small_gains = if is_small { self.small_gains + 1 } else { 0 };
        self.point = trial;
        self.value = found.value;
        self.gradient = found.gradient;
        self.steepest = found.steepest;
        self.is_done = self.small_gains >= 2;
        self.aim(enough);
        Ok(())
    }

    /// Chooses the next direction, by the two-loop recursion.
    #[expect(clippy::cast_possible_truncation, reason = "directions are float32")]
    fn aim(&mut self, enough: Enough) {
        if self.steepest <= enough.steepest {
            self.is_done = true;
            return;
        }
        let mut direction: Vec<f32> = self.gradient.iter().map(|value| -value).collect();
        let mut shares = Vec::with_capacity(self.history.len());
        for (moved, turned, curvature) in self.history.iter().rev() {
            let share = inner(moved, &direction) / curvature;
            add(&mut direction, -share as f32, turned);
            shares.push(share);
        }
        if let Some((_, turned, curvature)) = self.history.back() {
            let scale = (curvature / inner(turned, turned)) as f32;
            for value in &mut direction {
                *value *= scale;
            }
        }
        for ((moved, turned, curvature), share) in self.history.iter().zip(shares.iter().rev()) {
            let back = inner(turned, &direction) / curvature;
            add(&mut direction, (share - back) as f32, moved);
        }
        let mut slope = inner(&self.gradient, &direction);
        if slope >= 0.0 {
            self.history.clear();
            direction = self.gradient.iter().map(|value| -value).collect();
            slope = inner(&self.gradient, &direction);
        }
        // Newton's, where the curvature is one.
        self.step = 1.0;
        self.direction = direction;
        self.slope = slope;
    }
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add(to: &mut [f32], scale: f32, what: &[f32]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to = scale.mul_add(*what, *to);
    }
}

/// Sums in f64, in an order that does not change.
fn inner(a: &[f32], b: &[f32]) -> f64 {
    a.chunks(1_024).zip(b.chunks(1_024)).map(|(a, b)| f64::from(crate::dot::dot(a, b))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadratics_of_any_scale_are_solved_together() {
        // f_p(x) = Σ c_i (x_i − p)² / 2, with curvatures from 1 to 1000.
        let curvatures: Vec<f32> = (0..20).map(|i| 1.44_f32.powi(i)).collect();
        let evaluate = |problems: &[usize], points: &[Vec<f32>]| {
            Ok(problems
                .iter()
                .zip(points)
                .map(|(&p, x)| {
                    let away: Vec<f32> = x.iter().map(|x| x - p as f32).collect();
                    let gradient: Vec<f32> =
                        away.iter().zip(&curvatures).map(|(a, c)| a * c).collect();
                    let steepest = gradient.iter().fold(0.0, |most: f32, g| most.max(g.abs()));
                    let value = inner(&away, &gradient) / 2.0;
                    Evaluation { value, gradient, steepest: steepest.into() }
                })
                .collect())
        };
        let minima =
            minimise(vec![vec![5.0; 20]; 3], Enough { steepest: 1e-5, gain: 1e-6 }, evaluate)
                .unwrap();
        for (p, minimum) in minima.iter().enumerate() {
            assert!(minimum.iter().all(|x| (x - p as f32).abs() < 1e-4), "{p}: {minimum:?}");
        }
    }
}
