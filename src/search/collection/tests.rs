#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "made numbers are small"
)]

use std::path::{Path, PathBuf};

use super::*;
use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::index::metric::cosine;
use crate::index::scope::Allowed;
use crate::model::{ModelIdentity, registry};
use crate::search::choose_model;
use crate::search::generation::{
    BuildStage, Builder, BuilderLock, CacheState, GRAPH_FROM, Watcher, is_due, oldest_change,
    path_of,
};
use crate::store::recordings::{FileStamp, NewRecording};
use crate::store::runs::NewRun;
use crate::store::segments::{NewSegment, VectorsOf};
use crate::store::vector::{Precision, encode};
use crate::units::SampleRate;

mod cache;
mod filters;

const DIMENSION: usize = 96;
/// Ways in which `Bench::ask` limits what may be found.
const SCOPES: usize = 4;
const LEVELS: [Level; 2] = [Level::Recording, Level::Segment];

/// Numbers in [0, 1) by a fixed seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() * count as f32) as usize
    }

    /// As an embedding's: clusters, many zeros, nothing negative.
    fn vector(&mut self) -> Vec<f32> {
        let cluster = self.below(12);
        (0..DIMENSION)
            .map(|n| {
                let centre = if (n * 7 + cluster * 13).is_multiple_of(5) { 0.8 } else { 0.0 };
                (centre + 0.3 * (self.next() - 0.7)).max(0.0)
            })
            .collect()
    }
}

