//! Heads: a card that says what they are, and a network that says what it hears.
//!
//! In: what training gave, or a stored head, or its files. Out: [`Head`], which turns vectors into
//! probabilities. Refuses damaged heads, and vectors of another model than it was trained on.

pub mod card;
mod file;
mod hearing;

use serde::Serialize;

use super::network::{Input, Network};
use super::score::probabilities;
use super::task::Task;
use crate::case;
use crate::error::{Error, Result, TrainingProblem};
use crate::model::ModelIdentity;
use crate::near;
use crate::store::models::StoredModel;
use crate::store::{Library, Writer};
use card::{HeadCard, ModelOfHead};

pub use file::{Saved, group_hash, read_files, write_files};

/// A linear head: the probabilities of vector x are the softmax, or of several classes that may be
/// there together the sigmoids, of (weights · x + biases) / temperature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlainWeights {
    /// The head's name.
    pub name: String,
    /// What it says.
    pub task: Task,
    /// The model whose embeddings it reads.
    pub model: ModelOfHead,
    /// Its classes.
    pub classes: Vec<String>,
    /// From which probability on each counts as there.
    pub thresholds: Vec<f64>,
    /// What logits are divided by.
    pub temperature: f64,
    /// `[classes][dimension]`, for vectors as they are stored.
    pub weights: Vec<Vec<f32>>,
    /// `[classes]`.
    pub biases: Vec<f32>,
}

/// A trained head.
#[derive(Clone, Debug)]
pub struct Head {
    card: HeadCard,
    saved: Saved,
    network: Network,
}

impl Head {
    /// A head of its card and its numbers.
    ///
    /// # Errors
    /// [`Error::Training`] when they do not fit together.
    pub fn new(card: HeadCard, saved: Saved) -> Result<Self> {
        let shape = (card.model.dimension, card.outputs());
        let network = Network::new(&card.name, card.kind, saved.tensors.clone(), shape)?;
        Ok(Self { card, saved, network })
    }

    /// The head of `library` called `name`.
    ///
    /// # Errors
    /// [`Error::Training`] when there is none, or it is damaged;
    /// [`Error::Store`].
    pub fn load(library: &Library, name: &str) -> Result<Self> {
        let Some(stored) = library.head(name)? else {
            let heads = library.heads()?;
            let nearest = near::nearest(name, heads.iter().map(|head| head.name.as_str()));
            let (name, is_any) = (name.to_owned(), !heads.is_empty());
            return Err(TrainingProblem::NoHead { name, nearest, is_any }.into());
        };
        let card = HeadCard::parse(&stored.name, &stored.card)?;
        let saved = Saved::decode(&stored.name, &stored.tensors)?;
        Self::new(card, saved)
    }

