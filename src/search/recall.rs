//! What searches find of what is there.
//!
//! In: a library. Out: the share of the ten nearest that a search finds, with its interval, by
//! searching for stored vectors among the others. Refuses nothing.

use super::collection::{Collection, CollectionOptions, Match};
use super::generation::RecallMeasured;
use crate::error::Result;
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};

/// Neighbours that count.
pub const NEIGHBOURS: usize = 10;
/// Searches that a check makes: the interval is then a third of a percent wide at 0.99.
pub const QUERIES: usize = 1_000;

/// Half the width of a normal distribution's middle 95 %, in standard deviations.
const Z: f64 = 1.959_964;

impl RecallMeasured {
    /// Of `found` of `of` neighbours, in so many queries, by Wilson's score interval: E. B. Wilson,
    /// "Probable inference, the law of succession, and statistical inference", Journal of the
    /// American Statistical Association 22 (1927). It takes each neighbour for a draw of its own.
    pub fn new(found: u64, of: u64, queries: u64) -> Self {
        if of == 0 {
            return Self { recall: 1.0, low: 0.0, high: 1.0, queries };
        }
        let n = of as f64;
        let share = found as f64 / n;
        let denominator = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / denominator;
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / denominator;
        let (low, high) = ((middle - half).max(0.0), (middle + half).min(1.0));
        Self { recall: share, low, high, queries }
    }
}

/// Searches for at most `queries` of the stored vectors among the others, in the usual way and
/// comparing all, as long as `goes_on`, told how many were, says so.
///
/// # Errors
/// As of [`Collection::open`].
pub fn measure(
    library: &Library,
    model: &StoredModel,
    level: Level,
    queries: usize,
    mut goes_on: impl FnMut(usize, usize) -> bool,
) -> Result<RecallMeasured> {
    let usual = Collection::open(library, model, level)?;
    let exact = Collection::open_with(library, model, level, CollectionOptions { exact: true })?;
    let keys = exact.sample(queries);
    let (mut found, mut of, mut done) = (0, 0, 0);
    let mut vector = Vec::new();
    for &key in &keys {
        if !goes_on(usize::try_from(done).unwrap_or(usize::MAX), keys.len()) {
            break;
        }
        let dimension = model.identity.dimension;
        if !library.searched_vector(key, model.id, level, dimension, &mut vector)? {
            continue;
        }
        let nearest = |collection: &Collection| {
            collection
                .nearest(library, &vector, NEIGHBOURS + 1, &Scope::default())
                .map(|matches| others(matches, key))
        };
        let (expected, answer) = (nearest(&exact)?, nearest(&usual)?);
        // Of equally near ones either will do.
        if let Some(farthest) = expected.last() {
            found += answer.iter().filter(|found| found.cosine >= farthest.cosine).count() as u64;
        }
        of += expected.len() as u64;
        done += 1;
    }
    Ok(RecallMeasured::new(found, of, done))
}

/// The nearest but the one that was searched for.
fn others(mut matches: Vec<Match>, key: VectorKey) -> Vec<Match> {
    matches.retain(|found| found.key != key);
    matches.truncate(NEIGHBOURS);
    matches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_s_interval_as_tables_have_it() {
        // 81 of 263: Newcombe, Statistics in Medicine 17 (1998), table I: 0.2553 to 0.3662.
        let measured = RecallMeasured::new(81, 263, 1);
        assert!((measured.low - 0.2553).abs() < 1e-4 && (measured.high - 0.3662).abs() < 1e-4);
        // 0 of 20: 0 to 0.1611; all of 20 the other way round.
        let none = RecallMeasured::new(0, 20, 1);
        assert!(none.low.abs() < 1e-9 && (none.high - 0.1611).abs() < 1e-4);
        let all = RecallMeasured::new(20, 20, 1);
        assert!((all.low - 0.8389).abs() < 1e-4 && (all.high - 1.0).abs() < 1e-9);
    }
}
