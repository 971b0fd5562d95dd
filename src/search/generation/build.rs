//! A new generation of the cache: the vectors out of the library, into a file.
//!
//! In: a library. Out: a file in its cache folder, whole or not at all. Refuses nothing; where the
//! folder cannot be written to, searches go on without.
//!
//! Memory: the rows (some 600 bytes each for YAMNet, 1,040 for vectors without zeros), and the graph
//! with what `hnsw_rs` has of it while it is made.

use std::path::Path;
use std::time::Instant;
use std::{fs, io};

use super::tuning::tune;
use super::{
    About, AboutGraph, EXTENSION, GRAPH, OFFSETS, RECORDINGS, SEGMENTS, level_name, path_of,
};
use crate::error::{Error, Result, VectorProblem};
use crate::index::codes::Form;
use crate::index::file::{CacheWriter, ROWS, about_of, remove_leftovers};
use crate::index::graph::{GraphArrays, OwnedGraph};
use crate::model::card::Sha256;
use crate::search::collection::fresh::Fresh;
use crate::store::Library;
use crate::store::changes::ChangeMark;
use crate::store::lock::{Holder, WriterLock};
use crate::store::models::StoredModel;
use crate::store::segments::Level;

use super::state::RecallChecked;

/// Rows from which on a graph is worth its building: there it saves 4 ms a search, and is paid for
/// after 3,400 (ARCHITECTURE.md, "Figures").
pub const GRAPH_FROM: usize = 50_000;

/// What there are generations of.
const LEVELS: [Level; 2] = [Level::Recording, Level::Segment];
/// The lock's file in the cache folder: the library itself may be written to meanwhile.
const LOCK: &str = "index.lock";
/// Rows after which a watcher is asked whether to go on.
const ASK_EVERY: usize = 1_000;

/// What a builder is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildStage {
    /// Reading vectors.
    Reading,
    /// Connecting them in a graph.
    Connecting,
    /// Comparing answers of the graph with exact ones.
    Measuring,
    /// Writing the file.
    Writing,
}

/// Somebody who wants to know how building goes on, and may stop it.
pub trait Watcher: Sync {
    /// So many of `of` vectors, or queries, are done.
    fn at(&self, stage: BuildStage, done: usize, of: usize);
    /// Whether to stop: nothing is lost but the work.
    fn is_cancelled(&self) -> bool;
}

/// What was built.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    /// Vectors in the file.
    pub rows: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Wall time in seconds.
    pub elapsed_s: f64,
    /// What the graph finds, where there is one.
    pub recall: Option<RecallChecked>,
}

/// The right to build generations of one library.
#[derive(Debug)]
pub struct BuilderLock {
    _lock: WriterLock,
}

impl BuilderLock {
    /// Takes the lock for `command`; `Err` with who has it, where that is known, when it is taken.
    /// Removes what builders that were killed left, and generations of models of which the library
    /// holds nothing any more.
    ///
    /// # Errors
    /// [`Error::Io`] when the lock's file cannot be made, [`Error::Store`].
    pub fn try_take(
        library: &Library,
        command: &str,
    ) -> Result<std::result::Result<Self, Option<Holder>>> {
        let folder = library.cache_folder();
        let taken = WriterLock::try_take_file(&folder, LOCK, command)?;
        if taken.is_ok() {
            remove_leftovers(&folder);
            remove_strangers(library)?;
        }
        Ok(taken.map(|lock| Self { _lock: lock }))
    }
}

/// Removes the generations of `model`. To be done before the model's vectors are removed: a
/// generation that was left would be taken for one of the same model's next vectors.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_generations(library: &Library, model: &StoredModel, _: &BuilderLock) -> Result<()> {
    for level in LEVELS {
        let path = path_of(library, model, level);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Io { action: "remove", path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// The serial of the oldest of the library's changes that one of its generations was made at: what it
/// has forgotten of its history, they can no longer be held against. Nothing where there is none.
/// Whoever has the lock can be sure that no older one is being built.
///
/// # Errors
/// [`Error::Store`].
pub fn oldest_change(library: &Library, _: &BuilderLock) -> Result<Option<i64>> {
    let mut oldest: Option<i64> = None;
    for entry in fs::read_dir(library.cache_folder()).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let Some(About { serial, nonce, .. }) = about_of(&path) else { continue };
        // Another library's, or an older copy's, is of no use already.
        if library.has_change(ChangeMark { serial, nonce })? {
            oldest = Some(oldest.map_or(serial, |oldest| oldest.min(serial)));
        }
    }
    Ok(oldest)
}

/// Removes generations of models of which the library holds nothing.
fn remove_strangers(library: &Library) -> Result<()> {
    let mut models = library.models()?;
    models.retain(|model| model.recordings > 0);
    let known = |path: &Path| {
        let of = |model| LEVELS.into_iter().any(|level| path_of(library, model, level) == path);
        models.iter().any(of)
    };
    for entry in fs::read_dir(library.cache_folder()).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) && !known(&path) {
            // What cannot be removed costs room, nothing else.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// What generations are built with.
#[derive(Clone, Copy)]
pub struct Builder<'a> {
    /// Held.
    pub lock: &'a BuilderLock,
    /// The share of the ten nearest that a graph is to find.
    pub recall: f64,
    /// Rows from which on there is a graph; [`GRAPH_FROM`] is the usual number.
    pub graph_from: usize,
    /// Told how it goes on.
    pub watcher: &'a dyn Watcher,
}

impl std::fmt::Debug for Builder<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Builder").field("recall", &self.recall).finish_non_exhaustive()
    }
}

