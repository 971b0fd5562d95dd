//! What a state dict consists of: plain values, containers, storages and views of them.
//!
//! In: what the pickle's opcodes say. Out: values that refer to each other by number, so that
//! sharing costs nothing and cycles do no harm; a tensor's values in row-major order.

use super::super::Problem;

/// Where a value is in its [`Pickle`](super::pickle::Pickle).
pub(super) type Id = usize;

/// A value that a pickle made.
#[derive(Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Integer(i128),
    /// A number that no tensor depends on, such as a learning rate.
    Float,
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Keys and values, in their order.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Box<Storage<'a>>),
    Tensor(Box<TensorView<'a>>),
}

/// The names that a pickle may call upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch.FloatStorage` and the like.
    Storage(Kind),
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch", "FloatStorage") => Some(Self::Storage(Kind::Float32)),
            ("torch", "LongStorage") => Some(Self::Storage(Kind::Int64)),
            _ => None,
        }
    }
}

/// What a storage holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float32,
    /// Counters of batch norms.
    Int64,
}

impl Kind {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Int64 => 8,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int64 => "int64",
        }
    }
}

/// A run of values in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    pub(super) kind: Kind,
    /// Its name in the file.
    pub(super) key: &'a str,
    /// How many values it has.
    pub(super) count: usize,
}

impl Storage<'_> {
    /// Its length in bytes, if there is such a number.
    pub(super) fn bytes(&self) -> Option<usize> {
        self.count.checked_mul(self.kind.bytes())
    }
}

/// A tensor: a window on a storage. Offset and strides count values.
#[derive(Clone, Debug)]
pub(super) struct TensorView<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl TensorView<'_> {
    /// Refuses views that reach past their storage, or that have more values than it: then values
    /// would be repeated, and a few bytes could ask for any amount of memory.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.shape.len() != self.strides.len() {
            return Err(format!("has shape {:?} and strides {:?}", self.shape, self.strides));
        }
        let reach = || {
            let mut last = self.offset;
            for (&size, &stride) in self.shape.iter().zip(&self.strides) {
                last = last.checked_add(size.checked_sub(1)?.checked_mul(stride)?)?;
            }
            Some(last)
        };
        let inside = match self.count() {
            Some(0) => self.offset <= self.storage.count,
            Some(count) => {
                count <= self.storage.count && reach().is_some_and(|last| last < self.storage.count)
            }
            None => false,
        };
        if inside {
            return Ok(());
        }
        Err(format!(
            "does not fit its storage of {} values: shape {:?}, strides {:?}, offset {}",
            self.storage.count, self.shape, self.strides, self.offset
        ))
    }

    /// How many values it has, if there is such a number.
    fn count(&self) -> Option<usize> {
        // A size of zero must not hide an overflow before it.
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size))
    }

    /// Copies the values out of `storage`, row-major; `None` where it is too short.
    pub(super) fn gather(&self, storage: &[u8]) -> Option<Vec<u8>> {
        let width = self.storage.kind.bytes();
        let count = self.count()?;
        let at = |value: usize| {
            let start = value.checked_mul(width)?;
            storage.get(start..)
        };
        if self.is_row_major() {
            return Some(at(self.offset)?.get(..count.checked_mul(width)?)?.to_vec());
        }
        let mut bytes = Vec::with_capacity(count.checked_mul(width)?);
        let mut position = vec![0_usize; self.shape.len()];
        for _ in 0..count {
            let mut place = self.offset;
            for (&index, &stride) in position.iter().zip(&self.strides) {
                place = place.checked_add(index.checked_mul(stride)?)?;
            }
            bytes.extend_from_slice(at(place)?.get(..width)?);
            for (index, &size) in position.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < size {
                    break;
                }
                *index = 0;
            }
        }
        Some(bytes)
    }

    fn is_row_major(&self) -> bool {
        let mut expected = 1_usize;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            // Where there is one value, the stride says nothing.
            let fits = size == 1 || stride == expected;
            expected = expected.saturating_mul(size);
            fits
        })
    }
}
