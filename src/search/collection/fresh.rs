//! Vectors that no generation has: read from the library into memory.
//!
//! In: a library, and the last segment that a generation has. Out: rows with their keys. Refuses
//! stored bytes that are no vector.

use std::ops::ControlFlow;

use crate::error::{Result, VectorProblem};
use crate::index::codes::{MAX_DIMENSION, OwnedRows};
use crate::index::metric::normalise;
use crate::index::refused;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};

/// Vectors in memory.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) rows: OwnedRows,
    pub(crate) keys: Vec<VectorKey>,
    /// Vectors that were left out because all their values are zero.
    pub(crate) without_direction: usize,
}

impl Fresh {
    /// Reads the vectors behind segment `after`, as long as `goes_on` says so.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), or [`Error::Vector`](crate::Error::Vector) when
    /// stored bytes are damaged or there are more than rows can hold.
    pub(crate) fn read(
        library: &Library,
        model: &StoredModel,
        level: Level,
        after: i64,
    ) -> Result<Self> {
        Self::read_while(library, model, level, after, |_| true)
    }

    /// As [`read`](Self::read), while `goes_on`, told how many were read, says so; what comes
    /// after that is missing.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub(crate) fn read_while(
        library: &Library,
        model: &StoredModel,
        level: Level,
        after: i64,
        mut goes_on: impl FnMut(usize) -> bool,
    ) -> Result<Self> {
        let dimension = model.identity.dimension;
        if dimension > MAX_DIMENSION {
            let what = || format!("vectors of {}", model.identity.name);
            refused(Err(VectorProblem::TooMany), what)?;
        }
        let (mut rows, mut keys) = (OwnedRows::new(dimension), Vec::new());
        let mut without_direction = 0;
        let mut unit = Vec::with_capacity(dimension);
        library.for_each_searched_after(after, model.id, level, dimension, |key, vector| {
            if !goes_on(keys.len()) {
                return Ok(ControlFlow::Break(()));
            }
            unit.clear();
            unit.extend_from_slice(vector);
            match normalise(&mut unit, dimension) {
                Ok(()) => {
                    if rows.push(&unit) {
                        keys.push(key);
                        return Ok(ControlFlow::Continue(()));
                    }
                    let problem = VectorProblem::TooMany;
                    refused(Err(problem), || format!("stored vector {}", key.segment))?;
                }
                // A network may answer silence with zeros: nothing can be near to it.
                Err(VectorProblem::Zero) => without_direction += 1,
                Err(problem) => refused(Err(problem), || format!("stored vector {}", key.segment))?,
            }
            Ok(ControlFlow::Continue(()))
        })?;
        rows.choose_form();
        Ok(Self { rows, keys, without_direction })
    }
}
