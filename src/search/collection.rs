//! The vectors of one model at one level, and the nearest of them.
//!
//! In: a library. Out: keys of stored vectors with their cosines to a query. Refuses queries
//! without a direction and of another dimension.

use std::collections::HashMap;

use crate::error::{Result, VectorProblem};
use crate::index::exact::ExactIndex;
use crate::index::scope::Scope;
use crate::index::{NeighbourIndex, refused};
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};

/// A stored vector that is near to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// What it stands for.
    pub key: VectorKey,
    /// Cosine of the angle to the query, in [−1, 1].
    pub cosine: f32,
}

/// The vectors of one model at one level. It borrows no library, so that threads can share it,
/// each with a library of its own.
#[derive(Debug)]
pub struct Collection {
    index: ExactIndex,
    recordings: HashMap<i64, i64>,
    without_direction: usize,
}

impl Collection {
    /// Opens the vectors of `model` at `level`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), or [`Error::Vector`](crate::Error::Vector) when
    /// stored bytes are damaged.
    pub fn open(library: &Library, model: &StoredModel, level: Level) -> Result<Self> {
        let dimension = model.identity.dimension;
        let mut index = ExactIndex::new(dimension);
        let mut recordings = HashMap::new();
        let mut without_direction = 0;
        library.for_each_searched(model.id, level, dimension, |key, vector| {
            recordings.insert(key.segment, key.recording);
            match index.add(key.segment, vector) {
                Ok(()) => Ok(()),
                // A network may answer silence with zeros: nothing can be near to it.
                Err(VectorProblem::Zero) => {
                    without_direction += 1;
                    Ok(())
                }
                Err(problem) => refused(Err(problem), || format!("stored vector {}", key.segment)),
            }
        })?;
        Ok(Self { index, recordings, without_direction })
    }

    /// The `count` stored vectors nearest to `vector` within `scope`, nearest first; fewer only
    /// when there are fewer. Their cosines are exact.
    ///
    /// # Errors
    /// [`Error::Vector`](crate::Error::Vector) when the query has no direction or another
    /// dimension, [`Error::Store`](crate::Error::Store).
    pub fn nearest(
        &self,
        _library: &Library,
        vector: &[f32],
        count: usize,
        scope: &Scope,
    ) -> Result<Vec<Match>> {
        let recording = |segment: i64| self.recordings.get(&segment).copied().unwrap_or(-1);
        let keep = |id: i64| scope.contains(VectorKey { segment: id, recording: recording(id) });
        let found = refused(self.index.search(vector, count, &keep), || "the query".to_owned())?;
        Ok(found
            .into_iter()
            .map(|found| Match {
                key: VectorKey { segment: found.id, recording: recording(found.id) },
                cosine: found.cosine,
            })
            .collect())
    }

    /// How many vectors can be found.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Vectors that were left out because all their values are zero.
    pub fn without_direction(&self) -> usize {
        self.without_direction
    }
}
