//! Questions to a store.
//!
//! In: a [`Question`], and what kind of answers are wanted. Out: hits, as a library gives them: nearest
//! first, neighbours of a recording joined into events, as many as were asked for wherever the server
//! finds as many. Reported cosines are those of the vectors, whatever the index made of them.
//!
//! A server says at most 16,384 rows are nearest. Where events, caps and examples use up more, fewer are
//! told than were asked for.

mod neighbours;

use std::collections::{HashMap, HashSet};

use super::cells::{FACTS_AND_VECTOR, Row};
use super::columns::{KEY, Partition, RECORDING, RECORDING_ID};
use super::filtering::{all_of, one_of};
use super::{Store, partition};
use crate::audio::segment::TimeRange;
use crate::error::{MilvusProblem, Result};
use crate::filter::Filter;
use crate::index::metric::{cosine, normalise};
use crate::index::refused;
use crate::search::events::{Event, EventGrower, ScoredSegment};
use crate::search::example::Own;
use crate::search::explain::{Explanation, explained};
use crate::search::question::Question;
use crate::search::{Hit, SearchOptions};
use crate::store::segments::{Level, VectorKey};
use neighbours::Neighbours;

/// Rows that a server says are nearest, at most.
const MOST_ROWS: usize = 16_384;
/// Segments that are asked for beyond what a question without events takes: an event has several.
const SEGMENTS_PER_EVENT: usize = 4;
/// Rows of which everything is read at once at first; then ever more.
const LOOKED_AT: usize = 32;

/// The vectors of one level of a store, those that pass a filter, ready to be searched.
#[derive(Debug)]
pub struct StoreSearcher<'a> {
    store: &'a Store,
    level: Level,
    /// The filter in Milvus's words.
    expression: String,
}

impl<'a> StoreSearcher<'a> {
    /// Of `store`, what passes `filter`.
    ///
    /// # Errors
    /// [`Error::Filter`](crate::Error::Filter) when it cannot be asked of a server;
    /// [`Error::Milvus`](crate::Error::Milvus).
    pub fn new(store: &'a Store, level: Level, filter: Option<&Filter>) -> Result<Self> {
        Ok(Self { store, level, expression: store.expression(filter)? })
    }

    /// The answers to `question`, nearest first; what `options` say of a scope is a library's. What the
    /// question itself is made of is left out, as [`Searcher`](crate::search::Searcher) does.
    ///
    /// # Errors
    /// [`Error::Vector`](crate::Error::Vector) when the question has no direction or another dimension;
    /// [`Error::Milvus`](crate::Error::Milvus).
    pub fn search(&self, question: &Question, options: &SearchOptions) -> Result<Vec<Hit>> {
        let mut unit = question.vector.clone();
        refused(normalise(&mut unit, self.store.dimension()), || "the query".to_owned())?;
        let (whole, parts): (Vec<Own>, Vec<Own>) = question
            .own
            .iter()
            .copied()
            .partition(|own| own.range.is_none() || self.level == Level::Recording);
        let whole: Vec<i64> = whole.into_iter().map(|own| own.recording).collect();
        let expression = match whole.as_slice() {
            [] => self.expression.clone(),
            ids => {
                let except = format!("not ({})", one_of(RECORDING_ID, ids));
                all_of(&[&self.expression, &except])
            }
        };
        let layout = self.store.header().layout();
        let mut gathering = Gathering {
            searcher: self,
            unit,
            options,
            expression,
            own: parts.into_iter().filter_map(|own| Some((own.recording, own.range?))).collect(),
            grower: EventGrower::new(layout.hop_s),
            seen: HashSet::new(),
            full: Vec::new(),
            per_recording: HashMap::new(),
            hits: Vec::new(),
        };
        gathering.run()?;
        let mut hits = gathering.hits;
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        for (index, hit) in hits.iter_mut().enumerate() {
            hit.rank = index + 1;
        }
        self.complete_classes(&mut hits)?;
        Ok(hits)
    }

    /// Gives hits without classes those of their recordings.
    fn complete_classes(&self, hits: &mut [Hit]) -> Result<()> {
        for hit in hits.iter_mut().filter(|hit| hit.classes.is_empty()) {
            let test = one_of(KEY, &[hit.key.recording]);
            let how = (1, Store::FOLLOWING);
            let partitions = &Partition::OF_RECORDINGS;
            let found = self.store.client.query(partitions, &test, &FACTS_AND_VECTOR, how)?;
            let facts = self.store.rows(&found)?.pop().and_then(|row| row.facts);
            hit.classes = facts.map(|facts| self.store.named(&facts.classes)).unwrap_or_default();
        }
        Ok(())
    }

    /// Explains `hit` as an answer to `question`; scores from `near` on count as near.
    ///
    /// # Errors
    /// [`Error::Vector`](crate::Error::Vector), [`Error::Milvus`](crate::Error::Milvus).
    pub fn explain(&self, question: &Question, hit: &Hit, near: f32) -> Result<Explanation> {
        let mut unit = question.vector.clone();
        refused(normalise(&mut unit, self.store.dimension()), || "the query".to_owned())?;
        let (mut scores, mut from) = (Vec::new(), 0);
        let step = u32::try_from(self.store.rows_an_answer()).unwrap_or(1);
        let count = |end: f64, hop: f64| (end / hop).ceil();
        // Segments that are not there are not asked for twice; numbers end where the recording does.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "recordings last less than 10^9 hops"
        )]
        let all =
            count(hit.recording.duration_s, self.store.header().layout().hop_s).max(1.0) as u32 + 1;
        while from < all {
            let to = from.saturating_add(step);
            let partitions = &[Partition::Segments];
            let wanted = ("", &super::cells::PLACE_AND_VECTOR[..]);
            let found =
                self.store.segments_between(partitions, hit.key.recording, (from, to), wanted)?;
            scores.extend(found.iter().map(|row| cosine(&unit, &row.unit)));
            from = to;
        }
        Ok(explained(question, hit, scores, near))
    }
}

