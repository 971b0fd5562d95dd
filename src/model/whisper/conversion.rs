//! Whisper's encoder out of a model of CTranslate2.
//!
//! In: the checkpoint. Out: the encoder's tensors by the checkpoint's own paths. The decoder is left
//! aside by its name; refuses checkpoints that lack a tensor or have others.

use std::collections::BTreeMap;

use super::Size;
use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::weights::Weights;

/// What the decoder's variables begin with: it turns what the encoder heard into words.
const DECODER: &str = "decoder/";
/// Scalars that say what the architecture knows, and tensors that are of no network.
const SETTINGS: [&str; 1] = ["encoder/num_heads"];

/// Takes the encoder of `size` out of the checkpoint. That nothing is missing or of another shape
/// shows when the network takes the tensors.
pub(in crate::model) fn from_checkpoint(
    checkpoint: &Checkpoint<'_>,
    size: Size,
) -> Result<Weights, Problem> {
    let mut tensors = BTreeMap::new();
    for name in checkpoint.names() {
        if !name.starts_with(DECODER) && !SETTINGS.contains(&name) {
            tensors.insert(name.to_owned(), checkpoint.tensor(name)?);
        }
    }
    Ok(Weights::new(size.name, tensors))
}
