//! Heads whose outputs are weighted sums.
//!
//! In: tensors by name. Out: [`LinearHead`]. Refuses tensors that are missing, left over, or of
//! another shape.

use rayon::prelude::*;

use super::{Taken, Tensors};
use crate::dot::dot;
use crate::error::Result;

/// A head whose outputs are weighted sums of a standardised vector.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    dimension: usize,
    /// `[outputs, dimension]`; standardisation is folded in, unless vectors are scaled.
    weights: Vec<f32>,
    /// `[outputs]`.
    biases: Vec<f32>,
    /// Where vectors are brought to length one: what is subtracted before.
    centre: Option<Vec<f32>>,
}

impl LinearHead {
    /// A head of `outputs` outputs from its tensors: `mean`, `scale` (`[dimension]`), `weight`
    /// (`[outputs, dimension]`), `bias` (`[outputs]`). With `unit_length`, a vector is brought to
    /// length one after its mean was subtracted, and `scale` divides nothing.
    ///
    /// # Errors
    /// [`TrainingProblem::Damaged`](crate::TrainingProblem::Damaged).
    pub fn new(
        head: &str,
        tensors: Tensors,
        (dimension, outputs): (usize, usize),
        unit_length: bool,
    ) -> Result<Self> {
        let mut taken = Taken::of(head, tensors);
        let mean = taken.take("mean", &[dimension])?;
        let mut weights = taken.take("weight", &[outputs, dimension])?;
        let mut biases = taken.take("bias", &[outputs])?;
        if unit_length {
            taken.end()?;
            return Ok(Self { dimension, weights, biases, centre: Some(mean) });
        }
        let scale = taken.take("scale", &[dimension])?;
        taken.end()?;
        fold(&mut weights, &mut biases, &mean, &scale);
        Ok(Self { dimension, weights, biases, centre: None })
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.biases.len()
    }

    /// Weights, a row an output, and biases, for vectors as they are; nothing, where vectors are
    /// brought to length one.
    pub fn plain(&self) -> Option<(Vec<Vec<f32>>, Vec<f32>)> {
        let rows = self.weights.chunks_exact(self.dimension).map(<[f32]>::to_vec);
        self.centre.is_none().then(|| (rows.collect(), self.biases.clone()))
    }

    /// What is said of `rows`, `[rows, dimension]`: `[rows, outputs]`.
    ///
    /// # Panics
    /// When `rows` are no whole number of rows.
    pub fn apply(&self, rows: &[f32]) -> Vec<f32> {
        assert!(rows.len().is_multiple_of(self.dimension), "whole rows");
        let mut said = vec![0.0; rows.len() / self.dimension * self.outputs()];
        said.par_chunks_exact_mut(self.outputs())
            .zip(rows.par_chunks_exact(self.dimension))
            .with_min_len(64)
            .for_each(|(said, row)| self.apply_to(row, said));
        said
    }

    /// What is said of a single `row`.
    pub fn apply_to(&self, row: &[f32], said: &mut [f32]) {
        let centred = self.centre.as_ref().map(|centre| unit(row, centre));
        let row = centred.as_deref().unwrap_or(row);
        let rows = self.weights.chunks_exact(self.dimension);
        for ((said, weights), bias) in said.iter_mut().zip(rows).zip(&self.biases) {
            *said = dot(weights, row) + bias;
        }
    }
}

/// Makes W ((x − mean) / scale) + b into W' x + b'.
#[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
pub(super) fn fold(weights: &mut [f32], biases: &mut [f32], mean: &[f32], scale: &[f32]) {
    for (weights, bias) in weights.chunks_exact_mut(mean.len()).zip(biases) {
        let mut sum = f64::from(*bias);
        for ((weight, mean), scale) in weights.iter_mut().zip(mean).zip(scale) {
            *weight /= scale;
            sum -= f64::from(*weight) * f64::from(*mean);
        }
        *bias = sum as f32;
    }
}

/// `row` less `centre`, at length one; zero where there is nothing left.
pub(in crate::train) fn unit(row: &[f32], centre: &[f32]) -> Vec<f32> {
    let mut centred: Vec<f32> = row.iter().zip(centre).map(|(value, mean)| value - mean).collect();
    let length = dot(&centred, &centred).sqrt();
    if length > 0.0 {
        for value in &mut centred {
            *value /= length;
        }
    }
    centred
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(of: &[(&str, &[usize], &[f32])]) -> Tensors {
        of.iter()
            .map(|(name, shape, values)| ((*name).to_owned(), (shape.to_vec(), values.to_vec())))
            .collect()
    }

    #[test]
    fn standardisation_is_folded_in_and_wrong_tensors_are_refused() {
        let whole = tensors(&[
            ("mean", &[2], &[1.0, 2.0]),
            ("scale", &[2], &[2.0, 4.0]),
            ("weight", &[1, 2], &[3.0, -1.0]),
            ("bias", &[1], &[0.5]),
        ]);
        let head = LinearHead::new("h", whole.clone(), (2, 1), false).unwrap();
        // 3·(5 − 1)/2 − (6 − 2)/4 + 0.5
        assert_eq!(head.apply(&[5.0, 6.0]), [5.5]);
        let error = |tensors| LinearHead::new("h", tensors, (2, 1), false).unwrap_err().to_string();
        let mut missing = whole.clone();
        missing.remove("scale");
        assert!(error(missing).contains("scale is missing"));
        let mut more = whole.clone();
        more.insert("extra".to_owned(), (vec![1], vec![0.0]));
        assert!(error(more).contains("extra"));
        let mut infinite = whole;
        infinite.insert("bias".to_owned(), (vec![1], vec![f32::NAN]));
        assert!(error(infinite).contains("bias"));
    }

    #[test]
    fn unit_length_is_taken_after_the_mean() {
        let whole = tensors(&[
            ("mean", &[2], &[1.0, 1.0]),
            ("weight", &[2, 2], &[1.0, 0.0, 0.0, 1.0]),
            ("bias", &[2], &[0.0, 0.0]),
        ]);
        let head = LinearHead::new("h", whole, (2, 2), true).unwrap();
        let said = head.apply(&[4.0, 5.0, 1.0, 1.0]);
        assert!((said[0] - 0.6).abs() < 1e-6 && (said[1] - 0.8).abs() < 1e-6);
        assert_eq!(&said[2..], [0.0, 0.0]);
    }
}
