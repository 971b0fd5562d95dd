//! The nearest class mean: what works with one example of a class.
//!
//! In: a lesson of classes. Out: prototypes. Rows are centred by the mean over all rows that are
//! learnt from, brought to length one, and compared with the mean of each class, likewise at length
//! one (Wang, Chao, Weinberger and van der Maaten, "SimpleShot", 2019: centring and normalising). A
//! class of several that may be there together is compared with what it is not: the cosine to the
//! mean of its absence is subtracted.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Learnt, Lesson};
use crate::error::Result;
use crate::train::network::{LinearHead, Tensors, unit};
use crate::train::task::{Known, Targets};

/// What cosines are multiplied by to become logits. Temperature is fitted to held-out rows later;
/// this is what stays where there are none.
const SCALE: f32 = 10.0;

/// The logit of a class without examples: below what any cosine gives.
const NEVER: f32 = -4.0 * SCALE;

pub(super) fn learn(lesson: &Lesson<'_>) -> Result<Learnt> {
    let (dimension, classes) = (lesson.rows.dimension(), lesson.class_count);
    let mut held_out = vec![f32::NAN; lesson.rows.len() * classes];
    for fold in 0..lesson.fold_count {
        let fold = u32::try_from(fold).ok();
        let tensors = prototypes(lesson, |row| lesson.folds[row] != fold)?;
        let head = LinearHead::new("prototype", tensors, (dimension, classes), true)?;
        lesson.rows.for_each_block(|first, block| {
            for (row, values) in block.chunks_exact(dimension).enumerate() {
                if lesson.folds[first + row] == fold {
                    head.apply_to(values, &mut held_out[(first + row) * classes..][..classes]);
                }
            }
            Ok(())
        })?;
    }
    let tensors = prototypes(lesson, |_| true)?;
    let choices = BTreeMap::from([("scale".to_owned(), json!(SCALE))]);
    Ok(Learnt { held_out, tensors, choices })
}

/// The prototypes of the rows that `learns` chooses.
#[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
fn prototypes(lesson: &Lesson<'_>, learns: impl Fn(usize) -> bool) -> Result<Tensors> {
    let (dimension, classes) = (lesson.rows.dimension(), lesson.class_count);
    let (mut sums, mut count) = (vec![0.0_f64; dimension], 0.0_f64);
    for_each(lesson, &learns, |_, values| {
        count += 1.0;
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += f64::from(value);
        }
    })?;
    let mean: Vec<f32> = sums.iter().map(|sum| (sum / count.max(1.0)) as f32).collect();
    // Sums of unit vectors: of where each class is, and of where it is not.
    let mut present = vec![0.0_f64; classes * dimension];
    let mut absent = vec![0.0_f64; classes * dimension];
    for_each(lesson, &learns, |row, values| {
        let direction = unit(values, &mean);
        let add = |sums: &mut [f64], class: usize| {
            for (sum, &value) in sums[class * dimension..][..dimension].iter_mut().zip(&direction) {
                *sum += f64::from(value);
            }
        };
        match lesson.targets {
            Targets::Single(found) => add(&mut present, found[row] as usize),
            Targets::Multi(cells) => {
                for (class, known) in cells[row * classes..][..classes].iter().enumerate() {
                    match known {
                        Known::Yes => add(&mut present, class),
                        Known::No => add(&mut absent, class),
                        Known::Unknown => {}
                    }
                }
            }
            Targets::Numbers(_) => {}
        }
    })?;
    let mut weight = directions(&present, dimension);
    if matches!(lesson.targets, Targets::Multi(_)) {
        for (weight, absent) in weight.iter_mut().zip(directions(&absent, dimension)) {
            *weight -= absent;
        }
    }
    // Of several classes one is there: not one that nothing was learnt of.
    let is_single = matches!(lesson.targets, Targets::Single(_));
    let biases = weight
        .chunks_exact(dimension)
        .map(|row| if is_single && row.iter().all(|value| *value == 0.0) { NEVER } else { 0.0 })
        .collect();
    for value in &mut weight {
        *value *= SCALE;
    }
    Ok(Tensors::from([
        ("mean".to_owned(), (vec![dimension], mean)),
        ("weight".to_owned(), (vec![classes, dimension], weight)),
        ("bias".to_owned(), (vec![classes], biases)),
    ]))
}

fn for_each(
    lesson: &Lesson<'_>,
    learns: impl Fn(usize) -> bool,
    mut visit: impl FnMut(usize, &[f32]),
) -> Result<()> {
    lesson.rows.for_each_block(|first, block| {
        for (row, values) in block.chunks_exact(lesson.rows.dimension()).enumerate() {
            if learns(first + row) {
                visit(first + row, values);
            }
        }
        Ok(())
    })
}

/// Each row at length one; zero where it has none.
#[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
fn directions(sums: &[f64], dimension: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(sums.len());
    for row in sums.chunks_exact(dimension) {
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        all.extend(row.iter().map(|value| (value * scale) as f32));
    }
    all
}
