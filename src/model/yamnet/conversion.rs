//! YAMNet's weights out of the published checkpoint.
//!
//! In: a TensorFlow checkpoint. Out: tensors by the names that the architecture asks for, laid out
//! `[outputs, inputs, height, width]`. Refuses checkpoints that lack any.

use std::collections::BTreeMap;

use super::{LAYERS, first_name, layer_name};
use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::weights::{NamedTensor, Weights};

/// Takes the weights out of the published checkpoint, renamed and laid out for libtorch.
pub(in crate::model) fn from_checkpoint(checkpoint: &Checkpoint<'_>) -> Result<Weights, Problem> {
    let mut tensors = BTreeMap::new();
    let mut read = |number: usize, variable: &str, name: String, order: &[usize]| {
        let source = format!(
            "layer-1/layer/_func/_yamnet/layer_with_weights-{number}/{variable}/.ATTRIBUTES/VARIABLE_VALUE"
        );
        let tensor = transpose(&checkpoint.tensor(&source)?, order)
            .ok_or_else(|| format!("{source} has another number of dimensions"))?;
        tensors.insert(name, tensor);
        Ok::<_, Problem>(())
    };
    // Convolutions and their norms are numbered in order; kernels are height, width, in, out.
    let mut convolutions = vec![(first_name(), "kernel", [3, 2, 0, 1])];
    for index in 0..LAYERS.len() {
        let name = layer_name(index);
        // A depthwise kernel is height, width, channel, 1: its channels are libtorch's outputs.
        convolutions.push((format!("{name}.depthwise"), "depthwise_kernel", [2, 3, 0, 1]));
        convolutions.push((format!("{name}.pointwise"), "kernel", [3, 2, 0, 1]));
    }
    let classifier = 2 * convolutions.len();
    for (index, (name, kernel, order)) in convolutions.into_iter().enumerate() {
        read(2 * index, kernel, format!("{name}.weight"), &order)?;
        read(2 * index + 1, "beta", format!("{name}.norm.bias"), &[0])?;
        read(2 * index + 1, "moving_mean", format!("{name}.norm.mean"), &[0])?;
        read(2 * index + 1, "moving_variance", format!("{name}.norm.variance"), &[0])?;
    }
    read(classifier, "kernel", "classifier.weight".to_owned(), &[1, 0])?;
    read(classifier, "bias", "classifier.bias".to_owned(), &[0])?;
    Ok(Weights::new("yamnet", tensors))
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
