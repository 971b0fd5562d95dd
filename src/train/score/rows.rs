//! Held-out rows, checked once, so that nothing after it has to.
//!
//! In: [`HeldOut`], by whoever made it. Out: the same with groups and folds counted from 0.
//! Refuses rows that do not fit together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::held_out::HeldOut;
use super::super::task::{Known, Targets, Task};
use super::resample::Random;

/// Parts that rows are split into where one part was held out once, to fit on some and look at
/// others.
const PARTS: u32 = 5;
/// Parts at most: many folds are put together, since something is fitted for each.
const MOST_PARTS: u32 = 10;

/// Rows that fit together.
#[derive(Clone, Debug)]
pub(in crate::train) struct Rows<'a> {
    pub(in crate::train) held_out: &'a HeldOut,
    /// `[rows, classes]`, all finite.
    pub(in crate::train) outputs: Cow<'a, [f32]>,
    /// The group of each row, from 0 on.
    pub(in crate::train) groups: Vec<u32>,
    pub(in crate::train) group_count: usize,
    /// The folds as they were made.
    pub(in crate::train) fold_count: usize,
    /// Parts of the rows for what is fitted to some and looked at in others: the folds, or, where
    /// there is only one, parts by group.
    pub(in crate::train) parts: Vec<u32>,
    pub(in crate::train) part_count: usize,
    /// Rows whose outputs were no numbers.
    pub(in crate::train) broken: usize,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// What does not fit.
    pub(in crate::train) fn new(held_out: &'a HeldOut) -> Result<Self, String> {
        let (count, classes) = (held_out.len(), held_out.classes.len());
        let targets = match &held_out.targets {
            Targets::Single(classes) => classes.len(),
            Targets::Multi(known) => known.len(),
            Targets::Numbers(numbers) => numbers.len(),
        };
        let task = held_out.targets.task();
        let cells = count.saturating_mul(classes);
        let fits = classes > 0
            && (task != Task::Regression || classes == 1)
            && held_out.outputs.len() == cells
            && targets == if task == Task::Multi { cells } else { count }
            && held_out.groups.len() == count
            && held_out.folds.len() == count;
        if !fits {
            return Err(format!(
                "the held-out rows do not fit together: {count} rows of {classes} classes with \
                 {} outputs, {targets} targets, {} groups and {} folds",
                held_out.outputs.len(),
                held_out.groups.len(),
                held_out.folds.len()
            ));
        }
        if let Targets::Single(truths) = &held_out.targets
            && let Some(truth) = truths.iter().find(|&&truth| truth as usize >= classes)
        {
            return Err(format!("a held-out row is of class {truth}, of {classes} from 0 on"));
        }
        let (outputs, broken) = finite(held_out, classes);
        let (groups, group_count) = dense(&held_out.groups);
        let (folds, fold_count) = dense(&held_out.folds);
        let (parts, part_count) = if fold_count > 1 {
            let part = |fold: u32| fold % MOST_PARTS;
            (folds.into_iter().map(part).collect(), fold_count.min(MOST_PARTS as usize))
        } else {
            parts_of(&groups, group_count)
        };
        Ok(Self { held_out, outputs, groups, group_count, fold_count, parts, part_count, broken })
    }

    pub(in crate::train) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(in crate::train) fn class_count(&self) -> usize {
        self.held_out.classes.len()
    }

    /// The outputs of a row, `[classes]`.
    pub(in crate::train) fn row(&self, row: usize) -> &[f32] {
        let classes = self.class_count();
        &self.outputs[row * classes..(row + 1) * classes]
    }

    /// What is known of `class` in `row`; of numbers nothing.
    pub(in crate::train) fn known(&self, row: usize, class: usize) -> Known {
        match &self.held_out.targets {
            Targets::Single(truths) if truths[row] as usize == class => Known::Yes,
            Targets::Single(_) => Known::No,
            Targets::Multi(known) => known[row * self.class_count() + class],
            Targets::Numbers(_) => Known::Unknown,
        }
    }
}

/// Outputs without NaN and infinities: a row with NaN says nothing (all its outputs are 0), and
/// infinities become the greatest numbers. Of numbers they stay, since there is nothing in their
/// stead; those rows are left out later.
fn finite(held_out: &HeldOut, classes: usize) -> (Cow<'_, [f32]>, usize) {
    let is_broken = |row: &&[f32]| row.iter().any(|value| !value.is_finite());
    let broken = held_out.outputs.chunks(classes).filter(is_broken).count();
    if broken == 0 || held_out.targets.task() == Task::Regression {
        return (Cow::Borrowed(&held_out.outputs), broken);
    }
    let mut outputs = held_out.outputs.clone();
    for row in outputs.chunks_mut(classes) {
        let says_nothing = row.iter().any(|value| value.is_nan());
        for value in row {
            *value = if says_nothing { 0.0 } else { value.clamp(f32::MIN, f32::MAX) };
        }
    }
    (Cow::Owned(outputs), broken)
}

/// The same numbers from 0 on without gaps, and how many different ones there are.
fn dense(numbers: &[u32]) -> (Vec<u32>, usize) {
    let mut places: BTreeMap<u32, u32> = numbers.iter().map(|&number| (number, 0)).collect();
    for (place, number) in (0..).zip(places.values_mut()) {
        *number = place;
    }
    let count = places.len();
    (numbers.iter().map(|number| places.get(number).copied().unwrap_or(0)).collect(), count)
}

/// Parts of about as many groups each.
fn parts_of(groups: &[u32], group_count: usize) -> (Vec<u32>, usize) {
    let mut order: Vec<usize> = (0..group_count).collect();
    let mut random = Random::new(0);
    for end in (2..=group_count).rev() {
        order.swap(end - 1, random.below(end));
    }
    let mut parts = vec![0; group_count];
    for (group, part) in order.into_iter().zip((0..PARTS).cycle()) {
        parts[group] = part;
    }
    (groups.iter().map(|&group| parts[group as usize]).collect(), group_count.min(PARTS as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_from_0_and_parts_keep_them_together() {
        assert_eq!(dense(&[7, 3, 7, 900]), (vec![1, 0, 1, 2], 3));
        let groups: Vec<u32> = (0..60).map(|row| row / 3).collect();
        let (parts, count) = parts_of(&groups, 20);
        assert_eq!(count, 5);
        for rows in parts.chunks(3) {
            assert!(rows.iter().all(|&part| part == rows[0]));
        }
        for part in 0..5 {
            assert_eq!(parts.iter().filter(|&&of| of == part).count(), 12);
        }
        assert_eq!(parts_of(&[0, 0], 1), (vec![0, 0], 1));
    }
}
