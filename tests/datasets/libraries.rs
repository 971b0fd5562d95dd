//! From a library into a dataset and back, and from a manifest into a library: always the same.

use std::fs;

use rusqlite::Connection;
use rusqlite::types::Value;
use sonoteca::store::Library;

use super::bench::Bench;
use super::{manifest, with_manifest};

/// Everything that vectors and recordings say, without the numbers of rows.
const TABLES: [&str; 7] = [
    "SELECT path, content_hash, size_bytes, modified_ns, duration_s, sample_rate, channels, codec,
            status, recorded_at, recorded_from FROM recordings ORDER BY path",
    "SELECT path, start_s, end_s, s.vector, health, classes
     FROM segments AS s JOIN recordings AS r ON r.id = recording_id ORDER BY path, s.id",
    "SELECT path, segment_count, vector, device, precision FROM recording_vectors AS v
     JOIN recordings AS r ON r.id = recording_id JOIN runs ON runs.id = run_id ORDER BY path",
    "SELECT path, class_index, score FROM recording_classes
     JOIN recordings ON id = recording_id ORDER BY path, class_index",
    "SELECT name, weights_sha256, front_end_version, dimension, window_s, hop_s, segment_s,
            segment_hop_s FROM models",
    "SELECT class_index, name FROM classes ORDER BY class_index",
    "SELECT path, key, value FROM metadata JOIN recordings ON id = recording_id ORDER BY path, key",
];

fn contents(bench: &Bench, library: &str) -> Vec<Vec<Vec<Value>>> {
    let library = Connection::open(bench.path(library)).unwrap();
    let table = |sql: &&str| {
        let mut query = library.prepare(sql).unwrap();
        let columns = query.column_count();
        let rows = query.query_map([], |row| (0..columns).map(|at| row.get(at)).collect());
        rows.unwrap().map(Result::unwrap).collect()
    };
    TABLES.iter().map(table).collect()
}

fn assert_same(bench: &Bench, one: &str, other: &str) {
    for ((one, other), sql) in
        contents(bench, one).into_iter().zip(contents(bench, other)).zip(TABLES)
    {
        assert_eq!(one.len(), other.len(), "{sql}");
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one, other, "{sql}");
        }
    }
}

