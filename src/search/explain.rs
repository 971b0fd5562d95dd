//! Why something is a hit: what the network hears in both, and how the rest of the recording fares.
//!
//! In: a question and a hit. Out: an [`Explanation`].

use std::collections::HashMap;

use super::hits::{Hit, Searcher};
use super::question::Question;
use super::words::LEAST_SCORE;
use crate::audio::health::Health;
use crate::error::{Result, VectorProblem};
use crate::index::metric::{cosine, normalise};
use crate::index::refused;
use crate::store::segments::Level;

/// Classes that are named at most.
const SHARED: usize = 3;

/// A score that is called near by YAMNet where nothing else is said. Of ESC-10's segments, compared
/// with the means of other recordings, 57 % of the same class reach it and 2 % of other classes.
pub const NEAR: f32 = 0.6;

/// The network that [`NEAR`] was measured with.
const MEASURED: &str = "yamnet";

/// The share of a library's segments that reach what is called near by other networks: cosines of
/// unrelated sounds are 0.2 by one of them and 0.8 by another, so that no number fits all. With
/// ESC-10's ten classes and YAMNet [`NEAR`] is reached by some 7 %.
const NEAR_SHARE: f64 = 0.05;

/// Segments by which that is found: the share is right within 1.4 % (95 %) of all.
const SAMPLED: usize = 1_000;

/// What question and hit have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The classes that are heard in both, those of the greatest common score first.
    pub shared: Vec<SharedClass>,
    /// How near the segments of the hit's recording are to the question; nothing, where none is
    /// fit to be searched.
    pub spread: Option<Spread>,
}

/// A class that is heard in question and hit.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedClass {
    /// The class's name.
    pub name: String,
    /// Its mean score in the likes.
    pub query_score: f64,
    /// Its score in the hit.
    pub hit_score: f64,
}

/// The scores of a recording's segments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Segments that are fit to be searched.
    pub segments: usize,
    /// The least score.
    pub least: f32,
    /// The score that half of them reach.
    pub median: f32,
    /// The best score.
    pub best: f32,
    /// The score that counts as near.
    pub near: f32,
    /// The share of them that reach it, in [0, 1].
    pub near_share: f64,
}

/// How recordings fared in the question that was explained last. Many hits may be of one, and a day
/// has two hundred thousand segments.
#[derive(Debug, Default)]
pub(super) struct Spreads {
    vector: Vec<f32>,
    near: f32,
    of_recording: HashMap<i64, Option<Spread>>,
}

