//! A library ranked by what a head says of it.
//!
//! In: a head and one of its classes. Out: [`Hit`]s, most probable first, or nearest to a
//! probability; recordings in turns, where they are to be spread. [`suggest`] chooses from this
//! what is worth listening to. Refuses classes that the head does not know.

pub mod suggest;

use std::collections::BTreeMap;

use crate::audio::segment::TimeRange;
use crate::error::{Result, TrainingProblem};
use crate::index::scope::Scope;
use crate::search::events::{Event, EventGrower, ScoredSegment};
use crate::search::hits::Hit;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};
use crate::store::stretches::Direction;
use crate::train::head::Head;
use crate::train::predict::{Hearing, Left, Said};
use crate::train::task::Task;

/// Candidates that are held beyond those that are wanted.
const CANDIDATES: usize = 65_536;

/// How a library is ranked.
#[derive(Clone, Debug, PartialEq)]
pub struct RankSpec {
    /// The class's number.
    pub class: usize,
    /// Rank by closeness to this probability, or number, instead of by its height.
    pub near: Option<f64>,
    /// Whether recordings come in turns: the best of each, then the second best.
    pub spread: bool,
    /// How many answers at most.
    pub count: usize,
    /// The least probability, or number, of an answer.
    pub least_score: Option<f32>,
    /// How many of one recording at most.
    pub per_recording: Option<usize>,
    /// Whether segments stay single; otherwise neighbours are joined into events.
    pub single_segments: bool,
}

/// An event that may become a hit.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    recording: i64,
    /// Its first segment, of a whole recording.
    segment: i64,
    /// How much it is wanted.
    worth: f32,
    /// What the head says.
    said: f32,
    event: Option<Event>,
}

/// The class of `head` called `name`; where none is named, the only one.
///
/// # Errors
/// [`TrainingProblem::ClassOfHead`], [`TrainingProblem::WhichClass`].
pub fn class_of(head: &Head, name: Option<&str>) -> Result<usize> {
    match name {
        Some(name) => head.class(name),
        None if head.card().classes.len() == 1 => Ok(0),
        None => {
            let (head, known) = (head.card().name.clone(), head.card().classes.clone());
            Err(TrainingProblem::WhichClass { head, known }.into())
        }
    }
}

/// The answers, best first, and what was left out.
///
/// # Errors
/// [`TrainingProblem::OtherModel`], and as [`Hearing::next_some`].
pub fn rank(
    library: &Library,
    (head, model): (&Head, &StoredModel),
    (level, scope): (Level, Scope),
    spec: &RankSpec,
) -> Result<(Vec<Hit>, Left)> {
    let mut hearing = Hearing::new(head, model, level, scope)?;
    let outputs = head.card().outputs();
    let hop_s = model.segmentation.map_or(model.hop_s, |segments| segments.hop_s);
    let mut found: Vec<Candidate> = Vec::new();
    loop {
        let some = hearing.next_some(library)?;
        if some.is_empty() {
            break;
        }
        for said in &some {
            let mut own = candidates(said, head.card().task, (outputs, level, hop_s), spec)?;
            sort(&mut own);
            own.truncate(spec.per_recording.unwrap_or(usize::MAX).min(spec.count));
            found.extend(own);
        }
        // Spread, a worse one of another recording may come before; there are few of each.
        if !spec.spread && found.len() > CANDIDATES.saturating_add(spec.count) {
            sort(&mut found);
            found.truncate(spec.count);
        }
    }
    sort(&mut found);
    if spec.spread {
        found = in_turns(found, |candidate| candidate.recording);
    }
    let mut hits = Vec::new();
    for candidate in found {
        if hits.len() == spec.count {
            break;
        }
        // What another process removed meanwhile is no hit.
        hits.extend(hit(library, model, &candidate, hits.len() + 1)?);
    }
    Ok((hits, hearing.left))
}

