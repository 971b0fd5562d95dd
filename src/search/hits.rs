//! Matches into hits: which recording, where in it, and what is heard there.
//!
//! In: a query's vector. Out: [`Hit`]s, nearest first.

use super::collection::{CacheWarning, Collection, CollectionOptions, Match};
use crate::audio::segment::TimeRange;
use crate::error::Result;
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::recordings::{ClassScore, StoredRecording};
use crate::store::segments::Level;

/// Something similar.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// 1 for the nearest.
    pub rank: usize,
    /// Cosine of the angle to the query, in [−1, 1].
    pub score: f32,
    /// The recording.
    pub recording: StoredRecording,
    /// The stretch of it: all of it when recordings are compared.
    pub range: TimeRange,
    /// The highest class scores of the stretch, highest first; the recording's, where the
    /// stretch's were not stored.
    pub classes: Vec<ClassScore>,
}

/// The vectors of one model at one level, ready to be searched.
#[derive(Debug)]
pub struct Searcher<'a> {
    library: &'a Library,
    model: StoredModel,
    level: Level,
    collection: Collection,
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
        Ok(Self { library, model, level, collection })
    }

    /// What is wrong with the cache, as far as searches have shown.
    pub fn warning(&self) -> Option<CacheWarning> {
        self.collection.warning()
    }

    /// Vectors that were left out because all their values are zero.
    pub fn without_direction(&self) -> usize {
        self.collection.without_direction()
    }

    /// The `count` most similar to `vector`, without recording `except`.
    ///
    /// # Errors
    /// As [`Collection::nearest`].
    pub fn search(&self, vector: &[f32], except: Option<i64>, count: usize) -> Result<Vec<Hit>> {
        let scope = Scope { except: except.into_iter().collect(), ..Scope::default() };
        self.search_within(vector, &scope, count)
    }

    /// The `count` most similar to `vector` within `scope`.
    ///
    /// # Errors
    /// As [`Collection::nearest`].
    pub fn search_within(&self, vector: &[f32], scope: &Scope, count: usize) -> Result<Vec<Hit>> {
        let mut hits = Vec::new();
        for found in self.collection.nearest(self.library, vector, count, scope)? {
            // A row that another process removed since the vectors were read is no hit any more.
            let Some((recording, range)) = self.place(found)? else {
                continue;
            };
            let classes = self.classes(found)?;
            hits.push(Hit { rank: hits.len() + 1, score: found.cosine, recording, range, classes });
        }
        Ok(hits)
    }

    fn classes(&self, found: Match) -> Result<Vec<ClassScore>> {
        if self.level == Level::Segment {
            let classes = self.library.segment_classes(found.key.segment)?;
            if !classes.is_empty() {
                return Ok(classes);
            }
        }
        self.library.classes(found.key.recording, self.model.id)
    }

    fn place(&self, found: Match) -> Result<Option<(StoredRecording, TimeRange)>> {
        let range = match self.level {
            Level::Recording => None,
            Level::Segment => match self.library.segment(found.key.segment)? {
                Some(place) => Some(place.range),
                None => return Ok(None),
            },
        };
        Ok(self.library.recording(found.key.recording)?.map(|recording| {
            let whole = TimeRange { start_s: 0.0, end_s: recording.duration_s };
            (recording, range.unwrap_or(whole))
        }))
    }
}
