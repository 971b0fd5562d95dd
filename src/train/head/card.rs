//! What a head is, in words and numbers: classes, thresholds, what it learnt from, how well.
//!
//! In: JSON. Out: [`HeadCard`]. Refuses cards of a newer format, and what does not fit together.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::case::folded;
use crate::error::{Result, TrainingProblem};
use crate::model::ModelIdentity;
use crate::model::card::Sha256;
use crate::store::segments::Level;
use crate::train::held_out::HeldOut;
use crate::train::learner::{Augmentation, ClassWeights, HeadKind};
use crate::train::network::Input;
use crate::train::report::{self, Report};
use crate::train::score::Scores;
use crate::train::split::Plan;
use crate::train::task::Task;

/// The format of cards that this binary writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The word for searches where heads are evaluated: no head has it for a name.
pub const RETRIEVAL: &str = "retrieval";

/// Refuses names that no head may have: they stand in commands, file names and sources of labels, so
/// that they are of letters, digits, `.`, `_` and `-`, and begin with one of the first two.
///
/// # Errors
/// [`TrainingProblem::HeadName`].
pub fn check_name(name: &str) -> Result<()> {
    let is_fit = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_one = name.starts_with(char::is_alphanumeric) && name.chars().all(is_fit);
    if !is_one || is_taken(name) {
        return Err(TrainingProblem::HeadName { name: name.to_owned() }.into());
    }
    Ok(())
}

/// Whether a name is none, or means something else.
fn is_taken(name: &str) -> bool {
    name.trim().is_empty() || name.trim().eq_ignore_ascii_case(RETRIEVAL)
}

/// What a head is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadCard {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: HeadKind,
    /// What it reads of a sound.
    #[serde(default)]
    pub input: Input,
    /// What it says.
    pub task: Task,
    /// Its classes in the order of its outputs; of a number, its name alone.
    pub classes: Vec<String>,
    /// From which probability on each class counts as there, `[classes]`; empty of numbers.
    pub thresholds: Vec<f64>,
    /// What logits are divided by to become probabilities.
    pub temperature: f64,
    /// The model whose embeddings it reads.
    pub model: ModelOfHead,
    /// How it was trained.
    pub settings: TrainingSettings,
    /// What training chose, by name.
    pub choices: BTreeMap<String, serde_json::Value>,
    /// What it learnt from.
    pub learnt_from: LearntFrom,
    /// How well heads trained in the same way did on what they had not learnt from; nothing, where
    /// nothing could be held out.
    pub scores: Option<Scores>,
    /// What keeps this head from being what it seems.
    pub notes: Vec<String>,
    /// The version of sonoteca that trained it.
    pub sonoteca: String,
    /// When it was trained: RFC 3339, UTC.
    pub trained_at: String,
}

/// What tells a model from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOfHead {
    /// Its name.
    pub name: String,
    /// SHA-256 of its weights.
    pub weights_sha256: Sha256,
    /// The version of its front end.
    pub front_end_version: u32,
    /// The length of its vectors.
    pub dimension: usize,
}

/// How a head is trained; enough to train it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSettings {
    /// Whether a row is a recording or a segment.
    #[serde(with = "level")]
    pub by: Level,
    /// The classes that were named; empty: all.
    pub classes: Vec<String>,
    /// Of a number: the metadata that holds it.
    pub target: Option<String>,
    /// Whether what is not labelled is not there, in recordings that have labels.
    pub exhaustive: bool,
    /// The metadata whose equal values keep recordings together; by recording, where there is none.
    pub group_by: Option<String>,
    /// The filter that chose recordings.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// How rows are held out.
    pub plan: Plan,
    /// How much each class counts.
    pub class_weights: ClassWeights,
    /// How rows were changed while they were learnt from; earlier cards do not say.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// The precision that thresholds were looked for.
    pub precision: f64,
    /// What chance is drawn from.
    pub seed: u64,
}

/// What a head learnt from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearntFrom {
    /// Rows.
    pub rows: usize,
    /// Recordings that they are of.
    pub recordings: usize,
    /// Groups that were kept together.
    pub groups: usize,
    /// Groups of each class, `[classes]`.
    pub groups_by_class: Vec<usize>,
}

