//! Vectors with classes into how well the one finds the other.
//!
//! In: unit vectors, and the classes and the group of each. Out: precision and average precision
//! by query. Exact: every query is compared with everything.

use std::cmp::Reverse;

use rayon::prelude::*;

use crate::index::metric::cosine;

/// Numbers of a query: precision among the first 1, 5 and 10, and average precision.
pub(super) const NUMBERS: usize = 4;
/// The first of which the precision is looked at.
const FIRST: [usize; 3] = [1, 5, 10];

/// What is compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    /// `[recordings, dimension]`, each of length one.
    pub(super) vectors: Vec<f32>,
    pub(super) dimension: usize,
    /// The classes of each recording, ascending.
    pub(super) classes: Vec<Vec<u32>>,
    /// The group of each.
    pub(super) groups: Vec<u32>,
}

/// What a query found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) group: u32,
    /// For recordings of any of its classes; `None` where there is no other one.
    pub(super) any: Option<[f64; NUMBERS]>,
    /// For recordings of each of its classes that another one has.
    pub(super) by_class: Vec<(u32, [f64; NUMBERS])>,
    /// The share of any of its classes among all that it was compared with.
    pub(super) chance: Option<f64>,
}

impl Compared {
    /// How many recordings there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// What each of `queries` finds among all others that are of another group than it.
    pub(super) fn find(&self, queries: &[usize]) -> Vec<Found> {
        queries.par_iter().map_init(Vec::new, |near, &query| self.find_one(query, near)).collect()
    }

    fn vector(&self, at: usize) -> &[f32] {
        &self.vectors[at * self.dimension..(at + 1) * self.dimension]
    }

    fn find_one(&self, query: usize, near: &mut Vec<(i32, u32)>) -> Found {
        let group = self.groups[query];
        let vector = self.vector(query);
        near.clear();
        // Groups hold the query itself.
        let others = (0..).zip(&self.groups).filter(|&(_, &other)| other != group);
        near.extend(
            others.map(|(at, _): (u32, _)| (ordered(cosine(vector, self.vector(at as usize))), at)),
        );
        near.sort_unstable_by_key(|&(cosine, at)| (Reverse(cosine), at));
        let own = &self.classes[query];
        let numbers_of = |is_right: &dyn Fn(&[u32]) -> bool| {
            numbers(near.iter().map(|&(_, at)| is_right(&self.classes[at as usize])))
        };
        let shares = |classes: &[u32]| classes.iter().any(|class| own.binary_search(class).is_ok());
        let any = numbers_of(&shares);
        let by_class = match own.as_slice() {
            [only] => any.map(|(numbers, _)| (*only, numbers)).into_iter().collect(),
            several => several
                .iter()
                .filter_map(|class| {
                    let found = numbers_of(&|classes| classes.binary_search(class).is_ok());
                    found.map(|(numbers, _)| (*class, numbers))
                })
                .collect(),
        };
        let count = near.len().max(1) as f64;
        Found {
            group,
            any: any.map(|(numbers, _)| numbers),
            by_class,
            chance: any.map(|(_, right)| right as f64 / count),
        }
    }
}

/// Whole numbers in the order of finite float32.
fn ordered(value: f32) -> i32 {
    let bits = value.to_bits().cast_signed();
    if bits < 0 { i32::MIN ^ !bits } else { bits }
}

/// The numbers of a query whose neighbours are right or not, nearest first, and how many are
/// right; `None` where none is.
fn numbers(right: impl Iterator<Item = bool>) -> Option<([f64; NUMBERS], u64)> {
    let mut found = 0_u64;
    let mut first = [0_u64; FIRST.len()];
    let mut sum = 0.0;
    for (rank, _) in right.enumerate().filter(|&(_, right)| right) {
        found += 1;
        for (count, k) in first.iter_mut().zip(FIRST) {
            *count += u64::from(rank < k);
        }
        sum += found as f64 / (rank + 1) as f64;
    }
    let [at_1, at_5, at_10] = [0, 1, 2].map(|k: usize| first[k] as f64 / FIRST[k] as f64);
    (found > 0).then(|| ([at_1, at_5, at_10, sum / found as f64], found))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unit vectors in a plane, by angle in degrees.
    fn compared(of: &[(f32, &[u32], u32)]) -> Compared {
        Compared {
            vectors: of
                .iter()
                .flat_map(|&(angle, ..)| [angle.to_radians().cos(), angle.to_radians().sin()])
                .collect(),
            dimension: 2,
            classes: of.iter().map(|(_, classes, _)| classes.to_vec()).collect(),
            groups: of.iter().map(|&(.., group)| group).collect(),
        }
    }

    #[test]
    fn neighbours_are_counted_from_the_nearest_on() {
        let compared =
            compared(&[(0.0, &[0], 0), (10.0, &[0], 1), (20.0, &[1], 2), (30.0, &[0, 1], 3)]);
        let found = compared.find(&[0, 3]);
        // Right, wrong, right: (1 + 2/3) / 2.
        assert_eq!(found[0].any, Some([1.0, 0.4, 0.2, f64::midpoint(1.0, 2.0 / 3.0)]));
        assert_eq!(found[0].chance, Some(2.0 / 3.0));
        // Everything shares one of its two classes; by class, 20° is right for 1 alone.
        assert_eq!(found[1].any.unwrap()[3].to_bits(), 1.0_f64.to_bits());
        assert_eq!(found[1].by_class[1], (1, [1.0, 0.2, 0.1, 1.0]));
        assert_eq!(found[1].by_class[0].1[0].to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_groups_own_recordings_are_no_answers() {
        let compared =
            compared(&[(0.0, &[0], 7), (1.0, &[0], 7), (20.0, &[1], 2), (30.0, &[0], 3)]);
        let found = &compared.find(&[0])[0];
        assert_eq!(found.any, Some([0.0, 0.2, 0.1, 0.5]));
        assert_eq!(compared.find(&[2])[0].any, None);
    }

    #[test]
    fn cosines_keep_their_order() {
        let values = [-1.0, -0.5, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-9, 1.0];
        assert!(values.is_sorted_by_key(|&value| ordered(value)));
        assert!(ordered(-0.5) < ordered(0.5));
    }
}
