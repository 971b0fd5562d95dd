//! A hierarchical navigable small world graph in memory, by `hnsw_rs`.
//!
//! In: the unit vectors of an exact index. Out: neighbours, most of them right. The only file
//! that imports `hnsw_rs`. Nothing of it is written to disk: its dumps load damaged without a word.
//!
//! Source: Y. Malkov and D. Yashunin, "Efficient and robust approximate nearest neighbor search
//! using hierarchical navigable small world graphs", arXiv:1603.09320.

use std::fmt;

use hnsw_rs::prelude::{Distance, Hnsw};

use super::exact::ExactIndex;
use super::metric::{cosine, normalise};
use super::{Keep, Neighbour, NeighbourIndex};
use crate::error::VectorProblem;

/// Neighbours of a point on each layer but the lowest, which has twice as many (M of the paper).
const NEIGHBOURS: usize = 16;
/// Candidates that are kept while a point is inserted (`efConstruction` of the paper).
const BUILD_WIDTH: usize = 200;
/// Layers at most; `hnsw_rs` has room for 16.
const LAYERS: usize = 16;

/// One minus the cosine of unit vectors. `hnsw_rs`'s own cosine takes a zero vector for a match of
/// everything and its own dot product panics on rounding; vectors here have been checked.
#[derive(Clone, Copy, Debug, Default)]
struct CosineDistance;

impl Distance<f32> for CosineDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        1.0 - cosine(a, b)
    }
}

/// A graph over unit vectors.
pub struct HnswIndex {
    graph: Hnsw<'static, f32, CosineDistance>,
    ids: Vec<i64>,
    dimension: usize,
    width: usize,
}

impl fmt::Debug for HnswIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HnswIndex")
            .field("len", &self.ids.len())
            .field("dimension", &self.dimension)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

impl HnswIndex {
    /// Builds the graph over the vectors of `exact`; searches keep `width` candidates
    /// (`efSearch` of the paper): more for more recall.
    pub fn build(exact: &ExactIndex, dimension: usize, width: usize) -> Self {
        let graph = Hnsw::new(NEIGHBOURS, exact.len().max(1), LAYERS, BUILD_WIDTH, CosineDistance);
        let (ids, vectors): (Vec<i64>, Vec<&[f32]>) = exact.iter().unzip();
        let numbered: Vec<(&[f32], usize)> =
            vectors.into_iter().enumerate().map(|(number, vector)| (vector, number)).collect();
        graph.parallel_insert_slice(&numbered);
        Self { graph, ids, dimension, width }
    }
}

impl NeighbourIndex for HnswIndex {
    fn search(
        &self,
        query: &[f32],
        k: usize,
        keep: &Keep<'_>,
    ) -> Result<Vec<Neighbour>, VectorProblem> {
        let mut query = query.to_vec();
        normalise(&mut query, self.dimension)?;
        if k == 0 || self.ids.is_empty() {
            return Ok(Vec::new());
        }
        // hnsw_rs's own filtered search walks the whole graph when little is filtered; asking for
        // more and filtering afterwards does not.
        let mut wanted = k;
        loop {
            let found = self.graph.search(&query, wanted, self.width.max(wanted));
            let exhausted = found.len() < wanted || wanted >= self.ids.len();
            let mut kept: Vec<Neighbour> = found
                .iter()
                .map(|found| Neighbour { id: self.ids[found.d_id], cosine: 1.0 - found.distance })
                .filter(|neighbour| keep(neighbour.id))
                .collect();
            if kept.len() >= k || exhausted {
                kept.truncate(k);
                return Ok(kept);
            }
            wanted = (2 * wanted).min(self.ids.len());
        }
    }

    fn len(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors like an embedding's: clusters, many zeros, nothing negative.
    fn vectors(count: usize, dimension: usize) -> ExactIndex {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1_u64 << 24) as f32
        };
        let centres: Vec<f32> = (0..50 * dimension).map(|_| (random() - 0.6).max(0.0)).collect();
        let mut index = ExactIndex::new(dimension);
        for (id, cluster) in (0..).zip((0..50).cycle().take(count)) {
            let centre = &centres[cluster * dimension..][..dimension];
            let vector: Vec<f32> =
                centre.iter().map(|&x| (x + 0.4 * (random() - 0.6)).max(0.0)).collect();
            index.add(id, &vector).unwrap();
        }
        index
    }

    #[test]
    fn recall_against_the_oracle() {
        const DIMENSION: usize = 64;
        let exact = vectors(5_000, DIMENSION);
        let graph = HnswIndex::build(&exact, DIMENSION, 64);
        assert_eq!(graph.len(), 5_000);
        let (mut right, mut all) = (0.0, 0.0);
        for (id, query) in exact.iter().step_by(25) {
            let truth = exact.search(query, 10, &|other| other != id).unwrap();
            let found = graph.search(query, 10, &|other| other != id).unwrap();
            assert_eq!(found.len(), 10);
            assert!(found.iter().all(|neighbour| neighbour.id != id));
            right += found.iter().filter(|f| truth.iter().any(|t| t.id == f.id)).count() as f64;
            all += truth.len() as f64;
        }
        let recall = right / all;
        // Parallel insertion varies a little; runs gave 0.99 and more.
        assert!(recall > 0.97, "recall@10 is {recall}");
    }

    #[test]
    fn a_narrow_filter_still_finds_what_there_is() {
        let exact = vectors(500, 16);
        let graph = HnswIndex::build(&exact, 16, 32);
        let (_, query) = exact.iter().next().unwrap();
        let found = graph.search(query, 5, &|id| id % 100 == 7).unwrap();
        assert!(found.iter().all(|neighbour| neighbour.id % 100 == 7));
        assert!(found.len() >= 4, "of five that pass, {} were found", found.len());
    }
}
