//! The commands with `--store`, beside the same commands with a library: the real binary, real weights and
//! sounds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::served::Served;
use crate::server::{Server, shared};

/// A library's vectors are float16, whose steps are a 2,048th of a value: so are a head's scores and the
/// cosines of what is computed from them.
const HALF: f64 = 2e-3;
/// Float32 noise.
const ROUNDING: f64 = 1e-5;

/// Sounds of three kinds, two of them twice if `has_copy`, in a library and in a store.
fn stored(server: &Server, collection: &str, has_copy: bool) -> (Bench, String) {
    let bench = Bench::new();
    for class in ["tone", "noise", "clicks"] {
        fs::create_dir_all(bench.path(&format!("sounds/{class}"))).unwrap();
    }
    for take in 0..4 {
        bench.tone(&format!("sounds/tone/{take}.wav"), 440.0 + 25.0 * f64::from(take));
        bench.noise(&format!("sounds/noise/{take}.wav"), 7 + take);
        bench.clicks(&format!("sounds/clicks/{take}.wav"), 5 + take);
    }
    if has_copy {
        fs::copy(bench.path("sounds/noise/0.wav"), bench.path("sounds/noise/copy.wav")).unwrap();
        // The same, at half its amplitude: a duplicate that has to be heard.
        let path = bench.path("sounds/noise/1.wav");
        let mut samples = hound::WavReader::open(path).unwrap();
        let samples: Vec<f64> =
            samples.samples::<i16>().map(|sample| f64::from(sample.unwrap()) / 65_536.0).collect();
        bench.wav("sounds/noise/quiet.wav", samples.into_iter());
    }
    let all = json!(12 + 2 * u64::from(has_copy));
    let mut list = String::new();
    for class in ["tone", "noise", "clicks"] {
        for entry in fs::read_dir(bench.path(&format!("sounds/{class}"))).unwrap() {
            let path = entry.unwrap().path().canonicalize().unwrap();
            let line = json!({"path": path, "metadata": {"kind": class}});
            writeln!(list, "{line}").unwrap();
        }
    }
    fs::write(bench.path("list"), list).unwrap();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench.run(&["extract", "--manifest", "list", "--out", "vectors", "-q"]).expect(0);
    bench
        .run(&["import", "--parquet", "vectors", "--library", "f32.db", "--vectors", "f32"])
        .expect(0);
    let store = server.address(&format!("{collection}?consistency=strong"));
    let import = ["import", "--parquet", "vectors", "--store", &store, "--format", "json"];
    let summary = &bench.run(&import).expect(0).json()[0];
    assert_eq!((&summary["imported"], &summary["unchanged"]), (&all, &json!(0)));
    let again = &bench.run(&import).expect(0).json()[0];
    assert_eq!((&again["imported"], &again["unchanged"]), (&json!(0), &all));
    (bench, store)
}

/// The rows of two answers, which differ in ids, and in numbers by rounding only.
fn alike(one: &[Value], other: &[Value], tolerance: f64) {
    assert_eq!(one.len(), other.len(), "{one:?}\n{other:?}");
    let plain = |row: &Value| {
        let mut row = row.as_object().unwrap().clone();
        row.remove("recording_id");
        row
    };
    for (one, other) in one.iter().map(plain).zip(other.iter().map(plain)) {
        assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (key, value) in &one {
            near(value, &other[key], tolerance, key);
        }
    }
}

fn near(one: &Value, other: &Value, tolerance: f64, what: &str) {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            let apart = a.as_f64().unwrap() - b.as_f64().unwrap();
            assert!(apart.abs() <= tolerance, "{what}: {a} and {b}");
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{what}: {one} {other}");
            a.iter().zip(b).for_each(|(a, b)| near(a, b, tolerance, what));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.len(), b.len(), "{what}: {one} {other}");
            a.iter().for_each(|(key, value)| near(value, &b[key], tolerance, key));
        }
        _ => assert_eq!(one, other, "{what}"),
    }
}

