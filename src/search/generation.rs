//! A generation of the cache: all vectors of one model at one level as they were at one moment, in
//! a file that is mapped.
//!
//! In: a library. Out: its newest generation, or why there is none of use. Refuses files that are
//! damaged, of another model, or of a library that went another way. A generation is never
//! changed; what came and went since is found by the library's own history (`store::changes`).

mod build;
mod state;
mod tuning;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::collection::passing::{Passing, is_in};
use crate::error::Result;
use crate::index::codes::{Form, Layout, Rows};
use crate::index::file::{CacheFile, Unusable, about_of};
use crate::index::graph::{Graph, GraphArrays};
use crate::model::card::Sha256;
use crate::store::Library;
use crate::store::changes::ChangeMark;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};

pub use build::{
    BuildStage, Builder, BuilderLock, Built, GRAPH_FROM, Watcher, oldest_change, remove_generations,
};
pub use state::{CacheState, RecallChecked, RecallMeasured, is_due};

/// The share of the ten nearest that searches are to find where nothing else was asked for.
pub const DEFAULT_RECALL: f64 = 0.99;

/// What files of generations end in.
const EXTENSION: &str = "index";

/// Row ids of segments, in the order of the rows.
const SEGMENTS: &str = "segments";
/// Row ids of recordings.
const RECORDINGS: &str = "recordings";
/// Where rows begin and end.
const OFFSETS: &str = "offsets";

/// The arrays of the graph, where there is one.
const GRAPH: [&str; 5] = ["neighbours", "levels", "members", "upper", "next_same"];

/// What a generation was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    model: String,
    weights: String,
    front_end_version: u32,
    dimension: usize,
    level: String,
    /// Vectors in the file.
    rows: u64,
    /// Vectors that have no direction, and are not.
    without_direction: u64,
    /// The library's last change then.
    serial: i64,
    nonce: [u8; 8],
    /// The highest segment id that had been given.
    last_segment: i64,
    /// Of the keys and the rows.
    fingerprint: u64,
    form: String,
    /// The share of the ten nearest that searches are to find: what a graph was tuned for, or was
    /// not kept for, or will be tuned for once there are rows enough.
    wanted: f64,
    graph: Option<AboutGraph>,
}

/// How a generation's graph is searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AboutGraph {
    /// Candidates that a search keeps.
    pub(crate) width: usize,
    pub(crate) recall: RecallChecked,
}

/// The name of `level` in files and output.
pub(crate) fn level_name(level: Level) -> &'static str {
    match level {
        Level::Recording => "recording",
        Level::Segment => "segment",
    }
}

/// Where the generation of `model` at `level` is kept.
pub(crate) fn path_of(library: &Library, model: &StoredModel, level: Level) -> PathBuf {
    // A library may come from anywhere, and a model in it may be called anything. What is left of two
    // names may be the same, also of two that only differ in upper and lower case.
    let name: String =
        model.identity.name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let named = blake3::hash(model.identity.name.as_bytes()).to_hex();
    let hash = Sha256(model.identity.weights_sha256).to_string();
    let front_end = model.identity.front_end_version;
    library.cache_folder().join(format!(
        "{name}-{}-{}-{front_end}-{}.{EXTENSION}",
        &named[..8],
        &hash[..12],
        level_name(level)
    ))
}

/// A generation that fits the library as it is.
#[derive(Debug)]
pub(crate) struct Generation {
    file: CacheFile<About>,
    layout: Layout,
}

impl Generation {
    /// Opens the newest generation of `model` at `level`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store). What is wrong with the file is in the result.
    pub(crate) fn open(
        library: &Library,
        model: &StoredModel,
        level: Level,
    ) -> Result<std::result::Result<Self, Unusable>> {
        let generation = match Self::read(&path_of(library, model, level)) {
            Ok(generation) => generation,
            Err(unusable) => return Ok(Err(unusable)),
        };
        let about = generation.about();
        let is_of_model = about.model == model.identity.name
            && about.weights == Sha256(model.identity.weights_sha256).to_string()
            && about.front_end_version == model.identity.front_end_version
            && about.dimension == model.identity.dimension
            && about.level == level_name(level);
        if is_of_model && library.has_change(generation.mark())? {
            Ok(Ok(generation))
        } else {
            Ok(Err(Unusable::Stale))
        }
    }

