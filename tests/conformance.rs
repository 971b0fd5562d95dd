//! What the embedded store and the one on a Milvus server have in common: both pass the same tests. The
//! server is a real one (`scripts/milvus.py`).

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

#[path = "conformance/commands.rs"]
mod commands;
#[path = "conformance/filters.rs"]
mod filters;
#[path = "conformance/made.rs"]
mod made;
#[path = "conformance/outage.rs"]
mod outage;
#[allow(dead_code, reason = "what other tests ask of it too")]
#[path = "serve/served.rs"]
mod served;
#[path = "conformance/server.rs"]
mod server;
#[path = "conformance/stores.rs"]
mod stores;

use std::path::Path;

use sonoteca::audio::segment::Segmentation;
use sonoteca::dataset::ids::recording_id;
use sonoteca::search::{Hit, Level, Question, SearchOptions};
use sonoteca::{DatasetProblem, Error, MilvusProblem, VectorProblem};

use made::{Chance, DIMENSION, Whole, header, recording, write};
use stores::{Embedded, Served, Tested};

/// Cosines of float32 vectors that were scaled to length one by different machines differ by rounding.
const ROUNDING: f32 = 1e-5;

/// Both stores, the one on the server in a collection of its own, of which every vector is compared: what a
/// graph misses is measured elsewhere (`scale/spark/prove.py`).
fn both(collection: &str) -> Option<[Box<dyn Tested>; 2]> {
    let server = server::shared()?;
    // What was written must be seen at once: the library is compared with it.
    let address = server.address(&format!("{collection}?consistency=strong&index=flat"));
    Some([Box::new(Embedded::new()), Box::new(Served::new(&address))])
}

fn recordings(count: u32, segments: impl Fn(u32) -> u32) -> Vec<Whole> {
    (0..count).map(|number| recording(number, segments(number), 1)).collect()
}

fn question(seed: u64) -> Question {
    let mut chance = Chance::new(seed);
    Question::of_vector((0..DIMENSION).map(|_| chance.next() - 0.3).collect())
}

fn segments_of(recordings: &[Whole]) -> u64 {
    recordings.iter().map(|(_, segments)| segments.len() as u64).sum()
}

/// What of a hit does not depend on the store.
fn told(hits: &[Hit]) -> Vec<(String, f64, f64, f64, usize)> {
    let of = |hit: &Hit| {
        let path = hit.recording.path.display().to_string();
        (path, hit.range.start_s, hit.range.end_s, hit.best.start_s, hit.segments)
    };
    hits.iter().map(of).collect()
}

/// Holds the same question's answers of both stores against each other.
fn compare(
    stores: &[Box<dyn Tested>; 2],
    asked: &str,
    search: impl Fn(&dyn Tested) -> Vec<Hit>,
) -> usize {
    let [one, other] = [0, 1].map(|number: usize| search(stores[number].as_ref()));
    assert_eq!(told(&one), told(&other), "{asked}");
    for (one, other) in one.iter().zip(&other) {
        assert!((one.score - other.score).abs() < ROUNDING, "{asked}: {one:?} {other:?}");
        assert_eq!((one.rank, &one.classes), (other.rank, &other.classes), "{asked}");
        let of = |hit: &Hit| (hit.recording.codec.clone(), hit.recording.status.clone());
        assert_eq!(of(one), of(other), "{asked}");
        assert_eq!(one.recording.sample_rate, other.recording.sample_rate, "{asked}");
    }
    one.len()
}