#[test]
fn what_is_extracted_and_imported_is_what_would_have_been_indexed() {
    let bench = with_manifest();
    fs::rename(bench.path("sounds/tone-0.wav"), bench.path("sounds/tone_20240501_063000.wav"))
        .unwrap();
    // Silence is marked, and stays so.
    bench.wav("sounds/silence.wav", (0..44_100).map(|_| 0.0));
    let list: Vec<String> = fs::read_dir(bench.path("sounds"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wav"))
        .map(|path| path.display().to_string())
        .collect();
    fs::write(bench.path("all"), list.join("\n")).unwrap();
    for (name, segments) in [("patches", &[][..]), ("long", &["--segment", "1.5", "--hop", "1"])] {
        let indexed = format!("{name}-indexed.db");
        let imported = format!("{name}-imported.db");
        let index = [&["index", "sounds", "-q", "--library", &indexed], segments].concat();
        bench.run(&index).expect(2);
        bench
            .run(&[&["extract", "--manifest", "all", "--out", name, "-q"], segments].concat())
            .expect(2);
        let answer =
            bench.run(&["import", "--parquet", name, "--library", &imported, "--format", "json"]);
        let summary = answer.expect(0).json().swap_remove(0);
        assert_eq!(
            (summary["imported"].as_u64(), summary["failures"].as_u64()),
            (Some(7), Some(1))
        );
        assert_same(&bench, &indexed, &imported);
        // Where files lie that nobody has seen here, a dataset does not say.
        let folders = |library: &str| Library::open(&bench.path(library)).unwrap().folders();
        assert_eq!(folders(&indexed).unwrap().len(), 1);
        assert!(folders(&imported).unwrap().is_empty());
        let listed = |library: &str| {
            let rows = bench.run(&["failures", "--library", library, "--format", "json"]).json();
            rows.iter().map(|row| (row["path"].clone(), row["reason"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(listed(&indexed), listed(&imported));
        // Again: nothing is stored twice, nothing is noted twice.
        let answer =
            bench.run(&["import", "--parquet", name, "--library", &imported, "--format", "json"]);
        let summary = answer.expect(0).json().swap_remove(0);
        assert_eq!(
            (summary["imported"].as_u64(), summary["unchanged"].as_u64()),
            (Some(0), Some(7))
        );
        assert_eq!(summary["failures"], 0);
        assert_same(&bench, &indexed, &imported);
    }
}

#[test]
fn a_library_that_is_exported_and_imported_finds_the_same() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q", "--vectors", "f32"]).expect(0);
    fs::write(bench.path("known.csv"), "path,site,depth\nsounds/tone-0.wav,A,7\n").unwrap();
    bench.run(&["metadata", "import", "known.csv", "-q"]).expect(0);
    let exported = bench.run(&["export", "--parquet", "out"]).expect(0);
    assert!(exported.err.contains("Wrote 6 recordings"), "{}", exported.err);
    assert_eq!(manifest(&bench.path("out"))["recordings"], 6);
    let import = ["import", "--parquet", "out", "--library", "copy.db", "-q", "--vectors", "f32"];
    bench.run(&import).expect(0);
    assert_same(&bench, "sonoteca.db", "copy.db");
    for by in ["recording", "segment"] {
        let found = |library: &str| {
            let arguments = [
                "search",
                "sounds/noise-1.wav",
                "-k",
                "20",
                "--by",
                by,
                "--format",
                "json",
                "--library",
                library,
            ];
            let hits = bench.run(&arguments).expect(0).json();
            let facts = |hit: &serde_json::Value| {
                (hit["path"].clone(), hit["start_s"].clone(), hit["score"].clone())
            };
            hits.iter().map(facts).collect::<Vec<_>>()
        };
        assert_eq!(found("sonoteca.db"), found("copy.db"));
        assert!(!found("copy.db").is_empty());
    }
    // A filter picks recordings, and a folder that holds something is left alone.
    let arguments = ["export", "--parquet", "some", "--where", "depth = 7", "-q"];
    bench.run(&arguments).expect(0);
    assert_eq!(manifest(&bench.path("some"))["recordings"], 1);
    let answer = bench.run(&["export", "--parquet", "out"]).expect(2);
    assert!(answer.err.contains("is there already"), "{}", answer.err);
    // What people wrote of a recording that is there stays, also where its vectors are new.
    fs::write(bench.path("other.csv"), "path,site\nsounds/tone-0.wav,B\n").unwrap();
    bench.run(&["metadata", "import", "other.csv", "-q", "--library", "copy.db"]).expect(0);
    let copy = Connection::open(bench.path("copy.db")).unwrap();
    let site = || -> String {
        let sql = "SELECT value FROM metadata WHERE key = 'site'";
        copy.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(site(), "B");
    let sql = "DELETE FROM recording_vectors WHERE recording_id =
               (SELECT id FROM recordings WHERE path LIKE '%tone-0.wav')";
    assert_eq!(copy.execute(sql, []).unwrap(), 1);
    let answer = bench.run(&[&import[..], &["--format", "json"]].concat()).expect(0);
    assert_eq!(answer.json()[0]["imported"], 1);
    assert_eq!(site(), "B");
    bench.run(&["metadata", "import", "known.csv", "-q", "--library", "copy.db"]).expect(0);
    assert_same(&bench, "sonoteca.db", "copy.db");
    // A recording that is another one now is replaced by what the dataset says of its path.
    bench.noise("sounds/tone-0.wav", 99);
    bench.run(&["index", "sounds", "-q", "--library", "copy.db"]).expect(0);
    let answer = bench.run(&[&import[..], &["--format", "json"]].concat()).expect(0);
    assert_eq!(answer.json()[0]["imported"], 1);
    assert_same(&bench, "sonoteca.db", "copy.db");
}
