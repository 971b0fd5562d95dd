//! Hits into events: neighbouring segments of one recording that answer a question become one
//! stretch.
//!
//! In: the best segments, best first, and the way to their neighbours. Out: [`Event`]s. An event
//! is grown from its best segment in both directions, as far as the segments are near to the
//! question and follow one another. It is the same however many segments a search returned.

use std::collections::HashSet;

use crate::audio::segment::TimeRange;
use crate::error::Result;
use crate::store::stretches::Direction;

/// An event goes on while its segments score at least this share of its best one. Chosen on ten
/// recordings of ten minutes that hold 534 calls of ESC-10 at known times in rain, sea, helicopter,
/// fire and clocks, with 50 queries from other files. Of the first twenty events the share that are
/// calls not listed yet, the share that repeat one, and the events' overlap with the calls
/// (intersection over union): 0.9 of the best 0.88, 0.039, 0.50; 0.75 0.90, 0.017, 0.61; 0.6 0.92,
/// 0.004, 0.63; a fixed drop of 0.1 0.89, 0.033, 0.51, and of 0.25 0.92, 0.015, 0.59. Single
/// segments: 0.70, 0.211, 0.35. Less than 0.75 gains little and would join what differs.
pub const SHARE_OF_BEST: f32 = 0.75;

/// Segments that are apart by no more than this share of their hop still follow one another: times
/// are rounded, and one segment that is left out of searches makes no gap as long as its neighbours
/// touch.
pub const TOLERANCE_HOPS: f64 = 0.5;

/// A segment and how near it is to the question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredSegment {
    /// Row id.
    pub id: i64,
    /// The stretch that it covers.
    pub range: TimeRange,
    /// Cosine to the question.
    pub score: f32,
}

/// A stretch of a recording that answers a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// From its first segment's beginning to its last one's end.
    pub range: TimeRange,
    /// Its best segment.
    pub best: ScoredSegment,
    /// How many segments it has.
    pub segments: usize,
}

/// Grows events and remembers which segments they took.
#[derive(Debug)]
pub struct EventGrower {
    tolerance_s: f64,
    taken: HashSet<i64>,
}

impl EventGrower {
    /// A grower for segments that begin every `hop_s` seconds.
    pub fn new(hop_s: f64) -> Self {
        Self { tolerance_s: TOLERANCE_HOPS * hop_s, taken: HashSet::new() }
    }

    /// Whether segment `id` belongs to an event.
    pub fn has_taken(&self, id: i64) -> bool {
        self.taken.contains(&id)
    }

    /// The event around `peak`. `neighbours` are the segments of the recording that may be
    /// answers, from the peak on in a direction.
    ///
    /// # Errors
    /// What `neighbours` fail with.
    pub fn grow<N: Iterator<Item = Result<ScoredSegment>>>(
        &mut self,
        peak: ScoredSegment,
        mut neighbours: impl FnMut(Direction) -> N,
    ) -> Result<Event> {
        self.taken.insert(peak.id);
        // Of a score below zero there is no share.
        let least = peak.score * if peak.score > 0.0 { SHARE_OF_BEST } else { 1.0 };
        let mut event = Event { range: peak.range, best: peak, segments: 1 };
        for direction in [Direction::Later, Direction::Earlier] {
            for next in neighbours(direction) {
                let next = next?;
                let gap_s = match direction {
                    Direction::Later => next.range.start_s - event.range.end_s,
                    Direction::Earlier => event.range.start_s - next.range.end_s,
                };
                let belongs = gap_s <= self.tolerance_s && next.score >= least;
                if !belongs || !self.taken.insert(next.id) {
                    break;
                }
                event.segments += 1;
                event.range.start_s = event.range.start_s.min(next.range.start_s);
                event.range.end_s = event.range.end_s.max(next.range.end_s);
                // A graph may have missed a better one.
                if next.score > event.best.score {
                    event.best = next;
                }
            }
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::signed;
    use proptest::prelude::*;

    const HOP_S: f64 = 0.48;

    /// Segments of 0.96 s every 0.48 s; where there is no score, the segment is left out.
    fn recording(scores: &[Option<f32>]) -> Vec<ScoredSegment> {
        let segment = |(index, score): (usize, &Option<f32>)| {
            let start_s = index as f64 * HOP_S;
            let range = TimeRange { start_s, end_s: start_s + 0.96 };
            score.map(|score| ScoredSegment { id: signed(index), range, score })
        };
        scores.iter().enumerate().filter_map(segment).collect()
    }

    /// All events of one recording, from the best segment to the worst.
    fn events(segments: &[ScoredSegment]) -> Vec<Event> {
        let mut grower = EventGrower::new(HOP_S);
        let mut ranked = segments.to_vec();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        let mut events = Vec::new();
        for peak in ranked {
            if !grower.has_taken(peak.id) {
                let neighbours = |direction| -> Box<dyn Iterator<Item = Result<ScoredSegment>>> {
                    let beside = segments.iter().copied();
                    match direction {
                        Direction::Later => Box::new(beside.filter(|s| s.id > peak.id).map(Ok)),
                        Direction::Earlier => {
                            Box::new(beside.rev().filter(|s| s.id < peak.id).map(Ok))
                        }
                    }
                };
                events.push(grower.grow(peak, neighbours).unwrap());
            }
        }
        events
    }

    #[test]
    fn an_event_ends_where_the_score_falls_or_a_gap_is() {
        let some = |scores: &[f32]| scores.iter().copied().map(Some).collect::<Vec<_>>();
        let found = events(&recording(&some(&[0.2, 0.7, 0.8, 0.6, 0.5, 0.2, 0.7])));
        assert_eq!(found.len(), 5);
        assert_eq!((found[0].segments, found[0].best.id), (3, 2));
        assert!((found[0].range.start_s - 0.48).abs() < 1e-9);
        assert!((found[0].range.end_s - 2.4).abs() < 1e-9);

        // One segment that is left out does not part its neighbours, which touch; two do.
        let touching = [Some(0.8), None, Some(0.8), None, None, Some(0.8)];
        assert_eq!(events(&recording(&touching)).len(), 2);
        assert_eq!(events(&recording(&some(&[-0.2, -0.3, -0.1]))).len(), 3);
    }

    proptest! {
        #[test]
        fn events_part_the_segments(
            scores in prop::collection::vec(prop::option::weighted(0.9, -0.2_f32..1.0), 0..60),
        ) {
            let segments = recording(&scores);
            let found = events(&segments);
            let counted: usize = found.iter().map(|event| event.segments).sum();
            prop_assert_eq!(counted, segments.len());
            prop_assert!(found.is_sorted_by(|a, b| a.best.score >= b.best.score));
            for event in &found {
                let inside: Vec<&ScoredSegment> = segments
                    .iter()
                    .filter(|s| {
                        s.range.start_s >= event.range.start_s - 1e-9
                            && s.range.end_s <= event.range.end_s + 1e-9
                    })
                    .collect();
                // An event is a run without a hole, and its best segment is its best.
                prop_assert_eq!(inside.len(), event.segments);
                let least = event.best.score * if event.best.score > 0.0 { SHARE_OF_BEST } else { 1.0 };
                prop_assert!(inside.iter().all(|s| (least..=event.best.score).contains(&s.score)));
            }
        }
    }
}
