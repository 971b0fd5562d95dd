//! The segments beside one, with their scores, read in ever larger portions.
//!
//! In: where to begin, and a question. Out: scored segments, for whoever grows an event.

use std::collections::VecDeque;

use super::super::Store;
use super::super::cells::PLACE_AND_VECTOR;
use super::super::columns::Partition;
use crate::audio::segment::TimeRange;
use crate::error::Result;
use crate::index::metric::cosine;
use crate::search::events::ScoredSegment;
use crate::store::stretches::Direction;

/// Neighbours that are read at once at first, and at most: most events end soon, and some are long.
const NEIGHBOURS: (u32, u32) = (4, 512);

/// The segments of a recording on one side of one of them, that may be answers.
pub(super) struct Neighbours<'a, A> {
    store: &'a Store,
    /// The question at length one, and what may be an answer.
    question: (&'a [f32], &'a str),
    recording: i64,
    /// How many segments it has.
    segments: i64,
    /// The number of the next one.
    next: i64,
    direction: Direction,
    admits: A,
    count: u32,
    ready: VecDeque<ScoredSegment>,
    is_over: bool,
}

impl<'a, A: Fn(TimeRange) -> bool> Neighbours<'a, A> {
    pub(super) fn new(
        store: &'a Store,
        question: (&'a [f32], &'a str),
        (recording, segment, segments): (i64, u32, u32),
        direction: Direction,
        admits: A,
    ) -> Self {
        let next = i64::from(segment) + if direction == Direction::Later { 1 } else { -1 };
        let (segments, count) = (i64::from(segments), NEIGHBOURS.0);
        let (ready, is_over) = (VecDeque::new(), next < 0 || next >= segments);
        Self {
            store,
            question,
            recording,
            segments,
            next,
            direction,
            admits,
            count,
            ready,
            is_over,
        }
    }

    /// Segments that are left out, behind which no two touch any more.
    fn reach(&self) -> f64 {
        let layout = self.store.header().layout();
        layout.segment_s / layout.hop_s + 1.0
    }

    fn read(&mut self) -> Result<()> {
        let most = u32::try_from(self.store.rows_an_answer()).unwrap_or(1);
        let count = i64::from(self.count.min(most));
        let (from, to) = match self.direction {
            Direction::Later => (self.next, self.next + count),
            Direction::Earlier => ((self.next + 1 - count).max(0), self.next + 1),
        };
        let number = |place: i64| u32::try_from(place).unwrap_or(u32::MAX);
        let (unit, expression) = self.question;
        let mut found = self.store.segments_between(
            &[Partition::Segments],
            self.recording,
            (number(from), number(to)),
            (expression, &PLACE_AND_VECTOR),
        )?;
        if self.direction == Direction::Earlier {
            found.reverse();
        }
        self.next = if self.direction == Direction::Later { to } else { from - 1 };
        let is_apart = found.is_empty() && f64::from(self.count) > self.reach();
        self.is_over = is_apart || self.next < 0 || self.next >= self.segments;
        self.count = (2 * self.count).min(NEIGHBOURS.1);
        self.ready.extend(found.into_iter().filter(|row| (self.admits)(row.range)).map(|row| {
            ScoredSegment { id: row.key, range: row.range, score: cosine(unit, &row.unit) }
        }));
        Ok(())
    }
}

impl<A: Fn(TimeRange) -> bool> Iterator for Neighbours<'_, A> {
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
