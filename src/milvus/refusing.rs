//! What stands for a Milvus server where sonoteca was built without one.
//!
//! In: an address. Out: the reason why it is not used. There is none of it, so that nothing can be
//! asked.

use std::convert::Infallible;
use std::time::Duration;

use super::address::{Address, Consistency, IndexSpec};
use super::cells::Cells;
use super::columns::{Columns, Partition};
use crate::error::{MilvusProblem, Result};

/// No connection.
#[derive(Debug)]
pub(super) struct Client {
    never: Infallible,
    pub(super) address: Address,
}

/// How a row would be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// There is none with its key.
    New,
    /// In place of one that may be there.
    Over,
}

#[expect(clippy::needless_pass_by_value, reason = "as the one that stands here otherwise")]
impl Client {
    pub(super) fn connect(address: Address, _patience: Duration) -> Result<Self> {
        Err(address.failed(MilvusProblem::NotBuilt))
    }

    pub(super) fn version(&self) -> Result<String> {
        match self.never {}
    }

    pub(super) fn describe(&self, _patience: Duration) -> Result<Option<String>> {
        match self.never {}
    }

    pub(super) fn create(&self, _description: &str, _dimension: usize) -> Result<()> {
        match self.never {}
    }

    pub(super) fn load(&self, _patience: Duration) -> Result<()> {
        match self.never {}
    }

    pub(super) fn drop_collection(&self) -> Result<()> {
        match self.never {}
    }

    pub(super) fn write(&self, _partition: Partition, _rows: Columns, _how: Write) -> Result<()> {
        match self.never {}
    }

    pub(super) fn delete(&self, _partition: Partition, _keys: &[i64]) -> Result<()> {
        match self.never {}
    }

    pub(super) fn flush(&self) -> Result<()> {
        match self.never {}
    }

    pub(super) fn count(&self, _partitions: &[Partition], _expression: &str) -> Result<u64> {
        match self.never {}
    }

    pub(super) fn query(
        &self,
        _partitions: &[Partition],
        _expression: &str,
        _wanted: &[&'static str],
        _how: (usize, Consistency),
    ) -> Result<Cells> {
        match self.never {}
    }

    pub(super) fn search(
        &self,
        _partition: Partition,
        _vectors: &[&[f32]],
        _expression: &str,
        _limit: usize,
        _index: IndexSpec,
    ) -> Result<Vec<Vec<(i64, f32)>>> {
        match self.never {}
    }
}
