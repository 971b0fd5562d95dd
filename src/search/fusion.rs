//! Rankings by several models into one.
//!
//! In: a question to each model. Out: [`FusedHit`]s, best first, with what every model says of
//! them. Refuses nothing that a [`Searcher`] does not.
//!
//! # How rankings are fused
//!
//! A cosine of 0.9 is near for one network and far for another, so only ranks are compared, by
//! reciprocal rank fusion (G. V. Cormack, C. L. A. Clarke and S. Büttcher, "Reciprocal rank fusion
//! outperforms Condorcet and individual rank learning methods", SIGIR 2009, with their k of 60): a
//! hit's score is the mean over the models of 61 / (60 + rank). So 1 is first by all, and with two
//! models 0.5 is first by one alone.
//!
//! - **Depth.** Each ranking is read to [`DEPTH`] answers, or as many as are wanted where that is
//!   more, and at least so far that nothing behind could be among the first (`depth`). Where what is
//!   told once or capped leaves fewer than are wanted, it is read four times as far, and so on.
//! - **What a ranking does not have counts 0 there**, as in the paper: what lies behind that depth,
//!   and what was not indexed with the model. Its score by the model is told nevertheless, where
//!   the library has vectors of it.
//! - **Recordings** are the same by their ids.
//! - **Moments** are stretches, and models cut recordings differently. Two stretches of one
//!   recording are the same moment when they share at least half of the shorter one
//!   (`is_same_moment`). A stretch has of every other model the best rank among that model's
//!   stretches of the same moment. Then, best first, a stretch is left out when one of another
//!   model that is the same moment stands before it; so the stretch that is listed is that of the
//!   model that ranks the moment best. Stretches of one model never displace one another, since
//!   that model told them apart.

use std::collections::HashMap;

use super::example::overlap_s;
use super::explain::Explanation;
use super::hits::{Hit, SearchOptions, Searcher};
use super::question::Question;
use crate::audio::segment::TimeRange;
use crate::error::{Result, VectorProblem};
use crate::index::metric::{cosine, normalise};
use crate::index::refused;
use crate::index::scope::{Allowed, Scope};
use crate::store::recordings::ClassScore;
use crate::store::segments::{Level, VectorKey};

/// How much lower ranks count.
const K: f64 = 60.0;

/// Answers to which each ranking is read at least: as long as the runs of TREC that the formula was
/// tried on. What is missing from a ranking loses at most 61 / 1061, or 0.06, of that model's vote.
pub const DEPTH: usize = 1_000;

/// How many times further rankings are read when they gave too little: so, what is read in vain is a
/// third of what is read at last.
const FURTHER: usize = 4;

/// Stretches that share this of the shorter one are the same moment.
const SHARED: f64 = 0.5;

/// Times are rounded: windows that share just half must not fall to either side by chance.
const TOLERANCE_S: f64 = 1e-3;

/// What rank `rank`, from 1, is worth: 1 for the first.
pub(super) fn worth(rank: usize) -> f64 {
    (K + 1.0) / (K + rank as f64)
}

/// How deep each of `models` rankings is read for `count` answers. A ranking's own first `count`
/// score at least worth(`count`) / `models`; what lies behind depth d everywhere scores at most
/// worth(d + 1), which is less from d = `models` · (60 + `count`) on.
fn depth(models: usize, count: usize) -> usize {
    models.saturating_mul(count.saturating_add(60)).max(DEPTH)
}

/// Whether two stretches of one recording are the same moment.
fn is_same_moment(a: TimeRange, b: TimeRange) -> bool {
    let shorter_s = (a.end_s - a.start_s).min(b.end_s - b.start_s);
    overlap_s(a, b) + TOLERANCE_S >= SHARED * shorter_s && overlap_s(a, b) > 0.0
}

/// A model that is asked.
#[derive(Debug)]
pub struct Voice<'a> {
    /// Its vectors; of all voices at one level.
    pub searcher: Searcher<'a>,
    /// What is asked, as a vector of this model.
    pub question: Question,
    /// What it may answer.
    pub allowed: Allowed,
}

