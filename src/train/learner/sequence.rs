//! Heads that learn by gradients: a hidden layer over one vector, or recurrence over a sequence.
//!
//! In: a lesson. Out: the tensors of a [`Form`]. What all of them share: steps are standardised by
//! the mean and the spread over what is learnt from; batches are of sequences of similar length,
//! and padded; AdamW. Chance is drawn from a generator of our own alone, so that a seed gives the
//! same head, whatever else libtorch is used for meanwhile.
//!
//! Where the recipe says so, the number of epochs is chosen inside of what a head learns from: by
//! the loss of rows whose groups were held out once more. Nothing of the fold that the head is to
//! speak of has a say.

mod batches;
mod course;
mod descent;
mod recipe;
mod wanted;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::logistic::use_threads;
use super::{HeadKind, Learnt, Lesson};
use crate::error::{Result, TrainingProblem};
use crate::train::network::form::Form;
use crate::train::network::{Input, Tensors};
use crate::train::rows::Rows;
use crate::train::split::{Plan, split};
use course::{Course, Progress};
use recipe::Recipe;

/// What is learnt from: rows of a table, or sequences of its rows.
#[derive(Clone, Debug)]
struct Material<'a> {
    steps: &'a Rows,
    /// `[rows]`.
    spans: Vec<Range<usize>>,
}

impl<'a> Material<'a> {
    fn of(kind: HeadKind, lesson: &Lesson<'a>) -> Result<Self> {
        if kind.input() == Input::Vectors {
            let spans = (0..lesson.rows.len()).map(|row| row..row + 1).collect();
            return Ok(Self { steps: lesson.rows, spans });
        }
        let sequences = lesson.sequences.filter(|all| all.len() == lesson.rows.len());
        let sequences = sequences.ok_or(TrainingProblem::NoSequences { kind: kind.as_str() })?;
        let spans: Vec<_> = (0..sequences.len()).map(|row| sequences.span(row)).collect();
        if spans.iter().any(Range::is_empty) {
            return Err(TrainingProblem::NoSequences { kind: kind.as_str() }.into());
        }
        Ok(Self { steps: sequences.steps(), spans })
    }
}

/// How often whoever watches is told.
const TOLD_EVERY: Duration = Duration::from_millis(100);

pub(super) fn learn(kind: HeadKind, lesson: &Lesson<'_>) -> Result<Learnt> {
    let material = Material::of(kind, lesson)?;
    let form = Form::usual(kind, material.steps.dimension())
        .ok_or(TrainingProblem::NoSequences { kind: kind.as_str() })?;
    let recipe = Recipe::of(kind, lesson.rows.len(), lesson.augmentation);
    let heads = lesson.fold_count + 1;
    let progress = Progress::of(heads);
    let course = Course {
        form: &form,
        material: &material,
        recipe: &recipe,
        targets: lesson.targets,
        classes: lesson.class_count,
        class_weights: lesson.class_weights,
        seed: lesson.seed,
        progress: &progress,
    };
    let inner = inner_folds(lesson, recipe.judges);
    let folds = lesson.folds;
    // The head of a fold, and what it says of that; or, last, the head of everything.
    let teach = |number: usize| -> Result<One> {
        let fold = if number + 1 < heads { u32::try_from(number).ok() } else { None };
        let all = 0..folds.len();
        let (judged, learnt): (Vec<usize>, Vec<usize>) =
            all.partition(|row| fold.is_some() && folds[*row] == fold);
        let (epochs, taught) = course.choose_and_run(&learnt, &inner, number)?;
        let said = taught.say(&course, &judged)?;
        // Of the head of a fold only its word counts.
        let tensors = if fold.is_some() { Tensors::new() } else { taught.tensors(&course)? };
        Ok(One { epochs, judged, said, tensors })
    };
    let mut taught = side_by_side(heads, &teach, &progress, lesson)?;
    let whole = taught.pop().ok_or(TrainingProblem::NothingLeft)?;
    let mut held_out = vec![f32::NAN; lesson.rows.len() * lesson.class_count];
    for one in &taught {
        for (row, said) in one.judged.iter().zip(one.said.chunks_exact(lesson.class_count)) {
            held_out[row * lesson.class_count..][..lesson.class_count].copy_from_slice(said);
        }
    }
    let mut choices = BTreeMap::from([("epochs".to_owned(), json!(whole.epochs))]);
    if recipe.judges > 0 && !taught.is_empty() {
        let by_fold: Vec<usize> = taught.iter().map(|one| one.epochs).collect();
        choices.insert("epochs by fold".to_owned(), json!(by_fold));
    }
    Ok(Learnt { held_out, tensors: whole.tensors, choices })
}

/// What came of one head.
#[derive(Debug)]
struct One {
    epochs: usize,
    judged: Vec<usize>,
    said: Vec<f32>,
    tensors: Tensors,
}

/// All heads, several at a time. Each is taught by one thread, with libtorch's own threads off:
/// these wait for one another by spinning, which takes longer on a busy machine, and operations are
/// small. So sums do not depend on how many threads there are.
fn side_by_side(
    heads: usize,
    teach: &(dyn Fn(usize) -> Result<One> + Sync),
    progress: &Progress,
    lesson: &Lesson<'_>,
) -> Result<Vec<One>> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..heads.min(rayon::current_num_threads()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                use_threads(1);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens any more when something went wrong.
                    if number >= heads || sender.send((number, teach(number))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut taught: Vec<(usize, One)> = Vec::with_capacity(heads);
        let collected = loop {
            match receiver.recv_timeout(TOLD_EVERY) {
                Ok((number, Ok(one))) => taught.push((number, one)),
                Ok((_, Err(error))) => break Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            }
            if let Err(error) = lesson.goes_on(progress.done()) {
                break Err(error);
            }
        };
        if collected.is_err() {
            progress.stop();
        }
        drop(receiver);
        collected?;
        taught.sort_by_key(|(number, _)| *number);
        Ok(taught.into_iter().map(|(_, one)| one).collect())
    })
}

/// The inner fold of every row; none, where there are too few groups to choose by, or nothing is
/// to be chosen.
fn inner_folds(lesson: &Lesson<'_>, judges: usize) -> Vec<Option<u32>> {
    let groups = lesson.groups.iter().max().map_or(0, |last| *last as usize + 1);
    let count = judges.min(groups / 2);
    if count < 2 {
        return vec![None; lesson.rows.len()];
    }
    let seed = lesson.seed.wrapping_add(1);
    split(lesson.targets, lesson.class_count, lesson.groups, Plan::Folds(count), seed)
        .of_rows(lesson.groups)
}

#[cfg(test)]
mod tests;
