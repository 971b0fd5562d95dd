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
    /// The highest class scores of the stretch, highest first; the recording's, where the
    /// stretch's were not stored.
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
            let classes = self.classes(neighbour.id, recording.id)?;
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

    fn classes(&self, id: i64, recording: i64) -> Result<Vec<ClassScore>> {
        if self.level == Level::Segment {
            let classes = self.library.segment_classes(id)?;
            if !classes.is_empty() {
                return Ok(classes);
            }
        }
        self.library.classes(recording, self.model.id)
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

/// The vector of stored recording `id` by `model`, to search `level` with: the mean over all of
/// it, or, among segments, over its segments that are fit to be searched. Silence, which is not
/// among the segments, should not be in the question either.
///
/// # Errors
/// [`Error::UnknownRecording`], [`Error::NotIndexed`], [`Error::Store`].
pub fn stored_query(
    library: &Library,
    model: &StoredModel,
    id: i64,
    level: Level,
) -> Result<Vec<f32>> {
    if library.recording(id)?.is_none() {
        return Err(Error::UnknownRecording { id });
    }
    let dimension = model.identity.dimension;
    if level == Level::Segment
        && let Some(vector) = library.sound_vector(id, model.id, dimension)?
    {
        return Ok(vector);
    }
    library
        .pooled_vector(id, model.id, dimension)?
        .ok_or_else(|| Error::NotIndexed { id, model: model.identity.name.clone() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::audio::decode::{Integrity, StreamFormat};
    use crate::audio::health::Health;
    use crate::store::recordings::{FileStamp, NewRecording};
    use crate::store::runs::NewRun;
    use crate::store::segments::NewSegment;
    use crate::store::segments::VectorsOf;
    use crate::store::vector::{Precision, encode};
    use crate::units::SampleRate;

    /// Stores a recording of two segments by the model `identity`.
    fn add(library: &mut Library, identity: &ModelIdentity, path: &str, vector: &[f32]) -> i64 {
        let card = registry::find("yamnet").unwrap();
        let format = StreamFormat {
            sample_rate: SampleRate::new(16_000).unwrap(),
            channels: 1,
            codec: "flac".to_owned(),
        };
        let writer = library.begin().unwrap();
        let model = writer.model_id(identity, card, &["Speech".to_owned()]).unwrap();
        let id = writer
            .put_recording(&NewRecording {
                path: Path::new(path),
                stamp: FileStamp { size_bytes: 1, modified_ns: 1 },
                content_hash: [1; 32],
                format: &format,
                duration_s: 2.0,
                integrity: Integrity::Ok,
            })
            .unwrap();
        let encoded = encode(vector, Precision::Half).unwrap();
        let segment = |start_s| NewSegment {
            range: TimeRange { start_s, end_s: start_s + 1.0 },
            vector: encoded.clone(),
            classes: Vec::new(),
            health: Health::SOUND,
        };
        let run = writer.begin_run(&NewRun { model, device: "cpu", precision: "f32" }).unwrap();
        let of = VectorsOf { recording: id, model, run };
        let segments = [Ok(segment(0.0)), Ok(segment(1.0))];
        writer.put_vectors(of, segments, &encoded).unwrap();
        writer.commit().unwrap();
        id
    }

    fn identity(name: &str, front_end_version: u32) -> ModelIdentity {
        ModelIdentity {
            name: name.to_owned(),
            weights_sha256: [7; 32],
            front_end_version,
            dimension: 3,
        }
    }

    #[test]
    fn models_live_side_by_side_and_are_never_compared() {
        let folder = tempfile::tempdir().unwrap();
        let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
        assert!(matches!(choose_model(&library, None), Err(Error::NoVectors { .. })));
        let (yamnet, other) = (identity("yamnet", 1), identity("other", 1));
        let first = add(&mut library, &yamnet, "/a", &[1.0, 0.0, 0.0]);
        assert_eq!(choose_model(&library, None).unwrap().identity, yamnet);
        let second = add(&mut library, &other, "/b", &[1.0, 0.0, 0.0]);
        let third = add(&mut library, &yamnet, "/c", &[1.0, 1.0, 0.0]);

        // Several models: one must be named.
        let ambiguous = choose_model(&library, None).unwrap_err();
        assert!(ambiguous.to_string().contains("other, yamnet"), "{ambiguous}");
        assert!(matches!(choose_model(&library, Some("x")), Err(Error::UnknownModel { .. })));
        let model = choose_model(&library, Some("yamnet")).unwrap();
        for level in [Level::Recording, Level::Segment] {
            let searcher = Searcher::open(&library, model.clone(), level).unwrap();
            let hits = searcher.search(&[1.0, 0.0, 0.0], None, 10).unwrap();
            assert!(hits.iter().all(|hit| hit.recording.id != second));
            let hits = searcher.search(&[1.0, 0.0, 0.0], Some(first), 10).unwrap();
            assert!(hits.iter().all(|hit| hit.recording.id == third));
            assert!((hits[0].score - 0.707_106_77).abs() < 1e-6);
        }
        assert!(matches!(
            stored_query(&library, &model, second, Level::Recording),
            Err(Error::NotIndexed { .. })
        ));
    }

    #[test]
    fn another_version_is_refused_and_silence_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
        add(&mut library, &identity("yamnet", 1), "/a", &[1.0, 0.0, 0.0]);
        add(&mut library, &identity("yamnet", 1), "/silent", &[0.0; 3]);
        let model = choose_model(&library, Some("yamnet")).unwrap();
        let error = require_same_version(&model, &identity("yamnet", 2)).unwrap_err();
        assert!(error.to_string().contains("front end 2"), "{error}");
        let searcher = Searcher::open(&library, model, Level::Segment).unwrap();
        assert_eq!(searcher.without_direction(), 2);
        assert_eq!(searcher.search(&[1.0, 1.0, 1.0], None, 10).unwrap().len(), 2);
        assert!(searcher.search(&[0.0; 3], None, 10).is_err());
    }
}
