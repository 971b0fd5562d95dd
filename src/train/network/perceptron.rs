//! Heads with one hidden layer.
//!
//! In: tensors by name. Out: [`Perceptron`]: a standardised vector, weighted sums, what of them is
//! above zero, weighted sums of that. Refuses tensors that are missing, left over, or of another
//! shape.

use rayon::prelude::*;

use super::linear::fold;
use super::{Taken, Tensors};
use crate::dot::dot;
use crate::error::Result;

/// A head with a hidden layer of rectified units.
#[derive(Clone, Debug, PartialEq)]
pub struct Perceptron {
    dimension: usize,
    /// `[hidden, dimension]`, standardisation folded in, and `[hidden]`.
    hidden_weights: Vec<f32>,
    hidden_biases: Vec<f32>,
    /// `[outputs, hidden]`, and `[outputs]`.
    weights: Vec<f32>,
    biases: Vec<f32>,
}

impl Perceptron {
    /// A head of `outputs` outputs from its tensors: `mean`, `scale` (`[dimension]`),
    /// `hidden.weight` (`[hidden, dimension]`), `hidden.bias` (`[hidden]`), `out.weight`
    /// (`[outputs, hidden]`), `out.bias` (`[outputs]`).
    ///
    /// # Errors
    /// [`TrainingProblem::Damaged`](crate::error::TrainingProblem::Damaged).
    pub fn new(head: &str, tensors: Tensors, (dimension, outputs): (usize, usize)) -> Result<Self> {
        let hidden = tensors.get("hidden.bias").map_or(0, |(_, values)| values.len());
        let mut taken = Taken::of(head, tensors);
        let mean = taken.take("mean", &[dimension])?;
        let scale = taken.take("scale", &[dimension])?;
        let mut hidden_weights = taken.take("hidden.weight", &[hidden, dimension])?;
        let mut hidden_biases = taken.take("hidden.bias", &[hidden])?;
        let weights = taken.take("out.weight", &[outputs, hidden])?;
        let biases = taken.take("out.bias", &[outputs])?;
        taken.end()?;
        if hidden == 0 {
            return Err(super::damaged(head, "its hidden layer is empty".to_owned()));
        }
        fold(&mut hidden_weights, &mut hidden_biases, &mean, &scale);
        Ok(Self { dimension, hidden_weights, hidden_biases, weights, biases })
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.biases.len()
    }

    /// Units of the hidden layer.
    pub fn hidden_units(&self) -> usize {
        self.hidden_biases.len()
    }

    /// What the hidden layer says of `rows`, `[rows, dimension]`: `[rows, hidden]`.
    ///
    /// # Panics
    /// When `rows` are no whole number of rows.
    pub fn hidden(&self, rows: &[f32]) -> Vec<f32> {
        assert!(rows.len().is_multiple_of(self.dimension), "whole rows");
        let mut said = vec![0.0; rows.len() / self.dimension * self.hidden_units()];
        said.par_chunks_exact_mut(self.hidden_units())
            .zip(rows.par_chunks_exact(self.dimension))
            .with_min_len(4)
            .for_each(|(said, row)| {
                sums(&self.hidden_weights, &self.hidden_biases, row, said);
                for value in said.iter_mut() {
                    *value = value.max(0.0);
                }
            });
        said
    }

    /// What is said of `rows`, `[rows, dimension]`: `[rows, outputs]`.
    ///
    /// # Panics
    /// When `rows` are no whole number of rows.
    pub fn apply(&self, rows: &[f32]) -> Vec<f32> {
        let hidden = self.hidden(rows);
        let units = self.hidden_units();
        let mut said = vec![0.0; hidden.len() / units * self.outputs()];
        for (said, hidden) in said.chunks_exact_mut(self.outputs()).zip(hidden.chunks_exact(units))
        {
            sums(&self.weights, &self.biases, hidden, said);
        }
        said
    }
}

fn sums(weights: &[f32], biases: &[f32], row: &[f32], said: &mut [f32]) {
    for ((said, weights), bias) in said.iter_mut().zip(weights.chunks_exact(row.len())).zip(biases)
    {
        *said = dot(weights, row) + bias;
    }
}
