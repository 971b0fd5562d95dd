//! Vectors on a Milvus server instead of in a library: for what no one machine holds.
//!
//! In: an [`Address`], datasets, questions. Out: a [`Store`] that holds what searches and filters need of a
//! dataset (vectors, stretches, what `--where` asks about); the rest stays in the dataset, and heads
//! and labels in a library. One collection holds the vectors of one model in segments of one length;
//! its description says of which, so that others are refused and never compared.
//!
//! The library knows nothing of this room. Without the feature `milvus` nothing in it reaches a server:
//! every address that reads is refused with the way to build it in.
//!
//! - [`address`] is the one place of settings, `columns` of what lies in a collection.
//! - `filtering` turns filters into Milvus's expressions, or says why it cannot.
//! - [`importing`] brings datasets in, [`searching`] answers questions, [`reading`] gives vectors back.
//! - `client` asks the server; nothing else imports the SDK.

pub mod address;
#[cfg_attr(not(feature = "milvus"), expect(dead_code, reason = "what only a client does"))]
mod cells;
#[cfg(feature = "milvus")]
mod client;
#[cfg(not(feature = "milvus"))]
#[path = "milvus/refusing.rs"]
mod client;
#[cfg_attr(not(feature = "milvus"), expect(dead_code, reason = "what only a client does"))]
mod columns;
mod description;
mod duplicates;
mod filtering;
pub mod importing;
mod names;
pub mod reading;
mod rows;
pub mod searching;

use std::path::Path;

use crate::audio::segment::Segmentation;
use crate::dataset::header::Header;
use crate::error::{Error, MilvusProblem, Result};
use crate::filter::Filter;
use crate::store::models::StoredModel;
use crate::store::segments::Level;

pub use address::Address;
pub use searching::StoreSearcher;

use address::{Consistency, IndexSpec};
use cells::Cells;
use client::Client;
use columns::{KEY, Partition, RECORDING};
use description::Description;
use rows::recording_key;

/// Keys that one call removes or asks about at most.
const MOST_KEYS: usize = 1_024;

/// A collection on a Milvus server. Threads may share it.
#[derive(Debug)]
pub struct Store {
    client: Client,
    description: Description,
}

/// Versions of the server that begin so are tested (`tests/conformance.rs`).
pub const TESTED: &str = "2.3.";

fn is_tested(version: &str) -> bool {
    version.trim_start_matches('v').starts_with(TESTED)
}

/// How many rows a store has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Recordings.
    pub recordings: u64,
    /// Segments.
    pub segments: u64,
    /// Of these, segments that searches find.
    pub searched: u64,
}

