//! Examples into vectors: what the sound that is looked for is like, or is not like.
//!
//! In: recordings of the library, or audio files, or a stretch of either. Out: one vector each,
//! with the classes that the network hears in it. Refuses silence, which is like every other
//! silence, and stretches in which nothing is fit to be searched.

use std::path::Path;

use crate::audio::decode::Integrity;
use crate::audio::excerpt::{Part, Stretch};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::model::pool::top_scores;
use crate::model::registry;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::recordings::{ClassScore, StoredRecording, content_hash};
use crate::store::segments::Level;

/// Classes that are kept of an example; as many as the library keeps of a recording.
const CLASSES: usize = 10;

/// What is known of an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Its vector by the model that is searched with, `[dimension]`.
    pub vector: Vec<f32>,
    /// The classes that are heard in it, highest score first.
    pub classes: Vec<ClassScore>,
    /// What of the library it is itself.
    pub own: Vec<Own>,
}

/// What of the library an example is: no answer to a question that it is part of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own {
    /// The recording.
    pub recording: i64,
    /// The stretch of it; `None`: all of it.
    pub range: Option<TimeRange>,
}

impl Example {
    /// An example from stored recording `id`, or from `stretch` of it, to search `level` with; no
    /// file is read. The vector of a stretch is the mean over the segments that are fit to be
    /// searched, each weighed by how much of it lies in the stretch.
    ///
    /// # Errors
    /// [`Error::UnknownRecording`], [`Error::NotIndexed`], [`Error::NoStretch`],
    /// [`Error::SilentQuery`], [`Error::UnfitStretch`], [`Error::Store`].
    pub fn stored(
        library: &Library,
        model: &StoredModel,
        id: i64,
        stretch: Option<Stretch>,
        level: Level,
    ) -> Result<Self> {
        let recording = library.recording(id)?.ok_or(Error::UnknownRecording { id })?;
        let range = stretch.map(|stretch| range_of(&recording, stretch)).transpose()?;
        if library.segment_count(id, model.id)? == 0 {
            return Err(Error::NotIndexed { id, model: model.identity.name.clone() });
        }
        let segments = match range {
            Some(range) => library.segments_within((id, model.id), range)?,
            None => library.segments_of(id, model.id)?,
        };
        if segments.iter().all(|segment| segment.health.has(Health::SILENT)) {
            return Err(Error::SilentQuery { query: describe(id, stretch) });
        }
        let (vector, classes) = match range {
            None => {
                let vector = super::stored_query(library, model, id, level)?;
                // What is left out of the question is left out of what is heard in it.
                let of_sound = match level {
                    Level::Segment => library.sound_classes(id, model.id)?,
                    Level::Recording => None,
                };
                (vector, of_sound.map_or_else(|| library.classes(id, model.id), Ok)?)
            }
            Some(range) => {
                let segments = Segments::read(library, model, id, range)?;
                if segments.weighed.is_empty() {
                    return Err(Error::UnfitStretch { query: describe(id, stretch) });
                }
                (segments.mean(), segments.classes(library)?)
            }
        };
        Ok(Self { vector, classes, own: vec![Own { recording: id, range }] })
    }

    /// An example from `part` of the audio file at `path`, to search `level` with, and how whole
    /// the file is as far as it was read. Recordings of the library with the same path or the same
    /// content count as the example itself.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Decode`] when it cannot be decoded, [`Error::NoChannel`],
    /// [`Error::NoStretch`], [`Error::SilentQuery`], [`Error::Network`] and [`Error::Store`].
    pub fn from_file(
        library: &Library,
        extractor: &Extractor,
        path: &Path,
        part: Part,
        level: Level,
    ) -> Result<(Self, Integrity)> {
        let (example, integrity) = Self::of_file(extractor, path, part, level)?;
        let own = same_in_library(library, path, part)?;
        Ok((Self { own, ..example }, integrity))
    }

