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

use serde_json::json;

use super::{HeadKind, Learnt, Lesson};
use crate::error::{Result, TrainingProblem};
use crate::train::network::Input;
use crate::train::network::form::Form;
use crate::train::rows::Rows;
use crate::train::split::{Plan, split};
use course::Course;
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

pub(super) fn learn(kind: HeadKind, lesson: &Lesson<'_>) -> Result<Learnt> {
    let material = Material::of(kind, lesson)?;
    let form = Form::usual(kind, material.steps.dimension())
        .ok_or(TrainingProblem::NoSequences { kind: kind.as_str() })?;
    let recipe = Recipe::of(kind, lesson.rows.len());
    let course = Course { form: &form, lesson, material: &material, recipe: &recipe };
    let inner = inner_folds(lesson, recipe.judges);
    let all: Vec<usize> = (0..lesson.rows.len()).collect();
    let heads = lesson.fold_count + 1;
    let mut held_out = vec![f32::NAN; lesson.rows.len() * lesson.class_count];
    let mut epochs_by_fold = Vec::new();
    for fold in 0..lesson.fold_count {
        let fold_number = u32::try_from(fold).ok();
        let (judged, learnt): (Vec<usize>, Vec<usize>) =
            all.iter().partition(|row| lesson.folds[**row] == fold_number);
        let part = (fold as f64 / heads as f64, 1.0 / heads as f64);
        let (epochs, taught) = course.choose_and_run(&learnt, &inner, fold as u64, part)?;
        epochs_by_fold.push(epochs);
        let said = taught.say(&course, &judged)?;
        for (row, said) in judged.iter().zip(said.chunks_exact(lesson.class_count)) {
            held_out[row * lesson.class_count..][..lesson.class_count].copy_from_slice(said);
        }
    }
    let part = (lesson.fold_count as f64 / heads as f64, 1.0 / heads as f64);
    let (epochs, taught) = course.choose_and_run(&all, &inner, lesson.fold_count as u64, part)?;
    let mut choices = BTreeMap::from([("epochs".to_owned(), json!(epochs))]);
    if recipe.judges > 0 {
        choices.insert("epochs by fold".to_owned(), json!(epochs_by_fold));
    }
    Ok(Learnt { held_out, tensors: taught.tensors(&course)?, choices })
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
