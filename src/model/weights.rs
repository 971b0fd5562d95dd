//! Named float32 tensors, from and to safetensors.
//!
//! In: bytes. Out: [`Weights`], from which an architecture takes its tensors one by one. Refuses
//! damaged files and other types than float32; what is missing or left over is an error when the
//! architecture asks.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use crate::error::{Error, Result};

/// A float32 tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NamedTensor {
    pub(super) shape: Vec<usize>,
    /// Little-endian float32.
    pub(super) bytes: Vec<u8>,
}

/// The tensors of a model that no architecture has taken yet.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    model: String,
    tensors: BTreeMap<String, NamedTensor>,
    /// What an architecture of many sizes wrote down of its own.
    settings: Option<String>,
}

/// The key of the settings in a file's metadata. It is the only one: several are written in no
/// fixed order, and the same weights must give the same bytes.
const SETTINGS: &str = "settings";

impl Weights {
    pub(super) fn new(model: &str, tensors: BTreeMap<String, NamedTensor>) -> Self {
        Self { model: model.to_owned(), tensors, settings: None }
    }

    /// The same with an architecture's own settings beside them.
    pub(super) fn with_settings(self, settings: String) -> Self {
        Self { settings: Some(settings), ..self }
    }

    /// What [`with_settings`](Self::with_settings) was given.
    pub(super) fn settings(&self) -> Option<&str> {
        self.settings.as_deref()
    }

    /// The names of its tensors, in order.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    /// Changes every value of the tensor `name`.
    #[cfg(test)]
    pub(super) fn change(&mut self, name: &str, change: &dyn Fn(f32) -> f32) {
        let tensor = self.tensors.get_mut(name).expect("a tensor of that name");
        for bytes in tensor.bytes.as_chunks_mut::<4>().0 {
            *bytes = change(f32::from_le_bytes(*bytes)).to_le_bytes();
        }
    }

    /// Reads a safetensors file that `path` held.
    pub(super) fn from_safetensors(model: &str, path: &Path, bytes: &[u8]) -> Result<Self> {
        let damaged = |problem: String| Error::Checkpoint { path: path.to_owned(), problem };
        let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(damaged(format!("{name} is {:?}, expected F32", view.dtype())));
            }
            let tensor = NamedTensor { shape: view.shape().to_vec(), bytes: view.data().to_vec() };
            tensors.insert(name, tensor);
        }
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
        let settings = header.metadata().as_ref().and_then(|all| all.get(SETTINGS)).cloned();
        Ok(Self { settings, ..Self::new(model, tensors) })
    }

    /// Writes a safetensors file; the same tensors give the same bytes.
    pub(super) fn to_safetensors(&self, path: &Path) -> Result<Vec<u8>> {
        let damaged = |error: safetensors::SafeTensorError| Error::Checkpoint {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, tensor) in &self.tensors {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes)
                .map_err(damaged)?;
            views.push((name, view));
        }
        let settings =
            self.settings.clone().map(|text| HashMap::from([(SETTINGS.to_owned(), text)]));
        serialize(views, settings).map_err(damaged)
    }

    /// Takes the tensor `name`, which must have `shape`.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<NamedTensor> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(Error::TensorMissing {
                model: self.model.clone(),
                tensor: name.to_owned(),
            });
        };
        if tensor.shape != shape {
            return Err(Error::TensorShape {
                model: self.model.clone(),
                tensor: name.to_owned(),
                expected: shape.to_vec(),
                found: tensor.shape,
            });
        }
        Ok(tensor)
    }

    /// Takes the values of the tensor `name`, which must have `shape`.
    pub(super) fn take_values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.take(name, shape)?;
        let values = tensor.bytes.as_chunks::<4>().0;
        Ok(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    /// Refuses tensors that nobody took.
    pub(super) fn finish(self) -> Result<()> {
        match self.tensors.into_keys().next() {
            None => Ok(()),
            Some(tensor) => Err(Error::TensorUnexpected { model: self.model, tensor }),
        }
    }
}
