//! A PyTorch checkpoint: what `torch.save` wrote, as a zip archive or in the layout of before 1.6.
//!
//! In: the file's bytes. Out: float32 tensors by name, row-major. Refuses whatever a state dict
//! does not need: a pickle is a program, and of its language this reader knows tensors and plain
//! values alone. Every offset, stride and length is checked before it is used.
//!
//! Source: pytorch, `torch/serialization.py` (`_save`, `_legacy_save`) and `torch/_utils.py`
//! (`_rebuild_tensor_v2`) at v1.13.0. The zip archive holds `data.pkl` and a member a storage; the
//! older layout is five pickles, then the storages in the order of the last pickle.

mod pickle;
mod storage;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use self::pickle::Pickle;
use self::storage::Storages;
#[cfg(test)]
pub(in crate::model) use self::tests::published;
use self::value::{Id, Kind, TensorView, Value};

use super::Problem;
use crate::model::weights::NamedTensor;

/// What every zip archive begins with.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// Values that are visited in search of tensors: containers can share others, so that a small
/// file may spell out endlessly many names. A published checkpoint has a few thousand.
const MAX_VISITS: usize = 1 << 16;
/// Length of a tensor's name, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// An opened checkpoint.
#[derive(Debug)]
pub(in crate::model) struct StateDict<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
    storages: Storages<'a>,
}

impl<'a> StateDict<'a> {
    /// Reads the pickle; the tensors' values stay in `file`.
    pub(in crate::model) fn open(file: &'a [u8]) -> Result<Self, Problem> {
        let (pickle, storages) = if file.starts_with(ZIP_MAGIC) {
            storage::open_zip(file)?
        } else {
            storage::open_legacy(file)?
        };
        let tensors = tensors(&pickle)?;
        for (name, view) in &tensors {
            view.check().map_err(|problem| format!("{name} {problem}"))?;
            storages.bytes(view.storage).map_err(|problem| format!("{name}: {problem}"))?;
        }
        Ok(Self { tensors, storages })
    }

    /// The names of all tensors, in alphabetical order. Keys of nested dictionaries are joined by
    /// `/`: the tensors' own names have dots.
    pub(in crate::model) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The float32 tensor `name`.
    pub(in crate::model) fn tensor(&self, name: &str) -> Result<NamedTensor, Problem> {
        let view = self.tensors.get(name).ok_or_else(|| format!("it has no tensor {name}"))?;
        if view.storage.kind != Kind::Float32 {
            return Err(format!("{name} is {}, expected float32", view.storage.kind.name()));
        }
        let bytes = view.gather(self.storages.bytes(view.storage)?);
        let bytes = bytes.ok_or_else(|| format!("{name} lies outside its storage"))?;
        Ok(NamedTensor { shape: view.shape.clone(), bytes })
    }
}

/// All tensors below the pickle's root, by name.
fn tensors<'a>(pickle: &Pickle<'a>) -> Result<BTreeMap<String, TensorView<'a>>, Problem> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![(pickle.root(), String::new())];
    let mut names = BTreeSet::from([String::new()]);
    while let Some((id, name)) = waiting.pop() {
        let children: Vec<(String, Id)> = match pickle.value(id) {
            Value::Tensor(view) => {
                found.insert(name, view.as_ref().clone());
                continue;
            }
            Value::List(values) | Value::Tuple(values) => {
                values.iter().enumerate().map(|(index, &id)| (index.to_string(), id)).collect()
            }
            Value::Dict(entries) => entries
                .iter()
                .map(|&(key, id)| match pickle.value(key) {
                    Value::Text(key) if key.len() <= MAX_NAME_BYTES => Ok(((*key).to_owned(), id)),
                    Value::Text(_) => Err("a key is too long".to_owned()),
                    Value::Integer(key) => Ok((key.to_string(), id)),
                    _ => Err(format!("a key of {name:?} is neither text nor a number")),
                })
                .collect::<Result<_, Problem>>()?,
            _ => continue,
        };
        for (key, id) in children {
            let name = if name.is_empty() { key } else { format!("{name}/{key}") };
            if name.len() > MAX_NAME_BYTES || names.len() >= MAX_VISITS {
                return Err("its dictionaries are nested too deep, or hold too much".to_owned());
            }
            if !names.insert(name.clone()) {
                return Err(format!("it has {name} twice"));
            }
            waiting.push((id, name));
        }
    }
    Ok(found)
}
