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

/// Shares that differ by less are the same, written differently.
const SAME_SHARE: f64 = 1e-9;

/// What searches find of the ten nearest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecallMeasured {
    /// The share.
    pub recall: f64,
    /// Where it lies with a probability of 95 %.
    pub low: f64,
    /// The interval's other end.
    pub high: f64,
    /// What was searched for.
    pub queries: u64,
}

/// What searches find of two kinds of questions. Vectors that are stored are part of the graph, and
/// easy to come near to; files, stretches and means of several examples are not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecallChecked {
    /// Of stored vectors, searched for among the others.
    pub stored: RecallMeasured,
    /// Of what lies halfway between a stored vector and one of its ten nearest, searched for among
    /// the others.
    pub between: RecallMeasured,
}

impl RecallChecked {
    /// The lower one: what is said where there is room for one number.
    pub fn lower(&self) -> RecallMeasured {
        if self.between.recall < self.stored.recall { self.between } else { self.stored }
    }
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
    /// What its graph finds, where it has one, as measured when it was built.
    pub recall: Option<RecallChecked>,
    /// The share of the ten nearest that its searches are to find, as was asked for last; nothing
    /// where there is no file that says so.
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
                        wanted: Generation::wish(library, model, level),
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
                wanted: Some(generation.wanted()),
                problem: None,
                is_missing: false,
            })
        })
    }

    /// Whether it was made for finding the share `recall` of the ten nearest. Also where all are
    /// compared: because no graph could be made to find another share, perhaps, or because there
    /// are few vectors so far, and what is built of more is to know what was asked for.
    pub fn is_tuned_for(&self, recall: f64) -> bool {
        self.wanted.is_some_and(|wanted| (wanted - recall).abs() < SAME_SHARE)
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
