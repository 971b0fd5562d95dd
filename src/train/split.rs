//! Rows into folds: what is held out together, and when.
//!
//! In: groups, which stay whole, and what is known of their rows. Out: the fold of each group.
//! Every class is spread over the folds as evenly as its groups allow. Refuses classes that cannot
//! be learnt from and held out at the same time, by saying so.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::task::{Known, Targets};

/// Which groups are held out when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    /// The fold of each group, by the group's number; `None`: never held out.
    pub of_group: Vec<Option<u32>>,
    /// How many folds there are.
    pub count: usize,
}

/// How rows are held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// Every row once, in one of so many folds.
    Folds(usize),
    /// This share of the groups, once.
    HoldOut(f64),
}

/// Splits groups into folds by `plan`; the same `seed` gives the same folds.
///
/// Groups are dealt out one after another, those with the rarest class first, each to the fold that
/// has the least of the group's classes by then (after Sechidis, Tsoumakas and Vlahavas, "On the
/// stratification of multi-label data", 2011, section 3: iterative stratification, here of groups).
pub fn split(targets: &Targets, classes: usize, groups: &[u32], plan: Plan, seed: u64) -> Folds {
    let group_count = groups.iter().max().map_or(0, |&last| last as usize + 1);
    let contents = contents(targets, classes, groups, group_count);
    let mut total: BTreeMap<usize, f64> = BTreeMap::new();
    for (class, rows) in contents.iter().flatten() {
        *total.entry(*class).or_default() += rows;
    }
    let shares = match plan {
        Plan::Folds(count) => vec![1.0 / count.max(1) as f64; count.max(1)],
        Plan::HoldOut(share) => vec![share, 1.0 - share],
    };
    let mut order: Vec<usize> = (0..group_count).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    // The rarest class decides, since it has the fewest places to go; large groups go first.
    let rarity = |group: &usize| {
        let rarest =
            contents[*group].iter().map(|(class, _)| total[class]).fold(f64::MAX, f64::min);
        let size: f64 = contents[*group].iter().map(|(_, rows)| rows).sum();
        (rarest, -size)
    };
    order.sort_by(|a, b| {
        let (a, b) = (rarity(a), rarity(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let mut held: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); shares.len()];
    let mut sizes = vec![0.0; shares.len()];
    let mut of_group = vec![None; group_count];
    for group in order {
        let fold = (0..shares.len())
            .min_by(|&a, &b| {
                let need = |fold: usize| -> (f64, f64) {
                    let full: f64 = contents[group]
                        .iter()
                        .map(|(class, rows)| {
                            let has = held[fold].get(class).copied().unwrap_or(0.0);
                            rows * has / (total[class] * shares[fold])
                        })
                        .sum();
                    (full, sizes[fold] / shares[fold])
                };
                let (a, b) = (need(a), need(b));
                a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
            })
            .unwrap_or(0);
        for (class, rows) in &contents[group] {
            *held[fold].entry(*class).or_default() += rows;
            sizes[fold] += rows;
        }
        of_group[group] = u32::try_from(fold).ok();
    }
    if matches!(plan, Plan::HoldOut(_)) {
        for fold in &mut of_group {
            *fold = fold.filter(|&fold| fold == 0);
        }
        return Folds { of_group, count: 1 };
    }
    Folds { of_group, count: shares.len() }
}

/// What each group has of each class: twice the class's number for its presence, plus one for its
/// absence; of numbers, one class a third of their range.
fn contents(
    targets: &Targets,
    classes: usize,
    groups: &[u32],
    group_count: usize,
) -> Vec<Vec<(usize, f64)>> {
    let mut found: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); group_count];
    match targets {
        Targets::Single(of_row) => {
            for (&group, &class) in groups.iter().zip(of_row) {
                *found[group as usize].entry(2 * class as usize).or_default() += 1.0;
            }
        }
        Targets::Multi(cells) => {
            for (&group, row) in groups.iter().zip(cells.chunks_exact(classes.max(1))) {
                for (class, known) in row.iter().enumerate() {
                    let kind = match known {
                        Known::Yes => 2 * class,
                        Known::No => 2 * class + 1,
                        Known::Unknown => continue,
                    };
                    *found[group as usize].entry(kind).or_default() += 1.0;
                }
            }
        }
        Targets::Numbers(numbers) => {
            let mut sorted = numbers.clone();
            sorted.sort_by(f32::total_cmp);
            let at = |third: usize| sorted[(sorted.len() * third / 3).min(sorted.len() - 1)];
            for (&group, &number) in groups.iter().zip(numbers) {
                let third = usize::from(number >= at(1)) + usize::from(number >= at(2));
                *found[group as usize].entry(third).or_default() += 1.0;
            }
        }
    }
    found.into_iter().map(|classes| classes.into_iter().collect()).collect()
}

impl Folds {
    /// The fold of each row, whose groups are `groups`.
    pub fn of_rows(&self, groups: &[u32]) -> Vec<Option<u32>> {
        groups.iter().map(|&group| self.of_group[group as usize]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stay_whole_and_classes_are_spread() {
        // 3 classes of 10, 20 and 5 groups of 2 rows each.
        let (mut targets, mut groups) = (Vec::new(), Vec::new());
        let mut next = 0;
        for (class, count) in [(0, 10), (1, 20), (2, 5)] {
            for _ in 0..count {
                targets.extend([class; 2]);
                groups.extend([next; 2]);
                next += 1;
            }
        }
        let targets_of = Targets::Single(targets.clone());
        let folds = split(&targets_of, 3, &groups, Plan::Folds(5), 1);
        assert_eq!(folds, split(&targets_of, 3, &groups, Plan::Folds(5), 1));
        assert_ne!(folds, split(&targets_of, 3, &groups, Plan::Folds(5), 2));
        let of_rows = folds.of_rows(&groups);
        for fold in 0..5 {
            for (class, rows) in [(0, 4), (1, 8), (2, 2)] {
                let held = of_rows.iter().zip(&targets);
                let held = held.filter(|(held, found)| **held == Some(fold) && **found == class);
                assert_eq!(held.count(), rows, "fold {fold}, class {class}");
            }
        }
        let held_out = split(&targets_of, 3, &groups, Plan::HoldOut(0.2), 1).of_rows(&groups);
        assert_eq!(held_out.iter().filter(|fold| fold.is_some()).count(), 14);
    }
}