/// The best of each recording, then the second best, and so on; each round in the order of `of`.
pub(crate) fn in_turns<T>(of: Vec<T>, recording: impl Fn(&T) -> i64) -> Vec<T> {
    let mut turns: BTreeMap<i64, usize> = BTreeMap::new();
    let mut numbered: Vec<(usize, T)> = of
        .into_iter()
        .map(|one| {
            let turn = turns.entry(recording(&one)).or_default();
            *turn += 1;
            (*turn, one)
        })
        .collect();
    numbered.sort_by_key(|(turn, _)| *turn);
    numbered.into_iter().map(|(_, one)| one).collect()
}

/// Best first; equals in the order in which they came into the library.
fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.worth.total_cmp(&a.worth).then_with(|| a.segment.cmp(&b.segment)));
}

fn candidates(
    said: &Said,
    task: Task,
    (outputs, level, hop_s): (usize, Level, f64),
    spec: &RankSpec,
) -> Result<Vec<Candidate>> {
    let recording = said.recording;
    let values: Vec<f32> = said.values.chunks_exact(outputs).map(|row| row[spec.class]).collect();
    #[expect(clippy::cast_possible_truncation, reason = "ranks need no more")]
    let worth = |value: f32| match spec.near {
        None => value,
        Some(near) if task == Task::Regression => {
            (1.0 / (1.0 + (f64::from(value) - near).abs())) as f32
        }
        Some(near) => (1.0 - (f64::from(value) - near).abs()) as f32,
    };
    let is_enough = |value: f32| spec.least_score.is_none_or(|least| value >= least);
    let rows = said.rows.iter().zip(&values).filter(|(_, value)| is_enough(**value));
    if level == Level::Recording {
        return Ok(rows
            .map(|(row, &value)| Candidate {
                recording,
                segment: row.segment,
                worth: worth(value),
                said: value,
                event: None,
            })
            .collect());
    }
    let segments: Vec<(ScoredSegment, f32)> = rows
        .filter_map(|(row, &value)| {
            let range = row.range?;
            Some((ScoredSegment { id: row.segment, range, score: worth(value) }, value))
        })
        .collect();
    let mut order: Vec<usize> = (0..segments.len()).collect();
    order.sort_by(|&a, &b| segments[b].0.score.total_cmp(&segments[a].0.score).then(a.cmp(&b)));
    let mut grower = EventGrower::new(hop_s);
    let mut found = Vec::new();
    for place in order {
        let (peak, value) = segments[place];
        if grower.has_taken(peak.id) {
            continue;
        }
        let event = if spec.single_segments {
            Event { range: peak.range, best: peak, segments: 1 }
        } else {
            grower.grow(peak, |direction| -> Box<dyn Iterator<Item = Result<ScoredSegment>>> {
                match direction {
                    Direction::Later => {
                        Box::new(segments[place + 1..].iter().map(|(segment, _)| Ok(*segment)))
                    }
                    Direction::Earlier => {
                        Box::new(segments[..place].iter().rev().map(|(segment, _)| Ok(*segment)))
                    }
                }
            })?
        };
        let (segment, worth) = (peak.id, peak.score);
        found.push(Candidate { recording, segment, worth, said: value, event: Some(event) });
    }
    Ok(found)
}

fn hit(
    library: &Library,
    model: &StoredModel,
    candidate: &Candidate,
    rank: usize,
) -> Result<Option<Hit>> {
    let Some(recording) = library.recording(candidate.recording)? else { return Ok(None) };
    let whole = TimeRange { start_s: 0.0, end_s: recording.duration_s };
    let key = VectorKey { segment: candidate.segment, recording: recording.id };
    let mut classes = Vec::new();
    let (mut range, mut best, mut segments) = (whole, whole, 1);
    if let Some(event) = candidate.event {
        (range, best, segments) = (event.range, event.best.range, event.segments);
        classes = library.segment_classes(key.segment)?;
    }
    if classes.is_empty() {
        classes = library.classes(recording.id, model.id)?;
    }
    let score = candidate.said;
    Ok(Some(Hit { rank, score, recording, range, best, key, segments, classes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_take_turns() {
        let spread = in_turns(vec![(1, 'a'), (1, 'b'), (2, 'c'), (1, 'd'), (2, 'e')], |one| one.0);
        let order: String = spread.iter().map(|one| one.1).collect();
        assert_eq!(order, "acbed");
    }
}
