//! Labels of stretches into what is known of a row.
//!
//! In: the labels of a recording. Out: a cell a class. Where several labels speak of a class, the
//! newest one counts: people correct themselves, and each other.

use std::collections::HashMap;

use crate::audio::segment::TimeRange;
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
        let classes = numbered.map(|(number, class)| (class.to_lowercase(), number)).collect();
        Self { classes, exhaustive }
    }

    /// The cells of a whole recording, `[classes]`: a class is there if it is anywhere in it; it is
    /// not there only if that is said of the whole.
    pub(super) fn recording(&self, labels: &[StoredLabel]) -> Vec<Cell> {
        self.cells(
            labels
                .iter()
                .filter(|label| label.range.is_none() || label.judgement == Judgement::Positive),
        )
    }

    /// The cells of a segment, `[classes]`; notes which labels are of some segment.
    pub(super) fn segment(
        &self,
        labels: &[StoredLabel],
        segment: TimeRange,
        covering: &mut [bool],
    ) -> Vec<Cell> {
        let length = segment.end_s - segment.start_s;
        let covers = |(label, covering): (&'_ StoredLabel, &mut bool)| {
            let covers = label.range.is_none_or(|range| {
                let shared = range.end_s.min(segment.end_s) - range.start_s.max(segment.start_s);
                // Times are rounded where they are written.
                shared >= COVERED * length - 1e-6
            });
            *covering |= covers;
            covers
        };
        let chosen: Vec<&StoredLabel> = labels
            .iter()
            .zip(covering)
            .filter_map(|(label, covering)| covers((label, covering)).then_some(label))
            .collect();
        self.cells(chosen.into_iter())
    }

    fn cells<'a>(&self, labels: impl Iterator<Item = &'a StoredLabel>) -> Vec<Cell> {
        let rest = if self.exhaustive { Cell::No } else { Cell::Unsaid };
        let mut cells = vec![rest; self.classes.len()];
        // Labels come in the order in which they were made.
        for label in labels {
            let name = label.class.to_lowercase();
            if let Some(&class) = self.classes.get(&name) {
                cells[class] = Cell::of(label.judgement);
            }
        }
        cells
    }
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
}
