//! What is asked of a Milvus server, one call at a time, and waited for.
//!
//! In: [`Columns`], expressions, vectors. Out: cells, keys and cosines. The only importer of the SDK, and of
//! tokio in this room. Calls of a server that is not there or not ready are made again for as long as
//! they may wait; a call that writes may have been carried out though nobody said so, which is why it
//! is made again as an upsert.
//!
//! The first of the SDK's two interfaces: the second one's searches are not understood by 2.3.5.

mod failures;
mod fields;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use milvus::client::{Client as Sdk, ConsistencyLevel};
use milvus::index::{IndexParams, IndexType, MetricType};
use milvus::mutate::{DeleteOptions, InsertOptions, UpsertOptions};
use milvus::options::CreateCollectionOptions;
use milvus::proto::common::SegmentState;
use milvus::query::{QueryOptions, SearchOptions};
use milvus::schema::CollectionSchemaBuilder;
use milvus::v1::error::Error as SdkError;
use milvus::value::{Value, ValueVec};
use tokio::runtime::{Builder, Runtime};

use super::address::{Address, Consistency, IndexSpec};
use super::cells::Cells;
use super::columns::{COLUMNS, Columns, KEY, Kind, Partition, RECORDING, RECORDING_ID, VECTOR};
use crate::error::{MilvusProblem, Result};
use failures::{passes, said, silent};
use fields::{field, fields_of, index_type, level, names, values};

/// Time between two tries: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How often it is asked whether what was flushed is on the disk.
const FLUSH_PAUSE: Duration = Duration::from_millis(100);
/// The environment variable that says who asks.
const LOGIN: &str = "SONOTECA_MILVUS_LOGIN";

/// A connection to one collection.
pub(super) struct Client {
    /// There until the end.
    runtime: Option<Runtime>,
    sdk: Sdk,
    pub(super) address: Address,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Whoever ends it may run on another one, where waiting is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// There is none with its key.
    New,
    /// In place of one that may be there.
    Over,
}

