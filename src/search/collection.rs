//! The vectors of one model at one level, and the nearest of them.
//!
//! In: a library. Out: keys of stored vectors with their cosines to a query. Refuses queries
//! without a direction and of another dimension.
//!
//! What is searched is a generation of the cache, without what was removed since, and what came
//! since, read from the library. Whoever is found there is compared with the query once more by
//! the vector that the library holds: the cosines are exact, and the cache is never believed in
//! anything but where to look. Where there is no generation of use, all vectors are read.

mod approach;
pub(crate) mod fresh;
pub(crate) mod passing;
mod warning;

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use super::generation::Generation;
use crate::error::Result;
use crate::index::codes::Damaged;
use crate::index::file::Unusable;
use crate::index::graph::{GaveUp, Pool, most_rows, scanning_is_cheaper};
use crate::index::metric::normalise;
use crate::index::quantise::PreparedQuery;
use crate::index::refused;
use crate::index::scan::{Candidate, refine, scan, scan_some};
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};

use fresh::Fresh;
use passing::{Passing, merged};
pub use warning::CacheWarning;

/// Vectors in all below which a missing generation is nothing to speak of: reading them takes less
/// than starting the program.
const UNNOTICED: usize = 5_000;

/// A stored vector that is near to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// What it stands for.
    pub key: VectorKey,
    /// Cosine of the angle to the query, in [−1, 1].
    pub cosine: f32,
}

/// How to search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectionOptions {
    /// Compare every vector, so that none is missed; a graph misses about one in a hundred.
    pub exact: bool,
}

/// The vectors of one model at one level. It borrows no library, so that threads can share it,
/// each with a library of its own.
#[derive(Debug)]
pub struct Collection {
    model: StoredModel,
    level: Level,
    options: CollectionOptions,
    generation: Option<Generation>,
    /// Segments that were removed since the generation was made.
    dead: Vec<RangeInclusive<i64>>,
    /// How many of the generation's rows are not there any more.
    dead_rows: usize,
    /// What came since; everything, where there is no generation.
    fresh: Fresh,
    /// Everything, once the generation turned out to be damaged.
    instead: OnceLock<Fresh>,
    /// Held by whoever reads that.
    reading: Mutex<()>,
    warning: RwLock<Option<CacheWarning>>,
    /// What walks of the graph write on.
    pool: Pool,
}

/// A candidate with what it stands for.
#[derive(Clone, Copy, Debug)]
struct Keyed {
    key: VectorKey,
    upper: f32,
    lower: f32,
}

impl Collection {
    /// Opens the vectors of `model` at `level`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), or [`Error::Vector`](crate::Error::Vector) when
    /// stored bytes are damaged.
    pub fn open(library: &Library, model: &StoredModel, level: Level) -> Result<Self> {
        Self::open_with(library, model, level, CollectionOptions::default())
    }

