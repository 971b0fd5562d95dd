//! A model of CTranslate2: `model.bin`.
//!
//! In: the file's bytes. Out: tensors by name, float16 widened to float32, where aliases are names
//! like others. Refuses other versions of the format, what is quantised, and damage of any kind:
//! every length is checked before it is used, and nothing is copied before it is asked for.
//!
//! Source: OpenNMT/CTranslate2, `python/ctranslate2/specs/model_spec.py` (`_serialize`) and
//! `src/models/model.cc` (`Model::load`): a header, then name, shape, type and bytes of each
//! variable, then pairs of names, of which the first is an alias. All numbers are little-endian.

use std::collections::BTreeMap;

use half::f16;

use super::Problem;
use crate::model::weights::NamedTensor;

/// The format's versions that name a variable's type and have aliases, laid out alike.
const VERSIONS: std::ops::RangeInclusive<u32> = 4..=6;
/// Of `DataType` in `include/ctranslate2/types.h`.
const FLOAT32: u8 = 0;
const FLOAT16: u8 = 4;
/// More dimensions than any tensor of a network has.
const MAX_RANK: u8 = 8;

/// An opened file.
#[derive(Debug)]
pub(in crate::model) struct Checkpoint<'a> {
    variables: BTreeMap<&'a str, Variable<'a>>,
}

/// A variable where it lies.
#[derive(Clone, Debug)]
struct Variable<'a> {
    shape: Vec<usize>,
    kind: u8,
    bytes: &'a [u8],
}

impl<'a> Checkpoint<'a> {
    /// Reads what lies where.
    pub(in crate::model) fn open(file: &'a [u8]) -> Result<Self, Problem> {
        let mut bytes = Bytes(file);
        let version = bytes.u32()?;
        if !VERSIONS.contains(&version) {
            return Err(format!(
                "it is no model.bin of CTranslate2 in a version that is known: expected {} to {}, \
                 found {version}",
                VERSIONS.start(),
                VERSIONS.end()
            ));
        }
        let _kind_of_model = bytes.name()?;
        let _revision = bytes.u32()?;
        let mut variables = BTreeMap::new();
        for _ in 0..bytes.u32()? {
            let name = bytes.name()?;
            let variable = bytes.variable(name)?;
            if variables.insert(name, variable).is_some() {
                return Err(format!("it has two tensors {name}"));
            }
        }
        for _ in 0..bytes.u32()? {
            let (alias, name) = (bytes.name()?, bytes.name()?);
            let variable = variables
                .get(name)
                .cloned()
                .ok_or_else(|| format!("{alias} stands for {name}, which is not there"))?;
            if variables.insert(alias, variable).is_some() {
                return Err(format!("it has two tensors {alias}"));
            }
        }
        if !bytes.0.is_empty() {
            return Err(format!("{} bytes follow its last tensor", bytes.0.len()));
        }
        Ok(Self { variables })
    }

