//! Linear regression with an L2 penalty: a number from a standardised vector.
//!
//! In: a lesson of numbers. Out: weights. The penalty λ of |y − Xw|² + λ n |w|² is chosen by the
//! squared error of held-out rows, inside of what each head learns from, as in [`super::logistic`].
//! All heads come from sums over folds, read once, by one Cholesky decomposition each.

use std::collections::BTreeMap;

use serde_json::json;
use tch::{Kind, Tensor};

use super::moments::{Moments, Sums};
use super::{Learnt, Lesson, failed};
use crate::error::{Result, TrainingProblem};
use crate::model::torch::{Torch, to_vec};
use crate::train::network::{LinearHead, Tensors};
use crate::train::split::{Plan, split};
use crate::units::signed;

/// The penalties that are tried.
const PENALTIES: [f64; 9] = [0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0];

/// What is taken where there are too few groups to choose by.
const USUAL_PENALTY: f64 = 1.0;

/// Folds to choose by.
const INNER_FOLDS: usize = 4;

pub(super) fn learn(lesson: &Lesson<'_>, numbers: &[f32]) -> Result<Learnt> {
    let (inner, folds) = (inner_folds(lesson), lesson.folds);
    let mut held_out = vec![f32::NAN; lesson.rows.len()];
    let mut choices = BTreeMap::new();
    let mut chosen = Vec::new();
    for fold in 0..lesson.fold_count {
        let fold = u32::try_from(fold).ok();
        let learns = |row: usize| folds[row] != fold;
        let (penalty, head) = fit(lesson, numbers, &inner, &learns)?;
        chosen.push(penalty);
        let head = LinearHead::new("ridge", head, (lesson.rows.dimension(), 1), false)?;
        say(lesson, &head, |row| lesson.folds[row] == fold, &mut held_out)?;
    }
    let (penalty, tensors) = fit(lesson, numbers, &inner, &|_| true)?;
    choices.insert("penalty".to_owned(), json!(penalty));
    choices.insert("penalty by fold".to_owned(), json!(chosen));
    Ok(Learnt { held_out, tensors, choices })
}

fn inner_folds(lesson: &Lesson<'_>) -> Vec<Option<u32>> {
    let groups = lesson.groups.iter().max().map_or(0, |last| *last as usize + 1);
    let count = INNER_FOLDS.min(groups / 2);
    if count < 2 {
        return vec![None; lesson.rows.len()];
    }
    let seed = lesson.seed.wrapping_add(1);
    split(lesson.targets, 1, lesson.groups, Plan::Folds(count), seed).of_rows(lesson.groups)
}

/// Chooses the penalty among the rows that `learns` chooses, and fits all of these with it.
fn fit(
    lesson: &Lesson<'_>,
    numbers: &[f32],
    inner: &[Option<u32>],
    learns: &(dyn Fn(usize) -> bool + Sync),
) -> Result<(f64, Tensors)> {
    let count = inner.iter().flatten().max().map_or(0, |last| last + 1);
    let mut errors = [0.0_f64; PENALTIES.len()];
    for fold in 0..count {
        let fold = Some(fold);
        let heads = solve(lesson, numbers, &PENALTIES, &|row| learns(row) && inner[row] != fold)?;
        for (error, head) in errors.iter_mut().zip(heads) {
            let head = LinearHead::new("ridge", head, (lesson.rows.dimension(), 1), false)?;
            let mut said = vec![f32::NAN; lesson.rows.len()];
            say(lesson, &head, |row| learns(row) && inner[row] == fold, &mut said)?;
            let pairs = said.iter().zip(numbers).filter(|(said, _)| !said.is_nan());
            *error += pairs.map(|(said, true_)| f64::from(said - true_).powi(2)).sum::<f64>();
        }
    }
    let best = errors.iter().zip(PENALTIES).min_by(|a, b| a.0.total_cmp(b.0));
    let penalty = if count == 0 { USUAL_PENALTY } else { best.map_or(USUAL_PENALTY, |(_, p)| p) };
    let mut heads = solve(lesson, numbers, &[penalty], learns)?;
    Ok((penalty, heads.swap_remove(0)))
}

