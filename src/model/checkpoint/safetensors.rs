//! A published safetensors file.
//!
//! In: the file's bytes. Out: tensors by name, float16 and bfloat16 widened to float32. Refuses
//! other types where they are asked for, and damage of any kind.

use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::Problem;
use crate::model::weights::NamedTensor;

/// An opened file.
#[derive(Debug)]
pub(in crate::model) struct Checkpoint<'a> {
    file: SafeTensors<'a>,
}

impl<'a> Checkpoint<'a> {
    /// Reads what lies where.
    pub(in crate::model) fn open(file: &'a [u8]) -> Result<Self, Problem> {
        let file = SafeTensors::deserialize(file).map_err(|error| error.to_string())?;
        Ok(Self { file })
    }

    /// The names of all tensors, in order.
    pub(in crate::model) fn names(&self) -> impl Iterator<Item = &str> {
        let mut names = self.file.names();
        names.sort_unstable();
        names.into_iter()
    }

    /// The tensor `name`, as float32.
    pub(in crate::model) fn tensor(&self, name: &str) -> Result<NamedTensor, Problem> {
        let view = self.file.tensor(name).map_err(|_| format!("it has no tensor {name}"))?;
        let widened = |widen: fn([u8; 2]) -> f32| {
            let (values, _) = view.data().as_chunks::<2>();
            values.iter().flat_map(|&value| widen(value).to_le_bytes()).collect()
        };
        let bytes = match view.dtype() {
            Dtype::F32 => view.data().to_vec(),
            Dtype::F16 => widened(|value| f16::from_le_bytes(value).to_f32()),
            Dtype::BF16 => widened(|value| bf16::from_le_bytes(value).to_f32()),
            other => return Err(format!("{name} is {other:?}, expected F32, F16 or BF16")),
        };
        Ok(NamedTensor { shape: view.shape().to_vec(), bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use safetensors::serialize;
    use safetensors::tensor::TensorView;

    fn file() -> Vec<u8> {
        let half = f16::from_f32(1.5).to_le_bytes();
        let brain = bf16::from_f32(-3.0).to_le_bytes();
        let whole = 0.25_f32.to_le_bytes();
        let view = |kind, data| TensorView::new(kind, vec![1], data).unwrap();
        let views = [
            ("half", view(Dtype::F16, &half[..])),
            ("brain", view(Dtype::BF16, &brain[..])),
            ("whole", view(Dtype::F32, &whole[..])),
            ("count", view(Dtype::U8, &[1][..])),
        ];
        serialize(views, None).unwrap()
    }

    #[test]
    fn tensors_are_widened_and_other_types_refused() {
        let file = file();
        let checkpoint = Checkpoint::open(&file).unwrap();
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["brain", "count", "half", "whole"]);
        for (name, value) in [("half", 1.5_f32), ("brain", -3.0), ("whole", 0.25)] {
            let tensor = NamedTensor { shape: vec![1], bytes: value.to_le_bytes().to_vec() };
            assert_eq!(checkpoint.tensor(name), Ok(tensor));
        }
        assert!(checkpoint.tensor("count").unwrap_err().contains("U8"));
        assert!(checkpoint.tensor("none").unwrap_err().contains("none"));
    }

    proptest! {
        #[test]
        fn no_mutation_panics(changes in prop::collection::vec((0_usize..400, any::<u8>()), 1..4)) {
            let mut file = file();
            let length = file.len();
            for (position, byte) in changes {
                file[position % length] = byte;
            }
            if let Ok(checkpoint) = Checkpoint::open(&file) {
                for name in checkpoint.names() {
                    let _ = checkpoint.tensor(name);
                }
            }
        }
    }
}