/// The library's vectors at one moment.
struct Snapshot {
    mark: ChangeMark,
    last_segment: i64,
    vectors: Fresh,
}

impl Builder<'_> {
    /// Builds the generation of `model` at `level`; nothing when it was told to stop.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Vector`] when stored bytes are damaged, [`Error::Io`] when the
    /// file cannot be written.
    pub fn build(
        &self,
        library: &Library,
        model: &StoredModel,
        level: Level,
    ) -> Result<Option<Built>> {
        let started = Instant::now();
        let Some(snapshot) = self.read(library, model, level)? else { return Ok(None) };
        let Some(graph) = self.connect(&snapshot)? else { return Ok(None) };
        let path = path_of(library, model, level);
        let about = |graph: Option<AboutGraph>, fingerprint| About {
            model: model.identity.name.clone(),
            weights: Sha256(model.identity.weights_sha256).to_string(),
            front_end_version: model.identity.front_end_version,
            dimension: model.identity.dimension,
            level: level_name(level).to_owned(),
            rows: snapshot.vectors.keys.len() as u64,
            without_direction: snapshot.vectors.without_direction as u64,
            serial: snapshot.mark.serial,
            nonce: snapshot.mark.nonce,
            last_segment: snapshot.last_segment,
            fingerprint,
            form: match snapshot.vectors.rows.rows().layout().form {
                Form::Dense => "dense",
                Form::Packed => "packed",
            }
            .to_owned(),
            wanted: self.recall,
            graph,
        };
        let vectors = &snapshot.vectors;
        let write = || -> io::Result<u64> {
            let mut file = CacheWriter::create(&library.cache_folder())?;
            let all = vectors.keys.len();
            self.watcher.at(BuildStage::Writing, 0, all);
            file.section(ROWS, vectors.rows.bytes())?;
            file.section(OFFSETS, bytemuck::cast_slice(vectors.rows.offsets()))?;
            let segments: Vec<i64> = vectors.keys.iter().map(|key| key.segment).collect();
            file.section(SEGMENTS, bytemuck::cast_slice(&segments))?;
            let recordings: Vec<i64> = vectors.keys.iter().map(|key| key.recording).collect();
            file.section(RECORDINGS, bytemuck::cast_slice(&recordings))?;
            if let Some((graph, _)) = &graph {
                let GraphArrays { neighbours, levels, members, upper, next_same } = graph.arrays();
                let arrays = [neighbours, levels, members, upper, next_same];
                for (name, numbers) in GRAPH.into_iter().zip(arrays) {
                    file.section(name, bytemuck::cast_slice(numbers))?;
                }
            }
            let fingerprint = file.fingerprint();
            let graph = graph.as_ref().map(|(_, about)| about.clone());
            file.finish(about(graph, fingerprint))?.publish(&path)?;
            Ok(path.metadata()?.len())
        };
        let failed = |source| Error::Io { action: "write", path: path.clone(), source };
        let file_bytes = write().map_err(failed)?;
        let elapsed_s = started.elapsed().as_secs_f64();
        let rows = snapshot.vectors.keys.len() as u64;
        let recall = graph.map(|(_, about)| about.recall);
        Ok(Some(Built { rows, file_bytes, elapsed_s, recall }))
    }

    /// The graph over a snapshot's rows, where there are enough of them; nothing, when it was told to
    /// stop.
    #[expect(clippy::option_option, reason = "no graph is something else than no time for one")]
    fn connect(&self, snapshot: &Snapshot) -> Result<Option<Option<(OwnedGraph, AboutGraph)>>> {
        let all = snapshot.vectors.keys.len();
        if all < self.graph_from.max(1) {
            return Ok(Some(None));
        }
        let goes_on = |done| {
            self.watcher.at(BuildStage::Connecting, done, all);
            !self.watcher.is_cancelled()
        };
        let graph = OwnedGraph::build_while(snapshot.vectors.rows.rows(), goes_on);
        let too_many =
            |_| Error::Vector { what: "vectors".to_owned(), problem: VectorProblem::TooMany };
        let Some(graph) = graph.map_err(too_many)? else { return Ok(None) };
        let about = tune(snapshot.vectors.rows.rows(), &graph, self.recall, self.watcher);
        // A graph that cannot be made to find enough is worse than none: then all are compared.
        Ok(about
            .map(|about| (about.recall.lower().recall >= self.recall).then_some((graph, about))))
    }

    fn read(
        &self,
        library: &Library,
        model: &StoredModel,
        level: Level,
    ) -> Result<Option<Snapshot>> {
        let all = match level {
            Level::Recording => model.recordings,
            Level::Segment => model.segments,
        };
        let all = usize::try_from(all).unwrap_or(usize::MAX);
        library.at_one_moment(|| {
            // A library in which nothing was ever stored has no past to be held against.
            let Some(mark) = library.last_change()? else { return Ok(None) };
            let last_segment = library.last_segment()?;
            let vectors = Fresh::read_while(library, model, level, 0, |done| {
                let is_time = done.is_multiple_of(ASK_EVERY);
                if is_time {
                    self.watcher.at(BuildStage::Reading, done, all);
                }
                !(is_time && self.watcher.is_cancelled())
            })?;
            let is_whole = !self.watcher.is_cancelled();
            Ok(is_whole.then_some(Snapshot { mark, last_segment, vectors }))
        })
    }
}
