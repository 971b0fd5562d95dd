//! How far a generation is behind its library.
//!
//! In: a library. Out: counts, without reading a vector; whether a new generation is due.

use serde::{Deserialize, Serialize};

use super::Generation;
use crate::error::Result;
use crate::index::file::Unusable;
use crate::search::collection::passing::merged;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::Level;

/// Vectors up to which a new generation takes milliseconds, so that there is one after every
/// change.
const SMALL: u64 = 2_000;
/// The share of rows that may have changed: with more, what is not in the generation costs more
/// than what is.
const SHARE: u64 = 5;
/// Changes after which a generation is due though they are a smaller share: reading so many from
/// the library takes a tenth of a second. Of large libraries a twentieth may change, because
/// building takes minutes there.
const MANY: u64 = 20_000;
const SHARE_OF_LARGE: u64 = 20;

/// What a graph finds of the ten nearest, as measured when it was built.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecallMeasured {
    /// The share.
    pub recall: f64,
    /// Where it lies with a probability of 95 %, by Wilson's score interval.
    pub low: f64,
    /// The interval's other end.
    pub high: f64,
    /// Stored vectors that were searched for among the others.
    pub queries: u64,
}

/// A generation beside what the library holds now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheState {
    /// Vectors in the file.
    pub rows: u64,
    /// Vectors of the library that are not.
    pub delta: u64,
    /// Vectors in the file that the library has no more.
    pub dead: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// What its graph finds, where it has one.
    pub recall: Option<RecallMeasured>,
    /// The share of the ten nearest that its graph was tuned to find.
    pub wanted: Option<f64>,
    /// Why it is of no use, if so.
    pub problem: Option<String>,
    /// Whether there is no file, which is no fault.
    pub is_missing: bool,
}

impl CacheState {
    /// Looks at the generation of `model` at `level`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn of(library: &Library, model: &StoredModel, level: Level) -> Result<Self> {
        library.at_one_moment(|| {
            let generation = match Generation::open(library, model, level)? {
                Ok(generation) => generation,
                Err(problem) => {
                    return Ok(Self {
                        delta: library.count_searched_after(0, model.id, level)?,
                        problem: Some(problem.to_string()),
                        is_missing: matches!(problem, Unusable::Missing),
                        ..Self::default()
                    });
                }
            };
            let dead = merged(library.removed_since(model.id, generation.mark().serial)?);
            let after = generation.last_segment();
            Ok(Self {
                rows: generation.len() as u64,
                delta: library.count_searched_after(after, model.id, level)?,
                dead: generation.dead_rows(&dead) as u64,
                file_bytes: generation.file().file_bytes(),
                recall: generation.about_graph().map(|graph| graph.recall),
                wanted: generation.about_graph().map(|graph| graph.wanted),
                problem: None,
                is_missing: false,
            })
        })
    }

    /// Whether searches find the share `recall` of the ten nearest, or were tuned to.
    pub fn is_tuned_for(&self, recall: f64) -> bool {
        self.wanted.is_none_or(|wanted| (wanted - recall).abs() < 1e-9)
    }

    /// Whether every byte of the generation of `model` at `level` is as it was written: reads all
    /// of the file.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn is_whole(library: &Library, model: &StoredModel, level: Level) -> Result<bool> {
        let generation = Generation::open(library, model, level)?;
        Ok(generation.is_ok_and(|generation| generation.file().check_rows()))
    }

    /// Whether the library has not changed since.
    pub fn is_current(&self) -> bool {
        self.problem.is_none() && self.delta == 0 && self.dead == 0
    }
}

/// Whether searches are better off with a new generation.
pub fn is_due(state: &CacheState) -> bool {
    if state.problem.is_some() {
        return state.delta > 0;
    }
    let changed = state.delta + state.dead;
    let live = state.rows + state.delta;
    changed > 0
        && (live <= SMALL || changed * SHARE > live || changed > MANY.max(live / SHARE_OF_LARGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_due_when_enough_has_changed() {
        let state = |rows, delta, dead| CacheState { rows, delta, dead, ..CacheState::default() };
        assert!(!is_due(&state(100, 0, 0)));
        assert!(is_due(&state(100, 1, 0)) && is_due(&state(100, 0, 1)), "small");
        assert!(!is_due(&state(10_000, 1_000, 1_000)));
        assert!(is_due(&state(10_000, 1_500, 1_000)), "more than a fifth");
        assert!(!is_due(&state(150_000, 15_000, 5_000)) && is_due(&state(150_000, 15_001, 5_000)));
        assert!(!is_due(&state(1_000_000, 50_000, 0)) && is_due(&state(1_000_000, 60_000, 0)));
        let missing = CacheState { problem: Some(String::new()), ..state(0, 1, 0) };
        assert!(is_due(&missing));
        assert!(!is_due(&CacheState { delta: 0, ..missing }), "there is nothing to build");
    }
}
