//! Probabilities into detections: which class is where.
//!
//! In: [`Said`]. Out: [`Detection`]s. Of segments, those of one class that follow one another at
//! or above the class's threshold are one detection.

use super::reading::Said;
use crate::audio::segment::TimeRange;
use crate::search::events::TOLERANCE_HOPS;
use crate::store::segments::Level;
use crate::train::head::card::HeadCard;
use crate::train::task::Task;

/// From where on a class counts as there.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    task: Task,
    level: Level,
    /// `[classes]`; empty of numbers.
    thresholds: Vec<f64>,
    /// Whether whole recordings are passed over, too, in which no class reaches its threshold.
    is_strict: bool,
    /// Whether each class is asked about, `[classes]`.
    wanted: Vec<bool>,
    /// Whether classes were named with a threshold: then each is there or not, whichever is the most
    /// probable.
    each_by_itself: bool,
    tolerance_s: f64,
}

/// A class, or a number, in a stretch of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// The class's number.
    pub class: usize,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
    /// The highest probability, or the number.
    pub score: f64,
    /// The mean over its segments.
    pub mean: f64,
    /// How many segments it has.
    pub segments: usize,
    /// Whether the score reaches the threshold: only of whole recordings it may not.
    pub reaches: bool,
}

impl Bar {
    /// The thresholds of `card`, or `threshold` for all, which whole recordings must reach too; of segments that begin every `hop_s`
    /// seconds. Only `classes`, by their numbers, are asked about; all, where there is none. With both, a
    /// class is there where it reaches the threshold, though another be more probable.
    pub fn new(
        card: &HeadCard,
        level: Level,
        hop_s: f64,
        (threshold, classes): (Option<f64>, &[usize]),
    ) -> Self {
        let thresholds = card.thresholds.iter().map(|own| threshold.unwrap_or(*own)).collect();
        let count = card.classes.len();
        let wanted =
            (0..count).map(|class| classes.is_empty() || classes.contains(&class)).collect();
        let (task, is_strict) = (card.task, threshold.is_some());
        let each_by_itself = is_strict && !classes.is_empty();
        let tolerance_s = TOLERANCE_HOPS * hop_s;
        Self { task, level, thresholds, is_strict, wanted, each_by_itself, tolerance_s }
    }

    /// What is detected, in the order of time and, at one time, of classes.
    pub fn detect(&self, said: &Said) -> Vec<Detection> {
        let rows = said.rows.iter().zip(said.values.chunks_exact(self.wanted.len()));
        let mut found: Vec<Detection> = Vec::new();
        // The detection of each class that may go on.
        let mut open: Vec<Option<usize>> = vec![None; self.wanted.len()];
        for (row, values) in rows {
            let best = best(values);
            for (class, &value) in values.iter().enumerate() {
                let score = f64::from(value);
                let reaches = self.thresholds.get(class).is_none_or(|least| score >= *least);
                if !self.wanted[class] || !self.speaks(class, best, reaches) {
                    continue;
                }
                let range = row.range;
                let next = Detection { class, range, score, mean: score, segments: 1, reaches };
                let goes_on = open[class].filter(|_| self.task != Task::Regression);
                let goes_on = goes_on.filter(|&place| self.follows(found[place].range, range));
                if let Some(place) = goes_on {
                    join(&mut found[place], &next);
                } else {
                    open[class] = Some(found.len());
                    found.push(next);
                }
            }
        }
        found
    }

    /// Whether a row says `class` at all.
    fn speaks(&self, class: usize, best: usize, reaches: bool) -> bool {
        match (self.task, self.level) {
            (Task::Regression, _) => true,
            (Task::Multi, _) => reaches,
            (Task::Single, _) if self.each_by_itself => reaches,
            (Task::Single, Level::Recording) => class == best && (reaches || !self.is_strict),
            (Task::Single, Level::Segment) => class == best && reaches,
        }
    }

    fn follows(&self, before: Option<TimeRange>, next: Option<TimeRange>) -> bool {
        match (before, next) {
            (Some(before), Some(next)) => next.start_s - before.end_s <= self.tolerance_s,
            _ => false,
        }
    }
}

/// The class of the highest value; the first of equals.
pub(crate) fn best(values: &[f32]) -> usize {
    let mut best = 0;
    for (class, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = class;
        }
    }
    best
}

fn join(detection: &mut Detection, next: &Detection) {
    if let (Some(range), Some(next)) = (&mut detection.range, next.range) {
        range.end_s = range.end_s.max(next.end_s);
    }
    detection.segments += 1;
    detection.score = detection.score.max(next.score);
    detection.mean += (next.mean - detection.mean) / detection.segments as f64;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::predict::SaidRow;

    fn said(values: &[[f32; 2]], gap_at: usize) -> Said {
        let row = |index: usize| {
            let start_s = index as f64 * 0.5 + if index >= gap_at { 5.0 } else { 0.0 };
            let range = Some(TimeRange { start_s, end_s: start_s + 1.0 });
            SaidRow { segment: crate::units::signed(index), range }
        };
        Said {
            recording: 1,
            rows: (0..values.len()).map(row).collect(),
            values: values.as_flattened().to_vec(),
        }
    }

    fn bar(task: Task, level: Level) -> Bar {
        let (thresholds, wanted) = (vec![0.5, 0.5], vec![true, true]);
        let each_by_itself = false;
        Bar { task, level, thresholds, is_strict: false, wanted, each_by_itself, tolerance_s: 0.25 }
    }

    #[test]
    fn segments_that_follow_one_another_are_one_detection() {
        let said = said(&[[0.9, 0.6], [0.5, 0.1], [0.4, 0.6], [0.8, 0.2], [0.7, 0.1]], 4);
        let found = bar(Task::Multi, Level::Segment).detect(&said);
        let short: Vec<_> =
            found.iter().map(|d| (d.class, d.range.unwrap().start_s, d.segments)).collect();
        // Segments 0 and 1 touch 3 but for the one between: its neighbours are 0.5 s apart.
        assert_eq!(short[0], (0, 0.0, 3));
        assert_eq!(short[1].0, 1);
        assert_eq!(*short.last().unwrap(), (0, 7.0, 1));
        assert!((found[0].mean - (0.9 + 0.5 + 0.8) / 3.0).abs() < 1e-6);
        assert!((found[0].score - 0.9).abs() < 1e-6);
    }

    #[test]
    fn a_single_label_head_says_its_most_probable_class_only() {
        let said = said(&[[0.6, 0.55], [0.3, 0.4]], 9);
        let found = bar(Task::Single, Level::Segment).detect(&said);
        assert_eq!(found.len(), 1);
        let of_recordings = bar(Task::Single, Level::Recording).detect(&said);
        assert_eq!(of_recordings.len(), 2);
        assert!(!of_recordings[1].reaches && of_recordings[1].class == 1);
        let strict = Bar { is_strict: true, ..bar(Task::Single, Level::Recording) };
        assert_eq!(strict.detect(&said), of_recordings[..1]);
    }

    #[test]
    fn a_class_that_is_asked_about_by_itself_may_be_the_second() {
        let said = said(&[[0.6, 0.35], [0.8, 0.1]], 9);
        let by_itself = Bar {
            thresholds: vec![0.3, 0.3],
            is_strict: true,
            wanted: vec![false, true],
            each_by_itself: true,
            ..bar(Task::Single, Level::Recording)
        };
        let found = by_itself.detect(&said);
        assert_eq!(found.iter().map(|found| found.class).collect::<Vec<_>>(), [1]);
        assert!((found[0].score - 0.35).abs() < 1e-6);
    }
}
