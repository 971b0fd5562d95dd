//! Tensors of a published checkpoint under the names and in the layout that a network asks for.
//!
//! In: a checkpoint, and for each tensor its name there, its name here and the order of its
//! dimensions. Out: [`Weights`]. Refuses checkpoints that lack a tensor, or hold one that nobody
//! asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::{Checkpoint, Problem};
use super::weights::{NamedTensor, Weights};

/// A conversion that is under way.
#[derive(Debug)]
pub(super) struct Conversion<'a> {
    checkpoint: &'a Checkpoint<'a>,
    read: BTreeSet<String>,
    tensors: BTreeMap<String, NamedTensor>,
}

impl<'a> Conversion<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint<'a>) -> Self {
        Self { checkpoint, read: BTreeSet::new(), tensors: BTreeMap::new() }
    }

    /// Takes the tensor `source` as `name`; its new dimension `i` is its old dimension `order[i]`.
    pub(super) fn take(
        &mut self,
        source: &str,
        name: String,
        order: &[usize],
    ) -> Result<(), Problem> {
        let tensor = self.checkpoint.tensor(source)?;
        let tensor = transpose(&tensor, order).ok_or_else(|| {
            let (expected, found) = (order.len(), &tensor.shape);
            format!("{source} has the shape {found:?}, expected {expected} dimensions")
        })?;
        self.read.insert(source.to_owned());
        self.tensors.insert(name, tensor);
        Ok(())
    }

    /// The weights of `model`; `is_left_out` names what a checkpoint holds besides, of training.
    pub(super) fn finish(
        self,
        model: &str,
        is_left_out: impl Fn(&str) -> bool,
    ) -> Result<Weights, Problem> {
        let mut names = self.checkpoint.names().into_iter();
        if let Some(name) = names.find(|name| !self.read.contains(*name) && !is_left_out(name)) {
            return Err(format!("it has a tensor {name} that the network does not know"));
        }
        Ok(Weights::new(model, self.tensors))
    }
}

/// Reorders the dimensions of `tensor` so that new dimension `i` is old dimension `order[i]`.
fn transpose(tensor: &NamedTensor, order: &[usize]) -> Option<NamedTensor> {
    if tensor.shape.len() != order.len() {
        return None;
    }
    let mut strides = vec![1; order.len()];
    for dimension in (1..order.len()).rev() {
        strides[dimension - 1] = strides[dimension] * tensor.shape[dimension];
    }
    let shape: Vec<usize> = order.iter().map(|&old| tensor.shape[old]).collect();
    let mut bytes = Vec::with_capacity(tensor.bytes.len());
    let mut position = vec![0; order.len()];
    for _ in 0..tensor.bytes.len() / 4 {
        let offset: usize =
            position.iter().zip(order).map(|(&index, &old)| index * strides[old]).sum();
        bytes.extend_from_slice(tensor.bytes.get(4 * offset..4 * offset + 4)?);
        for dimension in (0..order.len()).rev() {
            position[dimension] += 1;
            if position[dimension] < shape[dimension] {
                break;
            }
            position[dimension] = 0;
        }
    }
    Some(NamedTensor { shape, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_moves_rows_to_columns() {
        let matrix = NamedTensor {
            shape: vec![2, 3],
            bytes: (0..6_u32).flat_map(u32::to_le_bytes).collect(),
        };
        let turned = transpose(&matrix, &[1, 0]).unwrap();
        let expected: Vec<u8> =
            [0_u32, 3, 1, 4, 2, 5].into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(turned, NamedTensor { shape: vec![3, 2], bytes: expected });
        assert!(transpose(&matrix, &[0]).is_none());
    }
}