#[test]
fn what_was_inserted_is_found_alike() {
    let Some(mut stores) = both("inserted") else { return };
    let folder = tempfile::tempdir().unwrap();
    let recordings = recordings(60, |number| 1 + number % 17);
    write(folder.path(), &header(), &recordings, u64::MAX);
    for store in &mut stores {
        let report = store.import(folder.path()).unwrap();
        assert_eq!((report.imported, report.unchanged), (60, 0), "{}", store.name());
        // The manifest's counts, silence and damage included.
        assert_eq!(store.counts(), (60, segments_of(&recordings)), "{}", store.name());
        let again = store.import(folder.path()).unwrap();
        assert_eq!((again.imported, again.unchanged), (0, 60), "{}", store.name());
        assert_eq!(store.counts(), (60, segments_of(&recordings)), "{}", store.name());
    }
    let options = [
        SearchOptions::default(),
        SearchOptions { count: 25, per_recording: Some(1), ..SearchOptions::default() },
        SearchOptions { count: 7, single_segments: true, ..SearchOptions::default() },
        SearchOptions { count: 500, least_score: Some(0.6), ..SearchOptions::default() },
        // More than there is.
        SearchOptions { count: 5_000, single_segments: true, ..SearchOptions::default() },
        SearchOptions { count: 5_000, ..SearchOptions::default() },
    ];
    for (number, options) in options.iter().enumerate() {
        for level in [Level::Recording, Level::Segment] {
            for seed in 0..3 {
                let asked = format!("options {number}, {level:?}, question {seed}");
                let question = question(seed);
                let found = compare(&stores, &asked, |store| {
                    store.search(&question, level, None, options).unwrap()
                });
                assert!(found > 0, "{asked}");
            }
        }
    }
    // Recordings 9, 19, … are silent, and no answers.
    let all = SearchOptions { count: 5_000, ..SearchOptions::default() };
    let found = compare(&stores, "all recordings", |store| {
        store.search(&question(1), Level::Recording, None, &all).unwrap()
    });
    assert_eq!(found, 54);
    examples_are_alike(&stores, &recordings);
}

fn examples_are_alike(stores: &[Box<dyn Tested>; 2], recordings: &[Whole]) {
    for number in [0, 4, 6, 21] {
        let row = &recordings[number].0;
        let id = recording_id(&row.content_hash);
        for level in [Level::Recording, Level::Segment] {
            let [one, other] = [0, 1].map(|store: usize| {
                let example = stores[store].example(&row.path, id, level).unwrap();
                Question::new(&[example], &[]).unwrap()
            });
            for (a, b) in one.vector.iter().zip(&other.vector) {
                assert!((a - b).abs() < ROUNDING, "recording {number}, {level:?}");
            }
            assert_eq!(one.classes, other.classes);
            let options = SearchOptions::default();
            let [one, other] =
                [(0, &one), (1, &other)].map(|(store, question): (usize, &Question)| {
                    stores[store].search(question, level, None, &options).unwrap()
                });
            assert_eq!(told(&one), told(&other), "recording {number}, {level:?}");
            // It is no answer itself.
            assert!(one.iter().all(|hit| hit.recording.path != row.path));
        }
    }
    let silent = &recordings[9].0;
    for store in stores {
        let id = recording_id(&silent.content_hash);
        let error = store.example(&silent.path, id, Level::Recording).unwrap_err();
        assert!(matches!(error, Error::SilentQuery { .. }), "{}: {error}", store.name());
    }
}

