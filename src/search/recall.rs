//! What searches find of what is there.
//!
//! In: a library. Out: the share of the ten nearest that a search finds, with its interval, of
//! stored vectors and of such as lie between two of them. Refuses nothing.

use super::collection::{Collection, CollectionOptions, Match};
use super::generation::{RecallChecked, RecallMeasured};
use crate::error::Result;
use crate::index::metric::normalise;
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};

/// Neighbours that count.
pub const NEIGHBOURS: usize = 10;
/// Stored vectors that a check searches for: at 0.99 the interval is then two thirds of a percent
/// wide, or a little more where what is missed is missed by the same questions.
pub const QUERIES: usize = 1_000;

/// Half the width of a normal distribution's middle 95 %, in standard deviations.
const Z: f64 = 1.959_964;

/// What was found of one question's nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How many of them.
    pub found: usize,
    /// How many there are.
    pub of: usize,
}

impl RecallMeasured {
    /// Of what was found of some questions, with Wilson's score interval: E. B. Wilson, "Probable
    /// inference, the law of succession, and statistical inference", Journal of the American
    /// Statistical Association 22 (1927).
    ///
    /// A walk that goes astray misses many neighbours of one question: they are no draws of their
    /// own. So they count as as many as vary as much, after L. Kish, "Survey Sampling", Wiley
    /// (1965): their number divided by the *design effect*, which is the variance over questions by
    /// that of independent draws. Where nothing was missed that cannot be told, and each question
    /// counts as one draw.
    pub fn of(answers: &[Answer]) -> Self {
        let questions = answers.len() as f64;
        let sum = |count: &dyn Fn(&Answer) -> usize| answers.iter().map(count).sum::<usize>();
        let all = sum(&|answer| answer.of) as f64;
        let queries = answers.len() as u64;
        if all == 0.0 {
            return Self { recall: 1.0, low: 0.0, high: 1.0, queries };
        }
        let share = sum(&|answer| answer.found) as f64 / all;
        let of_draws = all * share * (1.0 - share);
        let most = all / questions;
        let effect = if of_draws > 0.0 && questions > 1.0 {
            let error = |answer: &Answer| answer.found as f64 - share * answer.of as f64;
            let squares: f64 = answers.iter().map(|answer| error(answer).powi(2)).sum();
            (squares * questions / (questions - 1.0) / of_draws).clamp(1.0_f64.min(most), most)
        } else {
            most
        };
        let n = all / effect;
        let denominator = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / denominator;
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / denominator;
        let (low, high) = ((middle - half).max(0.0), (middle + half).min(1.0));
        Self { recall: share, low, high, queries }
    }
}

/// Searches for at most `queries` of the stored vectors among the others, and for as many points
/// halfway from one to the farthest of its ten nearest, in the usual way and comparing all, as long
/// as `goes_on`, told how many stored vectors were, says so.
///
/// # Errors
/// As of [`Collection::open`].
pub fn measure(
    library: &Library,
    model: &StoredModel,
    level: Level,
    queries: usize,
    mut goes_on: impl FnMut(usize, usize) -> bool,
) -> Result<RecallChecked> {
    let check = Check {
        library,
        usual: Collection::open(library, model, level)?,
        exact: Collection::open_with(library, model, level, CollectionOptions { exact: true })?,
    };
    let dimension = model.identity.dimension;
    let keys = check.exact.sample(queries);
    let (mut stored, mut between) = (Vec::new(), Vec::new());
    let (mut vector, mut other) = (Vec::new(), Vec::new());
    let is_there = |key, vector: &mut Vec<f32>| -> Result<bool> {
        Ok(library.searched_vector(key, model.id, level, dimension, vector)?
            && normalise(vector, dimension).is_ok())
    };
    for (done, &key) in keys.iter().enumerate() {
        if !goes_on(done, keys.len()) {
            break;
        }
        if !is_there(key, &mut vector)? {
            continue;
        }
        let (answer, farthest) = check.ask(&vector, &[key])?;
        stored.push(answer);
        let Some(farthest) = farthest else { continue };
        if !is_there(farthest, &mut other)? {
            continue;
        }
        vector.iter_mut().zip(&other).for_each(|(value, other)| *value += other);
        // Opposite ones have nothing between them.
        if normalise(&mut vector, dimension).is_ok() {
            between.push(check.ask(&vector, &[key, farthest])?.0);
        }
    }
    Ok(RecallChecked { stored: RecallMeasured::of(&stored), between: RecallMeasured::of(&between) })
}

