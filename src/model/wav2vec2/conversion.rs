//! A published wav2vec 2.0's weights.
//!
//! In: the folder's configuration and tensors under Hugging Face's names. Out: the tensors that the
//! network asks for, by those names without their prefix. What belongs to pre-training or to a head
//! is left aside by its name; any other tensor stays, and is refused when the network has taken its
//! own.

use std::collections::BTreeMap;

use super::config::Config;
use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::weights::{NamedTensor, Weights};

/// What the network's tensors begin with in checkpoints that have a head.
const PREFIX: &str = "wav2vec2.";
/// First words of the names of tensors that hidden states do not depend on: the quantiser and its
/// projections, the vector that masked frames get in training, and heads for letters, classes and
/// speakers; an adapter shortens the last hidden layer for a head.
const LEFT_ASIDE: [&str; 10] = [
    "adapter",
    "classifier",
    "layer_weights",
    "lm_head",
    "masked_spec_embed",
    "project_hid",
    "project_q",
    "projector",
    "quantizer",
    "tdnn",
];
/// The weight of the positional convolution is stored as a length and a direction, under the names
/// of either of libtorch's two ways (`torch.nn.utils.weight_norm` and its successor in
/// `parametrizations`).
const NEWER_NAMES: [(&str, &str); 2] = [
    ("parametrizations.weight.original0", "weight_g"),
    ("parametrizations.weight.original1", "weight_v"),
];

/// Takes the network's tensors out of the checkpoint, with `config` beside them.
pub(in crate::model) fn from_checkpoint(
    model: &str,
    checkpoint: &Checkpoint<'_>,
    config: &Config,
) -> Result<Weights, Problem> {
    let mut tensors: BTreeMap<String, NamedTensor> = BTreeMap::new();
    for name in checkpoint.names() {
        let Some(ours) = name_of(name) else { continue };
        if tensors.insert(ours.clone(), checkpoint.tensor(name)?).is_some() {
            return Err(format!("it has the tensor {ours} under two names"));
        }
    }
    Ok(Weights::new(model, tensors).with_settings(config.to_json()?))
}

/// The name here of the tensor `name`; none, where it is left aside.
fn name_of(name: &str) -> Option<String> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let first = name.split('.').next().unwrap_or(name);
    if LEFT_ASIDE.contains(&first) {
        return None;
    }
    for (newer, older) in NEWER_NAMES {
        if let Some(path) = name.strip_suffix(newer) {
            return Some(format!("{path}{older}"));
        }
    }
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_prefix_and_are_the_older_ones() {
        let same = "encoder.pos_conv_embed.conv.weight_g";
        let newer = "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original0";
        assert_eq!(name_of(newer).as_deref(), Some(same));
        assert_eq!(name_of(&format!("wav2vec2.{same}")).as_deref(), Some(same));
        assert_eq!(name_of(same).as_deref(), Some(same));
        for head in ["quantizer.codevectors", "wav2vec2.masked_spec_embed", "lm_head.bias"] {
            assert_eq!(name_of(head), None, "{head}");
        }
        assert_eq!(name_of("encoder.extra").as_deref(), Some("encoder.extra"));
    }
}
