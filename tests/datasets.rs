//! Datasets: what extract writes, what import makes of it, and that nothing is lost between.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;

#[path = "datasets/damage.rs"]
mod damage;
#[path = "datasets/imports.rs"]
mod imports;
#[path = "datasets/killing.rs"]
mod killing;
#[path = "datasets/libraries.rs"]
mod libraries;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bench::Bench;
use serde_json::Value;
use sonoteca::dataset::PartReader;
use sonoteca::dataset::ids::{SegmentIds, recording_id};
use sonoteca::dataset::rows::{FailureRow, RecordingRow, Row, SegmentRow};
use sonoteca::store::metadata::MetadataValue;

/// A recording and its segments.
pub(crate) type Whole = (RecordingRow, Vec<SegmentRow>);

/// The files of a dataset, by name.
pub(crate) fn parts(folder: &Path) -> Vec<PathBuf> {
    sonoteca::dataset::folder::parts(folder).unwrap()
}

/// All rows of a dataset, by path.
pub(crate) fn rows(folder: &Path) -> (Vec<Whole>, Vec<FailureRow>) {
    let (mut recordings, mut failures) = (Vec::<Whole>::new(), Vec::new());
    for part in parts(folder) {
        let mut reader = PartReader::open(&part).unwrap();
        while let Some(row) = reader.next_row().unwrap() {
            match row {
                Row::Recording(row) => recordings.push((row, Vec::new())),
                Row::Segment(row) => recordings.last_mut().unwrap().1.push(row),
                Row::Failure(row) => failures.push(row),
            }
        }
    }
    recordings.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    failures.sort_by(|a, b| a.path.cmp(&b.path));
    (recordings, failures)
}

/// The dataset's manifest.
pub(crate) fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("_manifest.json")).unwrap()).unwrap()
}

/// Sounds, a manifest of them in all the ways that there are, and files that cannot be used.
pub(crate) fn with_manifest() -> Bench {
    let bench = Bench::with_sounds();
    fs::write(bench.path("sounds/broken.wav"), b"RIFF....WAVEnothing").unwrap();
    let mut list = String::new();
    for name in ["tone-0", "noise-0", "clicks-0"] {
        writeln!(list, "sounds/{name}.wav").unwrap();
    }
    let real = bench.path("sounds/tone-1.wav").canonicalize().unwrap();
    writeln!(
        list,
        "{{\"path\": {:?}, \"metadata\": {{\"site\": \"Am See\", \"depth\": 3, \"x\": 0.5}}}}",
        real.to_str().unwrap()
    )
    .unwrap();
    // The same file by another name, one that is no sound, one that is not there, a folder, and a
    // line that does not read.
    list +=
        "sounds/../sounds/tone-0.wav\nsounds/broken.wav\nsounds/gone.wav\nsounds\n{\"pfad\": 1}\n";
    list += "sounds/noise-1.wav\nsounds/clicks-1.wav\n";
    fs::write(bench.path("list.txt"), list).unwrap();
    bench
}

#[test]
fn a_manifest_becomes_rows_and_a_poisoned_file_costs_itself_only() {
    let bench = with_manifest();
    let arguments = ["extract", "--manifest", "list.txt", "--out", "vectors", "--format", "json"];
    let answer = bench.run(&arguments).expect(2);
    let summary = &answer.json()[0];
    for (what, count) in [("recordings", 6), ("failures", 4), ("repeated", 1), ("passed_over", 0)] {
        assert_eq!(summary[what], count, "{what}: {summary}");
    }
    assert!(answer.err.contains("gone.wav"), "{}", answer.err);

    let folder = bench.path("vectors");
    let (recordings, failures) = rows(&folder);
    let reasons: Vec<(&str, &str)> =
        failures.iter().map(|row| (row.stage.as_str(), row.reason.as_str())).collect();
    assert_eq!(reasons.len(), 4);
    assert!(reasons.iter().any(|(stage, _)| *stage == "decode"), "{reasons:?}");
    assert!(reasons.iter().any(|(stage, _)| *stage == "find"), "{reasons:?}");
    assert!(reasons.iter().any(|(stage, _)| *stage == "manifest"), "{reasons:?}");
    assert!(reasons.iter().any(|(_, reason)| reason.contains("no file")), "{reasons:?}");

    assert_eq!(recordings.len(), 6);
    let header = PartReader::open(&parts(&folder)[0]).unwrap().header().clone();
    assert_eq!((header.identity.name.as_str(), header.identity.dimension), ("yamnet", 1024));
    for (recording, segments) in &recordings {
        assert!(recording.path.is_absolute());
        assert_eq!(segments.len(), recording.segments as usize);
        assert_eq!(recording.vector.len(), 1024);
        assert_eq!((segments[0].scores.len(), recording.scores.len()), (5, 10));
        let ids = SegmentIds::new(&header, &recording.content_hash);
        assert_ne!(ids.id(0), ids.id(1));
        assert_eq!(
            recording.content_hash,
            *blake3::hash(&fs::read(&recording.path).unwrap()).as_bytes()
        );
    }
    let tone = recordings.iter().find(|row| row.0.path.ends_with("tone-1.wav")).unwrap();
    let expected = vec![
        ("depth".to_owned(), MetadataValue::Integer(3)),
        ("site".to_owned(), MetadataValue::Text("Am See".to_owned())),
        ("x".to_owned(), MetadataValue::Real(0.5)),
    ];
    assert_eq!(tone.0.metadata, expected);

    let manifest = manifest(&folder);
    let segments: usize = recordings.iter().map(|row| row.1.len()).sum();
    assert_eq!(
        (manifest["recordings"].as_u64(), manifest["failures"].as_u64()),
        (Some(6), Some(4))
    );
    assert_eq!(manifest["segments"], segments);
    assert_eq!(manifest["files"][0]["rows_checksum"], manifest["rows_checksum"]);

    // Again: everything is there, nothing is read, and the failures are still told.
    let again = bench.run(&arguments).expect(2).json().swap_remove(0);
    assert_eq!((again["recordings"].as_u64(), again["failures"].as_u64()), (Some(0), Some(0)));
    // All eleven lines, the one that does not read and the one that says a file again included.
    assert_eq!(again["passed_over"], 11, "{again}");
    assert_eq!(self::manifest(&folder), manifest);
}

