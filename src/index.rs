//! Vectors into neighbours.
//!
//! In: vectors with ids. Out: the nearest to a query by cosine. Refuses vectors that have no
//! direction. [`exact`] is what every other index is judged by; [`graph`] trades a little
//! recall for speed.

pub mod codes;
pub mod exact;
pub(crate) mod file;
pub mod graph;
pub mod hnsw;
mod kernel;
mod mapped;
pub mod metric;
pub mod quantise;
pub mod scan;
pub mod scope;

use crate::error::{Result, VectorProblem};

/// A vector's id and how near it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The id that the vector was added with.
    pub id: i64,
    /// Cosine of the angle to the query, in [−1, 1].
    pub cosine: f32,
}

/// Whether a vector may be among the results, by its id.
pub type Keep<'a> = dyn Fn(i64) -> bool + Sync + 'a;

/// Something that finds the vectors nearest to a query.
pub trait NeighbourIndex {
    /// The `k` vectors nearest to `query` that `keep` lets pass, nearest first; equally near ones
    /// by id. Fewer when there are fewer.
    ///
    /// # Errors
    /// A [`VectorProblem`] when the query has no direction or another dimension.
    fn search(
        &self,
        query: &[f32],
        k: usize,
        keep: &Keep<'_>,
    ) -> std::result::Result<Vec<Neighbour>, VectorProblem>;

    /// How many vectors there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Turns a vector's problem into an error that says which vector.
pub(crate) fn refused<T>(
    result: std::result::Result<T, VectorProblem>,
    what: impl FnOnce() -> String,
) -> Result<T> {
    result.map_err(|problem| crate::Error::Vector { what: what(), problem })
}
