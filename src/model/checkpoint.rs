//! Published weights, as their makers' tools wrote them.
//!
//! In: a file's bytes, and the kind of file that the card says it is. Out: float32 tensors by name.
//! Refuses damage of any kind: a reader checks every offset and length before it uses it, and
//! builds tensors and nothing else.

mod ctranslate2;
pub(super) mod pytorch;
pub(super) mod safetensors;
mod tensorflow;

use std::path::{Path, PathBuf};

use super::card::Format;
use super::weights::NamedTensor;

/// What does not fit, in words.
pub(super) type Problem = String;

/// An opened checkpoint.
#[derive(Debug)]
pub(super) enum Checkpoint<'a> {
    CTranslate2(ctranslate2::Checkpoint<'a>),
    Safetensors(safetensors::Checkpoint<'a>),
    TensorFlow(tensorflow::Checkpoint<'a>),
    PyTorch(pytorch::StateDict<'a>),
}

/// The bytes of a checkpoint's files.
#[derive(Debug, Default)]
pub(super) struct CheckpointBytes {
    /// The file that the card names.
    pub(super) data: Vec<u8>,
    /// What lies beside it, as [`companion`] says; empty, where nothing does.
    pub(super) companion: Vec<u8>,
}

/// The file that belongs to `file` of a checkpoint: the index of TensorFlow's data.
pub(super) fn companion(format: Format, file: &Path) -> Option<PathBuf> {
    match format {
        Format::TensorFlow => {
            let name = file.file_name()?.to_str()?;
            let (prefix, _shards) = name.split_once(".data-")?;
            Some(file.with_file_name(format!("{prefix}.index")))
        }
        Format::PyTorch | Format::CTranslate2 => None,
    }
}

impl<'a> Checkpoint<'a> {
    /// Reads what lies where; the tensors stay in `bytes`.
    pub(super) fn open(format: Format, bytes: &'a CheckpointBytes) -> Result<Self, Problem> {
        match format {
            Format::TensorFlow => {
                tensorflow::Checkpoint::open(&bytes.companion, &bytes.data).map(Self::TensorFlow)
            }
            Format::PyTorch => pytorch::StateDict::open(&bytes.data).map(Self::PyTorch),
            Format::CTranslate2 => {
                ctranslate2::Checkpoint::open(&bytes.data).map(Self::CTranslate2)
            }
        }
    }

    /// The names of all tensors, in order.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::CTranslate2(checkpoint) => checkpoint.names().collect(),
            Self::Safetensors(checkpoint) => checkpoint.names().collect(),
            Self::TensorFlow(checkpoint) => checkpoint.names().collect(),
            Self::PyTorch(checkpoint) => checkpoint.names().collect(),
        }
    }

    /// The float32 tensor `name`.
    pub(super) fn tensor(&self, name: &str) -> Result<NamedTensor, Problem> {
        match self {
            Self::CTranslate2(checkpoint) => checkpoint.tensor(name),
            Self::Safetensors(checkpoint) => checkpoint.tensor(name),
            Self::TensorFlow(checkpoint) => checkpoint.tensor(name),
            Self::PyTorch(checkpoint) => checkpoint.tensor(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_lies_beside_its_data() {
        let found = |file| companion(Format::TensorFlow, Path::new(file));
        let index = |file| Some(PathBuf::from(file));
        assert_eq!(found("a/variables.data-00000-of-00001"), index("a/variables.index"));
        assert_eq!(found("a/.data-00000-of-00001"), index("a/.index"));
        assert_eq!(found("a/weights.bin"), None);
    }
}