    /// As [`from_file`](Self::from_file), whatever library it is for: nothing of one is the example.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Decode`] when it cannot be decoded, [`Error::NoChannel`],
    /// [`Error::NoStretch`], [`Error::SilentQuery`] and [`Error::Network`].
    pub fn of_file(
        extractor: &Extractor,
        path: &Path,
        part: Part,
        level: Level,
    ) -> Result<(Self, Integrity)> {
        let extraction = extractor.extract_part(path, part, |_| Ok(()))?;
        if extraction.is_silent {
            let query = path.to_string_lossy();
            let query = part.stretch.map_or_else(|| query.to_string(), |s| format!("{query} {s}"));
            return Err(Error::SilentQuery { query });
        }
        let names = registry::class_names(&extractor.model().card().name)?;
        let scores = match level {
            Level::Recording => &extraction.scores,
            Level::Segment => &extraction.scores_sound,
        };
        let classes = top_scores(scores, CLASSES)
            .into_iter()
            .filter_map(|(class, score)| {
                let name = names.get(class)?.clone();
                Some(ClassScore { name, score: f64::from(score) })
            })
            .collect();
        let vector = match level {
            Level::Recording => extraction.pooled,
            Level::Segment => extraction.pooled_sound,
        };
        Ok((Self { vector, classes, own: Vec::new() }, extraction.end.integrity))
    }
}

/// The recordings of `library` that the file at `path` is.
fn same_in_library(library: &Library, path: &Path, part: Part) -> Result<Vec<Own>> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let hash = content_hash(path).map_err(failed)?;
    // As the library names files: by their real names.
    let real = path.canonicalize().map_err(failed)?;
    let mut own = Vec::new();
    for id in library.recordings_like_file(&real, &hash)? {
        let Some(recording) = library.recording(id)? else { continue };
        let range = part.stretch.map(|stretch| stretch.within(recording.duration_s));
        // A file that changed since may have a stretch that the recording does not have.
        if range != Some(None) {
            own.push(Own { recording: id, range: range.flatten() });
        }
    }
    Ok(own)
}

fn range_of(recording: &StoredRecording, stretch: Stretch) -> Result<TimeRange> {
    let (what, duration_s) = (format!("id:{}", recording.id), recording.duration_s);
    stretch.within(duration_s).ok_or(Error::NoStretch { what, stretch, duration_s })
}

fn describe(id: i64, stretch: Option<Stretch>) -> String {
    stretch.map_or_else(|| format!("id:{id}"), |stretch| format!("id:{id} {stretch}"))
}

/// The seconds that two stretches share.
pub(crate) fn overlap_s(a: TimeRange, b: TimeRange) -> f64 {
    (a.end_s.min(b.end_s) - a.start_s.max(b.start_s)).max(0.0)
}

/// The segments of a recording that lie in a stretch, wholly or in part, and are fit to be searched.
struct Segments {
    sums: Vec<f64>,
    /// Ids, and how many seconds of each lie in the stretch.
    weighed: Vec<(i64, f64)>,
}

impl Segments {
    fn read(
        library: &Library,
        model: &StoredModel,
        recording: i64,
        range: TimeRange,
    ) -> Result<Self> {
        let dimension = model.identity.dimension;
        let mut found = Self { sums: vec![0.0; dimension], weighed: Vec::new() };
        let of = (recording, model.id);
        library.for_each_segment_within(of, range, dimension, |segment, vector| {
            let weight = overlap_s(range, segment.range);
            if weight > 0.0 {
                found.weighed.push((segment.id, weight));
                for (sum, &value) in found.sums.iter_mut().zip(vector) {
                    *sum += weight * f64::from(value);
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn weight(&self) -> f64 {
        self.weighed.iter().map(|(_, weight)| weight).sum()
    }

    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
    fn mean(&self) -> Vec<f32> {
        let weight = self.weight();
        self.sums.iter().map(|sum| (sum / weight) as f32).collect()
    }

    /// The weighed mean of the stored class scores; a class counts as 0 where it was not stored.
    fn classes(&self, library: &Library) -> Result<Vec<ClassScore>> {
        let mut all = Vec::new();
        for &(id, weight) in &self.weighed {
            let share = weight / self.weight();
            all.push((share, library.segment_classes(id)?));
        }
        Ok(mean_classes(all))
    }
}

/// The weighed sum of class scores, highest first.
pub(crate) fn mean_classes(
    weighed: impl IntoIterator<Item = (f64, Vec<ClassScore>)>,
) -> Vec<ClassScore> {
    let mut sums: Vec<ClassScore> = Vec::new();
    for (share, classes) in weighed {
        for ClassScore { name, score } in classes {
            match sums.iter_mut().find(|sum| sum.name == name) {
                Some(sum) => sum.score += share * score,
                None => sums.push(ClassScore { name, score: share * score }),
            }
        }
    }
    sums.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(&b.name)));
    sums
}
