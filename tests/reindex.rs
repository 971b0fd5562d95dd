//! The cache beside a library as its users meet it: always behind nothing, never believed when it
//! is damaged, never missed but in speed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;

use std::fs;
use std::path::PathBuf;

use bench::Bench;
use serde_json::Value;

/// The files of the cache that searches look into.
fn cache_files(bench: &Bench) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(bench.path("sonoteca.db.cache"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "index"))
        .collect();
    files.sort();
    files
}

fn search(bench: &Bench, more: &[&str]) -> (String, String) {
    let arguments = ["search", "id:1", "-k", "100", "--format", "json"];
    let answer = bench.run(&[&arguments[..], more].concat()).expect(0);
    (answer.out, answer.err)
}

fn index_of(bench: &Bench, level: usize) -> Value {
    bench.run(&["info", "--format", "json"]).expect(0).json()[0]["models"][0]["index"][level]
        .clone()
}

#[test]
fn indexing_leaves_an_index_and_searches_do_not_depend_on_it() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    assert_eq!(cache_files(&bench).len(), 2);
    assert_eq!(
        (&index_of(&bench, 0)["rows"], &index_of(&bench, 1)["rows"]),
        (&6.into(), &24.into())
    );
    for level in ["recording", "segment"] {
        let with = search(&bench, &["--by", level]);
        assert_eq!(with.1, "");
        assert_eq!(search(&bench, &["--by", level, "--exact"]), with);
        for file in cache_files(&bench) {
            fs::rename(&file, file.with_extension("away")).unwrap();
        }
        assert_eq!(search(&bench, &["--by", level]), with, "a small library needs none");
        for entry in fs::read_dir(bench.path("sonoteca.db.cache")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "away") {
                fs::rename(&path, path.with_extension("index")).unwrap();
            }
        }
    }
}

#[test]
fn damage_costs_a_warning_and_reindex_mends_it() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let expected = search(&bench, &[]).0;
    for file in cache_files(&bench) {
        let mut bytes = fs::read(&file).unwrap();
        // The first row's first value: nothing that is looked at when the file is opened.
        bytes[8_192] ^= 1;
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
    }
    let (found, warning) = search(&bench, &[]);
    assert_eq!(found, expected);
    assert!(warning.contains("damaged") && warning.contains("sonoteca reindex"), "{warning}");

    let answer = bench.run(&["reindex", "--check", "--format", "json"]).expect(0);
    assert_eq!(answer.err.matches("it is damaged").count(), 2, "{}", answer.err);
    let rows = answer.json();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!((&row["built"], &row["method"]), (&true.into(), &"scan".into()));
        assert_eq!(row["recall"].as_f64().unwrap().to_bits(), 1.0_f64.to_bits());
    }
    assert_eq!(search(&bench, &[]), (expected, String::new()));
    // There is nothing left to do.
    let again = bench.run(&["reindex", "--format", "json"]).expect(0).json();
    assert!(again.iter().all(|row| row["built"] == false), "{again:?}");
    let table = bench.run(&["reindex"]).expect(0).out;
    assert!(table.contains("up to date"), "{table}");
}