impl Client {
    /// Connects to the server of `address`, waiting `patience` for it.
    pub(super) fn connect(address: Address, patience: Duration) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sonoteca-milvus")
            .enable_all()
            .build()
            .map_err(|error| {
                let problem =
                    MilvusProblem::Refused { action: "be called", source: Box::new(error) };
                address.failed(problem)
            })?;
        let place = format!("http://{}:{}", address.host, address.port);
        let (user, password) = login(&address)?.unzip();
        let started = Instant::now();
        let sdk = loop {
            let found = runtime.block_on(Sdk::with_timeout(
                place.clone(),
                address.timeout,
                user.clone(),
                password.clone(),
            ));
            match found {
                Ok(sdk) => break sdk,
                Err(error) if !passes(&error) => {
                    let source = said(error).into();
                    return Err(
                        address.failed(MilvusProblem::Refused { action: "be called", source })
                    );
                }
                Err(_) if started.elapsed() < patience => std::thread::sleep(PAUSE.0),
                Err(error) => return Err(silent(&address, started, error)),
            }
        };
        Ok(Self { runtime: Some(runtime), sdk, address })
    }

    /// What `call` answers, asked again while the server is not there, `patience` long at most. It is told
    /// which try it is, from 0.
    fn ask<T>(
        &self,
        action: &'static str,
        patience: Duration,
        mut call: impl AsyncFnMut(&Sdk, u32) -> std::result::Result<T, SdkError>,
    ) -> Result<T> {
        let (started, mut pause) = (Instant::now(), PAUSE.0);
        let Some(runtime) = &self.runtime else {
            return Err(self.address.failed(MilvusProblem::Missing));
        };
        for attempt in 0.. {
            match runtime.block_on(call(&self.sdk, attempt)) {
                Ok(answer) => return Ok(answer),
                Err(error) if !passes(&error) => {
                    let source = said(error).into();
                    return Err(self.address.failed(MilvusProblem::Refused { action, source }));
                }
                Err(error) if started.elapsed() >= patience => {
                    return Err(silent(&self.address, started, error));
                }
                Err(_) => {
                    std::thread::sleep(pause.min(patience));
                    pause = (2 * pause).min(PAUSE.1);
                }
            }
        }
        Err(self.address.failed(MilvusProblem::Missing))
    }

    /// The server's version, such as `2.3.5`.
    pub(super) fn version(&self) -> Result<String> {
        let version = self.ask("say its version", self.reading(), async |sdk, _| {
            sdk.get_server_version().await
        })?;
        Ok(version.version)
    }

    /// How long reading waits: who asks is waiting too.
    fn reading(&self) -> Duration {
        self.address.patience.min(Duration::from_secs(10))
    }

    /// The collection's description; nothing, where there is no collection.
    pub(super) fn describe(&self, patience: Duration) -> Result<Option<String>> {
        let name = &self.address.collection;
        self.ask("describe the collection", patience, async |sdk, _| {
            if !sdk.has_collection(name).await? {
                return Ok(None);
            }
            Ok(Some(sdk.describe_collection(name).await?.schema.description))
        })
    }

    /// Makes the collection, its partitions and its indexes, as far as they are not there.
    pub(super) fn create(&self, description: &str, dimension: usize) -> Result<()> {
        let (name, patience) = (&self.address.collection, self.address.patience);
        let dimension = i64::try_from(dimension).unwrap_or(i64::MAX);
        self.ask("make the collection", patience, async |sdk, _| {
            if sdk.has_collection(name).await? {
                return Ok(());
            }
            let mut schema = CollectionSchemaBuilder::new(name, description);
            for (column, kind) in COLUMNS {
                schema.add_field(field(column, kind, dimension));
            }
            schema.add_field(field(VECTOR, Kind::Vector, dimension));
            schema.set_primary_key(KEY)?;
            let shards = i32::try_from(self.address.shards).unwrap_or(1);
            let options = CreateCollectionOptions::with_shard_num(shards)
                .consistency_level(ConsistencyLevel::Bounded);
            sdk.create_collection(schema.build()?, Some(options)).await
        })?;
        for partition in Partition::ALL {
            self.ask("make a partition", patience, async |sdk, _| {
                let there = sdk.list_partitions(name.clone()).await?;
                if there.iter().any(|there| there == partition.name()) {
                    return Ok(());
                }
                sdk.create_partition(name.clone(), partition.name().to_owned()).await
            })?;
        }
        for column in [RECORDING, RECORDING_ID] {
            self.index(column, IndexType::StlSort, MetricType::INVALID, HashMap::new())?;
        }
        let index = self.address.index;
        let parameters = index.parameters().into_iter();
        let parameters =
            parameters.map(|(name, value)| (name.to_owned(), value.to_string())).collect();
        self.index(VECTOR, index_type(index), MetricType::IP, parameters)
    }

    fn index(
        &self,
        column: &str,
        kind: IndexType,
        metric: MetricType,
        parameters: HashMap<String, String>,
    ) -> Result<()> {
        let (name, patience) = (&self.address.collection, self.address.patience);
        let parameters = IndexParams::new(format!("by_{column}"), kind, metric, parameters);
        self.ask("make an index", patience, async |sdk, _| {
            // Another one beside one that is there is refused, were it only for its parameters' order.
            let there = sdk.describe_index(name.clone(), column.to_owned()).await;
            if there.is_ok_and(|there| there.iter().any(|index| index.field_name() == column)) {
                return Ok(());
            }
            sdk.create_index(name.clone(), column, parameters.clone()).await
        })
    }

    /// Has the collection's rows searched.
    pub(super) fn load(&self, patience: Duration) -> Result<()> {
        let name = &self.address.collection;
        self.ask("load the collection", patience, async |sdk, _| {
            sdk.load_collection(name.clone(), None).await
        })
    }

    /// Takes the whole collection away.
    pub(super) fn drop_collection(&self) -> Result<()> {
        let name = &self.address.collection;
        self.ask("drop the collection", self.address.patience, async |sdk, _| {
            sdk.drop_collection(name.clone()).await
        })
    }

    /// Writes rows into a partition.
    pub(super) fn write(&self, partition: Partition, rows: Columns, how: Write) -> Result<()> {
        if rows.rows() == 0 {
            return Ok(());
        }
        let (name, patience) = (&self.address.collection, self.address.patience);
        let count = i64::try_from(rows.rows()).unwrap_or(i64::MAX);
        let fields = fields_of(rows);
        let written = self.ask("write rows", patience, async |sdk, attempt| {
            if how == Write::New && attempt == 0 {
                let options = InsertOptions::with_partition_name(partition.name());
                sdk.insert(name.clone(), fields.clone(), Some(options)).await
            } else {
                let options = UpsertOptions::new().partition_name(partition.name());
                sdk.upsert(name.clone(), fields.clone(), options).await
            }
        })?;
        let found = written.insert_cnt.max(written.upsert_cnt);
        if found < count {
            let (what, expected) = ("rows", count.cast_unsigned());
            let found = found.max(0).cast_unsigned();
            return Err(self.address.failed(MilvusProblem::Lost { what, found, expected }));
        }
        Ok(())
    }

    /// Removes the rows with these keys from a partition.
    pub(super) fn delete(&self, partition: Partition, keys: &[i64]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let (name, patience) = (&self.address.collection, self.address.patience);
        let options = DeleteOptions::with_ids(ValueVec::Long(keys.to_vec()))
            .partition_name(partition.name().to_owned());
        self.ask("remove rows", patience, async |sdk, _| {
            sdk.delete(name.clone(), &options).await.map(drop)
        })
    }

    /// Has everything that was written put on the disk, and waits until it is there.
    pub(super) fn flush(&self) -> Result<()> {
        let (name, patience) = (&self.address.collection, self.address.patience);
        self.ask("put rows on the disk", patience, async |sdk, _| {
            let flushed = sdk.flush_collections([name]).await?;
            let sealed = flushed.get(name).cloned().unwrap_or_default();
            let started = Instant::now();
            loop {
                if started.elapsed() > patience {
                    let waited_s = patience.as_secs();
                    let late = format!("rows were not on its disk after {waited_s} s");
                    return Err(SdkError::Unexpected(late));
                }
                let segments = sdk.list_persistent_segments(name.clone()).await?;
                let is_on_disk = |id: &i64| {
                    let segment = segments.iter().find(|segment| segment.segment_id == *id);
                    // One that is not told of any more was compacted into another or holds nothing.
                    segment.is_none_or(|segment| {
                        matches!(segment.state, SegmentState::Flushed | SegmentState::Dropped)
                            || segment.num_rows == 0
                    })
                };
                if sealed.iter().all(is_on_disk) {
                    return Ok(());
                }
                tokio::time::sleep(FLUSH_PAUSE).await;
            }
        })
    }

    /// How many rows of `partitions` meet `expression`, everything that was written included.
    pub(super) fn count(&self, partitions: &[Partition], expression: &str) -> Result<u64> {
        let name = &self.address.collection;
        let options = QueryOptions::with_partition_names(names(partitions))
            .consistency_level(ConsistencyLevel::Strong as i32);
        let count = self.ask("count rows", self.address.patience, async |sdk, _| {
            sdk.count_with_expr(name.clone(), expression, &options).await
        })?;
        Ok(count.max(0).cast_unsigned())
    }

    /// The cells of the columns `wanted` of the rows of `partitions` that meet `expression`: of at most `limit`
    /// rows, those of the lowest keys.
    pub(super) fn query(
        &self,
        partitions: &[Partition],
        expression: &str,
        wanted: &[&'static str],
        (limit, consistency): (usize, Consistency),
    ) -> Result<Cells> {
        let name = &self.address.collection;
        let options = QueryOptions::with_partition_names(names(partitions))
            .output_fields(wanted.iter().map(|&column| column.to_owned()).collect())
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .consistency_level(level(consistency) as i32);
        let patience =
            if consistency == Consistency::Strong { self.address.patience } else { self.reading() };
        let columns = self.ask("read rows", patience, async |sdk, _| {
            sdk.query(name.clone(), expression, &options).await
        })?;
        let columns =
            columns.into_iter().filter_map(|column| Some((column.name, values(column.value)?)));
        Ok(Cells::new(columns.collect()))
    }

    /// The keys and products of the rows of `partition` that meet `expression` and are nearest to each of
    /// `vectors`, nearest first.
    pub(super) fn search(
        &self,
        partition: Partition,
        vectors: &[&[f32]],
        expression: &str,
        limit: usize,
        index: IndexSpec,
    ) -> Result<Vec<Vec<(i64, f32)>>> {
        let name = &self.address.collection;
        let wide = u32::try_from(limit).unwrap_or(u32::MAX);
        let (key, value) = match index {
            // No search by a graph may hold fewer candidates than it is asked for.
            IndexSpec::Hnsw { .. } => {
                ("ef", self.address.ef.max(wide.saturating_mul(2)).min(32_768))
            }
            IndexSpec::IvfFlat(lists) | IndexSpec::IvfSq8(lists) => {
                ("nprobe", self.address.nprobe.min(lists))
            }
            IndexSpec::DiskAnn => ("search_list", self.address.search_list.max(wide).min(65_535)),
            IndexSpec::Flat => ("nprobe", 1),
        };
        let consistency = level(self.address.consistency) as i32;
        let found = self.ask("search", self.reading(), async |sdk, _| {
            let options = SearchOptions::with_limit(limit)
                .filter(expression.to_owned())
                .partitions(vec![partition.name().to_owned()])
                .anns_field(vec![VECTOR.to_owned()])
                .consistency_level(consistency)
                .add_param("metric_type", "IP")
                .add_param(key, value.to_string());
            let vectors =
                vectors.iter().map(|vector| Value::FloatArray((*vector).into())).collect();
            match sdk.search(name.clone(), vectors, Some(options)).await {
                // What the SDK says of an answer that holds nothing.
                Err(SdkError::Unexpected(said)) if said.starts_with("no ID") => Ok(None),
                other => Ok(Some(
                    other?
                        .into_iter()
                        .map(|found| {
                            let keys = found.id.into_iter().filter_map(|id| match id {
                                Value::Long(key) => Some(key),
                                _ => None,
                            });
                            keys.zip(found.score).collect()
                        })
                        .collect::<Vec<Vec<(i64, f32)>>>(),
                )),
            }
        })?;
        let mut found = found.unwrap_or_default();
        // A question without an answer may be left out.
        found.resize(vectors.len(), Vec::new());
        Ok(found)
    }
}

/// Who asks, as the environment says.
fn login(address: &Address) -> Result<Option<(String, String)>> {
    let Some(login) = std::env::var_os(LOGIN).filter(|login| !login.is_empty()) else {
        return Ok(None);
    };
    let parts = login.to_str().and_then(|login| login.split_once(':'));
    let Some((user, password)) = parts else {
        let what = format!("the environment variable {LOGIN} is not NAME:PASSWORD");
        return Err(address.failed(MilvusProblem::Address { what }));
    };
    Ok(Some((user.to_owned(), password.to_owned())))
}
