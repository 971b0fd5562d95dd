//! Fusion against a plain computation of the formula, and moments of models that cut recordings
//! differently.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::health::Health;
use crate::model::{ModelIdentity, registry};
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::recordings::{FileStamp, NewRecording};
use crate::store::runs::NewRun;
use crate::store::segments::{NewSegment, VectorsOf};
use crate::store::vector::{Precision, encode};
use crate::units::SampleRate;

const ONE: &str = "one";
const TWO: &str = "two";

/// A segment: from, to, vector.
type Piece = (f64, f64, [f32; 3]);

fn identity(name: &str) -> ModelIdentity {
    let weights_sha256 = [name.len().try_into().unwrap(); 32];
    ModelIdentity { name: name.to_owned(), weights_sha256, front_end_version: 1, dimension: 3 }
}

/// Stores what `model` made of the recording at `path`; the first piece's vector is pooled.
fn put(library: &mut Library, model: &str, path: &str, pieces: &[Piece]) -> i64 {
    let format = StreamFormat {
        sample_rate: SampleRate::new(16_000).unwrap(),
        channels: 1,
        codec: "flac".to_owned(),
    };
    let writer = library.begin().unwrap();
    let card = registry::find("yamnet").unwrap();
    let model = writer.model_id(&identity(model), card, &["Speech".to_owned()]).unwrap();
    let recording = writer
        .put_recording(&NewRecording {
            path: Path::new(path),
            stamp: FileStamp { size_bytes: 1, modified_ns: 1 },
            content_hash: [1; 32],
            format: &format,
            duration_s: 60.0,
            integrity: Integrity::Ok,
        })
        .unwrap();
    let run = writer.begin_run(&NewRun { model, device: "cpu", precision: "f32" }).unwrap();
    let segments = pieces.iter().map(|(start_s, end_s, vector)| {
        Ok(NewSegment {
            range: TimeRange { start_s: *start_s, end_s: *end_s },
            vector: encode(vector, Precision::Single).unwrap(),
            classes: Vec::new(),
            health: Health::SOUND,
        })
    });
    let pooled = encode(&pieces[0].2, Precision::Single).unwrap();
    writer.put_vectors(VectorsOf { recording, model, run }, segments, &pooled).unwrap();
    writer.put_classes(recording, model, &[(0, 0.5)]).unwrap();
    writer.commit().unwrap();
    recording
}

fn library() -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    (folder, library)
}

fn stored(library: &Library, name: &str) -> StoredModel {
    crate::search::choose_model(library, Some(name)).unwrap()
}

/// Both models, asked for what is like the first axis.
fn voices(library: &Library, level: Level) -> [Voice<'_>; 2] {
    [ONE, TWO].map(|name| Voice {
        searcher: Searcher::open(library, stored(library, name), level).unwrap(),
        question: Question::of_vector(vec![1.0, 0.0, 0.0]),
        allowed: Allowed::All,
    })
}

/// A vector with this cosine to the first axis.
fn at(cosine: f32) -> [f32; 3] {
    [cosine, (1.0 - cosine * cosine).sqrt(), 0.0]
}

#[test]
fn ranks_are_worth_what_the_paper_says() {
    assert!((worth(1) - 1.0).abs() < 1e-12);
    assert!((worth(2) / worth(1) - 61.0 / 62.0).abs() < 1e-12);
    // Nothing behind the depth can be among the first: not even if it were next in all rankings.
    for (models, count) in [(2, 10), (2, 5_000), (5, 400)] {
        let depth = depth(models, count);
        assert!(depth >= DEPTH);
        assert!(worth(depth + 1) < worth(count) / models as f64, "{models} {count}");
    }
}

#[test]
fn stretches_that_share_half_of_the_shorter_one_are_one_moment() {
    let range = |start_s, end_s| TimeRange { start_s, end_s };
    assert!(is_same_moment(range(0.0, 3.0), range(1.0, 2.0)));
    assert!(is_same_moment(range(1.0, 2.0), range(0.0, 3.0)));
    assert!(is_same_moment(range(0.0, 0.96), range(0.48, 1.44)), "just half");
    assert!(!is_same_moment(range(0.0, 1.0), range(0.51, 3.0)));
    assert!(!is_same_moment(range(0.0, 1.0), range(1.0, 2.0)));
    // Shorter than what is tolerated, and apart.
    assert!(!is_same_moment(range(0.0, 0.001), range(0.001, 0.002)));
}