#[test]
fn what_was_asked_for_holds_until_something_else_is() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    assert_eq!(index_of(&bench, 1)["wanted"], 0.99);
    let built = |more: &[&str]| {
        let arguments = ["reindex", "--format", "json"];
        let rows = bench.run(&[&arguments[..], more].concat()).expect(0).json();
        rows.iter().map(|row| row["built"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    // Few vectors: what is built once there are many is to know.
    assert_eq!(built(&["--recall", "0.999"]), [true, true]);
    assert_eq!(built(&[]), [false, false]);
    assert_eq!(built(&["--check"]), [false, false]);
    assert_eq!(built(&["--recall", "0.999"]), [false, false]);
    assert_eq!(index_of(&bench, 0)["wanted"], 0.999);
    // Also what renews it by itself.
    bench.tone("sounds/tone-2.wav", 450.0);
    bench.run(&["index", "sounds", "-q"]).expect(0);
    assert_eq!(index_of(&bench, 1)["wanted"], 0.999);
    assert_eq!(built(&["--recall", "0.9"]), [true, true]);
    assert_eq!(index_of(&bench, 1)["wanted"], 0.9);
}

#[test]
fn compacting_leaves_an_index_that_is_used() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench.run(&["remove", "sounds/noise-0.wav", "-q"]).expect(0);
    // Without an index there is one afterwards.
    fs::remove_dir_all(bench.path("sonoteca.db.cache")).unwrap();
    bench.run(&["compact", "-q"]).expect(0);
    assert_eq!(cache_files(&bench).len(), 2);
    let index = index_of(&bench, 1);
    assert_eq!((&index["delta"], &index["dead"]), (&0.into(), &0.into()));
    assert_eq!(search(&bench, &[]).1, "");
}

#[test]
fn what_comes_and_goes_is_seen_at_once() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let backup: Vec<_> =
        cache_files(&bench).into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    bench.tone("sounds/tone-2.wav", 450.0);
    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench.run(&["remove", "sounds/noise-0.wav", "-q"]).expect(0);
    let expected = search(&bench, &["--by", "segment", "--raw"]);
    assert_eq!(expected.0.lines().count(), 20);
    assert!(expected.0.contains("tone-2") && !expected.0.contains("noise-0"));
    assert_eq!(index_of(&bench, 1)["delta"], 0, "a small index is renewed at once");
    // With the index of before, what came and went since is known by the library.
    for (bytes, file) in backup {
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
    }
    let index = index_of(&bench, 1);
    assert_eq!(
        (&index["rows"], &index["delta"], &index["dead"]),
        (&24.into(), &4.into(), &4.into())
    );
    assert_eq!(search(&bench, &["--by", "segment", "--raw"]), expected);
    bench.run(&["sync", "sounds", "--prune", "-q"]).expect(0);
    assert_eq!(index_of(&bench, 1)["dead"], 0);
    assert_eq!(search(&bench, &["--by", "segment", "--raw"]).1, "");
}

#[test]
fn a_library_that_was_put_in_another_s_place_is_found_out() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds/tone-0.wav", "sounds/noise-0.wav", "-q"]).expect(0);
    bench.run(&["index", "sounds", "-q", "--library", "other.db"]).expect(0);
    let expected = bench.run(&["search", "id:1", "--library", "other.db"]).expect(0).out;
    fs::rename(bench.path("other.db"), bench.path("sonoteca.db")).unwrap();
    let answer = bench.run(&["search", "id:1"]).expect(0);
    assert_eq!(answer.out, expected);
    assert!(answer.err.contains("out of date"), "{}", answer.err);
}

#[test]
fn reindex_says_what_it_cannot_do() {
    let bench = Bench::with_sounds();
    let answer = bench.run(&["reindex"]).expect(2);
    assert!(answer.err.contains("hint: make one with `sonoteca index FOLDER`"), "{}", answer.err);
    bench.run(&["index", "sounds/tone-0.wav", "-q"]).expect(0);
    let answer = bench.run(&["reindex", "--model", "other"]).expect(2);
    assert!(answer.err.contains("no vectors of `other`"), "{}", answer.err);
    for share in ["1", "0.2", "much"] {
        let answer = bench.run(&["reindex", "--recall", share]).expect(2);
        assert!(answer.err.contains("--exact"), "{}", answer.err);
    }
    bench.run(&["remove", "id:1", "-q"]).expect(0);
    bench.run(&["reindex"]).expect(1);
    assert!(bench.run(&["reindex", "--help"]).expect(0).out.contains("sonoteca reindex --check"));
    // Where the cache cannot be written, building fails, and searching does not.
    bench.run(&["index", "sounds", "-q"]).expect(0);
    fs::remove_dir_all(bench.path("sonoteca.db.cache")).unwrap();
    fs::write(bench.path("sonoteca.db.cache"), "in the way").unwrap();
    let answer = bench.run(&["reindex"]).expect(2);
    assert!(answer.err.contains("hint:"), "{}", answer.err);
    bench.run(&["search", "id:2"]).expect(0);
}
