//! Every vector compared with the query: slow where there are millions, never wrong.
//!
//! In: vectors with ids. Out: their exact neighbours, the oracle of every other index.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::metric::{cosine, normalise};
use super::{Keep, Neighbour, NeighbourIndex};
use crate::error::VectorProblem;

/// Vectors compared by one task: 4 MiB at 1024 dimensions.
const VECTORS_PER_TASK: usize = 1_024;

/// Unit vectors in memory, `[len, dimension]`.
#[derive(Clone, Debug)]
pub struct ExactIndex {
    dimension: usize,
    ids: Vec<i64>,
    vectors: Vec<f32>,
}

impl ExactIndex {
    /// An index of no vectors of `dimension` values yet.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, ids: Vec::new(), vectors: Vec::new() }
    }

    /// Adds a vector.
    ///
    /// # Errors
    /// A [`VectorProblem`] when it has no direction or another dimension; it is left out then.
    pub fn add(&mut self, id: i64, vector: &[f32]) -> Result<(), VectorProblem> {
        let start = self.vectors.len();
        self.vectors.extend_from_slice(vector);
        if let Err(problem) = normalise(&mut self.vectors[start..], self.dimension) {
            self.vectors.truncate(start);
            return Err(problem);
        }
        self.ids.push(id);
        Ok(())
    }

    /// The unit vectors with their ids, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &[f32])> {
        self.ids.iter().copied().zip(self.vectors.chunks_exact(self.dimension.max(1)))
    }
}

impl NeighbourIndex for ExactIndex {
    fn search(
        &self,
        query: &[f32],
        k: usize,
        keep: &Keep<'_>,
    ) -> Result<Vec<Neighbour>, VectorProblem> {
        let mut query = query.to_vec();
        normalise(&mut query, self.dimension)?;
        let nearest = self
            .vectors
            .par_chunks(VECTORS_PER_TASK * self.dimension)
            .zip(self.ids.par_chunks(VECTORS_PER_TASK))
            .map(|(vectors, ids)| {
                let mut nearest = Nearest::new(k);
                for (&id, vector) in ids.iter().zip(vectors.chunks_exact(self.dimension)) {
                    if keep(id) {
                        nearest.offer(Neighbour { id, cosine: cosine(&query, vector) });
                    }
                }
                nearest
            })
            .reduce(|| Nearest::new(k), Nearest::merge);
        Ok(nearest.into_sorted())
    }

    fn len(&self) -> usize {
        self.ids.len()
    }
}

/// The nearest of those that were offered, at most `k`.
struct Nearest {
    k: usize,
    /// The farthest on top.
    heap: BinaryHeap<Farther>,
}

impl Nearest {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new() }
    }

    fn offer(&mut self, neighbour: Neighbour) {
        let candidate = Farther(neighbour);
        if self.heap.len() < self.k {
            self.heap.push(candidate);
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && candidate < *farthest
        {
            *farthest = candidate;
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for Farther(neighbour) in other.heap {
            self.offer(neighbour);
        }
        self
    }

    fn into_sorted(self) -> Vec<Neighbour> {
        self.heap.into_sorted_vec().into_iter().map(|Farther(neighbour)| neighbour).collect()
    }
}

/// Orders neighbours by distance, and equally far ones by id.
struct Farther(Neighbour);

impl Ord for Farther {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.cosine.total_cmp(&self.0.cosine).then(self.0.id.cmp(&other.0.id))
    }
}

impl PartialOrd for Farther {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Farther {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Farther {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(neighbours: &[Neighbour]) -> Vec<i64> {
        neighbours.iter().map(|neighbour| neighbour.id).collect()
    }

    #[test]
    fn nearest_come_first_and_length_does_not_matter() {
        let mut index = ExactIndex::new(2);
        index.add(1, &[0.0, 5.0]).unwrap();
        index.add(2, &[1.0, 1.0]).unwrap();
        index.add(3, &[0.01, 0.0]).unwrap();
        index.add(4, &[-1.0, 0.0]).unwrap();
        let found = index.search(&[2.0, 0.1], 3, &|_| true).unwrap();
        assert_eq!(ids(&found), [3, 2, 1]);
        assert!((found[0].cosine - 0.998_752).abs() < 1e-5);
        assert_eq!(ids(&index.search(&[2.0, 0.1], 9, &|id| id != 3).unwrap()), [2, 1, 4]);
    }

    #[test]
    fn what_is_refused_is_left_out() {
        let mut index = ExactIndex::new(2);
        assert_eq!(index.add(1, &[0.0, 0.0]), Err(VectorProblem::Zero));
        assert!(index.add(2, &[1.0]).is_err());
        index.add(3, &[1.0, 0.0]).unwrap();
        assert_eq!(index.len(), 1);
        assert_eq!(ids(&index.search(&[1.0, 0.0], 5, &|_| true).unwrap()), [3]);
        assert!(index.search(&[0.0, 0.0], 5, &|_| true).is_err());
    }

    proptest! {
        #[test]
        fn the_same_as_sorting_everything(
            vectors in prop::collection::vec(prop::array::uniform3(-1.0_f32..1.0), 0..3000),
            query in prop::array::uniform3(0.1_f32..1.0),
            k in 0_usize..20,
        ) {
            let mut index = ExactIndex::new(3);
            let mut all = Vec::new();
            for (id, vector) in (0..).zip(&vectors) {
                if index.add(id, vector).is_ok() {
                    let mut unit = vector.to_vec();
                    normalise(&mut unit, 3).unwrap();
                    let mut target = query.to_vec();
                    normalise(&mut target, 3).unwrap();
                    all.push(Farther(Neighbour { id, cosine: cosine(&target, &unit) }));
                }
            }
            all.sort();
            let expected: Vec<i64> = all.iter().take(k).map(|Farther(n)| n.id).collect();
            prop_assert_eq!(ids(&index.search(&query, k, &|_| true).unwrap()), expected);
        }
    }
}
