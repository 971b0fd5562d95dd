//! Matches into hits: which recording, where in it, and what is heard there.
//!
//! In: a [`Question`], and what kind of answers are wanted. Out: [`Hit`]s, nearest first, as many
//! as were asked for wherever there are as many. Refuses nothing that a [`Collection`] does not.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::collection::{CacheWarning, Collection, CollectionOptions, Match};
use super::events::{Event, EventGrower, ScoredSegment};
use super::explain::Spreads;
use super::question::Question;
use crate::audio::segment::TimeRange;
use crate::error::{Result, VectorProblem};
use crate::index::metric::{cosine, normalise};
use crate::index::refused;
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::recordings::{ClassScore, StoredRecording};
use crate::store::segments::{Level, VectorKey};
use crate::store::stretches::Direction;

/// Segments that are asked for beyond what a question without events takes: an event has several.
const SEGMENTS_PER_EVENT: usize = 4;

/// Neighbours that are read at once at first, and at most: most events end soon, and some are long.
const NEIGHBOURS: (usize, usize) = (2, 1_024);

/// Something similar.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// 1 for the nearest.
    pub rank: usize,
    /// Cosine of the angle to the question, in [−1, 1]; an event's best one.
    pub score: f32,
    /// The recording.
    pub recording: StoredRecording,
    /// The stretch of it: all of it when recordings are compared.
    pub range: TimeRange,
    /// The segment that scores best, and where it lies: all of the recording when recordings are
    /// compared.
    pub best: TimeRange,
    /// What the best vector stands for.
    pub key: VectorKey,
    /// How many segments were joined; 1 when recordings or single segments are compared.
    pub segments: usize,
    /// The highest class scores of the best segment, highest first; the recording's, where the
    /// segment's were not stored.
    pub classes: Vec<ClassScore>,
}

/// Which answers are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOptions {
    /// How many at most.
    pub count: usize,
    /// What may be among them.
    pub scope: Scope,
    /// The least score of an answer.
    pub least_score: Option<f32>,
    /// How many of one recording at most.
    pub per_recording: Option<usize>,
    /// Whether segments stay single; otherwise neighbours are joined into events.
    pub single_segments: bool,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            count: 10,
            scope: Scope::default(),
            least_score: None,
            per_recording: None,
            single_segments: false,
        }
    }
}

/// The vectors of one model at one level, ready to be searched.
#[derive(Debug)]
pub struct Searcher<'a> {
    pub(super) library: &'a Library,
    pub(super) model: StoredModel,
    pub(super) level: Level,
    collection: Arc<Collection>,
    pub(super) spreads: RefCell<Spreads>,
}

impl<'a> Searcher<'a> {
    /// Opens the vectors of `model` at `level`.
    ///
    /// # Errors
    /// As [`Collection::open`].
    pub fn open(library: &'a Library, model: StoredModel, level: Level) -> Result<Self> {
        Self::open_with(library, model, level, CollectionOptions::default())
    }

    /// As [`open`](Self::open), to search in the way that `options` say.
    ///
    /// # Errors
    /// As [`Collection::open`].
    pub fn open_with(
        library: &'a Library,
        model: StoredModel,
        level: Level,
        options: CollectionOptions,
    ) -> Result<Self> {
        let collection = Collection::open_with(library, &model, level, options)?;
        Ok(Self {
            library,
            model,
            level,
            collection: Arc::new(collection),
            spreads: RefCell::default(),
        })
    }

    /// Searches a `collection` of `library` that is open already: threads may share it, each with
    /// a library of its own.
    pub fn over(library: &'a Library, collection: Arc<Collection>) -> Self {
        let (model, level) = (collection.model().clone(), collection.level());
        Self { library, model, level, collection, spreads: RefCell::default() }
    }

    /// What is wrong with the cache, as far as searches have shown.
    pub fn warning(&self) -> Option<CacheWarning> {
        self.collection.warning()
    }

    /// Vectors that were left out because all their values are zero.
    pub fn without_direction(&self) -> usize {
        self.collection.without_direction()
    }