impl HeadCard {
    /// Reads the card of head `name`.
    ///
    /// # Errors
    /// [`TrainingProblem::Damaged`], [`TrainingProblem::HeadName`], [`TrainingProblem::TooNew`].
    pub fn parse(name: &str, json: &str) -> Result<Self> {
        let damaged = |problem: String| TrainingProblem::Damaged { head: name.to_owned(), problem };
        let format = serde_json::from_str::<serde_json::Value>(json)
            .map_err(|error| damaged(format!("its card is no JSON: {error}")))?
            .get("format")
            .and_then(serde_json::Value::as_u64);
        if format.is_some_and(|format| format > u64::from(FORMAT)) {
            let found = format.unwrap_or_default();
            return Err(
                TrainingProblem::TooNew { head: name.to_owned(), found, known: FORMAT }.into()
            );
        }
        let card: Self = serde_json::from_str(json)
            .map_err(|error| damaged(format!("its card does not read: {error}")))?;
        let thresholds = if card.task == Task::Regression { 0 } else { card.classes.len() };
        if card.classes.is_empty() || card.thresholds.len() != thresholds {
            return Err(damaged("its card has not a threshold for each class".to_owned()).into());
        }
        let mut names = BTreeSet::new();
        if let Some(class) = card.classes.iter().find(|class| !names.insert(folded(class))) {
            return Err(damaged(format!("its card has class `{class}` twice")).into());
        }
        let no_share = |threshold: &&f64| !(0.0..=1.0).contains(*threshold);
        if let Some(threshold) = card.thresholds.iter().find(no_share) {
            let problem = format!("its card has a threshold of {threshold}, expected 0 to 1");
            return Err(damaged(problem).into());
        }
        // Names that earlier versions let pass are read.
        if is_taken(&card.name) {
            return Err(TrainingProblem::HeadName { name: card.name }.into());
        }
        if card.input != card.kind.input() {
            let (kind, input) = (card.kind.as_str(), card.input.as_str());
            return Err(damaged(format!("its card says that a {kind} reads {input}")).into());
        }
        if !(card.temperature > 0.0 && card.temperature.is_finite()) || card.model.dimension == 0 {
            return Err(
                damaged("its card has a temperature or a dimension of nothing".to_owned()).into()
            );
        }
        Ok(card)
    }

    /// The card as JSON.
    pub fn json(&self) -> String {
        // Strings and numbers only: this cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// What is known of the head, to be read; with what was held out, where that is at hand.
    pub fn report(&self, held_out: Option<&HeldOut>) -> Report {
        let by = match self.settings.by {
            Level::Recording => "recording",
            Level::Segment => "segment",
        };
        let scores = self.scores.clone().unwrap_or_else(|| Scores::nothing(self.task));
        let mut report = match held_out {
            Some(held_out) => Report::new(scores, held_out),
            None => Report::of_scores(scores),
        };
        report.name.clone_from(&self.name);
        self.kind.as_str().clone_into(&mut report.kind);
        report.model.clone_from(&self.model.name);
        report.learnt_from = report::LearntFrom {
            rows: self.learnt_from.rows,
            recordings: self.learnt_from.recordings,
            grouped_by: self.settings.group_by.clone().unwrap_or_else(|| "recording".to_owned()),
            groups: self.learnt_from.groups,
            classes: self.examples(),
        };
        report.input = self.input;
        report.settings = self.choices.clone();
        report.settings.insert("by".to_owned(), by.into());
        report.settings.insert("seed".to_owned(), self.settings.seed.into());
        report.scores.notes.extend(self.notes.iter().cloned());
        report
    }

    /// What was learnt of each class; nothing of numbers.
    fn examples(&self) -> Vec<report::Examples> {
        if self.task == Task::Regression {
            return Vec::new();
        }
        let groups = self.learnt_from.groups_by_class.iter();
        let named = self.classes.iter().zip(groups);
        named.map(|(class, &groups)| report::Examples { class: class.clone(), groups }).collect()
    }

    /// How many outputs the network has.
    pub fn outputs(&self) -> usize {
        self.classes.len()
    }
}

impl ModelOfHead {
    /// What tells `model` from others.
    pub fn of(model: &ModelIdentity) -> Self {
        Self {
            name: model.name.clone(),
            weights_sha256: Sha256(model.weights_sha256),
            front_end_version: model.front_end_version,
            dimension: model.dimension,
        }
    }

    /// The same as an identity.
    pub fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: self.name.clone(),
            weights_sha256: self.weights_sha256.0,
            front_end_version: self.front_end_version,
            dimension: self.dimension,
        }
    }
}

/// A model in a few words.
pub(super) fn describe(model: &ModelIdentity) -> String {
    let hash = Sha256(model.weights_sha256).to_string();
    format!("{} ({}, front end {})", model.name, &hash[..12], model.front_end_version)
}

/// A level by its word.
mod level {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Level;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands on a reference")]
    pub(super) fn serialize<S: Serializer>(level: &Level, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(match level {
            Level::Recording => "recording",
            Level::Segment => "segment",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Level, D::Error> {
        match String::deserialize(from)?.as_str() {
            "recording" => Ok(Level::Recording),
            "segment" => Ok(Level::Segment),
            other => {
                Err(serde::de::Error::custom(format!("neither recording nor segment: {other}")))
            }
        }
    }
}
