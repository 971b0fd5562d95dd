//! Logistic regression: convex, its regularisation chosen inside.
//!
//! In: a lesson of classes. Out: weights on standardised vectors. Minimises the mean log loss plus
//! |W|² / (2 C n), as scikit-learn's `LogisticRegression` does, for C from 0.001 to 10.
//!
//! C is chosen by the log loss of held-out rows, always inside of what a head learns from: the
//! head that speaks of fold f takes the C that was best when f and one more fold were left out. So
//! nothing of f has a say. All heads of one C are fitted together, so that the rows are read once
//! for all of them, from the C before.

mod loss;

use serde_json::json;

use super::moments::{Moments, Sums};
use super::{Learnt, Lesson, lbfgs};
use crate::error::Result;
use crate::train::network::{LinearHead, Tensors};
use crate::train::rows::Rows;
use crate::train::split::{Plan, split};
use crate::train::task::Targets;
use loss::{Losses, Problem};

pub(super) use loss::class_weights;

/// The values of C that are tried, from the strongest regularisation on.
const STRENGTHS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// What is taken where there are too few groups to choose by.
const USUAL_STRENGTH: f64 = 0.1;

/// Folds to choose by where rows are not held out in folds anyway.
const INNER_FOLDS: usize = 4;

/// Rows that C is chosen on at most.
const ROWS_TO_CHOOSE_BY: usize = 6_000;

/// The largest entry of a gradient that is taken for zero. The mean loss is about one.
const TOLERANCE: f64 = 1e-5;

pub(super) fn learn(lesson: &Lesson<'_>) -> Result<Learnt> {
    let stride = lesson.rows.len().div_ceil(ROWS_TO_CHOOSE_BY).max(1);
    let (choice, sampled) = if stride > 1 {
        let sample = Sample::every(stride, lesson)?;
        let lesson = sample.lesson(lesson);
        let choice = choose(&lesson)?;
        (choice, true)
    } else {
        (choose(lesson)?, false)
    };
    // Of a sample the choice alone counts, and where its heads ended as a place to begin.
    let fitted = if sampled { fit_chosen(lesson, &choice)? } else { choice.fitted.clone() };
    let held_out = say(lesson, &fitted)?;
    let whole = &fitted[fitted.len() - 1];
    let mut choices = std::collections::BTreeMap::new();
    choices.insert("C".to_owned(), json!(choice.strengths[choice.strengths.len() - 1]));
    if lesson.fold_count > 0 {
        let by_fold = &choice.strengths[..lesson.fold_count];
        choices.insert("C by fold".to_owned(), json!(by_fold));
    }
    if sampled {
        let rows = lesson.rows.len().div_ceil(stride);
        choices.insert("C chosen on rows".to_owned(), json!(rows));
    }
    Ok(Learnt { held_out, tensors: whole.tensors(lesson), choices })
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

/// What was chosen: for each fold's head, and last for the one that learns from all.
struct Choice {
    strengths: Vec<f64>,
    fitted: Vec<Fitted>,
}

/// Rows are left out of a problem by their outer or inner fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Without {
    outer: Option<u32>,
    inner: Option<u32>,
}

impl Without {
    fn leaves_out(self, (outer, inner): (Option<u32>, Option<u32>)) -> bool {
        (self.outer.is_some() && self.outer == outer)
            || (self.inner.is_some() && self.inner == inner)
    }
}

/// Chooses C for every head, and fits them with it.
fn choose(lesson: &Lesson<'_>) -> Result<Choice> {
    let outer_count = u32::try_from(lesson.fold_count).unwrap_or(u32::MAX);
    let (inner, inner_count) = inner_folds(lesson);
    let cell = |row: usize| (lesson.folds[row], inner[row]);
    let sums = Sums::read(lesson, cell)?;
    // Heads that are kept: one without each outer fold, one that learns from everything.
    let kept: Vec<Without> = (0..outer_count)
        .map(Some)
        .chain([None])
        .map(|outer| Without { outer, inner: None })
        .collect();
    // Heads to choose by: each kept one, without an inner fold more.
    let same = outer_count == inner_count && inner[..] == *lesson.folds;
    let mut problems: Vec<Without> = kept.clone();
    let mut judges: Vec<Vec<(usize, u32)>> = Vec::new();
    for head in &kept {
        let mut by = Vec::new();
        for fold in 0..inner_count {
            let mut wanted = Without { outer: head.outer, inner: Some(fold) };
            if same {
                // Both are folds of one split: {f, g} is {g, f}, and {f} alone is a kept head.
                if head.outer == Some(fold) {
                    continue;
                }
                wanted = match head.outer {
                    None => Without { outer: Some(fold), inner: None },
                    Some(outer) => {
                        Without { outer: Some(outer.min(fold)), inner: Some(outer.max(fold)) }
                    }
                };
            }
            let known = problems.iter().position(|problem| *problem == wanted);
            let number = known.unwrap_or_else(|| {
                problems.push(wanted);
                problems.len() - 1
            });
            by.push((number, fold));
        }
        judges.push(by);
    }
    let made: Vec<Problem> = problems
        .iter()
        .map(|without| {
            let learns: Vec<bool> =
                (0..lesson.rows.len()).map(|row| !without.leaves_out(cell(row))).collect();
            let moments = sums.moments(|cell| !without.leaves_out(cell));
            Problem::new(lesson, moments, &learns)
        })
        .collect();
    let mut losses = Losses::new(lesson, made)?;
    let width = lesson.class_count * (lesson.rows.dimension() + 1);
    let mut points = vec![vec![0.0; width]; problems.len()];
    let mut best: Vec<Option<(f64, f64, Vec<f32>)>> = vec![None; kept.len()];
    let mut worse = vec![0; kept.len()];
    let can_choose = inner_count >= 2;
    for strength in STRENGTHS {
        if !can_choose && (strength - USUAL_STRENGTH).abs() > 1e-12 {
            continue;
        }
        losses.set_strength(strength);
        points =
            lbfgs::minimise(points, TOLERANCE, |numbers, points| losses.evaluate(numbers, points))?;
        // What each judge says of the rows of the inner fold that it has not seen.
        let said = if can_choose { Some(losses.row_losses(&points)?) } else { None };
        for (head, (by, best)) in
            kept.iter().zip(judges.iter().zip(&mut best)).enumerate().map(|(i, (w, r))| {
                let _ = w;
                (i, r)
            })
        {
            let mut total = (0.0, 0.0);
            if let Some(said) = &said {
                for &(problem, fold) in by {
                    for row in 0..lesson.rows.len() {
                        let is_judged = inner[row] == Some(fold)
                            && !(kept[head].outer.is_some()
                                && kept[head].outer == lesson.folds[row]);
                        let loss = said[problem * lesson.rows.len() + row];
                        if is_judged && !loss.is_nan() {
                            total.0 += f64::from(loss);
                            total.1 += 1.0;
                        }
                    }
                }
            }
            let loss = if total.1 > 0.0 { total.0 / total.1 } else { 0.0 };
            if best.as_ref().is_none_or(|(least, _, _)| loss < *least) {
                *best = Some((loss, strength, points[head].clone()));
                worse[head] = 0;
            } else {
                worse[head] += 1;
            }
        }
        // Past the best, things get worse and slower.
        if worse.iter().all(|count| *count >= 2) {
            break;
        }
    }
    let mut choice = Choice { strengths: Vec::new(), fitted: Vec::new() };
    for (without, best) in kept.iter().zip(best) {
        let (_, strength, point) = best.unwrap_or((0.0, USUAL_STRENGTH, vec![0.0; width]));
        let moments = sums.moments(|cell| !without.leaves_out(cell));
        choice.strengths.push(strength);
        choice.fitted.push(Fitted { moments, point });
    }
    Ok(choice)
}

