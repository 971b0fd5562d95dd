//! Detections into machine labels, in place of a head's earlier ones.
//!
//! In: the detections of some recordings. Out: labels whose source is the head. Labels that are
//! there already stay as they are, so that a second run changes nothing; nothing is learnt from
//! labels of heads.

use std::collections::{HashMap, HashSet};

use super::detecting::Detection;
use crate::audio::segment::TimeRange;
use crate::case::folded;
use crate::error::{Result, TrainingProblem};
use crate::store::Library;
use crate::store::labels::{Judgement, MACHINE, NewLabel, StoredLabel};
use crate::train::head::card::HeadCard;
use crate::train::task::Task;

/// What became of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Labels that are there now.
    pub labels: u64,
    /// Of these, how many are new.
    pub added: u64,
    /// Earlier labels that were taken away.
    pub removed: u64,
}

/// Writes the detections of each of `recordings` that reach their thresholds, in one transaction,
/// in place of earlier labels of the head, of `classes`, or of all where there is none.
///
/// # Errors
/// [`TrainingProblem::NotOfClasses`], [`Error::Store`](crate::Error::Store).
pub fn save(
    library: &mut Library,
    card: &HeadCard,
    classes: &[usize],
    recordings: &[(i64, Vec<Detection>)],
) -> Result<Saved> {
    if card.task == Task::Regression {
        let what = "a label";
        return Err(TrainingProblem::NotOfClasses { head: card.name.clone(), what }.into());
    }
    let source = format!("{MACHINE}{}", card.name);
    let asked: HashSet<String> =
        classes.iter().map(|&class| folded(&card.classes[class])).collect();
    let mut earlier = Vec::with_capacity(recordings.len());
    for (recording, _) in recordings {
        let mut labels = library.labels(*recording)?;
        labels.retain(|label| {
            let is_asked = asked.is_empty() || asked.contains(&folded(&label.class));
            label.source.eq_ignore_ascii_case(&source) && is_asked
        });
        earlier.push(Earlier::of(labels));
    }
    let mut saved = Saved::default();
    let writer = library.begin()?;
    for ((recording, detections), mut earlier) in recordings.iter().zip(earlier) {
        for detection in detections.iter().filter(|detection| detection.reaches) {
            let label = NewLabel {
                recording: *recording,
                class: &card.classes[detection.class],
                range: detection.range,
                judgement: Judgement::Positive,
                source: &source,
                score: Some(detection.score.clamp(0.0, 1.0)),
                band_hz: None,
            };
            // A segment without a length, at the very end, is no stretch.
            if label.range.is_some_and(|TimeRange { start_s, end_s }| end_s <= start_s) {
                continue;
            }
            saved.labels += 1;
            if !earlier.take(&label) {
                writer.add_label(&label)?;
                saved.added += 1;
            }
        }
        for id in earlier.left() {
            writer.remove_label(id)?;
            saved.removed += 1;
        }
    }
    writer.commit()?;
    Ok(saved)
}

/// What two labels of one head and recording have to have in common to be the same: class, stretch,
/// judgement and score, by their bits.
type Said = (String, Option<[u64; 2]>, Judgement, Option<u64>);

fn said(class: &str, range: Option<TimeRange>, judgement: Judgement, score: Option<f64>) -> Said {
    // SQLite knows no minus zero; plus zero makes one of the two.
    let bits = |value: f64| (value + 0.0).to_bits();
    let stretch = range.map(|range| [range.start_s, range.end_s].map(bits));
    (class.to_owned(), stretch, judgement, score.map(bits))
}

/// A head's earlier labels of a recording, by what they say; equal ones one behind the other. A
/// recording of a day may have a hundred thousand.
#[derive(Debug, Default)]
struct Earlier(HashMap<Said, Vec<i64>>);

impl Earlier {
    fn of(labels: Vec<StoredLabel>) -> Self {
        let mut by_said: HashMap<Said, Vec<i64>> = HashMap::with_capacity(labels.len());
        for label in labels {
            let said = said(&label.class, label.range, label.judgement, label.score);
            by_said.entry(said).or_default().push(label.id);
        }
        Self(by_said)
    }

    /// Takes one out that is the same as `label`; whether there was one.
    fn take(&mut self, label: &NewLabel<'_>) -> bool {
        let said = said(label.class, label.range, label.judgement, label.score);
        self.0.get_mut(&said).is_some_and(|ids| ids.pop().is_some())
    }

    /// The ids of those that were not taken out, as they were made.
    fn left(self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.0.into_values().flatten().collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn labels_of_a_long_recording_are_found_again_in_linear_time() {
        const COUNT: i64 = 200_000;
        #[expect(clippy::cast_precision_loss, reason = "whole numbers far below 2^53")]
        let range = |n: i64| TimeRange { start_s: n as f64 / 2.0, end_s: n as f64 / 2.0 + 1.0 };
        let labels = (0..COUNT).map(|id| StoredLabel {
            id,
            recording: 1,
            class: "Dog".to_owned(),
            range: Some(range(id)),
            judgement: Judgement::Positive,
            source: "head:dogs".to_owned(),
            created_at: String::new(),
            score: Some(0.5),
            band_hz: None,
        });
        let started = Instant::now();
        let mut earlier = Earlier::of(labels.collect());
        let label = |n: i64, score: f64| NewLabel {
            recording: 1,
            class: "Dog",
            range: Some(range(n)),
            judgement: Judgement::Positive,
            source: "head:dogs",
            score: Some(score),
            band_hz: None,
        };
        assert!(!earlier.take(&label(7, 0.25)));
        // The last first: whoever looks from the beginning has the longest way.
        for n in (1..COUNT).rev() {
            assert!(earlier.take(&label(n, 0.5)), "{n}");
        }
        assert!(!earlier.take(&label(1, 0.5)), "each is there once");
        assert_eq!(earlier.left(), [0]);
        // A tenth of a second; comparing each with each took minutes.
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
