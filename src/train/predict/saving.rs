//! Detections into machine labels, in place of a head's earlier ones.
//!
//! In: the detections of some recordings. Out: labels whose source is the head. Labels that are
//! there already stay as they are, so that a second run changes nothing; nothing is learnt from
//! labels of heads.

use super::detecting::Detection;
use crate::audio::segment::TimeRange;
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
    let asked: Vec<String> =
        classes.iter().map(|&class| card.classes[class].to_lowercase()).collect();
    let mut earlier = Vec::with_capacity(recordings.len());
    for (recording, _) in recordings {
        let mut labels = library.labels(*recording)?;
        labels.retain(|label| {
            let is_asked = asked.is_empty() || asked.contains(&label.class.to_lowercase());
            label.source.eq_ignore_ascii_case(&source) && is_asked
        });
        earlier.push(labels);
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
            if let Some(place) = earlier.iter().position(|known| is_same(known, &label)) {
                earlier.swap_remove(place);
            } else {
                writer.add_label(&label)?;
                saved.added += 1;
            }
        }
        for label in earlier {
            writer.remove_label(label.id)?;
            saved.removed += 1;
        }
    }
    writer.commit()?;
    Ok(saved)
}

fn is_same(known: &StoredLabel, label: &NewLabel<'_>) -> bool {
    known.class == label.class
        && known.range == label.range
        && known.judgement == label.judgement
        && known.score == label.score
}