/// The inner fold of every row. Where there are three outer folds or more, these serve: what is
/// learnt without two of them serves twice.
fn inner_folds(lesson: &Lesson<'_>) -> (Vec<Option<u32>>, u32) {
    if lesson.fold_count >= 3 && lesson.folds.iter().all(Option::is_some) {
        let count = u32::try_from(lesson.fold_count).unwrap_or(u32::MAX);
        return (lesson.folds.to_vec(), count);
    }
    let groups = lesson.groups.iter().max().map_or(0, |last| *last as usize + 1);
    let count = INNER_FOLDS.min(groups / 2);
    if count < 2 {
        return (vec![None; lesson.rows.len()], 0);
    }
    let seed = lesson.seed.wrapping_add(1);
    let folds = split(lesson.targets, lesson.class_count, lesson.groups, Plan::Folds(count), seed);
    (folds.of_rows(lesson.groups), u32::try_from(count).unwrap_or(u32::MAX))
}

/// Fits every head with its C to all rows, from where it ended on the sample.
fn fit_chosen(lesson: &Lesson<'_>, choice: &Choice) -> Result<Vec<Fitted>> {
    let outer = u32::try_from(lesson.fold_count).unwrap_or(u32::MAX);
    let kept: Vec<Option<u32>> = (0..outer).map(Some).chain([None]).collect();
    let sums = Sums::read(lesson, |row| (lesson.folds[row], None))?;
    let moments: Vec<Moments> =
        kept.iter().map(|out| sums.moments(|(fold, _)| out.is_none() || fold != *out)).collect();
    let problems = kept.iter().zip(&moments).map(|(out, moments)| {
        let learns: Vec<bool> =
            lesson.folds.iter().map(|fold| out.is_none() || fold != out).collect();
        Problem::new(lesson, moments.clone(), &learns)
    });
    let mut losses = Losses::new(lesson, problems.collect())?;
    losses.set_strengths(&choice.strengths);
    let points = choice.fitted.iter().map(|fitted| fitted.point.clone()).collect();
    let points =
        lbfgs::minimise(points, TOLERANCE, |numbers, points| losses.evaluate(numbers, points))?;
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
    rows: Rows,
    targets: Targets,
    groups: Vec<u32>,
    places: Vec<super::RowPlace>,
    folds: Vec<Option<u32>>,
}

impl Sample {
    fn every(stride: usize, lesson: &Lesson<'_>) -> Result<Self> {
        let numbers: Vec<usize> = (0..lesson.rows.len()).step_by(stride).collect();
        let classes = lesson.class_count;
        let targets = match lesson.targets {
            Targets::Single(all) => Targets::Single(numbers.iter().map(|&n| all[n]).collect()),
            Targets::Multi(all) => {
                let cells = numbers.iter().flat_map(|&n| all[n * classes..][..classes].to_vec());
                Targets::Multi(cells.collect())
            }
            Targets::Numbers(all) => Targets::Numbers(numbers.iter().map(|&n| all[n]).collect()),
        };
        Ok(Self {
            rows: Rows::of(lesson.rows.gather(&numbers)?, lesson.rows.dimension()),
            targets,
            groups: numbers.iter().map(|&n| lesson.groups[n]).collect(),
            places: numbers.iter().map(|&n| lesson.places[n]).collect(),
            folds: numbers.iter().map(|&n| lesson.folds[n]).collect(),
        })
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