/// What a model says of a hit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Its place in the model's ranking, from 1; nothing behind the depth that was read.
    pub rank: Option<usize>,
    /// Cosine to the question, in [−1, 1]: of the recording, or of the best of the model's segments
    /// in the moment. Nothing, where the model has no vector of it.
    pub score: Option<f32>,
    /// The classes that the model hears in it, highest score first.
    pub classes: Vec<ClassScore>,
}

/// Something similar by several models.
#[derive(Clone, Debug, PartialEq)]
pub struct FusedHit {
    /// What it is, by the model that ranks it best, with the fused score. Its classes are those of
    /// the first model that hears any.
    pub hit: Hit,
    /// What each model says, in the order of the voices.
    pub standings: Vec<Standing>,
}

/// The answers of all `voices` together, best first.
///
/// # Errors
/// As [`Searcher::search`].
pub fn fuse(voices: &[Voice<'_>], options: &SearchOptions) -> Result<Vec<FusedHit>> {
    let mut depth = depth(voices.len(), options.count);
    loop {
        let fusion = Fusion::to(depth, voices, options)?;
        if fusion.is_all(depth, options) {
            return fusion.into_hits(voices);
        }
        depth = depth.saturating_mul(FURTHER);
    }
}

/// Rankings that were read to some depth, and the best of them together.
#[derive(Debug)]
struct Fusion {
    rankings: Vec<Vec<Hit>>,
    chosen: Vec<Candidate>,
}

impl Fusion {
    fn to(depth: usize, voices: &[Voice<'_>], options: &SearchOptions) -> Result<Self> {
        let Some(level) = voices.first().map(|voice| voice.searcher.level) else {
            return Ok(Self { rankings: Vec::new(), chosen: Vec::new() });
        };
        let rankings = voices
            .iter()
            .map(|voice| voice.ranking(depth, options))
            .collect::<Result<Vec<Vec<Hit>>>>()?;
        let candidates = match level {
            Level::Recording => by_recording(&rankings),
            Level::Segment => by_moment(&rankings),
        };
        let chosen = chosen(candidates, &rankings, level, options);
        Ok(Self { rankings, chosen })
    }

    /// Whether rankings that were read further than to `depth` would add nothing.
    fn is_all(&self, depth: usize, options: &SearchOptions) -> bool {
        // Behind it nothing scores more than this.
        let is_below = options.least_score.is_some_and(|least| worth(depth + 1) < f64::from(least));
        let is_read = self.rankings.iter().all(|ranking| ranking.len() < depth);
        self.chosen.len() >= options.count || is_read || is_below
    }

    fn into_hits(self, voices: &[Voice<'_>]) -> Result<Vec<FusedHit>> {
        let ranked = (1..).zip(self.chosen);
        ranked.map(|(rank, candidate)| candidate.into_hit(voices, &self.rankings, rank)).collect()
    }
}

/// A hit of one ranking, and where all rankings have the same.
#[derive(Debug)]
struct Candidate {
    /// The ranking that its stretch is taken from, and its place there, from 0.
    voice: usize,
    place: usize,
    /// Of each ranking, the place of the same, from 0.
    places: Vec<Option<usize>>,
}

/// Each recording once, as the ranking has it in which it stands first.
fn by_recording(rankings: &[Vec<Hit>]) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut known: HashMap<i64, usize> = HashMap::new();
    for (voice, ranking) in rankings.iter().enumerate() {
        for (place, hit) in ranking.iter().enumerate() {
            let index = *known.entry(hit.recording.id).or_insert_with(|| {
                let places = vec![None; rankings.len()];
                candidates.push(Candidate { voice, place, places });
                candidates.len() - 1
            });
            let candidate = &mut candidates[index];
            candidate.places[voice] = Some(place);
            if place < candidate.place {
                (candidate.voice, candidate.place) = (voice, place);
            }
        }
    }
    candidates
}

/// Each stretch of each ranking, with the best place of the same moment in the others.
fn by_moment(rankings: &[Vec<Hit>]) -> Vec<Candidate> {
    let mut of_recording: HashMap<i64, Vec<Stretches>> = HashMap::new();
    for (voice, ranking) in rankings.iter().enumerate() {
        for (place, hit) in ranking.iter().enumerate() {
            let all = of_recording
                .entry(hit.recording.id)
                .or_insert_with(|| vec![Stretches::default(); rankings.len()]);
            all[voice].push(hit.range, place);
        }
    }
    let mut candidates = Vec::new();
    for all in of_recording.values_mut() {
        all.iter_mut().for_each(Stretches::sort);
        for (voice, stretches) in all.iter().enumerate() {
            for &(range, place) in &stretches.by_start {
                let best = |(other, stretches): (usize, &Stretches)| {
                    if other == voice { Some(place) } else { stretches.best_place(range) }
                };
                let places = all.iter().enumerate().map(best).collect();
                candidates.push(Candidate { voice, place, places });
            }
        }
    }
    candidates
}

/// What one ranking has of one recording.
#[derive(Clone, Debug, Default)]
struct Stretches {
    /// Each with its place, by where it begins.
    by_start: Vec<(TimeRange, usize)>,
    longest_s: f64,
}

impl Stretches {
    fn push(&mut self, range: TimeRange, place: usize) {
        self.by_start.push((range, place));
        self.longest_s = self.longest_s.max(range.end_s - range.start_s);
    }

    fn sort(&mut self) {
        self.by_start.sort_by(|a, b| a.0.start_s.total_cmp(&b.0.start_s));
    }

    /// The best place of a stretch that is the same moment as `range`. Only the few that reach into it
    /// are looked at: a day may have a hundred thousand.
    fn best_place(&self, range: TimeRange) -> Option<usize> {
        let reaches = range.start_s - self.longest_s;
        let first = self.by_start.partition_point(|(other, _)| other.start_s < reaches);
        self.by_start[first..]
            .iter()
            .take_while(|(other, _)| other.start_s < range.end_s)
            .filter(|(other, _)| is_same_moment(range, *other))
            .map(|&(_, place)| place)
            .min()
    }
}

/// The best of `candidates`, as many as `options` want.
fn chosen(
    mut candidates: Vec<Candidate>,
    rankings: &[Vec<Hit>],
    level: Level,
    options: &SearchOptions,
) -> Vec<Candidate> {
    let hit = |candidate: &Candidate| &rankings[candidate.voice][candidate.place];
    // Equals by their best place, then by the order of the models, then by age.
    candidates.sort_by(|a, b| {
        let (first, second) = (hit(a), hit(b));
        b.score()
            .total_cmp(&a.score())
            .then((a.place, a.voice).cmp(&(b.place, b.voice)))
            .then(first.key.segment.cmp(&second.key.segment))
    });
    let mut kept: Vec<Candidate> = Vec::new();
    let mut of_recording: HashMap<i64, Vec<(usize, TimeRange)>> = HashMap::new();
    for candidate in candidates {
        let is_over = options.least_score.is_some_and(|least| candidate.score() < f64::from(least));
        if is_over || kept.len() == options.count {
            break;
        }
        let found = hit(&candidate);
        let before = of_recording.entry(found.recording.id).or_default();
        let is_told = level == Level::Segment
            && before.iter().any(|&(voice, range)| {
                voice != candidate.voice && is_same_moment(range, found.range)
            });
        if is_told || options.per_recording.is_some_and(|most| before.len() >= most) {
            continue;
        }
        before.push((candidate.voice, found.range));
        kept.push(candidate);
    }
    kept
}

impl Candidate {
    /// The mean over the models of what its ranks are worth.
    fn score(&self) -> f64 {
        let votes = self.places.iter().flatten().map(|place| worth(place + 1));
        votes.sum::<f64>() / self.places.len() as f64
    }

    fn into_hit(
        self,
        voices: &[Voice<'_>],
        rankings: &[Vec<Hit>],
        rank: usize,
    ) -> Result<FusedHit> {
        let mut hit = rankings[self.voice][self.place].clone();
        let standings = voices
            .iter()
            .zip(rankings.iter().zip(&self.places))
            .map(|(voice, (ranking, place))| match place {
                Some(place) => voice.standing(&ranking[*place]),
                None => voice.standing_behind(&hit),
            })
            .collect::<Result<Vec<Standing>>>()?;
        let heard = standings.iter().find(|standing| !standing.classes.is_empty());
        hit.classes = heard.map(|standing| standing.classes.clone()).unwrap_or_default();
        hit.rank = rank;
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
        let score = self.score() as f32;
        hit.score = score;
        Ok(FusedHit { hit, standings })
    }
}

impl Voice<'_> {
    /// Its `depth` best answers.
    fn ranking(&self, depth: usize, options: &SearchOptions) -> Result<Vec<Hit>> {
        let options = SearchOptions {
            count: depth,
            scope: Scope { allowed: self.allowed.clone(), except: options.scope.except.clone() },
            // These two are about the answers of all together.
            least_score: None,
            per_recording: None,
            single_segments: options.single_segments,
        };
        self.searcher.ranking(&self.question, &options)
    }

    /// What it says of one of its own answers.
    fn standing(&self, hit: &Hit) -> Result<Standing> {
        let classes = self.searcher.classes(hit.key)?;
        Ok(Standing { rank: Some(hit.rank), score: Some(hit.score), classes })
    }

    /// What it says of an answer of others that is not among its own.
    fn standing_behind(&self, hit: &Hit) -> Result<Standing> {
        let Searcher { library, model, level, .. } = &self.searcher;
        let (recording, dimension) = (hit.recording.id, model.identity.dimension);
        let mut unit = self.question.vector.clone();
        refused(normalise(&mut unit, dimension), || "the query".to_owned())?;
        let mut best: Option<(f32, VectorKey)> = None;
        let mut take =
            |key: VectorKey, mut vector: Vec<f32>| match normalise(&mut vector, dimension) {
                Ok(()) => {
                    let score = cosine(&unit, &vector);
                    if best.is_none_or(|(known, _)| score > known) {
                        best = Some((score, key));
                    }
                    Ok(())
                }
                // A network may answer silence with zeros; searches leave it out.
                Err(VectorProblem::Zero) => Ok(()),
                Err(problem) => refused(Err(problem), || format!("a vector of id:{recording}")),
            };
        match level {
            Level::Recording => {
                let vector = library.pooled_vector(recording, model.id, dimension)?;
                // Of a recording, classes go by its id.
                let key = VectorKey { segment: 0, recording };
                vector.map_or(Ok(()), |vector| take(key, vector))?;
            }
            Level::Segment => {
                let of = (recording, model.id);
                library.for_each_segment_within(of, hit.range, dimension, |segment, vector| {
                    if !is_same_moment(hit.range, segment.range) {
                        return Ok(());
                    }
                    take(VectorKey { segment: segment.id, recording }, vector.to_vec())
                })?;
            }
        }
        let Some((score, key)) = best else { return Ok(Standing::default()) };
        Ok(Standing { rank: None, score: Some(score), classes: self.searcher.classes(key)? })
    }

    /// Explains `hit` as an answer to this model's question, of which `standing` is what the model
    /// says; cosines from `near` on count as near.
    ///
    /// # Errors
    /// As [`Searcher::explain`].
    pub fn explain(&self, hit: &Hit, standing: &Standing, near: f32) -> Result<Explanation> {
        let hit = Hit { classes: standing.classes.clone(), ..hit.clone() };
        self.searcher.explain(&self.question, &hit, near)
    }
}

#[cfg(test)]
mod tests;
