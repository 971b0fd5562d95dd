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
///
/// Of a share, as many groups are held out as it comes to, but at least one: where classes have too
/// few groups for each to give its part, only some of them do. One is left of each class where
/// another can go.
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
    let is_part = matches!(plan, Plan::HoldOut(_));
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
    for &group in &order {
        let fold = (0..shares.len())
            .min_by(|&a, &b| {
                let need = |fold: usize| -> (f64, f64) {
                    let full: f64 = contents[group]
                        .iter()
                        .map(|(class, rows)| {
                            let has = held[fold].get(class).copied().unwrap_or(0.0);
                            // Shares differ where a part is held out: the group itself counts by
                            // half, which rounds to the nearest (as Webster's method does seats).
                            let own = if is_part { rows / 2.0 } else { 0.0 };
                            rows * (has + own) / (total[class] * shares[fold])
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
    if let Plan::HoldOut(share) = plan {
        let mut is_held: Vec<bool> = of_group.iter().map(|fold| *fold == Some(0)).collect();
        adjust(&mut is_held, &contents, &order, share);
        let of_group = is_held.into_iter().map(|is_held| is_held.then_some(0)).collect();
        return Folds { of_group, count: 1 };
    }
    Folds { of_group, count: shares.len() }
}

/// Holds out as many groups as `share` comes to: those whose classes lack the most, or have the most
/// to spare, change sides one after another; of equal ones the first in `order`.
fn adjust(is_held: &mut [bool], contents: &[Vec<(usize, f64)>], order: &[usize], share: f64) {
    let wanted = wanted_groups(is_held.len(), share);
    // Of each class the groups, and how many of these are held out.
    let mut groups: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (group, classes) in contents.iter().enumerate() {
        for (class, _) in classes {
            let (all, held) = groups.entry(*class).or_default();
            *all += 1.0;
            *held += if is_held[group] { 1.0 } else { 0.0 };
        }
    }
    for group in order {
        // A class that nobody would learn gets one of its groups back.
        let classes = || contents[*group].iter().map(|(class, _)| *class);
        if is_held[*group] && classes().any(|class| groups[&class].0 <= groups[&class].1) {
            is_held[*group] = false;
            for class in classes() {
                groups.entry(class).or_default().1 -= 1.0;
            }
        }
    }
    loop {
        let held = is_held.iter().filter(|is_held| **is_held).count();
        if held == wanted {
            return;
        }
        let adds = held < wanted;
        let worth = |group: usize| -> (bool, f64) {
            let of = |(class, _): &(usize, f64)| groups[class];
            let classes = || contents[group].iter().map(of);
            let leaves_none = adds && classes().any(|(all, held)| all - held <= 1.0);
            let lack: f64 = classes().map(|(all, held)| share - held / all).sum();
            (!leaves_none, if adds { lack } else { -lack })
        };
        let best =
            order.iter().copied().filter(|&group| is_held[group] != adds).rev().max_by(|&a, &b| {
                let (a, b) = (worth(a), worth(b));
                a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
            });
        let Some(best) = best else { return };
        is_held[best] = adds;
        for (class, _) in &contents[best] {
            if let Some((_, held)) = groups.get_mut(class) {
                *held += if adds { 1.0 } else { -1.0 };
            }
        }
    }
}

/// How many of `groups` a share comes to: at least one is held out, and one is left.
pub(super) fn wanted_groups(groups: usize, share: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, and casts saturate"
    )]
    let wanted = (share * groups as f64).round() as usize;
    wanted.clamp(1, groups.saturating_sub(1).max(1))
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

    #[test]
    fn as_much_is_held_out_as_was_asked_for() {
        // 10 classes of 40 groups, as ESC-10 has them, and one of a single group.
        let targets: Vec<u32> = (0..401).map(|row| row / 40).collect();
        let groups: Vec<u32> = (0..401).collect();
        let targets = Targets::Single(targets);
        for (share, expected) in [(0.01, 4), (0.001, 1), (0.1, 40), (0.5, 201), (0.9, 361)] {
            let folds = split(&targets, 11, &groups, Plan::HoldOut(share), 3);
            let held = |group: &usize| folds.of_group[*group].is_some();
            assert_eq!((0..401).filter(held).count(), expected, "{share}");
            // Every class is learnt; the last has nothing to spare.
            for class in 0..11 {
                let left = (class * 40..401.min(class * 40 + 40)).filter(|group| !held(group));
                assert!(left.count() > 0, "{share}, class {class}");
            }
        }
        assert_eq!(wanted_groups(5, 0.01), 1);
        assert_eq!(wanted_groups(2, 0.99), 1);
    }
}