fn say(
    lesson: &Lesson<'_>,
    head: &LinearHead,
    of: impl Fn(usize) -> bool,
    said: &mut [f32],
) -> Result<()> {
    lesson.rows.for_each_block(|first, block| {
        for (row, values) in block.chunks_exact(lesson.rows.dimension()).enumerate() {
            if of(first + row) {
                head.apply_to(values, &mut said[first + row..=first + row]);
            }
        }
        Ok(())
    })
}

/// The heads of each penalty, fitted to the rows that `learns` chooses.
fn solve(
    lesson: &Lesson<'_>,
    numbers: &[f32],
    penalties: &[f64],
    learns: &(dyn Fn(usize) -> bool + Sync),
) -> Result<Vec<Tensors>> {
    let _guard = tch::no_grad_guard();
    let dimension = lesson.rows.dimension();
    let sums = Sums::read(lesson.rows, |row| (learns(row).then_some(0), None))?;
    let moments = sums.moments(|(learns, _)| learns.is_some());
    let learnt: Vec<f64> = numbers
        .iter()
        .enumerate()
        .filter(|(row, _)| learns(*row))
        .map(|(_, y)| f64::from(*y))
        .collect();
    let count = learnt.len().max(1) as f64;
    let mean = learnt.iter().sum::<f64>() / count;
    // Of standardised rows and centred numbers: X'X / n and X'y / n.
    let size = signed(dimension);
    let shape = (Kind::Double, tch::Device::Cpu);
    let mut products = Tensor::f_zeros([size, size], shape).map_err(failed)?;
    let mut along = Tensor::f_zeros([size], shape).map_err(failed)?;
    lesson.rows.for_each_block(|first, block| {
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        for (row, values) in block.chunks_exact(dimension).enumerate() {
            if learns(first + row) {
                let scaled = values.iter().zip(&moments.mean).zip(&moments.scale);
                rows.extend(scaled.map(|((value, mean), scale)| (value - mean) / scale));
                targets.push(f64::from(numbers[first + row]) - mean);
            }
        }
        if targets.is_empty() {
            return Ok(());
        }
        let mut sum = || -> Torch<()> {
            let rows = Tensor::f_from_slice(&rows)?.f_view([-1, size])?.f_to_kind(Kind::Double)?;
            products = products.f_add(&rows.f_transpose(0, 1)?.f_matmul(&rows)?)?;
            along =
                along.f_add(&rows.f_transpose(0, 1)?.f_mv(&Tensor::f_from_slice(&targets)?)?)?;
            Ok(())
        };
        sum().map_err(failed)
    })?;
    penalties
        .iter()
        .map(|&penalty| {
            let solution = || -> Torch<Vec<f32>> {
                let ridge = Tensor::f_eye(size, shape)?.f_mul_scalar(penalty)?;
                let matrix = products.f_div_scalar(count)?.f_add(&ridge)?;
                let lower = matrix.f_linalg_cholesky(false)?;
                let right = along.f_div_scalar(count)?.f_view([size, 1])?;
                to_vec(&right.f_cholesky_solve(&lower, false)?)
            };
            let weight = solution().map_err(failed)?;
            if weight.iter().any(|value| !value.is_finite()) {
                return Err(TrainingProblem::Diverged { what: "solution" }.into());
            }
            Ok(tensors(&moments, weight, mean))
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
fn tensors(moments: &Moments, weight: Vec<f32>, bias: f64) -> Tensors {
    let dimension = weight.len();
    Tensors::from([
        ("mean".to_owned(), (vec![dimension], moments.mean.clone())),
        ("scale".to_owned(), (vec![dimension], moments.scale.clone())),
        ("weight".to_owned(), (vec![1, dimension], weight)),
        ("bias".to_owned(), (vec![1], vec![bias as f32])),
    ])
}
