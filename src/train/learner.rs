//! Rows into heads: the kinds that there are, and what each learns by.
//!
//! In: a [`Lesson`]: rows, what is known of them, and when they are held out. Out: [`Learnt`]: what
//! was said of each row by a head that had not seen its fold, and the head that has seen all. The
//! only part of this stage that imports tch.

mod lbfgs;
mod logistic;
mod moments;
mod prototype;
mod ridge;
mod sequence;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::held_out::RowPlace;
use super::network::form::Form;
use super::network::forward::failed;
use super::network::{Input, Tensors};
use super::rows::Rows;
use super::sequences::Sequences;
use super::task::{Targets, Task};
use crate::error::{Result, TrainingProblem};

/// The kinds of heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadKind {
    /// The nearest class mean: for a handful of examples.
    Prototype,
    /// Logistic regression: one softmax, or a sigmoid a class.
    Logistic,
    /// Linear regression with an L2 penalty: for numbers.
    Ridge,
    /// A hidden layer of rectified units over one vector.
    Mlp,
    /// An LSTM over the embeddings of a recording's segments.
    Lstm,
    /// Convolutions over log-mel frames, then an LSTM in both directions.
    Crnn,
    /// An LSTM over frequency and time of log-mel frames, then one over time.
    TfLstm,
}

impl HeadKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prototype => "prototype",
            Self::Logistic => "logistic",
            Self::Ridge => "ridge",
            Self::Mlp => "mlp",
            Self::Lstm => "lstm",
            Self::Crnn => "crnn",
            Self::TfLstm => "tf-lstm",
        }
    }

    /// What it reads of a sound.
    pub fn input(self) -> Input {
        match self {
            Self::Prototype | Self::Logistic | Self::Ridge | Self::Mlp => Input::Vectors,
            Self::Lstm => Input::Segments,
            Self::Crnn | Self::TfLstm => Input::LogMel,
        }
    }

    /// Frames that a head of this kind takes for a step where it reads frames; 0 elsewhere.
    pub fn frames_a_step(self) -> usize {
        // Whatever the bands: that is no matter of theirs.
        Form::usual(self, 64).map_or(0, |form| form.frames())
    }

    /// Whether it compares directions, which need no scale.
    pub(super) fn by_direction(self) -> bool {
        self == Self::Prototype
    }

    /// What is used for `task` unless something else is wanted.
    pub fn usual(task: Task) -> Self {
        match task {
            Task::Single | Task::Multi => Self::Logistic,
            Task::Regression => Self::Ridge,
        }
    }

    /// Refuses rows that are to be changed where the kind sees them all at once.
    ///
    /// # Errors
    /// [`TrainingProblem::NotAugmented`].
    pub fn require_augmentable(self, augmentation: Augmentation) -> Result<()> {
        let by_gradients = matches!(self, Self::Mlp | Self::Lstm | Self::Crnn | Self::TfLstm);
        if by_gradients || augmentation == Augmentation::None {
            return Ok(());
        }
        Err(TrainingProblem::NotAugmented { kind: self.as_str() }.into())
    }
}

/// How much each class counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// As much as it has rows.
    #[default]
    None,
    /// All the same, however many rows they have.
    Balanced,
}

/// How rows are changed while they are learnt from, so that there seem to be more of them: of kinds
/// that learn by gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    /// Not at all.
    #[default]
    None,
    /// Two rows of a batch and what is known of them are mixed (Zhang and others, "mixup", ICLR 2018); one
    /// that is alone in its batch, as very long sequences are, stays as it is.
    Mixup,
    /// Stretches of bands and of time are hidden (Park and others, "`SpecAugment`", Interspeech 2019,
    /// without its warping of time).
    Masks,
    /// Both.
    Both,
}

/// Somebody who is told which share of the work is done, and says whether to go on.
#[derive(Clone, Copy)]
pub struct Watch<'a>(pub &'a dyn Fn(f64) -> bool);

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Watch")
    }
}

/// What is to be learnt.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// The rows, `[rows, dimension]`.
    pub rows: &'a Rows,
    /// The sequence of each row, `[rows]`, for kinds that read sequences.
    pub sequences: Option<&'a Sequences>,
    /// How many classes there are; 1 where the target is a number.
    pub class_count: usize,
    /// What is known of the rows.
    pub targets: &'a Targets,
    /// The group of each row.
    pub groups: &'a [u32],
    /// What each row is.
    pub places: &'a [RowPlace],
    /// The fold in which each row is held out, if it ever is, `[rows]`.
    pub folds: &'a [Option<u32>],
    /// How many folds there are; 0: nothing is held out.
    pub fold_count: usize,
    /// How much each class counts.
    pub class_weights: ClassWeights,
    /// How rows are changed.
    pub augmentation: Augmentation,
    /// What chance is drawn from.
    pub seed: u64,
    /// Who watches, if somebody does.
    pub watch: Option<Watch<'a>>,
}

impl Lesson<'_> {
    /// Tells whoever watches which share is done.
    ///
    /// # Errors
    /// [`TrainingProblem::Interrupted`] when they have had enough.
    fn goes_on(&self, done: f64) -> Result<()> {
        if self.watch.is_none_or(|watch| watch.0(done)) {
            return Ok(());
        }
        Err(TrainingProblem::Interrupted.into())
    }
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq)]
pub struct Learnt {
    /// What heads said of the rows that were held out, `[rows, classes]`; what was never held out
    /// has NaN.
    pub held_out: Vec<f32>,
    /// The head that learnt from all rows.
    pub tensors: Tensors,
    /// What was chosen on the way, by name.
    pub choices: BTreeMap<String, serde_json::Value>,
}

/// Learns a head of `kind`.
///
/// # Errors
/// [`Error::Training`](crate::Error::Training) where the kind does not fit the task, [`Error::Io`](crate::Error::Io), [`Error::Network`](crate::Error::Network).
pub fn learn(kind: HeadKind, lesson: &Lesson<'_>) -> Result<Learnt> {
    let unfit = |task| Err(TrainingProblem::Unfit { kind: kind.as_str(), task }.into());
    kind.require_augmentable(lesson.augmentation)?;
    match (kind, lesson.targets) {
        (HeadKind::Prototype | HeadKind::Logistic, Targets::Numbers(_)) => unfit("a number"),
        (HeadKind::Ridge, Targets::Single(_) | Targets::Multi(_)) => unfit("classes"),
        (HeadKind::Prototype, _) => prototype::learn(lesson),
        (HeadKind::Logistic, _) => logistic::learn(lesson),
        (HeadKind::Ridge, Targets::Numbers(numbers)) => ridge::learn(lesson, numbers),
        (HeadKind::Mlp | HeadKind::Lstm | HeadKind::Crnn | HeadKind::TfLstm, _) => {
            sequence::learn(kind, lesson)
        }
    }
}