/// A search that goes on until there are as many hits as were asked for.
struct Gathering<'a> {
    searcher: &'a StoreSearcher<'a>,
    /// The question's vector, at length one.
    unit: Vec<f32>,
    options: &'a SearchOptions,
    /// What may be an answer.
    expression: String,
    /// Stretches that the question is made of, by the dataset's ids.
    own: Vec<(i64, TimeRange)>,
    grower: EventGrower,
    seen: HashSet<i64>,
    /// Recordings of which no more are wanted.
    full: Vec<i64>,
    per_recording: HashMap<i64, usize>,
    hits: Vec<Hit>,
}

impl Gathering<'_> {
    fn run(&mut self) -> Result<()> {
        let (level, store) = (self.searcher.level, self.searcher.store);
        let merges = level == Level::Segment && !self.options.single_segments;
        let mut fetched = self.options.count.saturating_add(2 * self.own.len());
        if merges {
            fetched = fetched.saturating_mul(SEGMENTS_PER_EVENT);
        }
        while !self.is_full() {
            fetched = fetched.clamp(1, MOST_ROWS);
            let except = match self.full.as_slice() {
                [] => String::new(),
                full => format!("not ({})", one_of(RECORDING, full)),
            };
            let expression = all_of(&[&self.expression, &except]);
            let index = store.description.index;
            let vectors = [self.unit.as_slice()];
            let found =
                store.client.search(partition(level), &vectors, &expression, fetched, index)?;
            let found = found.into_iter().next().unwrap_or_default();
            let is_all = found.len() < fetched;
            let fresh: Vec<i64> =
                found.iter().map(|(key, _)| *key).filter(|key| !self.seen.contains(key)).collect();
            if fresh.is_empty() || !self.take_all(&fresh, merges)? || is_all || fetched == MOST_ROWS
            {
                return Ok(());
            }
            fetched = fetched.saturating_mul(4);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.hits.len() >= self.options.count
    }

    /// Takes the rows with these keys, nearest first; `false` when no more are wanted.
    fn take_all(&mut self, keys: &[i64], merges: bool) -> Result<bool> {
        let (level, store) = (self.searcher.level, self.searcher.store);
        let (mut rest, mut count) = (keys, LOOKED_AT);
        while !rest.is_empty() {
            let (keys, behind) = rest.split_at(count.min(rest.len()));
            (rest, count) = (behind, (2 * count).min(store.rows_an_answer()));
            // By now some may be parts of events.
            let wanted: Vec<i64> =
                keys.iter().copied().filter(|key| !self.grower.has_taken(*key)).collect();
            if wanted.is_empty() {
                continue;
            }
            let how = (wanted.len(), Store::FOLLOWING);
            let test = one_of(KEY, &wanted);
            let partitions = &[partition(level)];
            let found = store.client.query(partitions, &test, &FACTS_AND_VECTOR, how)?;
            let mut rows: Vec<(f32, Row)> = store
                .rows(&found)?
                .into_iter()
                .map(|row| (cosine(&self.unit, &row.unit), row))
                .collect();
            rows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.key.cmp(&b.1.key)));
            for (score, row) in rows {
                self.seen.insert(row.key);
                if self.options.least_score.is_some_and(|least| score < least) {
                    return Ok(false);
                }
                if self.admits(&row) {
                    self.take(score, row, merges)?;
                }
                if self.is_full() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn admits(&self, row: &Row) -> bool {
        let id = row.facts.as_ref().map(|facts| facts.recording.id);
        !self.grower.has_taken(row.key)
            && !self.full.contains(&row.recording)
            && id.is_some_and(|id| !is_own(&self.own, id, row.range))
    }

    /// Makes a hit of a row.
    fn take(&mut self, score: f32, row: Row, merges: bool) -> Result<()> {
        let Some(facts) = row.facts else {
            let (expected, found) = ("what is known of a row".to_owned(), "nothing".to_owned());
            let problem = MilvusProblem::Answer { expected, found };
            return Err(self.searcher.store.failed(problem));
        };
        let best = ScoredSegment { id: row.key, range: row.range, score };
        let (event, classes) = if merges {
            let Self { searcher, unit, expression, own, grower, .. } = self;
            let place = (row.recording, row.segment.unwrap_or_default(), facts.segments);
            let id = facts.recording.id;
            let event = grower.grow(best, |direction| {
                let admits = |range| !is_own(own, id, range);
                Neighbours::new(searcher.store, (unit, expression), place, direction, admits)
            })?;
            (event, facts.classes)
        } else {
            (Event { range: row.range, best, segments: 1 }, facts.classes)
        };
        let key = VectorKey { segment: event.best.id, recording: row.recording };
        self.hits.push(Hit {
            rank: 0,
            score: event.best.score,
            recording: facts.recording,
            range: event.range,
            best: event.best.range,
            key,
            segments: event.segments,
            classes: self.searcher.store.named(&classes),
        });
        let count = self.per_recording.entry(row.recording).or_default();
        *count += 1;
        if self.options.per_recording.is_some_and(|most| *count >= most) {
            self.full.push(row.recording);
        }
        Ok(())
    }
}

/// Whether a segment shares time with a stretch that the question is made of.
fn is_own(own: &[(i64, TimeRange)], recording: i64, range: TimeRange) -> bool {
    own.iter().any(|(id, part)| {
        *id == recording && range.start_s < part.end_s && part.start_s < range.end_s
    })
}
