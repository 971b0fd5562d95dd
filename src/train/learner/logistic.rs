//! Logistic regression: convex, its regularisation chosen inside.
//!
//! In: a lesson of classes. Out: weights on standardised vectors. Minimises the mean log loss plus
//! |W|² / (2 C n), as scikit-learn's `LogisticRegression` does, for C from 0.003 to 10.
//!
//! C is chosen by the log loss of held-out rows, always inside of what a head learns from: the
//! head that speaks of fold f takes the C that was best when f and one more fold were left out. So
//! nothing of f has a say. All heads of one C are fitted together, so that the rows are read once
//! for all of them, from the C before.

mod choice;
mod curvature;
mod loss;
mod problem;
mod products;
mod spans;
mod terms;

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::lbfgs::Enough;
use super::moments::{Moments, Sums};
use super::{Learnt, Lesson};
use crate::error::Result;
use crate::train::network::{LinearHead, Tensors};
use crate::train::rows::{Rows, RowsBuilder};
use crate::train::task::Targets;
use choice::{Choice, are_paired, choose};
use loss::Losses;
use problem::Problem;

pub(super) use problem::class_weights;
pub(super) use spans::use_threads;

/// Rows that C is chosen on at most.
const ROWS_TO_CHOOSE_BY: usize = 6_000;

/// Rows that are held out at most, and learnt from while others are held out.
const ROWS_TO_JUDGE_BY: usize = 50_000;

/// How many times the rows of a fit are those of the one that it starts from.
const GROWTH: usize = 4;

/// Rows that are copied at once.
const ROWS_TO_COPY: usize = 1_000;

/// Heads that are fitted at once where there are more than folds in pairs.
const HEADS_AT_ONCE: usize = choice::FOLDS_IN_PAIRS + 1;

/// When a minimum is near enough: the gradient as scikit-learn has it, of a loss that is a mean over
/// rows; the gain as far as float32 sums resolve it.
const ENOUGH: Enough = Enough { steepest: 1e-4, gain: 1e-6 };

/// The same of more rows than are judged by. Of a million the mean loss is known to some thousandths,
/// and thirty more evaluations gain as much.
const ENOUGH_OF_MANY: Enough = Enough { steepest: 1e-4, gain: 1e-4 };

pub(super) fn learn(lesson: &Lesson<'_>) -> Result<Learnt> {
    let some = Sample::of_at_most(ROWS_TO_CHOOSE_BY, lesson)?;
    use_threads(1);
    let choice = choose_all(&some.as_ref().map_or(*lesson, |some| some.lesson(lesson)))?;
    let mut choices = BTreeMap::new();
    choices.insert("C".to_owned(), json!(choice.strengths[choice.strengths.len() - 1]));
    if lesson.fold_count > 0 {
        let by_fold = &choice.strengths[..lesson.fold_count];
        choices.insert("C by fold".to_owned(), json!(by_fold));
    }
    if let Some(some) = &some {
        choices.insert("C chosen on rows".to_owned(), json!(some.numbers.len()));
    }
    let Some(judged) = Sample::of_at_most(ROWS_TO_JUDGE_BY, lesson)? else {
        let fitted = fit(lesson, ENOUGH, &kept(lesson), &choice.strengths, choice.points)?;
        let held_out = say(lesson, &fitted)?;
        return Ok(Learnt { held_out, tensors: fitted[fitted.len() - 1].tensors(lesson), choices });
    };
    // Of so many rows some are enough to judge by; the head itself learns from all of them.
    choices.insert("judged on rows".to_owned(), json!(judged.numbers.len()));
    let smaller = judged.lesson(lesson);
    let fitted = fit(&smaller, ENOUGH_OF_MANY, &kept(lesson), &choice.strengths, choice.points)?;
    let classes = lesson.class_count;
    let mut held_out = vec![f32::NAN; lesson.rows.len() * classes];
    for (said, &number) in say(&smaller, &fitted)?.chunks_exact(classes).zip(&judged.numbers) {
        held_out[number * classes..][..classes].copy_from_slice(said);
    }
    let (strength, start) =
        (choice.strengths[fitted.len() - 1], fitted[fitted.len() - 1].point.clone());
    drop(judged);
    let start = start_among_more(lesson, strength, start)?;
    let whole = fit(lesson, ENOUGH_OF_MANY, &[None], &[strength], vec![start])?;
    Ok(Learnt { held_out, tensors: whole[0].tensors(lesson), choices })
}