/// 40 recordings; the first five are new to one model, the last five to the other.
#[test]
fn recordings_are_ranked_as_by_a_plain_computation() {
    let (_folder, mut library) = library();
    let cosine = |index: usize, step: usize| ((index * step) % 41) as f32 / 41.0;
    let mut by_one = BTreeMap::new();
    let mut by_two = BTreeMap::new();
    for index in 0..40 {
        let path = format!("/{index}");
        if index >= 5 {
            let id = put(&mut library, ONE, &path, &[(0.0, 1.0, at(cosine(index, 7)))]);
            by_one.insert(id, cosine(index, 7));
        }
        if index < 35 {
            let id = put(&mut library, TWO, &path, &[(0.0, 1.0, at(cosine(index, 16)))]);
            by_two.insert(id, cosine(index, 16));
        }
    }
    let rank = |scores: &BTreeMap<i64, f32>, id: i64| {
        let own = scores.get(&id)?;
        Some(1 + scores.values().filter(|score| *score > own).count())
    };
    let mut expected: Vec<(f64, [Option<usize>; 2], i64)> = by_one
        .keys()
        .chain(by_two.keys().filter(|id| !by_one.contains_key(id)))
        .map(|&id| {
            let ranks = [rank(&by_one, id), rank(&by_two, id)];
            let sum: f64 = ranks.iter().flatten().map(|rank| 61.0 / (60.0 + *rank as f64)).sum();
            (sum / 2.0, ranks, id)
        })
        .collect();
    expected.sort_by(|a, b| b.0.total_cmp(&a.0));

    let options = SearchOptions { count: 100, ..SearchOptions::default() };
    let found = fuse(&voices(&library, Level::Recording), &options).unwrap();
    assert_eq!(found.len(), 40);
    let told: BTreeMap<i64, &FusedHit> =
        found.iter().map(|fused| (fused.hit.recording.id, fused)).collect();
    for (index, ((score, ranks, id), fused)) in expected.iter().zip(&found).enumerate() {
        // Equals may come in either order.
        assert!((f64::from(fused.hit.score) - score).abs() < 1e-6, "{index}");
        assert_eq!(fused.hit.rank, index + 1);
        let standings = &told[id].standings;
        assert_eq!([standings[0].rank, standings[1].rank], *ranks);
        let scores = [by_one.get(id), by_two.get(id)];
        for (standing, score) in standings.iter().zip(scores) {
            assert_eq!(standing.score.is_some(), score.is_some());
            if let (Some(found), Some(expected)) = (standing.score, score) {
                assert!((found - expected).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn behind_the_depth_a_rank_counts_nothing_and_the_score_is_told() {
    let (_folder, mut library) = library();
    for (path, one, two) in [("/a", 0.9, 0.1), ("/b", 0.5, 0.5), ("/c", 0.1, 0.9)] {
        put(&mut library, ONE, path, &[(0.0, 1.0, at(one)), (1.0, 2.0, at(one))]);
        put(&mut library, TWO, path, &[(0.0, 1.0, at(two))]);
    }
    let options = SearchOptions::default();
    for level in [Level::Recording, Level::Segment] {
        let voices = voices(&library, level);
        let found = Fusion::to(1, &voices, &options).unwrap().into_hits(&voices).unwrap();
        assert_eq!(found.len(), 2, "{level:?}");
        assert!(found.iter().all(|found| (found.hit.score - 0.5).abs() < f32::EPSILON));
        // The first of the first model before the first of the second.
        let [one, two] = &found[0].standings[..] else { panic!("two models") };
        assert_eq!((one.rank, two.rank), (Some(1), None));
        assert!((one.score.unwrap() - 0.9).abs() < 1e-6);
        assert!((two.score.unwrap() - 0.1).abs() < 1e-6);
        assert_eq!(two.classes[0].name, "Speech");
        assert_eq!(found[0].hit.recording.path, Path::new("/a"));
        assert_eq!(found[1].hit.recording.path, Path::new("/c"));
    }
}

/// One model has seconds, the other three seconds at a time.
#[test]
fn moments_meet_where_they_overlap_and_are_told_once() {
    let (_folder, mut library) = library();
    let seconds: Vec<Piece> = [0.1, 0.9, 0.1, 0.1, 0.2, 0.1, 0.1, 0.8, 0.1]
        .into_iter()
        .enumerate()
        .map(|(index, cosine)| (index as f64, index as f64 + 1.0, at(cosine)))
        .collect();
    put(&mut library, ONE, "/a", &seconds);
    let thirds = [(0.0, 3.0, at(0.6)), (3.0, 6.0, at(0.7)), (6.0, 9.0, at(0.1))];
    put(&mut library, TWO, "/a", &thirds);
    let options = SearchOptions { single_segments: true, count: 4, ..SearchOptions::default() };
    let voices = voices(&library, Level::Segment);
    let found = fuse(&voices, &options).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|fused| {
            let ranks = [fused.standings[0].rank, fused.standings[1].rank];
            (fused.hit.range.start_s, fused.hit.range.end_s, ranks)
        })
        .collect();
    assert_eq!(
        told,
        [
            // Best of one, in the second of two; the three seconds around it are not told again.
            (1.0, 2.0, [Some(1), Some(2)]),
            // Best of two, and the stretch within it that one ranks third: as good, and two, which
            // ranks it first, has the word.
            (3.0, 6.0, [Some(3), Some(1)]),
            (7.0, 8.0, [Some(2), Some(3)]),
            // Seconds of one model do not displace one another.
            (0.0, 1.0, [Some(4), Some(2)]),
        ]
    );
    assert!((found[0].hit.score - f32::midpoint(1.0, 61.0 / 62.0)).abs() < 1e-6);

    let strict = SearchOptions { least_score: Some(0.97), ..options.clone() };
    assert_eq!(fuse(&voices, &strict).unwrap().len(), 3);
    let one_each = SearchOptions { per_recording: Some(1), ..options.clone() };
    assert_eq!(fuse(&voices, &one_each).unwrap(), found[..1]);
}

/// One recording fills both rankings to their depth.
#[test]
fn rankings_are_read_on_where_a_cap_leaves_too_few() {
    let (_folder, mut library) = library();
    let pieces: Vec<Piece> =
        (0..DEPTH + 100).map(|index| (index as f64, index as f64 + 1.0, at(0.9))).collect();
    for model in [ONE, TWO] {
        put(&mut library, model, "/long", &pieces);
        for path in ["/a", "/b"] {
            put(&mut library, model, path, &[(0.0, 1.0, at(0.1))]);
        }
    }
    let voices = voices(&library, Level::Segment);
    let options = SearchOptions {
        count: 3,
        single_segments: true,
        per_recording: Some(1),
        ..SearchOptions::default()
    };
    let found = fuse(&voices, &options).unwrap();
    let ranks: Vec<usize> = found.iter().map(|found| found.hit.rank).collect();
    assert_eq!(ranks, [1, 2, 3]);
    assert_eq!(found[2].hit.recording.path, Path::new("/b"));
    // What is worth less than is asked for need not be read.
    let strict = SearchOptions { least_score: Some(0.5), ..options };
    assert_eq!(fuse(&voices, &strict).unwrap().len(), 1);
    assert!(Fusion::to(DEPTH, &voices, &strict).unwrap().is_all(DEPTH, &strict));
}

#[test]
fn a_recording_with_many_hits_is_explained_once() {
    let (folder, mut library) = library();
    let recording = put(&mut library, ONE, "/a", &[(0.0, 1.0, at(0.9)), (1.0, 2.0, at(0.5))]);
    put(&mut library, TWO, "/a", &[(0.0, 1.0, at(0.1))]);
    let [Voice { searcher, question, .. }, _] = voices(&library, Level::Segment);
    let options = SearchOptions { single_segments: true, ..SearchOptions::default() };
    let hits = searcher.search(&question, &options).unwrap();
    assert_eq!(hits.len(), 2);
    let first = searcher.explain(&question, &hits[0], 0.6).unwrap();
    let nearer = searcher.explain(&question, &hits[0], 0.4).unwrap();
    assert_eq!(first.spread.map(|spread| (spread.segments, spread.near_share)), Some((2, 0.5)));
    assert_eq!(nearer.spread.map(|spread| spread.near_share), Some(1.0));
    // What was read for one hit is not read for the next.
    let mut other = Library::open(&folder.path().join("a.db")).unwrap();
    let writer = other.begin().unwrap();
    writer.remove_recording(recording).unwrap();
    writer.commit().unwrap();
    let second = searcher.explain(&question, &hits[1], 0.4).unwrap();
    assert_eq!(second.spread, nearer.spread);
    assert_eq!(searcher.explain(&question, &hits[1], 0.6).unwrap().spread, None, "anew");
}

#[test]
fn each_model_answers_within_what_it_is_allowed() {
    let (_folder, mut library) = library();
    let mut ids = Vec::new();
    for (path, cosine) in [("/a", 0.9), ("/b", 0.5)] {
        for model in [ONE, TWO] {
            ids.push(put(&mut library, model, path, &[(0.0, 1.0, at(cosine))]));
        }
    }
    let mut voices = voices(&library, Level::Recording);
    for voice in &mut voices {
        voice.allowed = Allowed::Recordings(vec![ids[2]]);
    }
    let found = fuse(&voices, &SearchOptions::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].hit.recording.path, Path::new("/b"));
    assert!((found[0].hit.score - 1.0).abs() < 1e-6);
    assert_eq!(fuse(&[], &SearchOptions::default()).unwrap(), Vec::new());
}

/// Bisection over ids finds what looking at every segment does.
#[test]
fn segments_within_a_stretch_are_those_that_share_time_with_it() {
    let (_folder, mut library) = library();
    // Ids before and behind it are other recordings'.
    put(&mut library, ONE, "/before", &[(0.0, 1.0, at(0.5)), (0.5, 1.5, at(0.5))]);
    let pieces: Vec<Piece> = (0..50)
        .map(|index| {
            let start_s = 0.48 * f64::from(index);
            (start_s, start_s + 0.96, at(0.5))
        })
        .collect();
    let recording = put(&mut library, ONE, "/a", &pieces);
    put(&mut library, ONE, "/behind", &[(0.0, 1.0, at(0.5))]);
    let model = stored(&library, ONE).id;
    for (start_s, end_s) in
        [(0.0, 0.1), (3.0, 4.0), (0.48, 0.96), (20.0, 90.0), (0.0, 90.0), (70.0, 90.0)]
    {
        let range = TimeRange { start_s, end_s };
        let mut all = library.segments_of(recording, model).unwrap();
        all.retain(|segment| overlap_s(segment.range, range) > 0.0);
        let mut found = Vec::new();
        library
            .for_each_segment_within((recording, model), range, 3, |segment, _| {
                found.push(segment);
                Ok(())
            })
            .unwrap();
        assert_eq!(found, all, "{start_s} to {end_s}");
        let without_vectors = library.segments_within((recording, model), range).unwrap();
        assert_eq!(without_vectors, all, "{start_s} to {end_s}");
    }
}

#[test]
fn the_best_place_of_a_moment_is_found_as_by_looking_at_all() {
    let mut state = 7_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 16) / 65_536.0
    };
    let mut stretches = Stretches::default();
    for place in 0..500 {
        let start_s = (next() * 600.0).floor() / 2.0;
        // Most are short; a few reach over many others.
        let length_s = if next() < 0.05 { 40.0 * next() } else { 1.0 };
        stretches.push(TimeRange { start_s, end_s: start_s + length_s }, place);
    }
    stretches.sort();
    let mut found = 0;
    for _ in 0..500 {
        let start_s = next() * 310.0 - 5.0;
        let range = TimeRange { start_s, end_s: start_s + 2.0 * next() };
        let among_all = stretches.by_start.iter().filter(|(one, _)| is_same_moment(range, *one));
        let best = among_all.map(|&(_, place)| place).min();
        assert_eq!(stretches.best_place(range), best, "{range:?}");
        found += usize::from(best.is_some());
    }
    assert!(found > 100, "{found}");
}
