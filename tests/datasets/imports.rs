//! Imports that cannot store everything, or are killed in the middle.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sonoteca::dataset::PartReader;
use sonoteca::dataset::folder::DatasetWriter;
use sonoteca::dataset::rows::{RecordingRow, RowWriter as _, SegmentRow};

use super::bench::Bench;
use super::{parts, rows};

/// A dataset of `count` recordings of a segment each in the file `many.parquet`, which are a tone's, with
/// what `change` does to them.
fn dataset_of(
    count: u32,
    mut change: impl FnMut(u32, &mut RecordingRow, &mut SegmentRow),
) -> Bench {
    let bench = Bench::with_sounds();
    fs::write(bench.path("list"), "sounds/tone-0.wav\n").unwrap();
    bench.run(&["extract", "--manifest", "list", "--out", "one", "-q"]).expect(0);
    let header = PartReader::open(&parts(&bench.path("one"))[0]).unwrap().header().clone();
    let (recordings, _) = rows(&bench.path("one"));
    let (recording, segments) = &recordings[0];
    let part = bench.path("many.parquet");
    let mut writer = DatasetWriter::to_file(&part, header, false).unwrap();
    for number in 0..count {
        let (mut recording, mut segment) = (recording.clone(), segments[0].clone());
        recording.path = PathBuf::from(format!("/nowhere/{number}.wav"));
        recording.content_hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
        recording.segments = 1;
        change(number, &mut recording, &mut segment);
        writer.write_recording(&recording, &mut std::iter::once(Ok(segment))).unwrap();
    }
    writer.finish(true).unwrap();
    bench
}

fn count(bench: &Bench, table: &str) -> i64 {
    let library = rusqlite::Connection::open(bench.path("sonoteca.db")).unwrap();
    library.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_vector_that_cannot_be_stored_costs_its_recording() {
    let bench = dataset_of(5, |number, recording, segment| match number {
        // Above 65,504 there is no float16.
        1 => segment.vector[7] = 7e4,
        3 => recording.vector[7] = -7e4,
        _ => {}
    });
    let import = ["import", "--parquet", "many.parquet", "--format", "json"];
    let answer = bench.run(&import).expect(2);
    let summary = answer.json().swap_remove(0);
    assert_eq!((&summary["imported"], &summary["failed"]), (&3.into(), &2.into()), "{summary}");
    for table in ["recordings", "segments", "recording_vectors"] {
        assert_eq!(count(&bench, table), 3, "{table}");
    }
    let failures = bench.run(&["failures", "--format", "json"]).expect(0).json();
    let paths: Vec<&str> = failures.iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/nowhere/1.wav", "/nowhere/3.wav"]);
    for failure in &failures {
        assert!(failure["hint"].as_str().unwrap().contains("--vectors f32"), "{failure}");
    }
    // What is left is taken as it is, and is no failure any more.
    let answer = bench.run(&[&import[..], &["--vectors", "f32"]].concat()).expect(0);
    let summary = answer.json().swap_remove(0);
    assert_eq!((&summary["imported"], &summary["unchanged"]), (&2.into(), &3.into()));
    assert_eq!((count(&bench, "failures"), count(&bench, "segments")), (0, 5));
}

#[test]
fn a_killed_import_is_taken_up() {
    // So many that some commits have been made, and some have not.
    let of = 20_000;
    let bench = dataset_of(of, |_, _, _| {});
    let import = ["import", "--parquet", "many.parquet", "-q"];
    let mut child =
        bench.command().args(import).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let waited = Instant::now();
    let stored = || {
        let library = bench.path("sonoteca.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let Ok(library) = rusqlite::Connection::open_with_flags(library, flags) else { return 0 };
        // There is no table before the library is made.
        library.query_row("SELECT count(*) FROM recordings", [], |row| row.get(0)).unwrap_or(0_i64)
    };
    while stored() == 0 {
        assert!(waited.elapsed() < Duration::from_mins(2), "nothing was stored");
        assert!(child.try_wait().unwrap().is_none(), "it was done before it could be killed");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = stored();
    assert!((1..i64::from(of)).contains(&before), "{before}");
    let answer = bench.run(&["import", "--parquet", "many.parquet", "--format", "json"]).expect(0);
    let summary = answer.json().swap_remove(0);
    assert_eq!(summary["unchanged"], before);
    assert_eq!(summary["imported"], i64::from(of) - before);
    for table in ["recordings", "segments", "recording_vectors"] {
        assert_eq!(count(&bench, table), i64::from(of), "{table}");
    }
    // Of the run that was killed and of the one that went on.
    assert_eq!(count(&bench, "runs WHERE imported"), 2);
}