struct Check<'a> {
    library: &'a Library,
    usual: Collection,
    exact: Collection,
}

impl Check<'_> {
    /// What is found of the nearest to `vector` but `made_of`, and the farthest of these.
    fn ask(&self, vector: &[f32], made_of: &[VectorKey]) -> Result<(Answer, Option<VectorKey>)> {
        let nearest = |collection: &Collection| -> Result<Vec<Match>> {
            let count = NEIGHBOURS + made_of.len();
            let mut found = collection.nearest(self.library, vector, count, &Scope::default())?;
            found.retain(|found| !made_of.contains(&found.key));
            found.truncate(NEIGHBOURS);
            Ok(found)
        };
        let (expected, found) = (nearest(&self.exact)?, nearest(&self.usual)?);
        let Some(farthest) = expected.last() else {
            return Ok((Answer { found: 0, of: 0 }, None));
        };
        // Of equally near ones either will do.
        let right = found.iter().filter(|found| found.cosine >= farthest.cosine).count();
        Ok((Answer { found: right, of: expected.len() }, Some(farthest.key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many questions of a neighbour each, and so many found.
    fn single(found: usize, of: usize) -> Vec<Answer> {
        (0..of).map(|number| Answer { found: usize::from(number < found), of: 1 }).collect()
    }

    #[test]
    fn wilson_s_interval_as_tables_have_it() {
        // 81 of 263: Newcombe, Statistics in Medicine 17 (1998), table I: 0.2553 to 0.3662.
        let measured = RecallMeasured::of(&single(81, 263));
        assert!((measured.low - 0.2553).abs() < 1e-4 && (measured.high - 0.3662).abs() < 1e-4);
        // 0 of 20: 0 to 0.1611; all of 20 the other way round.
        let none = RecallMeasured::of(&single(0, 20));
        assert!(none.low.abs() < 1e-9 && (none.high - 0.1611).abs() < 1e-4);
        let all = RecallMeasured::of(&single(20, 20));
        assert!((all.low - 0.8389).abs() < 1e-4 && (all.high - 1.0).abs() < 1e-9);
        let nothing = RecallMeasured::of(&[]);
        assert_eq!((nothing.queries, nothing.low, nothing.high), (0, 0.0, 1.0));
    }

    #[test]
    fn what_one_question_misses_is_one_miss() {
        let ten = |found| Answer { found, of: 10 };
        // 30 of 3,000 are missed: one each by thirty questions, or all ten by three.
        let apart: Vec<Answer> = (0..300).map(|n| ten(if n < 30 { 9 } else { 10 })).collect();
        let together: Vec<Answer> = (0..300).map(|n| ten(if n < 3 { 0 } else { 10 })).collect();
        let (apart, together) = (RecallMeasured::of(&apart), RecallMeasured::of(&together));
        assert!((apart.recall - 0.99).abs() < 1e-12 && (together.recall - 0.99).abs() < 1e-12);
        // As 2,970 of 3,000 draws, and as 297 of 300.
        assert!((apart.low - 0.9858).abs() < 1e-4, "{apart:?}");
        assert!((together.low - 0.9710).abs() < 1e-4, "{together:?}");
        // Nothing is missed of 300 questions: as 300 of 300 draws, not 3,000.
        let all = RecallMeasured::of(&vec![ten(10); 300]);
        assert!((all.low - 0.9874).abs() < 1e-4 && all.high > 1.0 - 1e-9, "{all:?}");
    }
}
