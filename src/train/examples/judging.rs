//! Labels of stretches into what is known of a row.
//!
//! In: the labels of a recording. Out: a cell a class. Where several labels speak of a class, the
//! newest one counts: people correct themselves, and each other. What somebody was unsure of is
//! unknown, also where all that is not labelled is taken for absent.

mod recording;

pub(in crate::train) use recording::classes_there;

use std::collections::HashMap;

use crate::audio::segment::TimeRange;
use crate::case::folded;
use crate::store::labels::{Judgement, StoredLabel};
use crate::train::task::Known;

/// The share of a segment that a label has to cover to be the segment's.
pub(super) const COVERED: f64 = 0.5;

/// What labels say of a class in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// It is there.
    Yes,
    /// It is not.
    No,
    /// Somebody could not say.
    Unsure,
    /// Nobody said.
    Unsaid,
}

impl Cell {
    pub(super) fn known(self) -> Known {
        match self {
            Self::Yes => Known::Yes,
            Self::No => Known::No,
            Self::Unsure | Self::Unsaid => Known::Unknown,
        }
    }

    fn of(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Positive => Self::Yes,
            Judgement::Negative => Self::No,
            Judgement::Unsure => Self::Unsure,
        }
    }
}

/// Knows the classes that count.
pub(super) struct Judge {
    /// The number of each class, by its name in lower case.
    classes: HashMap<String, usize>,
    exhaustive: bool,
}

impl Judge {
    pub(super) fn new(classes: &[String], exhaustive: bool) -> Self {
        let numbered = classes.iter().enumerate();
        let classes = numbered.map(|(number, class)| (folded(class), number)).collect();
        Self { classes, exhaustive }
    }

    /// What a class is that no label speaks of.
    fn unsaid(&self) -> Cell {
        if self.exhaustive { Cell::No } else { Cell::Unsaid }
    }

    /// The number of the class that a label is of, if it counts.
    fn class_of(&self, label: &StoredLabel) -> Option<usize> {
        self.classes.get(&folded(&label.class)).copied()
    }

    /// The cells of a whole recording, `[classes]`: a class is there if it is anywhere in it and was
    /// not denied there since; it is not there only if that is said of the whole.
    pub(super) fn recording(&self, labels: &[StoredLabel]) -> Vec<Cell> {
        let mut of_class: Vec<Vec<&StoredLabel>> = vec![Vec::new(); self.classes.len()];
        for label in labels {
            if let Some(class) = self.class_of(label) {
                of_class[class].push(label);
            }
        }
        let cell = |labels: Vec<&StoredLabel>| match recording::cell(&labels) {
            Cell::Unsaid => self.unsaid(),
            said => said,
        };
        of_class.into_iter().map(cell).collect()
    }

    /// The cells of a segment, `[classes]`; notes which labels are of some segment.
    pub(super) fn segment(
        &self,
        labels: &[StoredLabel],
        segment: TimeRange,
        covering: &mut [bool],
    ) -> Vec<Cell> {
        let mut cells = vec![Cell::Unsaid; self.classes.len()];
        // Labels come in the order in which they were made.
        for (label, covering) in labels.iter().zip(covering) {
            if !covers(label.range, segment) {
                continue;
            }
            *covering = true;
            if let Some(class) = self.class_of(label) {
                cells[class] = Cell::of(label.judgement);
            }
        }
        if self.exhaustive {
            for (class, cell) in cells.iter_mut().enumerate() {
                if *cell == Cell::Unsaid {
                    *cell = self.unsaid_part(labels, segment, class);
                }
            }
        }
        cells
    }

    /// What a class is in a segment that no label of it covers, where labels are exhaustive: absent,
    /// but for doubts about a part that nobody has settled since.
    fn unsaid_part(&self, labels: &[StoredLabel], segment: TimeRange, class: usize) -> Cell {
        let is_of = |label: &&StoredLabel| self.class_of(label) == Some(class);
        let is_open = |(number, label): (usize, &StoredLabel)| {
            let Some(doubted) = label.range else { return false };
            let is_doubt = label.judgement == Judgement::Unsure && shared_s(doubted, segment) > 0.0;
            let settles = |later: &StoredLabel| covers(later.range, doubted);
            is_doubt && is_of(&label) && !labels[number + 1..].iter().filter(is_of).any(settles)
        };
        if labels.iter().enumerate().any(is_open) { Cell::Unsure } else { Cell::No }
    }
}

