//! Which classes there are, and what a head can say of them.
//!
//! In: a library's labels, as far as a filter lets them pass. Out: [`Survey`]: the classes to learn,
//! and the task that suits them. Refuses classes that no label, or none that passes, says are there.

use std::collections::{BTreeMap, BTreeSet};

use super::Selection;
use super::judging::{classes_there, covers, some_overlap};
use crate::audio::segment::TimeRange;
use crate::case::folded;
use crate::error::{Result, TrainingProblem};
use crate::near;
use crate::store::Library;
use crate::store::filtering::Passing;
use crate::store::labelled::Labelled;
use crate::store::labels::{Judgement, StoredLabel};
use crate::store::segments::Level;
use crate::train::task::Task;

/// The classes of a library's labels, and what they say.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// By folded name.
    classes: BTreeMap<String, Found>,
    /// Folded names of classes that have labels which the filter does not let pass.
    elsewhere: BTreeSet<String>,
    /// Recordings in which a wanted class is, and those in which several are at one time.
    positive: u64,
    several: u64,
}

/// What labels say of a class.
#[derive(Debug, Default)]
struct Found {
    /// How often each spelling is there.
    spellings: BTreeMap<String, u64>,
    /// Recordings that it is in.
    positive: u64,
    /// Whether a label says that it is not somewhere.
    denied: bool,
}

impl Found {
    /// The spelling that most labels have; the first by alphabet of several.
    fn spelling(&self) -> String {
        let most = self.spellings.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        most.map_or_else(String::new, |(name, _)| name.clone())
    }
}

impl Survey {
    pub(super) fn of(library: &Library, selection: &Selection<'_>) -> Result<Self> {
        let mut survey = Self::default();
        let wanted: BTreeSet<String> =
            selection.classes.iter().map(|class| folded(class)).collect();
        library.for_each_labelled(selection.model.id, |labelled| {
            let (labels, others) = passing_labels(library, selection, labelled)?;
            survey.elsewhere.extend(others.iter().map(|label| folded(&label.class)));
            survey.add(&labels, selection.level, &wanted);
            Ok(())
        })?;
        Ok(survey)
    }

    /// Adds the labels of a recording.
    fn add(&mut self, labels: &[StoredLabel], level: Level, wanted: &BTreeSet<String>) {
        let counts = |name: &str| wanted.is_empty() || wanted.contains(name);
        let there = classes_there(labels);
        let mut ranges: Vec<(String, Option<TimeRange>)> = Vec::new();
        for label in labels {
            let name = folded(&label.class);
            let found = self.classes.entry(name.clone()).or_default();
            *found.spellings.entry(label.class.clone()).or_default() += 1;
            match label.judgement {
                Judgement::Negative => found.denied = true,
                Judgement::Positive if counts(&name) && there.contains_key(&name) => {
                    ranges.push((name, label.range));
                }
                Judgement::Positive | Judgement::Unsure => {}
            }
        }
        self.positive += u64::from(!ranges.is_empty());
        self.several += u64::from(match level {
            Level::Recording => ranges.iter().any(|(name, _)| *name != ranges[0].0),
            Level::Segment => some_overlap(ranges),
        });
        for name in there.keys() {
            if let Some(found) = self.classes.get_mut(name) {
                found.positive += 1;
            }
        }
    }

    /// The spelling of each class that is wanted, by alphabet; with `keep` all, in the order of a
    /// head's outputs.
    pub(super) fn wanted(&self, names: &[String], keep: bool) -> Result<Vec<String>> {
        if keep {
            return Ok(names.to_vec());
        }
        let mut classes = Vec::new();
        if names.is_empty() {
            let present = self.classes.values().filter(|found| found.positive > 0);
            classes.extend(present.map(Found::spelling));
        }
        for name in names {
            classes.push(self.named(name)?);
        }
        classes.sort_by_key(|class| folded(class));
        classes.dedup();
        match (classes.is_empty(), self.elsewhere.is_empty()) {
            (false, _) => Ok(classes),
            (true, true) => Err(TrainingProblem::NoLabels.into()),
            (true, false) => Err(TrainingProblem::NothingLeft.into()),
        }
    }

    /// How many recordings labels say that `class` is in.
    pub(super) fn recordings_with(&self, class: &str) -> u64 {
        self.classes.get(&folded(class)).map_or(0, |found| found.positive)
    }

    /// The usual spelling of the class called `name`.
    fn named(&self, name: &str) -> Result<String> {
        let class = name.to_owned();
        let name = folded(name);
        let problem = match self.classes.get(&name) {
            Some(found) if found.positive > 0 => return Ok(found.spelling()),
            _ if self.elsewhere.contains(&name) => TrainingProblem::FilteredOut { class },
            Some(_) => TrainingProblem::NeverPositive { class },
            None if self.classes.is_empty() && self.elsewhere.is_empty() => {
                TrainingProblem::NoLabels
            }
            None => {
                let known: Vec<String> = self.classes.values().map(Found::spelling).collect();
                let nearest = near::nearest(&class, known.iter().map(String::as_str));
                TrainingProblem::NoSuchClass { class, nearest }
            }
        };
        Err(problem.into())
    }

    /// What a head of `classes` can say. Each class by itself needs recordings without it: labels that
    /// deny it, or none where labels are `exhaustive`. Where that is not known of every class, a few
    /// recordings with several classes, or some that deny one, are corrections of labels that are
    /// otherwise of one class each.
    pub(super) fn task(&self, classes: &[String], exhaustive: bool) -> Task {
        let denied =
            |class: &&String| self.classes.get(&folded(class)).is_some_and(|found| found.denied);
        let has_negatives = exhaustive || classes.iter().filter(denied).count() == classes.len();
        let is_several = self.several > 0 && (exhaustive || 2 * self.several > self.positive);
        if classes.len() == 1 || is_several || (has_negatives && !exhaustive) {
            Task::Multi
        } else {
            Task::Single
        }
    }
}

/// The labels of a recording that are of something that the filter lets pass, and the others.
fn passing_labels(
    library: &Library,
    selection: &Selection<'_>,
    labelled: Labelled,
) -> Result<(Vec<StoredLabel>, Vec<StoredLabel>)> {
    let Labelled { recording, labels, .. } = labelled;
    if !matches!(selection.passing, Some(Passing::Segments(_))) {
        let passes = selection.passes(recording, None);
        return Ok(if passes { (labels, Vec::new()) } else { (Vec::new(), labels) });
    }
    let mut ranges = Vec::new();
    for segment in library.segments_of(recording, selection.model.id)? {
        if selection.passes(recording, Some(segment.id)) {
            ranges.push(segment.range);
        }
    }
    let is_of_one = |label: &StoredLabel| ranges.iter().any(|range| covers(label.range, *range));
    Ok(labels.into_iter().partition(is_of_one))
}
