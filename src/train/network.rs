//! Heads as functions: from what they read to what is said of it.
//!
//! In: tensors by name. Out: a [`Network`]. Refuses tensors that are missing, left over, or of
//! another shape.

pub(in crate::train) mod form;
pub(in crate::train) mod forward;
mod linear;
mod perceptron;
pub(in crate::train) mod recurrent;
pub(in crate::train) mod sequence;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::learner::HeadKind;
use crate::error::{Result, TrainingProblem};

pub use linear::LinearHead;
pub(in crate::train) use linear::unit;
pub use perceptron::Perceptron;
pub use sequence::SequenceHead;

/// Tensors by name: shape, and values in row-major order.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// What a head reads of a sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// One embedding.
    #[default]
    Vectors,
    /// The embeddings of its segments, in the order of time.
    Segments,
    /// Its log-mel frames, by the front end of the model.
    LogMel,
}

impl Input {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vectors => "vectors",
            Self::Segments => "segments",
            Self::LogMel => "log-mel",
        }
    }

    /// What it is of a model, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Vectors => "vectors",
            Self::Segments => "segments in a row",
            Self::LogMel => "log-mel frames, as they go into the network,",
        }
    }
}

/// What a head does with what it reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Network {
    /// Weighted sums.
    Linear(LinearHead),
    /// Weighted sums of what a hidden layer says.
    Perceptron(Perceptron),
    /// Recurrence over a sequence.
    Sequence(SequenceHead),
}

impl Network {
    /// The network of a head of `kind` from vectors of `dimension` values to `outputs` outputs.
    ///
    /// # Errors
    /// [`TrainingProblem::Damaged`].
    pub fn new(
        head: &str,
        kind: HeadKind,
        tensors: Tensors,
        (dimension, outputs): (usize, usize),
    ) -> Result<Self> {
        let shape = (dimension, outputs);
        match kind {
            HeadKind::Prototype | HeadKind::Logistic | HeadKind::Ridge => {
                LinearHead::new(head, tensors, shape, kind.by_direction()).map(Self::Linear)
            }
            HeadKind::Mlp => Perceptron::new(head, tensors, shape).map(Self::Perceptron),
            HeadKind::Lstm | HeadKind::Crnn | HeadKind::TfLstm => {
                SequenceHead::new(head, kind, tensors, shape).map(Self::Sequence)
            }
        }
    }
}

/// Tensors that are taken one after another, until none is left.
pub(in crate::train) struct Taken<'a> {
    head: &'a str,
    tensors: Tensors,
}

impl<'a> Taken<'a> {
    pub(in crate::train) fn of(head: &'a str, tensors: Tensors) -> Self {
        Self { head, tensors }
    }

    /// The tensor called `name`, which has to be of `shape`.
    pub(in crate::train) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some((found, values)) = self.tensors.remove(name) else {
            return Err(damaged(self.head, format!("tensor {name} is missing")));
        };
        let count: usize = shape.iter().product();
        if found != shape || values.len() != count || values.iter().any(|value| !value.is_finite())
        {
            return Err(damaged(
                self.head,
                format!(
                    "tensor {name} is of shape {found:?}, expected finite numbers of {shape:?}"
                ),
            ));
        }
        Ok(values)
    }

    /// Refuses what is left.
    pub(in crate::train) fn end(&self) -> Result<()> {
        match self.tensors.keys().next() {
            Some(name) => Err(damaged(self.head, format!("tensor {name} is not of this kind"))),
            None => Ok(()),
        }
    }
}

fn damaged(head: &str, problem: String) -> crate::Error {
    TrainingProblem::Damaged { head: head.to_owned(), problem }.into()
}