    /// As [`open`](Self::open), to search in the way that `options` say.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        library: &Library,
        model: &StoredModel,
        level: Level,
        options: CollectionOptions,
    ) -> Result<Self> {
        library.at_one_moment(|| {
            let (generation, problem) = match Generation::open(library, model, level)? {
                Ok(generation) => (Some(generation), None),
                Err(problem) => (None, Some(problem)),
            };
            let after = generation.as_ref().map_or(0, Generation::last_segment);
            let fresh = Fresh::read(library, model, level, after)?;
            let dead = match &generation {
                Some(generation) => {
                    merged(library.removed_since(model.id, generation.mark().serial)?)
                }
                None => Vec::new(),
            };
            let dead_rows = generation.as_ref().map_or(0, |generation| generation.dead_rows(&dead));
            let all = fresh.keys.len();
            let warning = problem
                .filter(|problem| !matches!(problem, Unusable::Missing) || all >= UNNOTICED)
                .map(|problem| CacheWarning::new(model, level, &problem, all));
            Ok(Self {
                model: model.clone(),
                level,
                options,
                generation,
                dead,
                dead_rows,
                fresh,
                instead: OnceLock::new(),
                reading: Mutex::new(()),
                warning: RwLock::new(warning),
                pool: Pool::default(),
            })
        })
    }

    /// The `count` stored vectors nearest to `vector` within `scope`, nearest first, equally near
    /// ones by their keys; fewer only when there are fewer. Their cosines are exact.
    ///
    /// # Errors
    /// [`Error::Vector`](crate::Error::Vector) when the query has no direction or another
    /// dimension, [`Error::Store`](crate::Error::Store).
    pub fn nearest(
        &self,
        library: &Library,
        vector: &[f32],
        count: usize,
        scope: &Scope,
    ) -> Result<Vec<Match>> {
        let mut query = vector.to_vec();
        refused(normalise(&mut query, self.model.identity.dimension), || "the query".to_owned())?;
        let mut gone = HashSet::new();
        loop {
            let mut approach = self.approach(library, &query, count, scope, &gone)?;
            let mut matches = Vec::new();
            while matches.len() < count
                && let Some(found) = self.next_match(library, &mut approach, |_| true)?
            {
                matches.push(found);
            }
            // Where another process removed some meanwhile, those behind them move up.
            if matches.len() == count || approach.gone.is_empty() {
                return Ok(matches);
            }
            gone.extend(approach.gone);
        }
    }

    /// Those that may be the nearest.
    fn candidates(
        &self,
        library: &Library,
        query: &[f32],
        count: usize,
        scope: &Scope,
        gone: &HashSet<VectorKey>,
    ) -> Result<Vec<Keyed>> {
        if let (None, Some(generation)) = (self.instead.get(), &self.generation) {
            let passing = Passing::new(scope, &self.dead, gone);
            if let Ok(mut found) = self.in_generation(generation, query, count, &passing) {
                found.extend(in_memory(&self.fresh, query, count, &Passing::new(scope, &[], gone)));
                return Ok(found);
            }
            // Damaged: from now on without it. One thread reads, for all.
            let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            if self.instead.get().is_none() {
                let all = Fresh::read(library, &self.model, self.level, 0)?;
                let problem = Unusable::Damaged("a checksum of its rows is wrong");
                let warning = CacheWarning::new(&self.model, self.level, &problem, all.keys.len());
                *self.warning.write().unwrap_or_else(PoisonError::into_inner) = Some(warning);
                // Nobody else sets it while we have the lock.
                let _ = self.instead.set(all);
            }
        }
        let all = self.instead.get().unwrap_or(&self.fresh);
        Ok(in_memory(all, query, count, &Passing::new(scope, &[], gone)))
    }

    fn in_generation(
        &self,
        generation: &Generation,
        query: &[f32],
        count: usize,
        passing: &Passing<'_>,
    ) -> std::result::Result<Vec<Keyed>, Damaged> {
        let rows = generation.rows();
        let prepared = PreparedQuery::new(query, rows.layout());
        if let Some(found) = self.by_graph(generation, &prepared, count, passing)? {
            return Ok(keyed(&found, |position| generation.key(position)));
        }
        let keep = |position: usize| passing.contains(generation.key(position));
        let found = if passing.is_filtered() {
            let some = generation.positions(passing);
            scan_some(rows, &prepared, count, &some)?
        } else {
            scan(rows, &prepared, count, &keep)?
        };
        Ok(keyed(&found, |position| generation.key(position)))
    }

    /// By the generation's graph; nothing, where a scan is cheaper or was asked for.
    fn by_graph(
        &self,
        generation: &Generation,
        query: &PreparedQuery,
        count: usize,
        passing: &Passing<'_>,
    ) -> std::result::Result<Option<Vec<Candidate>>, Damaged> {
        let Some((graph, about)) = generation.graph().filter(|_| !self.options.exact) else {
            return Ok(None);
        };
        let rows = generation.rows();
        // Tuned for ten; of more, those behind must be seen too.
        let width = about.width.max(2 * count);
        // Counting takes longer than a walk: only a filter leaves so few that it matters.
        let allowed = if passing.is_filtered() { generation.count(passing) } else { rows.len() };
        if scanning_is_cheaper(allowed, rows.len(), width) {
            return Ok(None);
        }
        let found = if passing.is_all() {
            graph.search(rows, query, width, &self.pool)?
        } else {
            let keep = |position: u32| passing.contains(generation.key(position as usize));
            let most = most_rows(allowed, width);
            let walked = match graph.search_filtered(rows, query, width, keep, most, &self.pool)? {
                Ok(walked) => walked,
                Err(GaveUp) => return Ok(None),
            };
            // A few recordings that are left out are no such thing, though they be the nearest.
            let share = allowed as f64 / rows.len() as f64;
            if passing.is_filtered() && walked.is_against(count, share) {
                return Ok(None);
            }
            walked.candidates
        };
        // What passes may lie apart, on no way from one to the other.
        if found.len() < count.min(allowed) {
            return Ok(None);
        }
        refine(rows, query, count, found).map(Some)
    }

    /// The model whose vectors these are, as it was when they were opened.
    pub fn model(&self) -> &StoredModel {
        &self.model
    }

    /// What the vectors stand for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Vectors that a generation does not have and that were read into memory: the more there are,
    /// the more a new generation gains.
    pub fn fresh_len(&self) -> usize {
        self.instead.get().unwrap_or(&self.fresh).keys.len()
    }

    /// At most `count` keys of what can be found, spread evenly.
    pub fn sample(&self, count: usize) -> Vec<VectorKey> {
        let fresh = self.instead.get().unwrap_or(&self.fresh);
        let generation = self.generation.as_ref().filter(|_| self.instead.get().is_none());
        let rows = generation.map_or(0, Generation::len);
        let all = rows + fresh.keys.len();
        let key = |place: usize| match generation {
            Some(generation) if place < rows => generation.key(place),
            _ => fresh.keys[place - rows],
        };
        (0..count.min(all))
            .map(|number| key(number * all / count.min(all)))
            .filter(|key| !passing::is_in(&self.dead, key.segment))
            .collect()
    }

    /// Whether all vectors are compared, because there are few, or because that was asked for.
    pub fn is_exact(&self) -> bool {
        self.options.exact
            || self.instead.get().is_some()
            || self.generation.as_ref().is_none_or(|generation| generation.about_graph().is_none())
    }

    /// How many vectors can be found.
    pub fn len(&self) -> usize {
        if let Some(all) = self.instead.get() {
            return all.keys.len();
        }
        let generation = self.generation.as_ref().map_or(0, Generation::len);
        generation - self.dead_rows + self.fresh.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Vectors that were left out because all their values are zero.
    pub fn without_direction(&self) -> usize {
        let generation = self.generation.as_ref().map_or(0, Generation::without_direction);
        self.instead
            .get()
            .map_or(generation + self.fresh.without_direction, |all| all.without_direction)
    }

    /// What is wrong with the cache, as far as it has shown; searches are slower then, and as
    /// right.
    pub fn warning(&self) -> Option<CacheWarning> {
        self.warning.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Those in memory that may be the nearest.
fn in_memory(fresh: &Fresh, query: &[f32], count: usize, passing: &Passing<'_>) -> Vec<Keyed> {
    let rows = fresh.rows.rows();
    let prepared = PreparedQuery::new(query, rows.layout());
    let keep = |position: usize| passing.contains(fresh.keys[position]);
    // Memory is not damaged.
    let found = scan(rows, &prepared, count, &keep).unwrap_or_default();
    keyed(&found, |position| fresh.keys[position])
}

fn keyed(candidates: &[Candidate], key: impl Fn(usize) -> VectorKey) -> Vec<Keyed> {
    candidates
        .iter()
        .map(|&Candidate { position, upper, lower }| Keyed {
            key: key(position as usize),
            upper,
            lower,
        })
        .collect()
}

#[cfg(test)]
mod tests;
