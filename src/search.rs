//! Questions into hits.
//!
//! In: a library and a vector, from a file or from a stored recording. Out: the most similar
//! recordings or segments, nearest first. Refuses to compare vectors of different models, weights
//! or front ends.

use crate::audio::segment::TimeRange;
use crate::error::{Error, Result, VectorProblem};
use crate::index::exact::ExactIndex;
use crate::index::{NeighbourIndex, refused};
use crate::model::card::Sha256;
use crate::model::{ModelIdentity, identity_of, registry};
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::recordings::{ClassScore, StoredRecording};

/// What is compared with the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Each recording's pooled vector.
    Recording,
    /// Each segment's vector.
    Segment,
}

/// Something similar.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// 1 for the nearest.
    pub rank: usize,
    /// Cosine of the angle to the query, in [−1, 1].
    pub score: f32,
    /// The recording.
    pub recording: StoredRecording,
    /// The stretch of it: all of it when recordings are compared.
    pub range: TimeRange,
    /// The recording's highest class scores, highest first.
    pub classes: Vec<ClassScore>,
}

/// The vectors of one model at one level, ready to be searched.
#[derive(Debug)]
pub struct Searcher<'a> {
    library: &'a Library,
    model: StoredModel,
    level: Level,
    index: ExactIndex,
    without_direction: usize,
}

/// The model of `library` to search with: the one called `name`, or else the only one.
///
/// Where the library holds several versions of one model, the version that is installed here
/// counts.
///
/// # Errors
/// [`Error::AmbiguousModel`], [`Error::UnknownModel`], [`Error::NoVectors`], [`Error::Store`].
pub fn choose_model(library: &Library, name: Option<&str>) -> Result<StoredModel> {
    let mut stored = library.models()?;
    stored.retain(|model| model.recordings > 0);
    let name = if let Some(name) = name {
        name.to_owned()
    } else {
        let mut names: Vec<String> =
            stored.iter().map(|model| model.identity.name.clone()).collect();
        names.sort();
        names.dedup();
        match names.len() {
            0 => registry::names().next().unwrap_or_default().to_owned(),
            1 => names.swap_remove(0),
            _ => return Err(Error::AmbiguousModel { models: names }),
        }
    };
    stored.retain(|model| model.identity.name == name);
    if stored.is_empty() {
        registry::find(&name)?;
        return Err(Error::NoVectors { model: name });
    }
    let installed = registry::find(&name).map(identity_of).ok();
    let current = stored.iter().position(|model| Some(&model.identity) == installed.as_ref());
    Ok(stored.swap_remove(current.unwrap_or(stored.len() - 1)))
}

/// Refuses a `model` whose vectors cannot be compared with those that `installed` makes.
///
/// # Errors
/// [`Error::OtherVersion`].
pub fn require_same_version(model: &StoredModel, installed: &ModelIdentity) -> Result<()> {
    if model.identity == *installed {
        return Ok(());
    }
    let describe = |identity: &ModelIdentity| {
        let hash = Sha256(identity.weights_sha256).to_string();
        format!("{}, front end {}", &hash[..12], identity.front_end_version)
    };
    Err(Error::OtherVersion {
        model: model.identity.name.clone(),
        found: describe(&model.identity),
        expected: describe(installed),
    })
}

impl<'a> Searcher<'a> {
    /// Reads the vectors of `model` at `level`.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Vector`] when stored bytes are damaged.
    pub fn open(library: &'a Library, model: StoredModel, level: Level) -> Result<Self> {
        let dimension = model.identity.dimension;
        let mut index = ExactIndex::new(dimension);
        let mut without_direction = 0;
        let mut add = |id: i64, vector: &[f32]| match index.add(id, vector) {
            Ok(()) => Ok(()),
            // A network may answer silence with zeros: nothing can be near to it.
            Err(VectorProblem::Zero) => {
                without_direction += 1;
                Ok(())
            }
            Err(problem) => refused(Err(problem), || format!("stored vector {id}")),
        };
        match level {
            Level::Recording => library.for_each_recording(model.id, dimension, &mut add)?,
            Level::Segment => library.for_each_segment(model.id, dimension, &mut add)?,
        }
        Ok(Self { library, model, level, index, without_direction })
    }

    /// Vectors that were left out because all their values are zero.
    pub fn without_direction(&self) -> usize {
        self.without_direction
    }

    /// The `count` most similar to `vector`, without recording `except`.
    ///
    /// # Errors
    /// [`Error::Vector`] when the query has no direction, [`Error::Store`].
    pub fn search(&self, vector: &[f32], except: Option<i64>, count: usize) -> Result<Vec<Hit>> {
        let mut left_out = match (except, self.level) {
            (None, _) => Vec::new(),
            (Some(recording), Level::Recording) => vec![recording],
            (Some(recording), Level::Segment) => {
                self.library.segment_ids(recording, self.model.id)?
            }
        };
        left_out.sort_unstable();
        let keep = |id: i64| left_out.binary_search(&id).is_err();
        let found = refused(self.index.search(vector, count, &keep), || "the query".to_owned())?;
        let mut hits = Vec::with_capacity(found.len());
        for neighbour in found {
            // A row that another process removed since the vectors were read is no hit any more.
            let Some((recording, range)) = self.place(neighbour.id)? else {
                continue;
            };
            let classes = self.library.classes(recording.id, self.model.id)?;
            hits.push(Hit {
                rank: hits.len() + 1,
                score: neighbour.cosine,
                recording,
                range,
                classes,
            });
        }
        Ok(hits)
    }

    fn place(&self, id: i64) -> Result<Option<(StoredRecording, TimeRange)>> {
        let (recording_id, range) = match self.level {
            Level::Recording => (id, None),
            Level::Segment => match self.library.segment(id)? {
                Some(place) => (place.recording_id, Some(place.range)),
                None => return Ok(None),
            },
        };
        Ok(self.library.recording(recording_id)?.map(|recording| {
            let whole = TimeRange { start_s: 0.0, end_s: recording.duration_s };
            (recording, range.unwrap_or(whole))
        }))
    }
}

/// The pooled vector of stored recording `id` by `model`.
///
/// # Errors
/// [`Error::UnknownRecording`], [`Error::NotIndexed`], [`Error::Store`].
pub fn stored_query(library: &Library, model: &StoredModel, id: i64) -> Result<Vec<f32>> {
    if library.recording(id)?.is_none() {
        return Err(Error::UnknownRecording { id });
    }
    library
        .pooled_vector(id, model.id, model.identity.dimension)?
        .ok_or_else(|| Error::NotIndexed { id, model: model.identity.name.clone() })
}