/// Where a fit to all rows may start: from a fit to some of them, and so on down to as many as are
/// judged by, where `start` comes from. Of a quarter the minimum is near, and costs a quarter.
fn start_among_more(lesson: &Lesson<'_>, strength: f64, start: Vec<f32>) -> Result<Vec<f32>> {
    let most = lesson.rows.len() / GROWTH;
    if most < 2 * ROWS_TO_JUDGE_BY {
        return Ok(start);
    }
    let Some(some) = Sample::of_at_most(most, lesson)? else { return Ok(start) };
    let smaller = some.lesson(lesson);
    let start = start_among_more(&smaller, strength, start)?;
    let fitted = fit(&smaller, ENOUGH_OF_MANY, &[None], &[strength], vec![start])?;
    Ok(fitted[0].point.clone())
}

/// Chooses C for all heads; with many folds for some at a time, which bounds the memory.
fn choose_all(lesson: &Lesson<'_>) -> Result<Choice> {
    let kept = kept(lesson);
    let mut all = Choice { strengths: Vec::new(), points: Vec::new() };
    let at_once = if are_paired(lesson) { kept.len() } else { HEADS_AT_ONCE };
    for some in kept.chunks(at_once) {
        let choice = choose(lesson, some)?;
        all.strengths.extend(choice.strengths);
        all.points.extend(choice.points);
    }
    Ok(all)
}

/// The heads that are kept, by the fold that each is fitted without: the last one has everything.
fn kept(lesson: &Lesson<'_>) -> Vec<Option<u32>> {
    (0..u32::try_from(lesson.fold_count).unwrap_or(u32::MAX)).map(Some).chain([None]).collect()
}

/// A head that was fitted, in standardised terms.
#[derive(Clone, Debug)]
struct Fitted {
    moments: Moments,
    /// `[classes, dimension + 1]`, the bias last.
    point: Vec<f32>,
}

impl Fitted {
    fn tensors(&self, lesson: &Lesson<'_>) -> Tensors {
        let (dimension, classes) = (lesson.rows.dimension(), lesson.class_count);
        let rows = self.point.chunks_exact(dimension + 1);
        let weights = rows.clone().flat_map(|row| row[..dimension].iter().copied()).collect();
        let biases = rows.map(|row| row[dimension]).collect();
        Tensors::from([
            ("mean".to_owned(), (vec![dimension], self.moments.mean.clone())),
            ("scale".to_owned(), (vec![dimension], self.moments.scale.clone())),
            ("weight".to_owned(), (vec![classes, dimension], weights)),
            ("bias".to_owned(), (vec![classes], biases)),
        ])
    }
}

/// Fits heads, each without a fold and with its C, from where they ended when that was chosen; some
/// at a time.
fn fit(
    lesson: &Lesson<'_>,
    enough: Enough,
    without: &[Option<u32>],
    strengths: &[f64],
    points: Vec<Vec<f32>>,
) -> Result<Vec<Fitted>> {
    let mut fitted = Vec::with_capacity(without.len());
    let mut points = points.into_iter();
    for (without, strengths) in without.chunks(HEADS_AT_ONCE).zip(strengths.chunks(HEADS_AT_ONCE)) {
        let points: Vec<Vec<f32>> = points.by_ref().take(without.len()).collect();
        fitted.extend(fit_some(lesson, enough, without, strengths, &points)?);
    }
    Ok(fitted)
}