#[test]
fn searches_answer_as_a_library_does() {
    let Some(server) = shared() else { return };
    let (bench, store) = stored(server, "searched", false);
    let rows = |arguments: &[&str]| {
        bench.run(&[arguments, &["--format", "json"]].concat()).expect(0).json()
    };
    for options in [
        &["sounds/tone/0.wav"][..],
        &["sounds/tone/0.wav", "--by", "segment", "-k", "8", "--explain"],
        &["sounds/clicks/1.wav", "--by", "segment", "--raw", "-k", "30", "--per-recording", "2"],
        &["sounds/noise/1.wav@0.2-1.4", "--by", "segment", "--min-score", "0.5"],
        &[
            "--like",
            "sounds/tone/0.wav",
            "--like",
            "sounds/noise/1.wav",
            "--unlike",
            "sounds/clicks/0.wav",
        ],
        &["sounds/tone/0.wav", "--where", "kind != \"tone\" and duration > 1 and path ~ \"*.wav\""],
        &[
            "sounds/noise/2.wav",
            "--by",
            "segment",
            "--where",
            "class(Noise) < 0.9 and not codec = flac",
        ],
    ] {
        let arguments = [&["search"], options].concat();
        let library = rows(&[&arguments[..], &["--library", "f32.db", "--exact"]].concat());
        let found = rows(&[&arguments[..], &["--store", &store]].concat());
        assert!(!library.is_empty(), "{options:?}");
        alike(&library, &found, ROUNDING);
    }
    // What was found is an example by its id.
    let found = rows(&["search", "sounds/tone/2.wav", "--store", &store, "-k", "1"]);
    assert!(found[0]["path"].as_str().unwrap().ends_with("tone/2.wav"));
    let id = format!("id:{}", found[0]["recording_id"]);
    let near = rows(&["search", &id, "--store", &store, "-k", "3"]);
    assert!(near.iter().all(|hit| hit["path"].as_str().unwrap().contains("/tone/")), "{near:?}");
    assert!(near.iter().all(|hit| hit["path"] != found[0]["path"]));
    // And in the formats of sound editors.
    let labels = ["search", &id, "--store", &store, "--by", "segment", "--format", "raven"];
    assert!(bench.run(&labels).expect(0).out.contains("Begin Time (s)"));
    let nothing = ["search", "sounds/tone/0.wav", "--store", &store, "--where", "duration > 1h"];
    assert!(bench.run(&nothing).expect(1).err.contains("Nothing that passes the filter"));
}

#[test]
fn what_a_store_cannot_do_is_refused_with_the_reason() {
    let Some(server) = shared() else { return };
    let (bench, store) = stored(server, "refused", false);
    let nowhere = server.address("nowhere");
    for (arguments, reason) in [
        (&["search", "--class", "Noise", "--store", &store][..], "not by scores"),
        (&["search", "--text", "tone", "--store", &store], "no index of words"),
        (&["search", "--head", "kinds", "--store", &store], "not by what a head says"),
        (&["search", "sounds/tone/0.wav", "--exact", "--store", &store], "--exact"),
        (
            &["search", "sounds/tone/0.wav", "--model", "crepe-tiny", "--store", &store],
            "not compared",
        ),
        (&["search", "sounds/tone/0.wav", "--store", &nowhere], "no collection of that name"),
        (&["search", "sounds/tone/0.wav", "--store", "milvus://h/x"], "HOST:PORT"),
        (&["search", "id:5", "--store", &store], "id:5"),
        (
            &["search", "sounds/tone/0.wav", "--store", "milvus://127.0.0.1:1/x?patience=0"],
            "did not answer",
        ),
        (
            &["search", "sounds/tone/0.wav", "--store", &store, "--where", "label = dog"],
            "labels are a library's",
        ),
    ] {
        let answer = bench.run(arguments).expect(2);
        assert!(answer.err.contains(reason), "{arguments:?}: {}", answer.err);
        assert!(answer.err.contains("hint:"), "{arguments:?}: {}", answer.err);
    }
}