/// Whether a label of `stretch`, or of the whole recording, covers half of `range`.
pub(super) fn covers(stretch: Option<TimeRange>, range: TimeRange) -> bool {
    // Times are rounded where they are written.
    let least = COVERED * (range.end_s - range.start_s) - 1e-6;
    stretch.is_none_or(|stretch| shared_s(stretch, range) >= least)
}

/// The time that two stretches have in common, in seconds; below 0 where there is a gap.
fn shared_s(a: TimeRange, b: TimeRange) -> f64 {
    a.end_s.min(b.end_s) - a.start_s.max(b.start_s)
}

/// Whether stretches of different classes share time.
pub(super) fn some_overlap(mut labels: Vec<(String, Option<TimeRange>)>) -> bool {
    let start = |range: Option<TimeRange>| range.map_or(0.0, |range| range.start_s);
    let end = |range: Option<TimeRange>| range.map_or(f64::INFINITY, |range| range.end_s);
    labels.sort_by(|a, b| start(a.1).total_cmp(&start(b.1)));
    let mut last: Option<(String, f64)> = None;
    for (name, range) in labels {
        if let Some((other, until)) = &last
            && *other != name
            && start(range) < *until
        {
            return true;
        }
        let until = last.as_ref().map_or(0.0, |(_, until)| *until).max(end(range));
        last = Some((name, until));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(class: &str, range: Option<(f64, f64)>, judgement: Judgement) -> StoredLabel {
        StoredLabel {
            id: 0,
            recording: 1,
            class: class.to_owned(),
            range: range.map(|(start_s, end_s)| TimeRange { start_s, end_s }),
            judgement,
            source: "me".to_owned(),
            created_at: String::new(),
            score: None,
            band_hz: None,
        }
    }

    #[test]
    fn a_segment_takes_what_covers_half_of_it_and_the_newest_word() {
        use Judgement::{Negative, Positive, Unsure};
        let judge = Judge::new(&["Cat".to_owned(), "Dog".to_owned()], false);
        let labels = [
            label("dog", Some((0.5, 2.0)), Positive),
            label("Cat", None, Positive),
            label("cat", Some((3.0, 4.0)), Negative),
            label("Owl", Some((0.0, 0.1)), Unsure),
        ];
        let mut covering = [false; 4];
        let mut at = |start_s: f64| {
            let range = TimeRange { start_s, end_s: start_s + 1.0 };
            judge.segment(&labels, range, &mut covering)
        };
        assert_eq!(at(0.0), [Cell::Yes, Cell::Yes]);
        assert_eq!(at(1.6), [Cell::Yes, Cell::Unsaid]);
        assert_eq!(at(3.4), [Cell::No, Cell::Unsaid]);
        assert_eq!(covering, [true, true, true, false]);
        // Of a whole recording a stretch says only what is there.
        assert_eq!(judge.recording(&labels), [Cell::Yes, Cell::Yes]);
        let exhaustive = Judge::new(&["Cat".to_owned(), "Dog".to_owned()], true);
        assert_eq!(exhaustive.recording(&labels[..1]), [Cell::No, Cell::Yes]);
    }

    #[test]
    fn what_somebody_was_unsure_of_is_no_absence() {
        use Judgement::{Negative, Positive, Unsure};
        let judge = Judge::new(&["Cat".to_owned(), "Öl".to_owned()], true);
        let at = |labels: &[StoredLabel], start_s: f64| {
            let range = TimeRange { start_s, end_s: start_s + 1.0 };
            judge.segment(labels, range, &mut vec![false; labels.len()])
        };
        // Shorter than half of any segment.
        let mut labels = vec![
            label("öl", None, Positive),
            label("Cat", Some((1.2, 1.4)), Unsure),
            label("Cat", Some((3.0, 4.0)), Negative),
        ];
        assert_eq!(at(&labels, 0.0), [Cell::No, Cell::Yes]);
        assert_eq!(at(&labels, 0.5), [Cell::Unsure, Cell::Yes]);
        assert_eq!(judge.recording(&labels), [Cell::Unsure, Cell::Yes]);
        labels.push(label("Cat", Some((1.2, 1.4)), Negative));
        assert_eq!(at(&labels, 0.5), [Cell::No, Cell::Yes]);
        assert_eq!(judge.recording(&labels), [Cell::No, Cell::Yes]);
    }
}
