//! A head and its scores, to be read.
//!
//! In: what is known of a head. Out: [`Report`], as text, JSON (it is `Serialize`), or one HTML
//! file with plots, which needs no other file, no network and no script.

mod html;
mod numbers;
mod plots;
mod retrieval;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::held_out::HeldOut;
use super::network::Input;
use super::score::{Curves, Mistake, Scores, curves, mistakes};
use crate::error::Result;
use crate::store::Library;

pub use retrieval::retrieval_as_text;

/// What a head has learnt from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LearntFrom {
    /// Rows: recordings or segments.
    pub rows: usize,
    /// Recordings that they are of.
    pub recordings: usize,
    /// What was kept together in one fold: `recording`, or a key of metadata.
    pub grouped_by: String,
    /// Groups in all.
    pub groups: usize,
    /// Examples of each class; empty of numbers.
    pub classes: Vec<Examples>,
}

/// Examples of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examples {
    /// The class.
    pub class: String,
    /// Groups that it was learnt from.
    pub groups: usize,
}

/// A head and its scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The head's name.
    pub name: String,
    /// Its kind, as `logistic`.
    pub kind: String,
    /// The model whose vectors it reads, or whose segments it hears.
    pub model: String,
    /// What it reads of them.
    pub input: Input,
    /// What it has learnt from.
    pub learnt_from: LearntFrom,
    /// How it was trained, by name.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// What is known about how well it does; its fields stand among the report's.
    #[serde(flatten)]
    pub scores: Scores,
    /// The rows that it was surest of and wrong about.
    pub mistakes: Vec<Mistake>,
    /// What plots show; nothing, where only the scores are left.
    #[serde(skip)]
    pub curves: Curves,
}

/// A number and what it counts.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Mistakes that a report lists.
const MISTAKES: usize = 20;

impl Report {
    /// A report without name and settings, with what there is to see in `held_out`.
    pub fn new(scores: Scores, held_out: &HeldOut) -> Self {
        let temperature =
            scores.calibration.as_ref().map_or(1.0, |calibration| calibration.temperature);
        Self {
            mistakes: mistakes(held_out, temperature, MISTAKES),
            curves: curves(held_out),
            ..Self::of_scores(scores)
        }
    }

    /// Says where the recordings of mistakes lie, as far as `library` has them.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn name_recordings(&mut self, library: &Library) -> Result<()> {
        for mistake in &mut self.mistakes {
            let recording = library.recording(mistake.recording)?;
            mistake.path = recording.map(|found| found.path.to_string_lossy().into_owned());
        }
        Ok(())
    }

    /// A report where only the scores are left, as in a head's card: without mistakes and without
    /// curves.
    pub fn of_scores(scores: Scores) -> Self {
        Self {
            name: String::new(),
            kind: String::new(),
            model: String::new(),
            input: Input::default(),
            learnt_from: LearntFrom::default(),
            settings: BTreeMap::new(),
            scores,
            mistakes: Vec::new(),
            curves: Curves::default(),
        }
    }

    /// The report for a terminal, of lines that end.
    pub fn as_text(&self) -> String {
        text::report(self)
    }

    /// The report as one HTML file.
    pub fn as_html(&self) -> String {
        html::page(self)
    }

    /// What the number is, of heads that say one.
    fn number_name(&self) -> &str {
        self.scores.numbers.as_ref().map_or("number", |numbers| numbers.name.as_str())
    }

    /// How it was judged, in words.
    fn judged_by(&self) -> String {
        let by = match self.learnt_from.grouped_by.as_str() {
            "" => "group",
            by => by,
        };
        let scores = &self.scores;
        let parts = match scores.folds {
            0 | 1 => "one part".to_owned(),
            folds => format!("{folds} folds"),
        };
        let rows = format!("{} rows of {} groups", scores.rows, scores.groups);
        let intervals = match scores.resamples {
            0 => String::new(),
            resamples => {
                format!("; intervals of 95 % from drawing the groups {resamples} times")
            }
        };
        format!("held out: {parts} by {by}, {rows}{intervals}")
    }

    /// What the head is and says, in words.
    fn what_it_is(&self) -> String {
        use super::task::Task;
        // Without scores, what it has learnt from.
        let count = self.scores.classes.len().max(self.learnt_from.classes.len());
        let says = match self.scores.task {
            Task::Single => format!("says which one of {count} classes"),
            Task::Multi if count == 1 => "says of one class whether it is there".to_owned(),
            Task::Multi => format!("says of each of {count} classes whether it is there"),
            Task::Regression => format!("says a number, {}", self.number_name()),
        };
        let kind = if self.kind.is_empty() { "a head".to_owned() } else { self.kind.clone() };
        match self.model.as_str() {
            "" => format!("{kind}; {says}"),
            model => format!("{kind} on {} of {model}; {says}", self.input.in_words()),
        }
    }

    /// What it has learnt from, in words; nothing where that is not known.
    fn what_it_learnt_from(&self) -> Option<String> {
        let learnt = &self.learnt_from;
        (learnt.rows > 0).then(|| {
            format!(
                "learnt from {} of {} ({})",
                counted(learnt.rows, "row"),
                counted(learnt.recordings, "recording"),
                counted(learnt.groups, "group")
            )
        })
    }
}
