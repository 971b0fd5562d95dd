//! Questions into hits.
//!
//! In: a library and a question. Out: the most similar recordings or segments, nearest first.
//! Refuses to compare vectors of different models, weights or front ends. [`example`] makes
//! vectors of what the user has, [`question`] combines them, [`collection`] finds the vectors
//! nearest to that, [`hits`] says what they are, with [`events`] joining neighbours, and
//! [`explain`] why. [`fusion`] joins the answers of several models. [`copying`] and [`export`] take
//! sounds and vectors out of the library.

pub mod collection;
pub mod copying;
pub mod duplicates;
pub mod events;
pub mod example;
pub mod explain;
pub mod export;
pub mod fusion;
pub mod generation;
pub mod hits;
pub mod projection;
pub mod query;
pub mod question;
pub mod recall;
pub mod words;

use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::index::scope::Allowed;
use crate::model::card::Sha256;
use crate::model::{ModelIdentity, identity_of, registry};
use crate::store::Library;
use crate::store::models::StoredModel;

pub use crate::index::scope::Scope;
pub use crate::store::segments::Level;
pub use collection::Collection;
pub use example::Example;
pub use explain::Explanation;
pub use fusion::{FusedHit, Standing, Voice, fuse};
pub use hits::{Hit, SearchOptions, Searcher};
pub use query::stored_query;
pub use question::Question;
pub use words::Among;

/// The model of `library` to search with: the one called `name`, or else the only one.
///
/// Where the library holds several versions of one model, the version that is installed here
/// counts.
///
/// # Errors
/// [`Error::AmbiguousModel`], [`Error::UnknownModel`], [`Error::NoVectors`], [`Error::Store`].
pub fn choose_model(library: &Library, name: Option<&str>) -> Result<StoredModel> {
    choose_among(library.models()?, name)
}

/// As [`choose_model`], of the models that a library holds, for whoever has listed them already.
///
/// # Errors
/// As [`choose_model`].
pub fn choose_among(mut stored: Vec<StoredModel>, name: Option<&str>) -> Result<StoredModel> {
    stored.retain(|model| model.recordings > 0);
    let name = match name {
        Some(name) => name.to_owned(),
        None => usual_among(&stored)?,
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

/// The names of the models that `library` holds vectors of; while it holds none, of the first that there
/// is.
///
/// # Errors
/// [`Error::Store`].
pub fn held_models(library: &Library) -> Result<Vec<String>> {
    let names = names_of(&library.models()?);
    Ok(if names.is_empty() { vec![first_model().to_owned()] } else { names })
}

/// The name of the model that is meant in `library` where none is named: its only one, or, while it
/// holds nothing, the first that there is.
///
/// # Errors
/// [`Error::AmbiguousModel`], [`Error::Store`].
pub fn usual_model(library: &Library) -> Result<String> {
    usual_among(&library.models()?)
}

fn usual_among(stored: &[StoredModel]) -> Result<String> {
    let mut names = names_of(stored);
    match names.len() {
        0 => Ok(first_model().to_owned()),
        1 => Ok(names.swap_remove(0)),
        _ => Err(Error::AmbiguousModel { models: names }),
    }
}

/// The name of the model that is meant where there is no library yet.
pub fn first_model() -> &'static str {
    registry::built_in().next().unwrap_or_default()
}

/// The names of the models among `stored` that there are vectors of, in the order of the alphabet.
fn names_of(stored: &[StoredModel]) -> Vec<String> {
    let held = stored.iter().filter(|model| model.recordings > 0);
    let mut names: Vec<String> = held.map(|model| model.identity.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// The model of `library` whose class scores `filter` speaks of: the one called `name`, or else
/// the only one that knows all these classes.
///
/// # Errors
/// [`Error::AmbiguousModel`] where several do, [`Error::Filter`] where none does,
/// [`Error::NoVectors`], [`Error::UnknownModel`], [`Error::Store`].
pub fn model_of_classes(
    library: &Library,
    filter: &Filter,
    name: Option<&str>,
) -> Result<StoredModel> {
    if let Some(name) = name {
        return choose_model(library, Some(name));
    }
    let (mut knowing, mut refusal) = (Vec::new(), None);
    for name in names_of(&library.models()?) {
        let model = choose_model(library, Some(&name))?;
        match library.passing(filter, model.id, Level::Recording) {
            Ok(_) => knowing.push(model),
            Err(error @ Error::Filter(_)) => {
                refusal.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match (knowing.len(), refusal) {
        (0, None) => choose_model(library, None),
        (0, Some(refusal)) => Err(refusal),
        (1, _) => Ok(knowing.swap_remove(0)),
        _ => {
            let models = knowing.into_iter().map(|model| model.identity.name).collect();
            Err(Error::AmbiguousModel { models })
        }
    }
}

/// What `filter` lets a search with all of `models` at `level` find, of each. Recordings pass for
/// all models alike: where the filter speaks of classes, the first model that knows them is asked.
/// Segments are each model's own, so that each is asked.
///
/// # Errors
/// As [`Library::passing`].
pub fn allowed_together(
    library: &Library,
    filter: Option<&Filter>,
    models: &[StoredModel],
    level: Level,
) -> Result<Vec<Allowed>> {
    if level == Level::Segment {
        return models.iter().map(|model| allowed(library, filter, model, level)).collect();
    }
    let mut refusal = None;
    for model in models {
        match allowed(library, filter, model, level) {
            Ok(allowed) => return Ok(vec![allowed; models.len()]),
            Err(error @ Error::Filter(_)) => {
                refusal.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    refusal.map_or(Ok(Vec::new()), Err)
}

/// What `filter` lets a search for `model`'s vectors at `level` find; everything without one.
///
/// # Errors
/// As [`Library::passing`].
pub fn allowed(
    library: &Library,
    filter: Option<&Filter>,
    model: &StoredModel,
    level: Level,
) -> Result<Allowed> {
    let passing = filter.map(|filter| library.passing(filter, model.id, level)).transpose()?;
    Ok(passing.map_or(Allowed::All, Allowed::from))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::audio::decode::{Integrity, StreamFormat};
    use crate::audio::health::Health;
    use crate::audio::segment::TimeRange;
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
            let question = Question::of_vector(vec![1.0, 0.0, 0.0]);
            let options = SearchOptions::default();
            let hits = searcher.search(&question, &options).unwrap();
            assert!(hits.iter().all(|hit| hit.recording.id != second));
            let hits = searcher.search(&question.except(first), &options).unwrap();
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
        let single = SearchOptions { single_segments: true, ..SearchOptions::default() };
        let search = |vector: Vec<f32>, options: &SearchOptions| {
            searcher.search(&Question::of_vector(vector), options)
        };
        assert_eq!(search(vec![1.0; 3], &single).unwrap().len(), 2);
        // Both segments touch and are alike: one event.
        let events = search(vec![1.0; 3], &SearchOptions::default()).unwrap();
        assert_eq!((events.len(), events[0].segments), (1, 2));
        assert!((events[0].range.end_s - 2.0).abs() < 1e-9);
        assert!(search(vec![0.0; 3], &single).is_err());
    }
}
