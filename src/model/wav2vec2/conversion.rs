//! A published wav2vec 2.0's weights.
//!
//! In: the folder's configuration and tensors under Hugging Face's names. Out: the tensors that the
//! network asks for, by those names without their prefix. What belongs to pre-training or to a head
//! is left aside: by its name, and where the network's own tensors have a prefix, by its having none.
//! Any other tensor stays, and is refused when the network has taken its own.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Config;
use crate::model::checkpoint::{Checkpoint, Problem};
use crate::model::weights::{NamedTensor, Weights};

/// What the network's tensors begin with in checkpoints that have a head.
const PREFIX: &str = "wav2vec2.";
/// First words of the names of tensors that hidden states do not depend on: the quantiser and its
/// projections, the vector that masked frames get in training, and heads for letters, classes and
/// speakers; an adapter shortens the last hidden layer for a head.
const LEFT_ASIDE: [&str; 11] = [
    "adapter",
    "classifier",
    "layer_weights",
    "lm_head",
    "masked_spec_embed",
    "objective",
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

/// Takes the network's tensors out of the files of a checkpoint, with `config` beside them.
pub(in crate::model) fn from_checkpoint(
    model: &str,
    files: &[Checkpoint<'_>],
    config: &Config,
) -> Result<Weights, Problem> {
    let names = || files.iter().flat_map(Checkpoint::names);
    let of_the_network: BTreeSet<&str> =
        names().filter_map(|name| name.strip_prefix(PREFIX)).collect();
    let mut tensors: BTreeMap<String, NamedTensor> = BTreeMap::new();
    for file in files {
        for name in file.names() {
            // Beside a network under its prefix stands what belongs to a head, whatever it is called:
            // that for speakers has a `feature_extractor` too.
            let is_head = !of_the_network.is_empty() && !name.starts_with(PREFIX);
            if is_head && !of_the_network.contains(name) {
                continue;
            }
            let Some(ours) = name_of(name) else { continue };
            if tensors.insert(ours.clone(), file.tensor(name)?).is_some() {
                return Err(format!("it has the tensor {ours} twice"));
            }
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

    /// A file of tensors of one value each.
    fn file(names: &[&str]) -> Vec<u8> {
        use safetensors::tensor::{Dtype, TensorView, serialize};
        let value = 0.5_f32.to_le_bytes();
        let view = || TensorView::new(Dtype::F32, vec![1], &value).unwrap();
        serialize(names.iter().map(|name| (*name, view())), None).unwrap()
    }

    fn names(files: &[&[&str]]) -> Result<Vec<String>, Problem> {
        let bytes: Vec<Vec<u8>> = files.iter().map(|names| file(names)).collect();
        let opened =
            |bytes| crate::model::checkpoint::safetensors::Checkpoint::open(bytes).unwrap();
        let files: Vec<_> =
            bytes.iter().map(|bytes| Checkpoint::Safetensors(opened(bytes))).collect();
        let config = Config::read(r#"{"model_type": "wav2vec2"}"#, None).unwrap();
        from_checkpoint("mine", &files, &config).map(|weights| weights.names())
    }

    #[test]
    fn heads_are_left_aside_whatever_they_are_called() {
        // Those of Wav2Vec2ForXVector (transformers 4.30.2, `modeling_wav2vec2.py`), in two files.
        let found = names(&[
            &[
                "wav2vec2.encoder.a",
                "feature_extractor.weight",
                "objective.weight",
                "projector.bias",
            ],
            &["wav2vec2.encoder.b", "feature_extractor.bias", "tdnn.0.kernel.weight"],
        ]);
        assert_eq!(found.unwrap(), ["encoder.a", "encoder.b"]);
        // Without a prefix anywhere, only names tell.
        let found = names(&[&["encoder.a", "objective.weight", "feature_extractor.weight"]]);
        assert_eq!(found.unwrap(), ["encoder.a", "feature_extractor.weight"]);
        // What is there twice is nobody's head.
        let found = names(&[&["wav2vec2.encoder.a", "encoder.a"]]);
        assert!(found.unwrap_err().contains("encoder.a twice"));
        assert!(names(&[&["encoder.a"], &["encoder.a"]]).is_err());
    }
}