    /// Stores the head, in place of one of its name; whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn put(&self, writer: &Writer<'_>) -> Result<bool> {
        let tensors = self.saved.encode(&self.card)?;
        writer.put_head(&self.card.name, &self.card.model.identity(), &self.card.json(), &tensors)
    }

    /// What it is.
    pub fn card(&self) -> &HeadCard {
        &self.card
    }

    /// Its numbers, and what it has learnt from.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// The same head under another name.
    ///
    /// # Errors
    /// [`TrainingProblem::HeadName`].
    pub fn renamed(mut self, name: &str) -> Result<Self> {
        card::check_name(name)?;
        name.clone_into(&mut self.card.name);
        Ok(self)
    }

    /// The model of `library` whose vectors it reads.
    ///
    /// # Errors
    /// [`TrainingProblem::OtherModel`], [`Error::NoVectors`], [`Error::Store`].
    pub fn model_in(&self, library: &Library) -> Result<StoredModel> {
        let own = self.card.model.identity();
        let mut models = library.models()?;
        models.retain(|model| model.recordings > 0);
        if let Some(found) = models.iter().position(|model| model.identity == own) {
            return Ok(models.swap_remove(found));
        }
        // Another version of the same model is what most likely was meant.
        models.sort_by_key(|model| model.identity.name != own.name);
        if let Some(other) = models.first() {
            self.require_model(&other.identity)?;
        }
        Err(Error::NoVectors { model: own.name })
    }

    /// Refuses vectors of another model than it was trained on.
    ///
    /// # Errors
    /// [`TrainingProblem::OtherModel`].
    pub fn require_model(&self, model: &ModelIdentity) -> Result<()> {
        let own = self.card.model.identity();
        if own == *model {
            return Ok(());
        }
        Err(TrainingProblem::OtherModel {
            head: self.card.name.clone(),
            expected: card::describe(&own),
            found: card::describe(model),
        }
        .into())
    }

    /// The number of the class called `name`, in upper or lower case.
    ///
    /// # Errors
    /// [`TrainingProblem::ClassOfHead`].
    pub fn class(&self, name: &str) -> Result<usize> {
        let found = self.card.classes.iter().position(|class| case::is_same(class, name));
        found.ok_or_else(|| {
            TrainingProblem::ClassOfHead {
                head: self.card.name.clone(),
                class: name.to_owned(),
                known: self.card.classes.clone(),
            }
            .into()
        })
    }

    /// A linear head as plain weights, for programs that know nothing of heads.
    ///
    /// # Errors
    /// [`TrainingProblem::NotLinear`].
    pub fn plain_weights(&self) -> Result<PlainWeights> {
        let (kind, head) = (self.card.kind.as_str(), self.card.name.clone());
        let plain = match &self.network {
            Network::Linear(network) => network.plain(),
            Network::Perceptron(_) | Network::Sequence(_) => None,
        };
        let Some((weights, biases)) = plain else {
            return Err(TrainingProblem::NotLinear { head, kind }.into());
        };
        Ok(PlainWeights {
            name: head,
            task: self.card.task,
            model: self.card.model.clone(),
            classes: self.card.classes.clone(),
            thresholds: self.card.thresholds.clone(),
            temperature: self.card.temperature,
            weights,
            biases,
        })
    }

    /// What it reads of a sound.
    pub fn input(&self) -> Input {
        self.card.kind.input()
    }

    /// What it says of `rows`, `[rows, dimension]`: calibrated probabilities, `[rows, classes]`, or
    /// of a number the number itself, `[rows, 1]`. Of a head that reads sequences all are NaN: see
    /// [`say_sequences`](Self::say_sequences).
    ///
    /// # Panics
    /// When `rows` are no whole number of rows.
    pub fn say(&self, rows: &[f32]) -> Vec<f32> {
        self.probabilities(self.outputs(rows))
    }

    /// What its network says of `rows`, `[rows, dimension]`: logits, `[rows, classes]`, or numbers;
    /// NaN where it reads something else than vectors.
    ///
    /// # Panics
    /// When `rows` are no whole number of rows.
    pub fn outputs(&self, rows: &[f32]) -> Vec<f32> {
        match &self.network {
            Network::Linear(network) => network.apply(rows),
            Network::Perceptron(network) => network.apply(rows),
            Network::Sequence(_) => {
                let rows = rows.len() / self.card.model.dimension;
                vec![f32::NAN; rows * self.card.outputs()]
            }
        }
    }

    /// Network outputs as what the head says.
    fn probabilities(&self, outputs: Vec<f32>) -> Vec<f32> {
        if self.card.task == Task::Regression {
            return outputs;
        }
        let mut said = Vec::with_capacity(outputs.len());
        let mut row_said = Vec::with_capacity(self.card.outputs());
        for row in outputs.chunks_exact(self.card.outputs()) {
            row_said.clear();
            probabilities(self.card.task, row, self.card.temperature, &mut row_said);
            #[expect(clippy::cast_possible_truncation, reason = "a probability")]
            said.extend(row_said.iter().map(|probability| *probability as f32));
        }
        said
    }
}
