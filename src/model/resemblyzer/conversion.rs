//! Resemblyzer's weights out of the published checkpoint.
//!
//! In: its state dict. Out: tensors by PyTorch's names, their values unchanged. Refuses checkpoints
//! that lack any tensor of the model or have others; what only training needed stays behind.

use std::collections::BTreeMap;

use super::{MODEL, recurrent_tensors};
use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::weights::Weights;

/// Where the checkpoint keeps the model; beside it are the optimiser's averages.
const FOLDER: &str = "model_state/";
/// Scale and offset of the loss, after the paper's equation 5: no part of the network.
const OF_THE_LOSS: [&str; 2] = ["similarity_weight", "similarity_bias"];

/// Takes the weights out of the published checkpoint.
pub(in crate::model) fn from_checkpoint(checkpoint: &Checkpoint<'_>) -> Result<Weights, Problem> {
    let mut tensors = BTreeMap::new();
    let dense = ["linear.weight", "linear.bias"].map(str::to_owned);
    for name in recurrent_tensors().map(|(name, _)| name).chain(dense) {
        let tensor = checkpoint.tensor(&format!("{FOLDER}{name}"))?;
        tensors.insert(name, tensor);
    }
    let unknown = checkpoint
        .names()
        .into_iter()
        .filter_map(|name| name.strip_prefix(FOLDER))
        .find(|name| !tensors.contains_key(*name) && !OF_THE_LOSS.contains(name));
    match unknown {
        None => Ok(Weights::new(MODEL, tensors)),
        Some(name) => Err(format!("it has a tensor {name}, which {MODEL} has not")),
    }
}
