//! The bicycle bell's weights out of the published checkpoint.
//!
//! In: a TensorFlow 2 checkpoint, whose variables are numbered in the order of the layers. Out:
//! tensors by the names that the network asks for, laid out for libtorch. Refuses checkpoints that
//! lack any, or hold a variable more.

use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::conversion::Conversion;
use crate::model::weights::Weights;

/// Each variable by its number: its name here, and the order of its dimensions. Keras has inputs
/// before outputs, and the gates of an LSTM in the order in which libtorch has them: input, forget,
/// cell, output.
const VARIABLES: [(&str, &[usize]); 20] = [
    ("convolution.weight", &[2, 1, 0]),
    ("convolution.bias", &[0]),
    ("convolution.norm.weight", &[0]),
    ("convolution.norm.bias", &[0]),
    ("convolution.norm.mean", &[0]),
    ("convolution.norm.variance", &[0]),
    ("lstm1.input.weight", &[1, 0]),
    ("lstm1.hidden.weight", &[1, 0]),
    ("lstm1.bias", &[0]),
    ("lstm2.input.weight", &[1, 0]),
    ("lstm2.hidden.weight", &[1, 0]),
    ("lstm2.bias", &[0]),
    ("dense.weight", &[1, 0]),
    ("dense.bias", &[0]),
    ("dense.norm.weight", &[0]),
    ("dense.norm.bias", &[0]),
    ("dense.norm.mean", &[0]),
    ("dense.norm.variance", &[0]),
    ("classifier.weight", &[1, 0]),
    ("classifier.bias", &[0]),
];

/// Takes the weights out of the published checkpoint, renamed and laid out for libtorch.
pub(in crate::model) fn from_checkpoint(checkpoint: &Checkpoint<'_>) -> Result<Weights, Problem> {
    let mut conversion = Conversion::new(checkpoint);
    for (number, (name, order)) in VARIABLES.into_iter().enumerate() {
        let source = format!("variables/{number}/.ATTRIBUTES/VARIABLE_VALUE");
        conversion.take(&source, name.to_owned(), order)?;
    }
    conversion.finish("crnn-bell", is_of_training)
}

/// The optimiser's own values, the metrics' and the description of the program's objects.
fn is_of_training(name: &str) -> bool {
    ["optimizer/", "keras_api/", "_CHECKPOINTABLE_OBJECT_GRAPH"]
        .iter()
        .any(|start| name.starts_with(start))
        || name.contains("/.OPTIMIZER_SLOT/")
}