impl Searcher<'_> {
    /// Explains `hit` as an answer to `question`; scores from `near` on count as near.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Vector`](crate::Error::Vector).
    pub fn explain(&self, question: &Question, hit: &Hit, near: f32) -> Result<Explanation> {
        let mut spreads = self.spreads.borrow_mut();
        if spreads.vector != question.vector || spreads.near.to_bits() != near.to_bits() {
            let vector = question.vector.clone();
            *spreads = Spreads { vector, near, of_recording: HashMap::new() };
        }
        let recording = hit.recording.id;
        let known = spreads.of_recording.get(&recording).copied();
        let spread = if let Some(known) = known {
            known
        } else {
            let found = spread(self.scores(question, recording)?, near);
            spreads.of_recording.insert(recording, found);
            found
        };
        Ok(Explanation { shared: shared(question, hit), spread })
    }

    /// The score that is called near to `question` where nothing else is said: [`NEAR`] by YAMNet, and
    /// by another network the score that a twentieth of the library's segments reach, of a sample.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn usual_near(&self, question: &Question) -> Result<f32> {
        if self.model.identity.name == MEASURED {
            return Ok(NEAR);
        }
        let (model, dimension) = (self.model.id, self.model.identity.dimension);
        let mut unit = question.vector.clone();
        refused(normalise(&mut unit, dimension), || "the query".to_owned())?;
        let (mut scores, mut vector) = (Vec::new(), Vec::new());
        for key in self.library.segments_spread(model, SAMPLED)? {
            let level = Level::Segment;
            let is_fit = self.library.searched_vector(key, model, level, dimension, &mut vector)?;
            // A network may answer what is nearly silent with zeros, which have no direction.
            if is_fit && normalise(&mut vector, dimension).is_ok() {
                scores.push(cosine(&unit, &vector));
            }
        }
        scores.sort_by(|a, b| b.total_cmp(a));
        Ok(scores.get(reaching(scores.len())).copied().unwrap_or(NEAR))
    }

    /// What the segments of a recording that are fit to be searched score.
    fn scores(&self, question: &Question, recording: i64) -> Result<Vec<f32>> {
        let dimension = self.model.identity.dimension;
        let mut unit = question.vector.clone();
        refused(normalise(&mut unit, dimension), || "the query".to_owned())?;
        let mut scores = Vec::new();
        self.library.for_each_segment_of(
            recording,
            self.model.id,
            dimension,
            |segment, vector| {
                let mut vector = vector.to_vec();
                match normalise(&mut vector, dimension) {
                    Ok(()) if segment.health == Health::SOUND => {
                        scores.push(cosine(&unit, &vector));
                    }
                    Ok(()) | Err(VectorProblem::Zero) => {}
                    Err(problem) => {
                        refused(Err(problem), || format!("stored vector {}", segment.id))?;
                    }
                }
                Ok(())
            },
        )?;
        Ok(scores)
    }
}

/// The place of the last one of `count` that are sorted, best first, that counts as near.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count, which is small"
)]
fn reaching(count: usize) -> usize {
    ((count as f64 * NEAR_SHARE).ceil() as usize).saturating_sub(1)
}

/// Explains `hit` as an answer to `question`, of whose recording the segments that are fit to be searched
/// have these `scores`; scores from `near` on count as near.
pub(crate) fn explained(
    question: &Question,
    hit: &Hit,
    scores: Vec<f32>,
    near: f32,
) -> Explanation {
    Explanation { shared: shared(question, hit), spread: spread(scores, near) }
}

fn shared(question: &Question, hit: &Hit) -> Vec<SharedClass> {
    let mut shared: Vec<SharedClass> = question
        .classes
        .iter()
        .filter_map(|class| {
            let same = hit.classes.iter().find(|other| other.name == class.name)?;
            let (query_score, hit_score) = (class.score, same.score);
            Some(SharedClass { name: class.name.clone(), query_score, hit_score })
        })
        .filter(|class| class.common() >= LEAST_SCORE)
        .collect();
    shared.sort_by(|a, b| b.common().total_cmp(&a.common()));
    shared.truncate(SHARED);
    shared
}

impl SharedClass {
    /// What both scores reach.
    fn common(&self) -> f64 {
        self.query_score.min(self.hit_score)
    }
}

fn spread(mut scores: Vec<f32>, near: f32) -> Option<Spread> {
    scores.sort_by(f32::total_cmp);
    let (&least, &best) = (scores.first()?, scores.last()?);
    let near_count = scores.iter().filter(|&&score| score >= near).count();
    Some(Spread {
        segments: scores.len(),
        least,
        median: scores[scores.len() / 2],
        best,
        near,
        near_share: near_count as f64 / scores.len() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_is_near() {
        let places = [0, 1, 20, 21, 40, 1_000].map(reaching);
        assert_eq!(places, [0, 0, 0, 1, 1, 49]);
    }

    #[test]
    fn the_spread_of_some_scores() {
        assert_eq!(spread(Vec::new(), 0.5), None);
        let found = spread(vec![0.9, 0.1, 0.5, 0.4], 0.5).unwrap();
        assert_eq!((found.segments, found.least, found.median, found.best), (4, 0.1, 0.5, 0.9));
        assert!((found.near_share - 0.5).abs() < 1e-9);
    }
}
