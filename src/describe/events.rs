//! Class scores along time into events.
//!
//! In: the scores of one segment after another. Out: [`Event`]s. A class is *heard* in a segment
//! when its score there is at least the threshold and is among the few highest of that segment.
//! Segments in which one class is heard, and that follow one another, are one event; as for
//! detections of heads, they follow one another when no more
//! than half a hop lies between them, so that segments that overlap bridge a single one between
//! them in which the class falls short.

use std::collections::HashMap;

use crate::audio::segment::TimeRange;
use crate::model::pool::top_scores;
use crate::search::events::TOLERANCE_HOPS;

/// When a class is heard in a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventSpec {
    /// Its score there is at least this.
    pub threshold: f32,
    /// It is among so many highest of the segment.
    pub top: usize,
}

/// A class in a stretch of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The class's number.
    pub class: usize,
    /// From its first segment's beginning to its last one's end.
    pub range: TimeRange,
    /// The highest score.
    pub score: f32,
    /// The mean over the segments in which it is heard.
    pub mean: f32,
    /// How many these are.
    pub segments: usize,
}

/// Joins segments into events as they come.
#[derive(Debug)]
pub(super) struct EventJoiner {
    spec: EventSpec,
    tolerance_s: f64,
    /// The last event of each class, by its place in `events`.
    last: HashMap<usize, usize>,
    events: Vec<Event>,
}

impl EventJoiner {
    /// A joiner of segments that begin every `hop_s` seconds.
    pub(super) fn new(spec: EventSpec, hop_s: f64) -> Self {
        let tolerance_s = TOLERANCE_HOPS * hop_s;
        Self { spec, tolerance_s, last: HashMap::new(), events: Vec::new() }
    }

    /// Takes the next segment, `scores` being `[classes]`.
    pub(super) fn push(&mut self, range: TimeRange, scores: &[f32]) {
        for (class, score) in top_scores(scores, self.spec.top) {
            // Also false for what is no number.
            if score >= self.spec.threshold {
                self.hear(range, class, score);
            }
        }
    }

    fn hear(&mut self, range: TimeRange, class: usize, score: f32) {
        let last = self.last.get(&class).and_then(|&place| self.events.get_mut(place));
        match last {
            Some(event) if range.start_s - event.range.end_s <= self.tolerance_s => {
                event.range.end_s = event.range.end_s.max(range.end_s);
                event.score = event.score.max(score);
                event.segments += 1;
                event.mean += (score - event.mean) / event.segments as f32;
            }
            _ => {
                self.last.insert(class, self.events.len());
                self.events.push(Event { class, range, score, mean: score, segments: 1 });
            }
        }
    }

    /// The events in the order of their beginnings; of one beginning, the highest score first.
    pub(super) fn finish(mut self) -> Vec<Event> {
        self.events.sort_by(|a, b| {
            let by_time = a.range.start_s.total_cmp(&b.range.start_s);
            by_time.then(b.score.total_cmp(&a.score)).then(a.class.cmp(&b.class))
        });
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of 1 s every 0.5 s.
    fn events(scores: &[[f32; 3]], spec: EventSpec) -> Vec<(usize, f64, f64, usize)> {
        let mut joiner = EventJoiner::new(spec, 0.5);
        for (index, scores) in scores.iter().enumerate() {
            let start_s = index as f64 * 0.5;
            joiner.push(TimeRange { start_s, end_s: start_s + 1.0 }, scores);
        }
        let found = joiner.finish().into_iter();
        found.map(|e| (e.class, e.range.start_s, e.range.end_s, e.segments)).collect()
    }

    const SPEC: EventSpec = EventSpec { threshold: 0.5, top: 2 };

    #[test]
    fn one_gap_of_overlapping_segments_is_bridged_and_three_are_not() {
        let scores = [0.9, 0.5, 0.1, 0.7, 0.1, 0.1, 0.1, 0.6].map(|score| [score, 0.0, 0.0]);
        assert_eq!(events(&scores, SPEC), [(0, 0.0, 2.5, 3), (0, 3.5, 4.5, 1)]);
    }

    #[test]
    fn a_class_below_the_top_or_the_threshold_is_not_heard() {
        let scores = [[0.9, 0.8, 0.7], [0.49, 0.2, f32::NAN]];
        let found = events(&scores, SPEC);
        assert_eq!(found, [(0, 0.0, 1.0, 1), (1, 0.0, 1.0, 1)]);
        assert_eq!(events(&scores, EventSpec { top: 3, ..SPEC }).len(), 3);
        assert_eq!(events(&scores, EventSpec { top: 0, ..SPEC }), []);
    }

    #[test]
    fn the_score_is_the_best_and_the_mean_is_beside_it() {
        let mut joiner = EventJoiner::new(SPEC, 0.5);
        for (start_s, score) in [(0.0, 0.6), (0.5, 0.8), (1.0, 0.7)] {
            joiner.push(TimeRange { start_s, end_s: start_s + 1.0 }, &[score]);
        }
        let event = joiner.finish()[0];
        assert!((event.score - 0.8).abs() < 1e-6 && (event.mean - 0.7).abs() < 1e-6, "{event:?}");
    }
}