    /// The answers to `question`, nearest first. What the question itself is made of is left out:
    /// among recordings, every recording that has a part in it; among segments, the recordings
    /// that are examples as a whole, and the segments that overlap a stretch that is.
    ///
    /// # Errors
    /// As [`Collection::nearest`].
    pub fn search(&self, question: &Question, options: &SearchOptions) -> Result<Vec<Hit>> {
        let mut hits = self.ranking(question, options)?;
        for hit in &mut hits {
            hit.classes = self.classes(hit.key)?;
        }
        Ok(hits)
    }

    /// As [`search`](Self::search), without the classes.
    pub(super) fn ranking(&self, question: &Question, options: &SearchOptions) -> Result<Vec<Hit>> {
        let mut unit = question.vector.clone();
        let dimension = self.model.identity.dimension;
        refused(normalise(&mut unit, dimension), || "the query".to_owned())?;
        let mut gathering = Gathering {
            searcher: self,
            unit,
            options,
            scope: options.scope.clone(),
            own: self.own_segments(question)?,
            grower: EventGrower::new(self.hop_s()),
            seen: HashSet::new(),
            per_recording: HashMap::new(),
            hits: Vec::new(),
        };
        gathering.scope.except.extend(question.own.iter().filter_map(|own| {
            (own.range.is_none() || self.level == Level::Recording).then_some(own.recording)
        }));
        gathering.run()?;
        let mut hits = gathering.hits;
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        for (index, hit) in hits.iter_mut().enumerate() {
            hit.rank = index + 1;
        }
        Ok(hits)
    }

    /// Seconds from one segment to the next.
    fn hop_s(&self) -> f64 {
        self.model.segmentation.map_or(self.model.hop_s, |segments| segments.hop_s)
    }

    /// The segments that overlap a stretch that `question` is made of.
    fn own_segments(&self, question: &Question) -> Result<HashSet<i64>> {
        let mut ids = HashSet::new();
        if self.level == Level::Recording {
            return Ok(ids);
        }
        for own in &question.own {
            let Some(range) = own.range else { continue };
            let of = (own.recording, self.model.id);
            let overlapping = self.library.segments_within(of, range)?;
            ids.extend(overlapping.iter().map(|segment| segment.id));
        }
        Ok(ids)
    }

    /// The classes that the model hears in what `key` stands for, highest score first.
    pub(super) fn classes(&self, key: VectorKey) -> Result<Vec<ClassScore>> {
        if self.level == Level::Segment {
            let classes = self.library.segment_classes(key.segment)?;
            if !classes.is_empty() {
                return Ok(classes);
            }
        }
        self.library.classes(key.recording, self.model.id)
    }
}

/// A search that goes on until there are as many hits as were asked for.
struct Gathering<'a> {
    searcher: &'a Searcher<'a>,
    /// The question's vector, at length one.
    unit: Vec<f32>,
    options: &'a SearchOptions,
    scope: Scope,
    /// Segments that the question is made of.
    own: HashSet<i64>,
    grower: EventGrower,
    seen: HashSet<i64>,
    per_recording: HashMap<i64, usize>,
    hits: Vec<Hit>,
}