#[test]
fn heads_and_duplicates_say_what_they_say_of_a_library() {
    let Some(server) = shared() else { return };
    let (bench, store) = stored(server, "heard", true);
    for class in ["tone", "noise", "clicks"] {
        for take in 0..3 {
            bench.run(&["label", "add", &format!("{class}/{take}.wav"), class]).expect(0);
        }
    }
    bench.run(&["train", "kinds", "--head", "prototype", "--folds", "3", "-q"]).expect(0);
    for options in [
        &["--threshold", "0"][..],
        &["--by", "segment", "--threshold", "0.5"],
        &["--threshold", "0", "--where", "path ~ \"*.wav\" and not name = \"copy.wav\""],
    ] {
        let predict = |further: &[&str]| {
            let arguments = [&["predict", "kinds", "--format", "json"], options, further].concat();
            let mut rows = bench.run(&arguments).expect(0).json();
            // A store's recordings come in the order of their keys.
            rows.sort_by_key(|row| {
                format!("{} {:08.3}", row["path"], row["start_s"].as_f64().unwrap_or(0.0))
            });
            rows
        };
        alike(&predict(&[]), &predict(&["--store", &store]), HALF);
    }
    let members = |further: &[&str]| {
        let arguments = [&["duplicates", "--format", "json"], further].concat();
        bench.run(&arguments).expect(0).json()
    };
    for options in [&[][..], &["--within"]] {
        // Of the same numbers, to the last bit.
        let library = members(&[options, &["--library", "f32.db"]].concat());
        let found = members(&[options, &["--store", &store]].concat());
        let groups = |rows: &[Value]| {
            let mut groups = BTreeMap::<u64, Vec<(String, String)>>::new();
            for row in rows {
                let text = |key: &str| row[key].as_str().unwrap().to_owned();
                // Trains of clicks lie on each other at many offsets alike: which of them is looked at, and
                // so whether they are the same, depends on the order of ids, which two stores do not share.
                if text("path").contains("/clicks/") {
                    continue;
                }
                groups
                    .entry(row["group"].as_u64().unwrap())
                    .or_default()
                    .push((text("path"), text("evidence")));
            }
            let mut groups: Vec<_> = groups.into_values().collect();
            for group in &mut groups {
                group.sort();
            }
            groups.sort();
            groups
        };
        assert_eq!(groups(&library), groups(&found), "{options:?}");
        for evidence in ["same-file", "heard"] {
            let has = |row: &Value| {
                row["evidence"] == evidence && row["path"].as_str().unwrap().contains("/noise/")
            };
            assert!(library.iter().any(has), "{evidence}: {library:?}");
        }
    }
}

#[test]
fn a_server_answers_from_the_store_and_says_what_it_does_not_have() {
    let Some(server) = shared() else { return };
    let (bench, store) = stored(server, "served", false);
    let sound = fs::read(bench.path("sounds/tone/1.wav")).unwrap();
    let expected =
        bench.run(&["search", "sounds/tone/1.wav", "--store", &store, "--format", "json"]);
    let expected: Vec<Value> =
        expected.expect(0).json().iter().map(|hit| hit["path"].clone()).collect();

    // The library has the same recordings: what is found is its own.
    let served = Served::start(bench, &["--store", &store]);
    let upload = served.upload(&sound).expect(201).json();
    let body =
        json!({"like": [{"upload_id": upload["upload_id"]}], "by": "recording", "limit": 10});
    let found = served.post("/v1/search", &body).expect(200).json();
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(found["warnings"], json!([]));
    let ids = served.ids("1.wav");
    assert!(ids.contains(&hits[0]["recording_id"].as_i64().unwrap()), "{found}");
    assert_eq!(hits.len(), expected.len());
    for (hit, path) in hits.iter().zip(&expected) {
        assert!(path.as_str().unwrap().ends_with(hit["path"].as_str().unwrap()), "{hit} {path}");
        assert_eq!(hit["missing"], false);
    }
    let like =
        json!({"like": [{"recording_id": hits[0]["recording_id"], "start_s": 0.0, "end_s": 1.0}]});
    assert!(
        !served.post("/v1/search", &like).expect(200).json()["hits"].as_array().unwrap().is_empty()
    );
    for (what, body) in [
        ("class", json!({"class": "Noise"})),
        ("text", json!({"text": "tone"})),
        ("exact", json!({"like": [{"upload_id": upload["upload_id"]}], "exact": true})),
        ("where", json!({"like": [{"upload_id": upload["upload_id"]}], "where": "label = dog"})),
    ] {
        let refused = served.post("/v1/search", &body).expect(422).json();
        assert!(refused["error"]["message"].is_string(), "{what}: {refused}");
    }

    // Another library has none of them.
    let bench = Bench::new();
    bench.tone("other.wav", 300.0);
    bench.run(&["index", "other.wav", "-q"]).expect(0);
    let served = Served::start(bench, &["--store", &store]);
    let upload = served.upload(&sound).expect(201).json();
    let body = json!({"like": [{"upload_id": upload["upload_id"]}], "by": "recording"});
    let found = served.post("/v1/search", &body).expect(200).json();
    assert!(found["warnings"][0].as_str().unwrap().contains("in the store only"), "{found}");
    assert!(found["hits"].as_array().unwrap().iter().all(|hit| hit["missing"] == true));
}
