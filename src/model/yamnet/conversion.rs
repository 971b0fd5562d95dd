//! YAMNet's weights out of the published checkpoint.
//!
//! In: a TensorFlow checkpoint. Out: tensors by the names that the architecture asks for, laid out
//! `[outputs, inputs, height, width]`. Refuses checkpoints that lack any.

use super::{LAYERS, first_name, layer_name};
use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::conversion::Conversion;
use crate::model::weights::Weights;

/// Takes the weights out of the published checkpoint, renamed and laid out for libtorch.
pub(in crate::model) fn from_checkpoint(checkpoint: &Checkpoint<'_>) -> Result<Weights, Problem> {
    let mut conversion = Conversion::new(checkpoint);
    let mut read = |number: usize, variable: &str, name: String, order: &[usize]| {
        let source = format!(
            "layer-1/layer/_func/_yamnet/layer_with_weights-{number}/{variable}/.ATTRIBUTES/VARIABLE_VALUE"
        );
        conversion.take(&source, name, order)
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
    // The checkpoint is of a module that holds more: YAMNet is the part that is named so.
    conversion.finish("yamnet", |name| !name.starts_with("layer-1/layer/_func/_yamnet/layer_with"))
}