impl Gathering<'_> {
    fn run(&mut self) -> Result<()> {
        let searcher = self.searcher;
        let merges = searcher.level == Level::Segment && !self.options.single_segments;
        let wanted = self.options.count.saturating_add(self.own.len());
        let mut fetched = if merges { wanted.saturating_mul(SEGMENTS_PER_EVENT) } else { wanted };
        let (library, collection) = (searcher.library, &searcher.collection);
        let mut gone = HashSet::new();
        while !self.is_full() {
            let scope = &self.scope;
            let mut approach = collection.approach(library, &self.unit, fetched, scope, &gone)?;
            let admits =
                |this: &Self, key: VectorKey| !this.seen.contains(&key.segment) && this.admits(key);
            while let Some(found) =
                collection.next_match(library, &mut approach, |key| admits(self, key))?
            {
                if self.options.least_score.is_some_and(|s| found.cosine < s) {
                    return Ok(());
                }
                // By now it may be part of an event.
                if admits(self, found.key) {
                    self.take(found, merges)?;
                }
                self.seen.insert(found.key.segment);
                if self.is_full() {
                    return Ok(());
                }
            }
            if !approach.gone.is_empty() {
                // Where another process removed some meanwhile, those behind them move up.
                gone.extend(approach.gone);
            } else if approach.is_all {
                return Ok(());
            } else {
                fetched = fetched.saturating_mul(4);
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.hits.len() >= self.options.count
    }

    fn admits(&self, key: VectorKey) -> bool {
        !self.own.contains(&key.segment)
            && !self.grower.has_taken(key.segment)
            && self.scope.contains(key)
    }

    /// Makes a hit of a match.
    fn take(&mut self, found: Match, merges: bool) -> Result<()> {
        let Some((recording, range)) = self.place(found)? else {
            // Silence, or a row that another process removed since the vectors were read.
            return Ok(());
        };
        let best = ScoredSegment { id: found.key.segment, range, score: found.cosine };
        let event =
            if merges { self.grow(found.key, best)? } else { Event { range, best, segments: 1 } };
        let key = VectorKey { segment: event.best.id, recording: found.key.recording };
        self.hits.push(Hit {
            rank: 0,
            score: event.best.score,
            recording,
            range: event.range,
            best: event.best.range,
            key,
            segments: event.segments,
            // Looked up at last, for those that are told.
            classes: Vec::new(),
        });
        let count = self.per_recording.entry(key.recording).or_default();
        *count += 1;
        if self.options.per_recording.is_some_and(|most| *count >= most) {
            self.scope.except.push(key.recording);
        }
        Ok(())
    }

    fn grow(&mut self, key: VectorKey, peak: ScoredSegment) -> Result<Event> {
        let Self { searcher, unit, scope, own, grower, .. } = self;
        grower.grow(peak, |direction| Neighbours {
            searcher,
            unit,
            admits: |key| scope.contains(key) && !own.contains(&key.segment),
            from: key,
            direction,
            count: NEIGHBOURS.0,
            ready: VecDeque::new(),
            is_over: false,
        })
    }

    fn place(&self, found: Match) -> Result<Option<(StoredRecording, TimeRange)>> {
        let library = self.searcher.library;
        let range = match self.searcher.level {
            // Silence is no question, and no answer: the mean of a bark and long silence is like it.
            Level::Recording => {
                if !library.has_sound(found.key.recording, self.searcher.model.id)? {
                    return Ok(None);
                }
                None
            }
            Level::Segment => match library.segment(found.key.segment)? {
                Some(place) => Some(place.range),
                None => return Ok(None),
            },
        };
        Ok(library.recording(found.key.recording)?.map(|recording| {
            let whole = TimeRange { start_s: 0.0, end_s: recording.duration_s };
            (recording, range.unwrap_or(whole))
        }))
    }
}

/// The segments beside one, with their scores, read in ever larger portions.
struct Neighbours<'a, A> {
    searcher: &'a Searcher<'a>,
    unit: &'a [f32],
    admits: A,
    from: VectorKey,
    direction: Direction,
    count: usize,
    ready: VecDeque<ScoredSegment>,
    is_over: bool,
}

impl<A: Fn(VectorKey) -> bool> Neighbours<'_, A> {
    fn read(&mut self) -> Result<()> {
        let (model, dimension) = (self.searcher.model.id, self.unit.len());
        let portion = (self.direction, self.count);
        let found = self.searcher.library.segments_beside(self.from, model, dimension, portion)?;
        self.is_over = found.len() < self.count;
        self.count = (2 * self.count).min(NEIGHBOURS.1);
        for (segment, mut vector) in found {
            self.from.segment = segment.id;
            // What may be no answer is no part of one, and parts its neighbours if it is long.
            if !(self.admits)(self.from) {
                continue;
            }
            match normalise(&mut vector, dimension) {
                Ok(()) => {
                    let score = cosine(self.unit, &vector);
                    let (id, range) = (segment.id, segment.range);
                    self.ready.push_back(ScoredSegment { id, range, score });
                }
                // A network may answer silence with zeros; searches leave it out.
                Err(VectorProblem::Zero) => {}
                Err(problem) => {
                    refused(Err(problem), || format!("stored vector {}", segment.id))?;
                }
            }
        }
        Ok(())
    }
}

impl<A: Fn(VectorKey) -> bool> Iterator for Neighbours<'_, A> {
    type Item = Result<ScoredSegment>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.is_over {
            if let Err(error) = self.read() {
                self.is_over = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
