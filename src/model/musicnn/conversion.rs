//! musicnn's weights out of the published checkpoints.
//!
//! In: a TensorFlow 1 checkpoint, whose layers are numbered by kind in the order in which the graph
//! was built. Out: tensors by the names that the network asks for, laid out for libtorch. Refuses
//! checkpoints that lack any, or hold another.

use super::{MIDDLE, TEMPO, TIMBRAL};
use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::conversion::Conversion;
use crate::model::weights::Weights;

/// The parts of a batch norm, there and here.
const NORM: [(&str, &str); 4] = [
    ("gamma", "weight"),
    ("beta", "bias"),
    ("moving_mean", "mean"),
    ("moving_variance", "variance"),
];

/// Takes the weights out of a published checkpoint, renamed and laid out for libtorch.
pub(in crate::model) fn from_checkpoint(checkpoint: &Checkpoint<'_>) -> Result<Weights, Problem> {
    let mut conversion = Conversion::new(checkpoint);
    let convolutions: Vec<&str> =
        TIMBRAL.iter().chain(&TEMPO).map(|layer| layer.name).chain(MIDDLE).collect();
    for (index, name) in convolutions.iter().enumerate() {
        // A kernel is time, frequency, in, out.
        let layer = numbered("conv2d", index);
        conversion.take(&format!("{layer}/kernel"), format!("{name}.weight"), &[3, 2, 0, 1])?;
        conversion.take(&format!("{layer}/bias"), format!("{name}.bias"), &[0])?;
    }
    for (index, name) in ["dense", "classifier"].iter().enumerate() {
        let layer = numbered("dense", index);
        conversion.take(&format!("{layer}/kernel"), format!("{name}.weight"), &[1, 0])?;
        conversion.take(&format!("{layer}/bias"), format!("{name}.bias"), &[0])?;
    }
    let normed = ["input"].into_iter().chain(convolutions).chain(["pool", "dense"]);
    for (index, name) in normed.enumerate() {
        for (there, here) in NORM {
            let source = format!("{}/{there}", numbered("batch_normalization", index));
            conversion.take(&source, format!("{name}.norm.{here}"), &[0])?;
        }
    }
    conversion.finish("musicnn", is_of_training)
}

/// TensorFlow's name of the layer number `index` of a kind.
fn numbered(kind: &str, index: usize) -> String {
    if index == 0 { kind.to_owned() } else { format!("{kind}_{index}") }
}

/// The moments that Adam kept of each variable, and their powers.
fn is_of_training(name: &str) -> bool {
    name.ends_with("/Adam") || name.ends_with("/Adam_1") || name.starts_with("beta")
}