/// A library of made vectors.
struct Bench {
    folder: tempfile::TempDir,
    library: Library,
    random: Random,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
        Self { folder, library, random: Random(7) }
    }

    fn with(recordings: usize) -> Self {
        let mut bench = Self::new();
        bench.add(0..recordings);
        bench
    }

    /// Adds or changes recordings, in one transaction.
    fn add(&mut self, numbers: std::ops::Range<usize>) {
        let card = registry::find("yamnet").unwrap();
        let identity = ModelIdentity {
            name: "yamnet".to_owned(),
            weights_sha256: [7; 32],
            front_end_version: 1,
            dimension: DIMENSION,
        };
        let format = StreamFormat {
            sample_rate: SampleRate::new(16_000).unwrap(),
            channels: 1,
            codec: "flac".to_owned(),
        };
        let writer = self.library.begin().unwrap();
        let model = writer.model_id(&identity, card, &[]).unwrap();
        let run = writer.begin_run(&NewRun { model, device: "cpu", precision: "f32" }).unwrap();
        for number in numbers {
            let recording = writer
                .put_recording(&NewRecording {
                    path: &PathBuf::from(format!("/{number}")),
                    stamp: FileStamp { size_bytes: 1, modified_ns: 1 },
                    content_hash: [1; 32],
                    format: &format,
                    duration_s: 10.0,
                    integrity: Integrity::Ok,
                })
                .unwrap();
            let count = 1 + self.random.below(5);
            let vectors: Vec<Vec<f32>> = (0..count).map(|_| self.random.vector()).collect();
            let segments = vectors.iter().zip(0..).map(|(vector, start): (_, u8)| {
                let silent = self.random.below(20) == 0;
                let zeros = vec![0.0; DIMENSION];
                Ok(NewSegment {
                    range: TimeRange { start_s: start.into(), end_s: f64::from(start) + 1.0 },
                    vector: encode(if silent { &zeros } else { vector }, Precision::Half).unwrap(),
                    classes: Vec::new(),
                    health: if self.random.below(20) == 0 {
                        Health::from_bits(1)
                    } else {
                        Health::SOUND
                    },
                })
            });
            let segments: Vec<_> = segments.collect();
            let pooled = encode(&vectors[0], Precision::Single).unwrap();
            writer.put_vectors(VectorsOf { recording, model, run }, segments, &pooled).unwrap();
        }
        writer.commit().unwrap();
    }

    fn remove(&mut self, number: usize) {
        let path = PathBuf::from(format!("/{number}"));
        let Some(recording) = self.library.recording_at(&path).unwrap() else { return };
        let writer = self.library.begin().unwrap();
        writer.remove_recording(recording.id).unwrap();
        writer.commit().unwrap();
    }

    fn model(&self) -> StoredModel {
        choose_model(&self.library, None).unwrap()
    }

    fn build(&self, level: Level) {
        build(&self.library, level);
    }

    fn open(&self, level: Level) -> Collection {
        Collection::open(&self.library, &self.model(), level).unwrap()
    }

    fn path(&self, level: Level) -> PathBuf {
        path_of(&self.library, &self.model(), level)
    }

    /// Asks `collection` a few questions and holds the answers against sorting everything.
    fn check(&mut self, collection: &Collection, level: Level) {
        let found = self.ask(collection, level);
        assert_eq!(found.right, found.all);
    }

    /// As [`check`](Self::check), of a collection that may miss some.
    fn ask(&mut self, collection: &Collection, level: Level) -> Found {
        let mut sum = Found { right: 0, all: 0 };
        let model = self.model();
        let mut all = Vec::new();
        self.library
            .for_each_searched(model.id, level, DIMENSION, |key, vector| {
                let mut unit = vector.to_vec();
                if normalise(&mut unit, DIMENSION).is_ok() {
                    all.push((key, unit));
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(collection.len(), all.len());
        let third: Vec<i64> = all.iter().step_by(3).map(|(key, _)| key.segment).collect();
        let mut some: Vec<i64> = all.iter().step_by(7).map(|(key, _)| key.recording).collect();
        some.sort_unstable();
        some.dedup();
        let scopes: [Allowed; SCOPES] = [
            Allowed::All,
            Allowed::Segments(third),
            Allowed::Recordings(some.clone()),
            Allowed::AllBut(some),
        ];
        for allowed in scopes {
            let except = vec![1 + self.random.below(20) as i64];
            let scope = Scope { allowed, except };
            let mut query = self.random.vector();
            normalise(&mut query, DIMENSION).unwrap();
            let mut expected: Vec<Match> = all
                .iter()
                .filter(|(key, _)| scope.contains(*key))
                .map(|(key, unit)| Match { key: *key, cosine: cosine(&query, unit) })
                .collect();
            expected.sort_by(|a, b| {
                b.cosine.total_cmp(&a.cosine).then(a.key.segment.cmp(&b.key.segment))
            });
            for count in [0, 1, 10, 1_000] {
                let found = collection.nearest(&self.library, &query, count, &scope).unwrap();
                let expected = &expected[..count.min(expected.len())];
                assert_eq!(found.len(), expected.len());
                if collection.is_exact() {
                    assert_eq!(found, expected);
                }
                let is_right = |one: &&Match| expected.contains(one);
                sum.right += found.iter().filter(is_right).count();
                sum.all += expected.len();
                // Those that are there though nearer ones are missed.
                for one in found.iter().filter(|one| !is_right(one)) {
                    let (_, unit) = all.iter().find(|(key, _)| *key == one.key).unwrap();
                    assert_eq!(one.cosine.to_bits(), cosine(&query, unit).to_bits());
                    assert!(scope.contains(one.key));
                }
            }
        }
        sum
    }
}

/// Neighbours that were found, of those that there are.
struct Found {
    right: usize,
    all: usize,
}

struct Patient;

impl Watcher for Patient {
    fn at(&self, _: BuildStage, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn build(library: &Library, level: Level) {
    let lock = BuilderLock::try_take(library, "test").unwrap().unwrap();
    let builder = builder(&lock, GRAPH_FROM);
    let model = choose_model(library, None).unwrap();
    builder.build(library, &model, level).unwrap().unwrap();
}

fn builder(lock: &BuilderLock, graph_from: usize) -> Builder<'_> {
    Builder { lock, recall: WANTED, graph_from, watcher: &Patient }
}

/// The share of the nearest that graphs are tuned to find here.
const WANTED: f64 = 0.99;

/// What `queries` searches of a graph find at least that finds [`WANTED`] of the nearest: that less
/// two standard deviations, each query being one draw, since a walk that goes astray misses all.
fn least_recall(queries: usize) -> f64 {
    WANTED - 2.0 * (WANTED * (1.0 - WANTED) / queries as f64).sqrt()
}

/// Whether a search for ten goes through the graph and not by comparing what passes.
fn is_by_graph(collection: &Collection, query: &[f32], scope: &Scope) -> bool {
    let (gone, generation) = (HashSet::new(), collection.generation.as_ref().unwrap());
    let prepared = PreparedQuery::new(query, generation.rows().layout());
    let passing = Passing::new(scope, &collection.dead, &gone);
    collection.by_graph(generation, &prepared, 10, &passing).unwrap().is_some()
}

#[test]
fn a_graph_finds_most_and_misses_no_filter() {
    let level = Level::Segment;
    let mut bench = Bench::with(1_500);
    let lock = BuilderLock::try_take(&bench.library, "test").unwrap().unwrap();
    let model = bench.model();
    let built = builder(&lock, 1).build(&bench.library, &model, level).unwrap().unwrap();
    let measured = built.recall.unwrap();
    assert!(measured.lower().recall >= WANTED, "else it is not kept: {measured:?}");
    assert!(measured.stored.queries > 0 && measured.between.queries > 0, "{measured:?}");
    bench.add(1_480..1_520);
    bench.remove(7);
    bench.remove(700);
    let collection = bench.open(level);
    assert_eq!((collection.warning(), collection.is_exact()), (None, false));
    let (mut right, mut all) = (0, 0);
    for _ in 0..30 {
        let found = bench.ask(&collection, level);
        (right, all) = (right + found.right, all + found.all);
    }
    let recall = right as f64 / all as f64;
    assert!(recall >= least_recall(30 * SCOPES), "recall is {recall}");
    let options = CollectionOptions { exact: true };
    let exact = Collection::open_with(&bench.library, &model, level, options).unwrap();
    bench.check(&exact, level);
}

#[test]
fn what_searches_are_to_find_is_remembered_with_a_graph_or_without() {
    let level = Level::Segment;
    let mut bench = Bench::with(300);
    let model = bench.model();
    let state = |bench: &Bench| CacheState::of(&bench.library, &bench.model(), level).unwrap();
    assert!(!state(&bench).is_tuned_for(WANTED), "there is none");
    let build = |bench: &Bench, recall, graph_from| {
        let lock = BuilderLock::try_take(&bench.library, "test").unwrap().unwrap();
        let builder = Builder { recall, ..builder(&lock, graph_from) };
        builder.build(&bench.library, &model, level).unwrap().unwrap().recall
    };
    // So few vectors that there is no graph: what is built of more is to know.
    assert_eq!(build(&bench, 0.999, GRAPH_FROM), None);
    assert!(state(&bench).is_tuned_for(0.999) && !state(&bench).is_tuned_for(WANTED));
    // A graph that finds less than is wanted is not kept, and all are compared.
    let none_finds = 1.001;
    assert_eq!(build(&bench, none_finds, 1), None);
    let collection = bench.open(level);
    assert_eq!((collection.warning(), collection.is_exact()), (None, true));
    bench.check(&collection, level);
    assert!(state(&bench).is_current() && state(&bench).is_tuned_for(none_finds));
    assert!(!state(&bench).is_tuned_for(0.9), "less may be found");
    assert!(build(&bench, 0.9, 1).is_some());
    assert!(state(&bench).is_tuned_for(0.9) && !state(&bench).is_tuned_for(WANTED));
    // Also by a file that is of no other use.
    let path = bench.path(level);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let damaged = state(&bench);
    assert!(damaged.problem.is_some() && damaged.is_tuned_for(0.9), "{damaged:?}");
}

#[test]
fn whatever_came_and_went_answers_are_as_by_sorting_everything() {
    for level in LEVELS {
        let mut bench = Bench::new();
        bench.add(0..40);
        for round in 0..30 {
            match bench.random.below(5) {
                0 => bench.build(level),
                1 | 2 => bench.add(40 + 3 * round..43 + 3 * round),
                3 => {
                    let number = bench.random.below(40);
                    bench.add(number..number + 1);
                }
                _ => (0..3).for_each(|_| {
                    let number = bench.random.below(40 + 3 * round);
                    bench.remove(number);
                }),
            }
            let collection = bench.open(level);
            assert_eq!(collection.warning(), None);
            bench.check(&collection, level);
            let state = CacheState::of(&bench.library, &bench.model(), level).unwrap();
            assert_eq!(collection.len() as u64 + collection.dead_rows as u64, {
                state.rows + collection.fresh.keys.len() as u64
            });
            assert!(state.delta >= collection.fresh.keys.len() as u64);
            assert_eq!(state.dead, collection.dead_rows as u64);
        }
    }
}

#[test]
fn a_library_that_went_another_way_is_found_out() {
    let mut bench = Bench::with(60);
    let level = Level::Segment;
    let backup = bench.folder.path().join("backup.db");
    bench.library.checkpoint().unwrap();
    std::fs::copy(bench.library.path(), &backup).unwrap();
    bench.add(100..120);
    bench.build(level);
    assert!(CacheState::of(&bench.library, &bench.model(), level).unwrap().is_current());

    // The backup in its place, and as many other recordings: the same serial.
    let path = bench.library.path().to_owned();
    for (name, rows) in [("as it was", 0..0), ("with others", 200..220)] {
        bench.library = Library::open_or_create(&bench.folder.path().join("other.db")).unwrap();
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
        }
        std::fs::copy(&backup, &path).unwrap();
        bench.library = Library::open(&path).unwrap();
        if !rows.is_empty() {
            bench.add(rows);
        }
        let collection = bench.open(level);
        let warning = collection.warning().expect(name).to_string();
        assert!(
            warning.contains("out of date") && warning.contains("sonoteca reindex"),
            "{warning}"
        );
        bench.check(&collection, level);
        assert!(is_due(&CacheState::of(&bench.library, &bench.model(), level).unwrap()));
    }
    bench.build(level);
    assert_eq!(bench.open(level).warning(), None);
}

#[test]
fn threads_share_a_collection_and_what_another_removes_is_not_found() {
    let mut bench = Bench::with(80);
    let level = Level::Segment;
    bench.build(level);
    let collection = bench.open(level);
    let query = bench.random.vector();
    let path = bench.library.path();
    let answers: Vec<Vec<Match>> = std::thread::scope(|scope| {
        let (collection, query) = (&collection, &query);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let library = Library::open(path).unwrap();
                    collection.nearest(&library, query, 20, &Scope::default()).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.len() == 20));
    // Removed while the collection is open: those behind move up.
    let first = bench.library.recording(answers[0][0].key.recording).unwrap().unwrap();
    let name = first.path.to_string_lossy()[1..].parse().unwrap();
    bench.remove(name);
    let after = collection.nearest(&bench.library, &query, 20, &Scope::default()).unwrap();
    assert_eq!(after.len(), 20);
    assert!(after.iter().all(|found| found.key.recording != first.id));
}

#[test]
fn what_is_no_question_is_refused() {
    let bench = Bench::with(3);
    let collection = bench.open(Level::Recording);
    for query in [vec![0.0; DIMENSION], vec![f32::NAN; DIMENSION], vec![1.0; 3]] {
        assert!(collection.nearest(&bench.library, &query, 1, &Scope::default()).is_err());
    }
}
