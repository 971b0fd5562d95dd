//! A TensorFlow checkpoint: `variables.index` and its data file.
//!
//! In: both files' bytes. Out: float32 tensors by name. Refuses damage of any kind: every offset
//! and length is checked before it is used.
//!
//! The index is a LevelDB table (google/leveldb, `doc/table_format.md`), written without
//! compression; its values are `BundleEntryProto` messages (tensorflow,
//! `core/protobuf/tensor_bundle.proto`). The data file is the tensors' bytes, little-endian.
//! TensorFlow 1 wrote the same two files, whose variables go by their own names; TensorFlow 2 calls
//! them by their place among the program's objects, with `/.ATTRIBUTES/VARIABLE_VALUE` behind.

use std::collections::BTreeMap;

use super::Problem;
use crate::model::weights::NamedTensor;

/// The last eight bytes of every LevelDB table.
const TABLE_MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// Two block handles and the magic number.
const FOOTER_BYTES: usize = 48;
/// `DT_FLOAT` of `types.proto`.
const FLOAT32: u64 = 1;

/// An opened checkpoint.
#[derive(Debug)]
pub(in crate::model) struct Checkpoint<'a> {
    entries: BTreeMap<String, Entry>,
    data: &'a [u8],
}

/// Where a tensor lies in the data file.
#[derive(Debug, Default)]
struct Entry {
    dtype: u64,
    shape: Vec<usize>,
    shard: u64,
    offset: u64,
    size: u64,
}

impl<'a> Checkpoint<'a> {
    /// Reads the index; the tensors stay in `data`.
    pub(super) fn open(index: &[u8], data: &'a [u8]) -> Result<Self, Problem> {
        let mut entries = BTreeMap::new();
        let footer = index
            .len()
            .checked_sub(FOOTER_BYTES)
            .map(|start| &index[start..])
            .ok_or_else(|| {
                let found = index.len();
                format!("the index has {found} bytes, expected a footer of {FOOTER_BYTES} at least")
            })?;
        let mut magic = [0; 8];
        magic.copy_from_slice(&footer[FOOTER_BYTES - 8..]);
        let found = u64::from_le_bytes(magic);
        if found != TABLE_MAGIC {
            return Err(format!(
                "the index is no LevelDB table: it ends in {found:#018x}, expected {TABLE_MAGIC:#018x}"
            ));
        }
        let mut handles = Bytes(footer);
        let _meta = handles.block_handle()?;
        let directory = block(index, handles.block_handle()?)?;
        for (_, handle) in records(directory)? {
            let data_block = block(index, Bytes(handle).block_handle()?)?;
            for (key, value) in records(data_block)? {
                // The empty key holds the bundle's header.
                if !key.is_empty() {
                    let name =
                        String::from_utf8(key).map_err(|_| "a tensor's name is not UTF-8")?;
                    entries.insert(name, Entry::read(value)?);
                }
            }
        }
        Ok(Self { entries, data })
    }

    /// The names of all variables, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The float32 tensor `name`.
    pub(super) fn tensor(&self, name: &str) -> Result<NamedTensor, Problem> {
        let entry = self.entries.get(name).ok_or_else(|| format!("it has no tensor {name}"))?;
        let values = entry.shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size));
        let bytes = values.and_then(|values| values.checked_mul(4)).map(|bytes| bytes as u64);
        if entry.dtype != FLOAT32 || entry.shard != 0 || bytes != Some(entry.size) {
            return Err(format!(
                "{name} is not one piece of float32: type {}, shape {:?}, shard {}, {} bytes",
                entry.dtype, entry.shape, entry.shard, entry.size
            ));
        }
        let bytes = usize::try_from(entry.offset)
            .ok()
            .and_then(|start| self.data.get(start..)?.get(..usize::try_from(entry.size).ok()?))
            .ok_or_else(|| format!("{name} lies outside the data file"))?;
        Ok(NamedTensor { shape: entry.shape.clone(), bytes: bytes.to_vec() })
    }
}

impl Entry {
    fn read(message: &[u8]) -> Result<Self, Problem> {
        let mut entry = Self::default();
        for_each_field(message, |field, value| {
            match (field, value) {
                (1, Value::Number(dtype)) => entry.dtype = dtype,
                (2, Value::Bytes(shape)) => entry.shape = read_shape(shape)?,
                (3, Value::Number(shard)) => entry.shard = shard,
                (4, Value::Number(offset)) => entry.offset = offset,
                (5, Value::Number(size)) => entry.size = size,
                _ => {}
            }
            Ok(())
        })?;
        Ok(entry)
    }
}

/// `TensorShapeProto`: field 2 repeats dimensions, whose field 1 is the size.
fn read_shape(message: &[u8]) -> Result<Vec<usize>, Problem> {
    let mut shape = Vec::new();
    for_each_field(message, |field, value| {
        if let (2, Value::Bytes(dimension)) = (field, value) {
            let mut size = 0;
            for_each_field(dimension, |field, value| {
                if let (1, Value::Number(number)) = (field, value) {
                    size = number;
                }
                Ok(())
            })?;
            shape.push(usize::try_from(size).map_err(|_| "a dimension is too large")?);
        }
        Ok(())
    })?;
    Ok(shape)
}