#[test]
fn lines_of_json_say_what_parquet_says() {
    let bench = with_manifest();
    let out = |out: &str| bench.run(&["extract", "--manifest", "list.txt", "--out", out]).expect(2);
    let printed = out("-");
    out("rows.jsonl");
    out("part.parquet");
    assert!(printed.err.contains("Extracted 6 recordings"), "{}", printed.err);
    let (recordings, failures) = rows(&bench.path("part.parquet"));
    let header = PartReader::open(&bench.path("part.parquet")).unwrap().header().clone();
    let written = fs::read_to_string(bench.path("rows.jsonl")).unwrap();
    for text in [&printed.out, &written] {
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_kind = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
        assert_eq!((of_kind("recording"), of_kind("failure")), (6, failures.len()));
        for (recording, segments) in &recordings {
            let path = recording.path.to_str().unwrap();
            let mine: Vec<&Value> = lines.iter().filter(|line| line["path"] == path).collect();
            assert_eq!(mine.len(), 1 + segments.len(), "{path}");
            assert_eq!(mine[0]["recording_id"], recording_id(&recording.content_hash));
            assert_eq!(floats(&mine[0]["vector"]), recording.vector);
            let ids = SegmentIds::new(&header, &recording.content_hash);
            for (line, segment) in mine[1..].iter().zip(segments) {
                assert_eq!(line["segment_id"], ids.id(segment.index));
                assert_eq!(line["start_s"], segment.range.start_s);
                assert_eq!(floats(&line["vector"]), segment.vector);
                let name = &header.classes[segment.scores[0].0 as usize];
                assert_eq!(line["classes"][0]["name"], name.as_str());
            }
        }
    }
    // A file that is there is not overwritten unless that is asked for.
    for out in ["rows.jsonl", "part.parquet"] {
        let arguments = ["extract", "--manifest", "list.txt", "--out", out];
        let answer = bench.run(&arguments).expect(2);
        assert!(answer.err.contains("is there already"), "{}", answer.err);
        bench.run(&[&arguments[..], &["--force", "-q"]].concat()).expect(2);
    }
}

fn floats(value: &Value) -> Vec<f32> {
    let number = |value: &Value| value.to_string().parse::<f32>().unwrap();
    value.as_array().unwrap().iter().map(number).collect()
}

#[test]
fn a_dataset_of_another_form_is_not_added_to() {
    let bench = Bench::with_sounds();
    fs::write(bench.path("list"), "sounds/tone-0.wav\n").unwrap();
    let extract = |more: &[&str]| {
        bench.run(&[&["extract", "--manifest", "list", "--out", "vectors"], more].concat())
    };
    extract(&[]).expect(0);
    let answer = extract(&["--vectors", "f16"]).expect(2);
    assert!(answer.err.contains("vectors of f32") && answer.err.contains("f16"), "{}", answer.err);
    let answer = extract(&["--segment", "2"]).expect(2);
    assert!(answer.err.contains("segments of"), "{}", answer.err);
    // What was there still is, and half precision reads back rounded.
    let whole = rows(&bench.path("vectors")).0;
    bench.run(&["extract", "--manifest", "list", "--out", "half", "--vectors", "f16"]).expect(0);
    let half = rows(&bench.path("half")).0;
    for (a, b) in whole[0].0.vector.iter().zip(&half[0].0.vector) {
        assert_eq!(half::f16::from_f32(*a).to_bits(), half::f16::from_f32(*b).to_bits());
    }
    let ids = |name: &str| {
        let header = PartReader::open(&parts(&bench.path(name))[0]).unwrap().header().clone();
        SegmentIds::new(&header, &[1; 32]).id(0)
    };
    assert_eq!(ids("vectors"), ids("half"));
    // An empty list is a dataset of no rows, and nothing found.
    fs::write(bench.path("empty"), "\n").unwrap();
    bench.run(&["extract", "--manifest", "empty", "--out", "none"]).expect(1);
    assert_eq!(manifest(&bench.path("none"))["recordings"], 0);
}