    /// The names of all variables, scalars of settings among them.
    pub(in crate::model) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().copied()
    }

    /// The tensor `name`, as float32.
    pub(in crate::model) fn tensor(&self, name: &str) -> Result<NamedTensor, Problem> {
        let variable =
            self.variables.get(name).ok_or_else(|| format!("it has no tensor {name}"))?;
        let shape = variable.shape.clone();
        let values = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size));
        let width = match variable.kind {
            FLOAT32 => 4,
            FLOAT16 => 2,
            kind => {
                return Err(format!("{name} is of the type {kind}, expected float32 or float16"));
            }
        };
        if values.and_then(|values| values.checked_mul(width)) != Some(variable.bytes.len()) {
            return Err(format!(
                "{name} has {} bytes, which is not what the shape {shape:?} takes",
                variable.bytes.len()
            ));
        }
        let bytes = if variable.kind == FLOAT32 {
            variable.bytes.to_vec()
        } else {
            let (halves, _) = variable.bytes.as_chunks::<2>();
            halves
                .iter()
                .flat_map(|&half| f16::from_le_bytes(half).to_f32().to_le_bytes())
                .collect()
        };
        Ok(NamedTensor { shape, bytes })
    }
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it is truncated")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Problem> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("it is truncated")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        self.array().map(u32::from_le_bytes)
    }

    fn size(&mut self) -> Result<usize, Problem> {
        usize::try_from(self.u32()?).map_err(|_| "a size is too large".to_owned())
    }

    /// A length, and as many bytes, of which the last is zero.
    fn name(&mut self) -> Result<&'a str, Problem> {
        let length = u16::from_le_bytes(self.array()?);
        match self.take(usize::from(length))? {
            [name @ .., 0] => str::from_utf8(name).map_err(|_| "a name is not UTF-8".to_owned()),
            _ => Err("a name does not end with zero".to_owned()),
        }
    }

    fn variable(&mut self, name: &str) -> Result<Variable<'a>, Problem> {
        let [rank] = self.array()?;
        if rank > MAX_RANK {
            return Err(format!("{name} has {rank} dimensions"));
        }
        let shape = (0..rank).map(|_| self.size()).collect::<Result<Vec<_>, _>>()?;
        let [kind] = self.array()?;
        let length = self.size()?;
        Ok(Variable { shape, kind, bytes: self.take(length)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(name: &str) -> Vec<u8> {
        let length = u16::try_from(name.len() + 1).unwrap();
        [&length.to_le_bytes()[..], name.as_bytes(), &[0]].concat()
    }

    fn variable(path: &str, shape: &[u32], kind: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = name(path);
        bytes.push(u8::try_from(shape.len()).unwrap());
        bytes.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
        bytes.push(kind);
        bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn file() -> Vec<u8> {
        let halves: Vec<u8> =
            [1.5, -2.0].into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()).collect();
        [
            6_u32.to_le_bytes().to_vec(),
            name("Spec"),
            3_u32.to_le_bytes().to_vec(),
            3_u32.to_le_bytes().to_vec(),
            variable("half", &[2, 1], FLOAT16, &halves),
            variable("whole", &[1], FLOAT32, &0.25_f32.to_le_bytes()),
            variable("heads", &[], 2, &[6, 0]),
            1_u32.to_le_bytes().to_vec(),
            name("other"),
            name("half"),
        ]
        .concat()
    }

    #[test]
    fn tensors_are_found_by_name_and_alias_and_widened() {
        let file = file();
        let checkpoint = Checkpoint::open(&file).unwrap();
        let names: Vec<&str> = checkpoint.names().collect();
        assert_eq!(names, ["half", "heads", "other", "whole"]);
        let bytes: Vec<u8> = [1.5_f32, -2.0].into_iter().flat_map(f32::to_le_bytes).collect();
        let half = NamedTensor { shape: vec![2, 1], bytes };
        assert_eq!(checkpoint.tensor("half"), Ok(half.clone()));
        assert_eq!(checkpoint.tensor("other"), Ok(half));
        let whole = NamedTensor { shape: vec![1], bytes: 0.25_f32.to_le_bytes().to_vec() };
        assert_eq!(checkpoint.tensor("whole"), Ok(whole));
        assert!(checkpoint.tensor("heads").unwrap_err().contains("type 2"));
        assert!(checkpoint.tensor("none").unwrap_err().contains("none"));
    }

    #[test]
    fn every_truncation_and_anything_behind_is_refused() {
        let file = file();
        for length in 0..file.len() {
            assert!(Checkpoint::open(&file[..length]).is_err(), "{length} bytes");
        }
        assert!(Checkpoint::open(&[&file[..], &[0]].concat()).is_err());
    }

    proptest! {
        /// Neither a panic nor more memory than the file has bytes, widened.
        #[test]
        fn no_mutation_panics(changes in prop::collection::vec((0_usize..200, any::<u8>()), 1..4)) {
            let mut file = file();
            let length = file.len();
            for (position, byte) in changes {
                file[position % length] = byte;
            }
            if let Ok(checkpoint) = Checkpoint::open(&file) {
                for name in checkpoint.names() {
                    if let Ok(tensor) = checkpoint.tensor(name) {
                        prop_assert!(tensor.bytes.len() <= 2 * length);
                    }
                }
            }
        }
    }
}