fn fit_some(
    lesson: &Lesson<'_>,
    enough: Enough,
    without: &[Option<u32>],
    strengths: &[f64],
    points: &[Vec<f32>],
) -> Result<Vec<Fitted>> {
    let folds = lesson.folds;
    let sums = Sums::read(lesson.rows, |row| (folds[row], None))?;
    let moments: Vec<Moments> =
        without.iter().map(|out| sums.moments(|(fold, _)| out.is_none() || fold != *out)).collect();
    let problems = without.iter().zip(&moments).map(|(out, moments)| {
        let learns: Vec<bool> =
            lesson.folds.iter().map(|fold| out.is_none() || fold != out).collect();
        Problem::new(lesson, moments.clone(), &learns)
    });
    let mut losses = Losses::new(lesson, problems.collect());
    losses.set_strengths(strengths);
    let points = losses.minimise(points, enough, || lesson.goes_on(choice::CHOOSING))?;
    Ok(moments.into_iter().zip(points).map(|(moments, point)| Fitted { moments, point }).collect())
}

/// What each fold's head says of the rows that it has not seen.
fn say(lesson: &Lesson<'_>, fitted: &[Fitted]) -> Result<Vec<f32>> {
    let classes = lesson.class_count;
    let mut said = vec![f32::NAN; lesson.rows.len() * classes];
    let shape = (lesson.rows.dimension(), classes);
    let heads = fitted[..lesson.fold_count]
        .iter()
        .map(|fitted| LinearHead::new("head", fitted.tensors(lesson), shape, false))
        .collect::<Result<Vec<LinearHead>>>()?;
    lesson.rows.for_each_block(|first, block| {
        for (row, values) in block.chunks_exact(shape.0).enumerate() {
            if let Some(fold) = lesson.folds[first + row] {
                let said = &mut said[(first + row) * classes..][..classes];
                heads[fold as usize].apply_to(values, said);
            }
        }
        Ok(())
    })?;
    Ok(said)
}

/// Some of a lesson's rows.
struct Sample {
    numbers: Vec<usize>,
    rows: Rows,
    targets: Targets,
    groups: Vec<u32>,
    places: Vec<super::RowPlace>,
    folds: Vec<Option<u32>>,
}

impl Sample {
    /// One row of every few, by chance, `most` of them; nothing where there are no more than that. At even
    /// distances they might all be the beginnings of recordings, or of every second class.
    fn of_at_most(most: usize, lesson: &Lesson<'_>) -> Result<Option<Self>> {
        let stride = lesson.rows.len().div_ceil(most);
        if stride <= 1 {
            return Ok(None);
        }
        let mut chance = ChaCha8Rng::seed_from_u64(lesson.seed);
        let firsts = (0..lesson.rows.len()).step_by(stride);
        let one =
            |first: usize| chance.random_range(first..(first + stride).min(lesson.rows.len()));
        let numbers: Vec<usize> = firsts.map(one).collect();
        let classes = lesson.class_count;
        let targets = match lesson.targets {
            Targets::Single(all) => Targets::Single(numbers.iter().map(|&n| all[n]).collect()),
            Targets::Multi(all) => {
                let cells = numbers.iter().flat_map(|&n| all[n * classes..][..classes].to_vec());
                Targets::Multi(cells.collect())
            }
            Targets::Numbers(all) => Targets::Numbers(numbers.iter().map(|&n| all[n]).collect()),
        };
        let mut rows = RowsBuilder::new(lesson.rows.dimension());
        for some in numbers.chunks(ROWS_TO_COPY) {
            let values = lesson.rows.gather(some)?;
            values.chunks_exact(lesson.rows.dimension()).try_for_each(|row| rows.push(row))?;
        }
        Ok(Some(Self {
            rows: rows.finish()?,
            targets,
            groups: numbers.iter().map(|&n| lesson.groups[n]).collect(),
            places: numbers.iter().map(|&n| lesson.places[n]).collect(),
            folds: numbers.iter().map(|&n| lesson.folds[n]).collect(),
            numbers,
        }))
    }

    fn lesson<'a>(&'a self, of: &Lesson<'a>) -> Lesson<'a> {
        Lesson {
            rows: &self.rows,
            targets: &self.targets,
            groups: &self.groups,
            places: &self.places,
            folds: &self.folds,
            ..*of
        }
    }
}