#[test]
fn what_changed_replaces_what_was_there_and_what_was_removed_is_gone() {
    let Some(mut stores) = both("changed") else { return };
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = recordings(20, |number| 3 + number % 4);
    write(first.path(), &header(), &before, u64::MAX);
    // Half of them have another content now, some fewer segments and some more; five are new.
    let after: Vec<Whole> = (10..25)
        .map(|number| {
            let content = if number < 15 { 2 } else { 1 };
            recording(number, if number < 13 { 2 } else { 3 + number % 4 }, content)
        })
        .collect();
    write(second.path(), &header(), &after, u64::MAX);
    for store in &mut stores {
        store.import(first.path()).unwrap();
        let report = store.import(second.path()).unwrap();
        assert_eq!((report.imported, report.unchanged), (10, 5), "{}", store.name());
        let expected = segments_of(&before[..10]) + segments_of(&after);
        assert_eq!(store.counts(), (25, expected), "{}", store.name());
    }
    let all = SearchOptions { count: 1_000, single_segments: true, ..SearchOptions::default() };
    let search =
        |store: &dyn Tested| store.search(&question(3), Level::Segment, None, &all).unwrap();
    let found = compare(&stores, "after the change", search);
    assert!(found > 60);
    let gone: Vec<&Path> = after[..4].iter().map(|(row, _)| row.path.as_path()).collect();
    for store in &mut stores {
        store.remove(&gone);
        let expected = segments_of(&before[..10]) + segments_of(&after[4..]);
        assert_eq!(store.counts(), (21, expected), "{}", store.name());
        // And all is as it was when it is opened anew.
        store.reopen();
    }
    let left = compare(&stores, "after removing", search);
    assert!(left < found);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let Some(mut stores) = both("refusing") else { return };
    let folder = |name: &str| tempfile::Builder::new().prefix(name).tempdir().unwrap();
    let there = folder("there");
    write(there.path(), &header(), &recordings(3, |_| 2), u64::MAX);
    let others = [
        ("weights", {
            let mut header = header();
            header.identity.weights_sha256 = [6; 32];
            header
        }),
        ("front end", {
            let mut header = header();
            header.identity.front_end_version = 2;
            header
        }),
        ("segments", {
            let mut header = header();
            header.segmentation = Some(Segmentation { segment_s: 10.0, hop_s: 10.0 });
            header
        }),
    ];
    for store in &mut stores {
        store.import(there.path()).unwrap();
        for (what, header) in &others {
            let other = folder("other");
            write(other.path(), header, &recordings(3, |_| 2), u64::MAX);
            let error = store.import(other.path()).unwrap_err();
            let is_refused = matches!(
                error,
                Error::Dataset { problem: DatasetProblem::OtherModel { .. }, .. }
                    | Error::OtherSegments { .. }
                    | Error::Milvus {
                        problem: MilvusProblem::OtherModel { .. }
                            | MilvusProblem::OtherSegments { .. },
                        ..
                    }
            );
            assert!(is_refused, "{}, {what}: {error}", store.name());
            assert!(error.hint().is_some(), "{}, {what}", store.name());
        }
        // A vector of another dimension, one of zeros, and one that is no number.
        for (vector, expected) in [
            (vec![1.0; 3], "Dimension"),
            (vec![0.0; DIMENSION], "Zero"),
            (vec![f32::NAN; DIMENSION], "NonFinite"),
        ] {
            let question = Question::of_vector(vector);
            let options = SearchOptions::default();
            let error = store.search(&question, Level::Segment, None, &options).unwrap_err();
            let Error::Vector { problem, .. } = &error else { panic!("{error}") };
            let name = match problem {
                VectorProblem::Dimension { .. } => "Dimension",
                VectorProblem::Zero => "Zero",
                _ => "NonFinite",
            };
            assert_eq!(name, expected, "{}", store.name());
        }
        assert_eq!(store.counts(), (3, 6), "{}", store.name());
    }
}

#[test]
fn a_damaged_part_is_not_stored() {
    let Some(mut stores) = both("damaged") else { return };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &header(), &recordings(40, |_| 5), 2_000);
    let parts = sonoteca::dataset::folder::parts(folder.path()).unwrap();
    assert!(parts.len() > 2);
    let mut bytes = std::fs::read(&parts[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&parts[1], bytes).unwrap();
    for store in &mut stores {
        let error = store.import(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Dataset { .. }), "{}: {error}", store.name());
    }
}

#[test]
fn a_long_recording_comes_in_portions() {
    let Some(mut stores) = both("long") else { return };
    let folder = tempfile::tempdir().unwrap();
    let recordings = [recording(1, 3, 1), recording(2, 9_001, 1), recording(3, 2, 1)];
    write(folder.path(), &header(), &recordings, u64::MAX);
    for store in &mut stores {
        let report = store.import(folder.path()).unwrap();
        assert_eq!((report.imported, report.segments), (3, 9_006), "{}", store.name());
        assert_eq!(store.counts(), (3, 9_006), "{}", store.name());
        assert_eq!(store.import(folder.path()).unwrap().unchanged, 3, "{}", store.name());
    }
    let options = SearchOptions { count: 5, ..SearchOptions::default() };
    compare(&stores, "a long recording", |store| {
        store.search(&question(4), Level::Segment, None, &options).unwrap()
    });
    let example = stores[1].example(
        &recordings[1].0.path,
        recording_id(&recordings[1].0.content_hash),
        Level::Segment,
    );
    let expected = stores[0].example(&recordings[1].0.path, 0, Level::Segment).unwrap();
    for (a, b) in example.unwrap().vector.iter().zip(&expected.vector) {
        assert!((a - b).abs() < ROUNDING);
    }
}