impl Store {
    /// Opens the collection at `address`, which must be there.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn open(address: &Address) -> Result<Self> {
        let patience = address.patience.min(std::time::Duration::from_secs(10));
        let client = Client::connect(address.clone(), patience)?;
        let missing = || address.failed(MilvusProblem::Missing);
        let text = client.describe(patience)?.ok_or_else(missing)?;
        let description = Description::read(&text)
            .map_err(|what| address.failed(MilvusProblem::Foreign { what }))?;
        client.load(patience)?;
        Ok(Self { client, description })
    }

    /// Opens the collection at `address`, which is made for vectors of `header` where there is none.
    ///
    /// # Errors
    /// [`Error::Milvus`], also when it holds vectors of another model or segments of another length.
    pub fn open_or_create(address: &Address, header: &Header) -> Result<Self> {
        let client = Client::connect(address.clone(), address.patience)?;
        let description = if let Some(text) = client.describe(address.patience)? {
            let description = Description::read(&text)
                .map_err(|what| address.failed(MilvusProblem::Foreign { what }))?;
            description.check(header).map_err(|problem| address.failed(problem))?;
            description
        } else {
            Description { header: header.clone(), index: address.index }
        };
        // As far as they are there nothing is made; what an earlier run was killed in front of is.
        client.create(&description.text(), description.header.identity.dimension)?;
        client.load(address.patience)?;
        Ok(Self { client, description })
    }

    /// Server, collection and settings.
    pub fn address(&self) -> &Address {
        &self.client.address
    }

    /// What holds for all its vectors.
    pub fn header(&self) -> &Header {
        &self.description.header
    }

    /// The index that its collection was made with.
    pub fn index(&self) -> IndexSpec {
        self.description.index
    }

    /// The server's version, where it is none that was tested.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn untested_version(&self) -> Result<Option<String>> {
        Ok(Some(self.client.version()?).filter(|version| !is_tested(version)))
    }

    /// Its model, as a library would say it; without counts.
    pub fn model(&self) -> StoredModel {
        let Header { identity, window_s, hop_s, segmentation, .. } = self.header().clone();
        StoredModel { id: 0, identity, window_s, hop_s, segmentation, recordings: 0, segments: 0 }
    }

    /// Refuses another model than its own, where one is named.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn require_model(&self, name: Option<&str>) -> Result<()> {
        match name.filter(|name| *name != self.header().identity.name) {
            None => Ok(()),
            Some(name) => {
                let (found, expected) = (name.to_owned(), self.header().model());
                Err(self.failed(MilvusProblem::OtherModel { found, expected }))
            }
        }
    }

    /// What it holds, everything that was written included.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn counts(&self) -> Result<Counts> {
        let count = |partitions: &[Partition]| self.client.count(partitions, "");
        Ok(Counts {
            recordings: count(&Partition::OF_RECORDINGS)?,
            segments: count(&Partition::OF_SEGMENTS)?,
            searched: count(&[Partition::Segments])?,
        })
    }

    /// How many vectors of `level` a search may find that pass `filter`.
    ///
    /// # Errors
    /// [`Error::Filter`] when it cannot be asked of a server; [`Error::Milvus`].
    pub fn count_passing(&self, filter: Option<&Filter>, level: Level) -> Result<u64> {
        let expression = self.expression(filter)?;
        self.client.count(&[partition(level)], &expression)
    }

    /// Removes the recordings at `paths` and their segments; how many recordings there were.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn remove(&self, paths: &[&Path]) -> Result<u64> {
        let mut removed = 0;
        for paths in paths.chunks(MOST_KEYS) {
            let keys: Vec<i64> = paths.iter().map(|path| recording_key(path)).collect();
            let how = (keys.len(), Consistency::Strong);
            let expression = filtering::one_of(KEY, &keys);
            let found = self.client.query(&Partition::OF_RECORDINGS, &expression, &[KEY], how)?;
            for &key in self.told(found.longs(KEY))? {
                self.remove_rows(key)?;
                removed += 1;
            }
        }
        self.client.flush()?;
        Ok(removed)
    }

    /// Removes all rows of the recording with this key.
    fn remove_rows(&self, recording: i64) -> Result<()> {
        let expression = filtering::one_of(RECORDING, &[recording]);
        loop {
            let how = (MOST_KEYS, Consistency::Strong);
            let found = self.client.query(&Partition::OF_SEGMENTS, &expression, &[KEY], how)?;
            let keys = self.told(found.longs(KEY))?;
            if keys.is_empty() {
                break;
            }
            for partition in Partition::OF_SEGMENTS {
                self.client.delete(partition, keys)?;
            }
        }
        // Last: as long as it is there, it is known that something has to go.
        for partition in Partition::OF_RECORDINGS {
            self.client.delete(partition, &[recording])?;
        }
        Ok(())
    }

    /// Takes the whole collection away.
    ///
    /// # Errors
    /// [`Error::Milvus`].
    pub fn drop_collection(self) -> Result<()> {
        self.client.drop_collection()
    }

    /// What Milvus calls `filter`; nothing, where there is none.
    fn expression(&self, filter: Option<&Filter>) -> Result<String> {
        filter.map_or_else(|| Ok(String::new()), |filter| filtering::expression(self, filter))
    }

    /// How fresh reads are of what a search, or another read, has just found: whoever found it has seen
    /// all that was to be seen, and to wait for the clock again takes a fifth of a second each time.
    const FOLLOWING: Consistency = Consistency::Eventually;

    /// What was told, as an error of this store.
    fn told<T>(&self, told: std::result::Result<T, MilvusProblem>) -> Result<T> {
        told.map_err(|problem| self.failed(problem))
    }

    fn failed(&self, problem: MilvusProblem) -> Error {
        self.client.address.failed(problem)
    }

    fn dimension(&self) -> usize {
        self.header().identity.dimension
    }

    fn rows(&self, cells: &Cells) -> Result<Vec<cells::Row>> {
        self.told(cells.rows(self.dimension()))
    }

    /// Rows of which so much is known that one answer holds: the client takes 4 MiB.
    fn rows_an_answer(&self) -> usize {
        const ANSWER_BYTES: usize = 3 << 20;
        const FACT_BYTES: usize = 1_024;
        (ANSWER_BYTES / (4 * self.dimension() + FACT_BYTES)).max(1)
    }
}

/// Where vectors that searches find lie.
fn partition(level: Level) -> Partition {
    match level {
        Level::Recording => Partition::Recordings,
        Level::Segment => Partition::Segments,
    }
}

/// Length and hop in words.
fn describe_layout(Segmentation { segment_s, hop_s }: Segmentation) -> String {
    format!("{segment_s} s every {hop_s} s")
}
