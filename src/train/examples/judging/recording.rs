//! What labels of stretches say of a whole recording.
//!
//! In: the labels of one class. Out: its cell. The newest word counts wherever two speak of the same
//! time: read from the last label backwards, what is known by then of later ones settles the rest.

use std::collections::BTreeMap;

use super::{COVERED, Cell};
use crate::audio::segment::TimeRange;
use crate::case::folded;
use crate::store::labels::{Judgement, StoredLabel};

/// What `labels` of one class, in the order in which they were made, say of their recording.
pub(super) fn cell(labels: &[&StoredLabel]) -> Cell {
    // Where later labels say that the class is not, or that they cannot tell.
    let mut later = Stretches::default();
    let mut is_open = false;
    for label in labels.iter().rev() {
        let Some(range) = label.range else {
            return match label.judgement {
                Judgement::Positive => Cell::Yes,
                // Some of it was doubted after the whole was denied.
                Judgement::Negative if is_open => Cell::Unsure,
                judgement => Cell::of(judgement),
            };
        };
        let is_settled = later.cover_half(range);
        match label.judgement {
            Judgement::Positive if !is_settled => return Cell::Yes,
            Judgement::Positive => {}
            Judgement::Negative => later.add(range),
            Judgement::Unsure => {
                is_open |= !is_settled;
                later.add(range);
            }
        }
    }
    if is_open { Cell::Unsure } else { Cell::Unsaid }
}

/// The classes that `labels`, in the order in which they were made, say are somewhere in their
/// recording: by folded names, each as its first label writes it.
pub(in crate::train) fn classes_there(labels: &[StoredLabel]) -> BTreeMap<String, &str> {
    let mut of_class: BTreeMap<String, Vec<&StoredLabel>> = BTreeMap::new();
    for label in labels {
        of_class.entry(folded(&label.class)).or_default().push(label);
    }
    of_class
        .into_iter()
        .filter(|(_, labels)| cell(labels) == Cell::Yes)
        .map(|(name, labels)| (name, labels[0].class.as_str()))
        .collect()
}

/// Stretches that do not touch, by time.
#[derive(Clone, Debug, Default)]
struct Stretches(Vec<TimeRange>);

impl Stretches {
    fn add(&mut self, mut range: TimeRange) {
        let first = self.0.partition_point(|known| known.end_s < range.start_s);
        let last = self.0.partition_point(|known| known.start_s <= range.end_s);
        if first < last {
            range.start_s = range.start_s.min(self.0[first].start_s);
            range.end_s = range.end_s.max(self.0[last - 1].end_s);
        }
        self.0.splice(first..last, [range]);
    }

    /// Whether they cover as much of `range` as a label has to cover of a segment.
    fn cover_half(&self, range: TimeRange) -> bool {
        let first = self.0.partition_point(|known| known.end_s <= range.start_s);
        let touching = self.0[first..].iter().take_while(|known| known.start_s < range.end_s);
        let covered_s: f64 = touching
            .map(|known| known.end_s.min(range.end_s) - known.start_s.max(range.start_s))
            .sum();
        covered_s > 0.0 && covered_s >= COVERED * (range.end_s - range.start_s) - 1e-6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[(Option<(f64, f64)>, Judgement)]) -> Cell {
        let labels: Vec<StoredLabel> = labels
            .iter()
            .map(|&(range, judgement)| StoredLabel {
                id: 0,
                recording: 1,
                class: "Dog".to_owned(),
                range: range.map(|(start_s, end_s)| TimeRange { start_s, end_s }),
                judgement,
                source: "me".to_owned(),
                created_at: String::new(),
                score: None,
                band_hz: None,
            })
            .collect();
        cell(&labels.iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_was_denied_later_is_not_there() {
        use Judgement::{Negative, Positive, Unsure};
        let (here, there, all) = (Some((1.0, 2.0)), Some((5.0, 6.0)), None);
        for (labels, expected) in [
            (&[(here, Positive), (here, Negative)][..], Cell::Unsaid),
            (&[(here, Positive), (there, Negative)], Cell::Yes),
            (&[(here, Positive), (Some((0.0, 1.3)), Negative)], Cell::Yes),
            // Two halves of it, by two labels.
            (
                &[(here, Positive), (Some((0.0, 1.3)), Negative), (Some((1.7, 3.0)), Negative)],
                Cell::Unsaid,
            ),
            (&[(here, Positive), (all, Negative)], Cell::No),
            (&[(all, Negative), (here, Positive)], Cell::Yes),
            (&[(all, Negative), (here, Positive), (here, Negative)], Cell::No),
            (&[(here, Positive), (here, Negative), (here, Positive)], Cell::Yes),
            // A part of the whole was denied; the rest was not.
            (&[(all, Positive), (here, Negative)], Cell::Yes),
            (&[(here, Unsure)], Cell::Unsure),
            (&[(here, Positive), (here, Unsure)], Cell::Unsure),
            (&[(here, Unsure), (here, Negative)], Cell::Unsaid),
            (&[(here, Unsure), (all, Negative)], Cell::No),
            (&[(all, Negative), (here, Unsure)], Cell::Unsure),
            (&[(all, Unsure), (here, Negative)], Cell::Unsure),
            (&[], Cell::Unsaid),
        ] {
            assert_eq!(of(labels), expected, "{labels:?}");
        }
    }
}