    fn read(path: &Path) -> std::result::Result<Self, Unusable> {
        let file: CacheFile<About> = CacheFile::open(path)?;
        let about = file.about();
        let form = match about.form.as_str() {
            "dense" => Form::Dense,
            "packed" => Form::Packed,
            _ => return Err(Unusable::OtherVersion),
        };
        let layout = Layout { dimension: about.dimension, form };
        let generation = Self { file, layout };
        let rows = usize::try_from(generation.about().rows).unwrap_or(usize::MAX);
        let is_whole = generation.segments().len() == rows
            && generation.recordings().len() == rows
            && Rows::new(layout, generation.offsets(), &generation.file)
                .is_ok_and(|found| found.len() == rows)
            && (generation.about_graph().is_none()
                || Graph::new(generation.arrays(), rows).is_ok());
        if is_whole {
            Ok(generation)
        } else {
            Err(Unusable::Damaged("its parts do not fit together"))
        }
    }

    fn about(&self) -> &About {
        self.file.about()
    }

    /// The library's last change when it was made.
    pub(crate) fn mark(&self) -> ChangeMark {
        let About { serial, nonce, .. } = *self.about();
        ChangeMark { serial, nonce }
    }

    /// The highest segment id that had been given then.
    pub(crate) fn last_segment(&self) -> i64 {
        self.about().last_segment
    }

    /// Vectors without a direction, which are not in it.
    pub(crate) fn without_direction(&self) -> usize {
        usize::try_from(self.about().without_direction).unwrap_or(0)
    }

    /// How many vectors it has.
    pub(crate) fn len(&self) -> usize {
        self.segments().len()
    }

    /// The share of the ten nearest that searches are to find.
    pub(crate) fn wanted(&self) -> f64 {
        self.about().wanted
    }

    /// The same of the generation of `model` at `level`, also where it is of no other use, because
    /// it is stale or its rows are damaged; nothing where there is none.
    pub(crate) fn wish(library: &Library, model: &StoredModel, level: Level) -> Option<f64> {
        about_of(&path_of(library, model, level)).map(|about: About| about.wanted)
    }

    /// How its graph is searched; nothing where it has none.
    pub(crate) fn about_graph(&self) -> Option<&AboutGraph> {
        self.about().graph.as_ref()
    }

    /// Its graph; nothing where it has none.
    pub(crate) fn graph(&self) -> Option<(Graph<'_>, &AboutGraph)> {
        self.about_graph().map(|about| (Graph::of_checked(self.arrays(), self.len()), about))
    }

    fn arrays(&self) -> GraphArrays<'_> {
        let [neighbours, levels, members, upper, next_same] =
            GRAPH.map(|name| self.file.numbers(name));
        GraphArrays { neighbours, levels, members, upper, next_same }
    }

    pub(crate) fn file(&self) -> &CacheFile<About> {
        &self.file
    }

    /// The rows.
    pub(crate) fn rows(&self) -> Rows<'_, CacheFile<About>> {
        Rows::of_checked(self.layout, self.offsets(), &self.file)
    }

    /// How many rows are of segments in the ranges `dead`.
    pub(crate) fn dead_rows(&self, dead: &[RangeInclusive<i64>]) -> usize {
        if dead.is_empty() {
            return 0;
        }
        self.segments().iter().filter(|&&segment| is_in(dead, segment)).count()
    }

    /// How many rows pass.
    pub(crate) fn count(&self, passing: &Passing<'_>) -> usize {
        self.keys().filter(|&key| passing.contains(key)).count()
    }

    fn keys(&self) -> impl Iterator<Item = VectorKey> {
        let keys = self.segments().iter().zip(self.recordings());
        keys.map(|(&segment, &recording)| VectorKey { segment, recording })
    }

    /// The rows that pass.
    #[expect(clippy::cast_possible_truncation, reason = "rows are counted in 32 bits")]
    pub(crate) fn positions(&self, passing: &Passing<'_>) -> Vec<u32> {
        self.keys()
            .enumerate()
            .filter(|&(_, key)| passing.contains(key))
            .map(|(position, _)| position as u32)
            .collect()
    }

    /// The key of the row at `position`.
    #[inline]
    pub(crate) fn key(&self, position: usize) -> VectorKey {
        VectorKey { segment: self.segments()[position], recording: self.recordings()[position] }
    }

    fn offsets(&self) -> &[u32] {
        self.file.numbers(OFFSETS)
    }

    /// The segment ids, in the order of the rows.
    pub(crate) fn segments(&self) -> &[i64] {
        self.file.numbers(SEGMENTS)
    }

    /// The recording ids, in the order of the rows.
    pub(crate) fn recordings(&self) -> &[i64] {
        self.file.numbers(RECORDINGS)
    }
}