/// A field of a protocol buffer; fixed-width ones are skipped.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

fn for_each_field<'a>(
    message: &'a [u8],
    mut visit: impl FnMut(u64, Value<'a>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut bytes = Bytes(message);
    while !bytes.0.is_empty() {
        let key = bytes.varint()?;
        let value = match key & 7 {
            0 => Value::Number(bytes.varint()?),
            1 => bytes.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = bytes.varint()?;
                Value::Bytes(bytes.take(length)?)
            }
            5 => bytes.take(4).map(|_| Value::Fixed)?,
            kind => return Err(format!("a message has a field of the unknown kind {kind}")),
        };
        visit(key >> 3, value)?;
    }
    Ok(())
}

/// The bytes of the block at `(offset, size)`, which must be stored uncompressed.
fn block(table: &[u8], (offset, size): (u64, u64)) -> Result<&[u8], Problem> {
    let mut bytes = Bytes(table);
    bytes.take(offset)?;
    let block = bytes.take(size)?;
    // A byte for the compression and four for a checksum follow; the whole file is checked by
    // hash, so the latter is not.
    match bytes.take(1)? {
        [0] => Ok(block),
        _ => Err("the index is compressed".to_owned()),
    }
}

/// A key and its value.
type Record<'a> = (Vec<u8>, &'a [u8]);

/// The records of a block; keys are stored as what they add to the one before.
fn records(block: &[u8]) -> Result<Vec<Record<'_>>, Problem> {
    const TRUNCATED: &str = "a block of the index is truncated";
    let (rest, count) = block.split_last_chunk::<4>().ok_or(TRUNCATED)?;
    let restarts = 4 * u64::from(u32::from_le_bytes(*count));
    let end = (rest.len() as u64).checked_sub(restarts).ok_or(TRUNCATED)?;
    let mut bytes = Bytes(Bytes(rest).take(end)?);
    let mut records: Vec<Record<'_>> = Vec::new();
    while !bytes.0.is_empty() {
        let (shared, added, length) = (bytes.varint()?, bytes.varint()?, bytes.varint()?);
        let previous = records.last().map_or(&[][..], |(key, _)| key);
        let mut key = Bytes(previous).take(shared)?.to_vec();
        key.extend_from_slice(bytes.take(added)?);
        records.push((key, bytes.take(length)?));
    }
    Ok(records)
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Problem> {
        let (taken, rest) = usize::try_from(count)
            .ok()
            .and_then(|count| self.0.split_at_checked(count))
            .ok_or("the index is truncated")?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Problem> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number in the index is too long".to_owned())
    }

    fn block_handle(&mut self) -> Result<(u64, u64), Problem> {
        Ok((self.varint()?, self.varint()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table with one data block of one record per entry.
    fn table(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut data = Vec::new();
        for (key, value) in entries {
            data.extend([0, u8::try_from(key.len()).unwrap(), u8::try_from(value.len()).unwrap()]);
            data.extend(key.as_bytes());
            data.extend(value);
        }
        data.extend([0, 0, 0, 0, 1, 0, 0, 0]);
        let size = u8::try_from(data.len()).unwrap();
        let directory = [vec![0, 1, 2, b'z', 0, size], vec![0, 0, 0, 0, 1, 0, 0, 0]].concat();
        let start = size + 5;
        let mut footer = vec![0, 0, start, u8::try_from(directory.len()).unwrap()];
        footer.resize(40, 0);
        footer.extend(TABLE_MAGIC.to_le_bytes());
        [data, vec![0; 5], directory, vec![0; 5], footer].concat()
    }

    /// dtype 1, shape [2], offset 4, size 8.
    fn entry() -> Vec<u8> {
        vec![0x08, 1, 0x12, 4, 0x12, 2, 0x08, 2, 0x20, 4, 0x28, 8]
    }

    #[test]
    fn a_tensor_is_found_by_name() {
        let index = table(&[("", vec![8, 1]), ("kernel", entry())]);
        let data: Vec<u8> = (0..12).collect();
        let tensor = Checkpoint::open(&index, &data).unwrap().tensor("kernel").unwrap();
        assert_eq!(tensor, NamedTensor { shape: vec![2], bytes: (4..12).collect() });
        let missing = Checkpoint::open(&index, &data).unwrap().tensor("bias").unwrap_err();
        assert!(missing.contains("bias"));
    }

    #[test]
    fn a_tensor_past_the_data_is_refused() {
        let index = table(&[("kernel", entry())]);
        assert!(Checkpoint::open(&index, &[0; 11]).unwrap().tensor("kernel").is_err());
    }

    proptest! {
        #[test]
        fn no_mutation_panics(position in 0_usize..100, byte: u8, cut in 0_usize..100) {
            let mut index = table(&[("", vec![8, 1]), ("kernel", entry())]);
            let length = index.len();
            index[position % length] = byte;
            index.drain(..cut % 8);
            if let Ok(checkpoint) = Checkpoint::open(&index, &[0; 12]) {
                let _ = checkpoint.tensor("kernel");
            }
        }
    }
}
