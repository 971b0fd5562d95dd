//! Several models in one library: joined searches, and everything else that must know which is
//! meant, by the real binary.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;
#[path = "common/second.rs"]
mod second;

use std::fs;

use bench::Bench;
use rusqlite::Connection;
use second::SECOND;
use serde_json::Value;

const BOTH: [&str; 4] = ["--model", "yamnet", "--model", SECOND];

/// Six sounds by two models; but one recording only YAMNet has heard.
fn both() -> Bench {
    let bench = Bench::with_sounds();
    // One after another, so that the ids follow the names: clicks, noise, tones.
    bench.run(&["index", "sounds", "-q", "-j", "1"]).expect(0);
    assert_eq!(count(&bench, "SELECT id FROM recordings WHERE path LIKE '%clicks-1.wav'"), 2);
    second::add(&bench.path("sonoteca.db"), |path| !path.ends_with("clicks-1.wav"));
    bench
}

fn search(bench: &Bench, arguments: &[&str]) -> Vec<Value> {
    bench.run(&[&["search"], arguments, &BOTH, &["--format", "json"]].concat()).expect(0).json()
}

fn count(bench: &Bench, sql: &str) -> i64 {
    let library = Connection::open(bench.path("sonoteca.db")).unwrap();
    library.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The score is the mean over the models of 61 / (60 + rank).
fn assert_fused(hit: &Value) {
    let ranks = hit["ranks"].as_object().unwrap();
    assert_eq!(ranks.len(), 2);
    let votes = ranks.values().filter_map(Value::as_f64).map(|rank| 61.0 / (60.0 + rank));
    let expected = votes.sum::<f64>() / 2.0;
    assert!((hit["score"].as_f64().unwrap() - expected).abs() < 1e-6, "{hit}");
}

#[test]
fn rankings_are_joined_and_each_model_tells_its_score() {
    let bench = both();
    let alone = |model: &str| {
        let arguments = ["search", "id:1", "--model", model, "-k", "9", "--format", "json"];
        bench.run(&arguments).expect(0).json()
    };
    let hits = search(&bench, &["id:1", "-k", "9"]);
    assert_eq!(hits.len(), 5, "all but itself");
    for hit in &hits {
        assert_fused(hit);
        for model in ["yamnet", SECOND] {
            let same = alone(model);
            let own = same.iter().find(|own| own["recording_id"] == hit["recording_id"]);
            assert_eq!(hit["ranks"][model], own.map_or(Value::Null, |own| own["rank"].clone()));
            assert_eq!(hit["scores"][model], own.map_or(Value::Null, |own| own["score"].clone()));
        }
        assert!(!hit["classes"].as_array().unwrap().is_empty(), "YAMNet's");
    }
    let unheard = hits.iter().find(|hit| hit["path"].as_str().unwrap().ends_with("clicks-1.wav"));
    assert!(unheard.unwrap()["ranks"][SECOND].is_null());

    // What one of two models ranks first at best scores a half.
    let best = search(&bench, &["id:1", "--min-score", "0.51"]);
    assert!(best.len() < hits.len() && best.iter().all(|hit| !hit["ranks"][SECOND].is_null()));
}

#[test]
fn moments_are_joined_by_their_overlap() {
    let bench = both();
    for more in [&["--raw"][..], &[], &["--per-recording", "1"]] {
        let hits = search(&bench, &[&["id:1@0-1", "--by", "segment", "-k", "50"], more].concat());
        assert!(!hits.is_empty());
        for hit in &hits {
            assert_fused(hit);
            let seconds = hit["end_s"].as_f64().unwrap() - hit["start_s"].as_f64().unwrap();
            assert!(seconds > 0.0);
            assert!(hit["best_start_s"].is_number());
        }
        if more == ["--per-recording", "1"] {
            let mut ids: Vec<i64> =
                hits.iter().map(|hit| hit["recording_id"].as_i64().unwrap()).collect();
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all);
        }
    }
    // Where only one has segments, the other's score is missing; elsewhere there are both.
    let hits = search(&bench, &["id:3", "--by", "segment", "--raw", "-k", "100"]);
    for hit in &hits {
        let is_heard = !hit["path"].as_str().unwrap().ends_with("clicks-1.wav");
        assert_eq!(hit["scores"][SECOND].is_number(), is_heard, "{hit}");
        assert!(hit["scores"]["yamnet"].is_number(), "{hit}");
    }
}

#[test]
fn filters_several_examples_and_explanations_work_with_both() {
    let bench = both();
    let tones = search(&bench, &["id:1", "--where", "path ~ \"*tone*\""]);
    assert!(!tones.is_empty());
    assert!(tones.iter().all(|hit| hit["path"].as_str().unwrap().contains("tone")));
    // Classes are YAMNet's, and let recordings pass for both.
    let heard = search(&bench, &["id:1", "--where", "class(\"Noise\") >= 0"]);
    assert!(heard.iter().all(|hit| hit["scores"]["yamnet"].is_number()));
    assert_eq!(heard.len(), 5);
    let answer = bench.run(
        &[&["search", "id:1", "--by", "segment", "--where", "class(\"Noise\") >= 0"], &BOTH[..]]
            .concat(),
    );
    assert!(answer.expect(2).err.contains("Noise"), "segments are each model's own");

    let several = search(&bench, &["--like", "id:1", "--like", "id:3", "--unlike", "id:5"]);
    let ids: Vec<i64> = several.iter().map(|hit| hit["recording_id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    assert!(!ids.iter().any(|id| [1, 3, 5].contains(id)), "{ids:?}");

    let explained = search(&bench, &["id:1", "--explain"]);
    for hit in &explained {
        assert!(hit["explain"]["yamnet"]["spread"]["median"].is_number(), "{hit}");
        assert_eq!(hit["explain"][SECOND]["shared"], Value::Array(Vec::new()));
        // A number that was measured with one network says nothing of another's cosines: of the
        // 20 segments that the second has heard, the best one is a twentieth, the question's own.
        let near = |model: &str| hit["explain"][model]["spread"]["near"].as_f64();
        assert!((near("yamnet").unwrap() - 0.6).abs() < 1e-6, "{hit}");
        assert!(near(SECOND).is_none_or(|near| near > 0.9), "{hit}");
    }
}

#[test]
fn tables_and_labels_show_both() {
    let bench = both();
    let run = |more: &[&str]| bench.run(&[&["search", "id:1"], more, &BOTH].concat()).expect(0);
    let answer = run(&["--explain"]);
    assert!(answer.err.contains("second has heard 5 of 6 recordings"), "{}", answer.err);
    let table = answer.out;
    let heading = table.lines().next().unwrap();
    assert!(heading.contains("yamnet") && heading.contains(SECOND), "{heading}");
    assert!(table.contains("(1)") && table.contains("–"), "{table}");
    assert!(table.contains("      yamnet: both:") || table.contains("      yamnet: no class"));
    assert!(table.contains("      second: no class in common; segments"), "{table}");

    let sheet = run(&["--format", "csv"]).out;
    // In the order of --model.
    let last = "missing,score_yamnet,rank_yamnet,score_second,rank_second";
    assert!(sheet.lines().next().unwrap().ends_with(last), "{sheet}");
    // It refuses records of another length.
    let records: Vec<csv::StringRecord> =
        csv::Reader::from_reader(sheet.as_bytes()).records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 5);
    let unheard = records.iter().find(|record| record[3].ends_with("clicks-1.wav")).unwrap();
    assert_eq!((&unheard[16], &unheard[17]), ("", ""));
    let explained = run(&["--format", "csv", "--explain"]).out;
    assert!(explained.lines().next().unwrap().ends_with("spread_near_share_second"));

    run(&["--by", "segment", "--format", "audacity", "--out", "labels"]);
    assert!(fs::read_dir(bench.path("labels")).unwrap().count() > 0);
    run(&["--copy-to", "copies", "-k", "2"]);
    assert_eq!(fs::read_dir(bench.path("copies")).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_joined_is_refused() {
    let bench = both();
    for (arguments, reason) in [
        (&["search", "id:1", "--model", "yamnet", "--model", "yamnet"][..], "twice"),
        (&["search", "id:1", "--model", "yamnet", "--model", "nothing"], "no model called"),
        (&["search", "--class", "Noise", "--model", "yamnet", "--model", SECOND], "one model"),
        (&["search", "--text", "tone", "--model", "yamnet", "--model", SECOND], "one model"),
        (
            &["search", "id:2", "--model", "yamnet", "--model", SECOND],
            "was not indexed with `second`",
        ),
        (&["search", "sounds/tone-0.wav", "--model", "yamnet", "--model", SECOND], "second"),
    ] {
        let answer = bench.run(arguments).expect(2);
        assert!(answer.err.contains(reason), "{arguments:?}: {}", answer.err);
        assert!(answer.err.contains("hint:"), "{arguments:?}: {}", answer.err);
    }
}

#[test]
fn commands_that_need_one_model_say_which_there_are() {
    let bench = both();
    fs::write(bench.path("sounds/broken.flac"), "fLaC and then nothing").unwrap();
    bench.run(&["index", "sounds", "--model", "yamnet", "-q"]).expect(2);
    bench.run(&["label", "add", "id:1", "Click"]).expect(0);
    let commands: [&[&str]; 7] = [
        &["search", "id:1"],
        &["search", "--class", "Noise"],
        &["search", "--text", "tone"],
        &["duplicates"],
        &["export", "--csv", "-"],
        &["train", "clicks"],
        &["evaluate", "retrieval"],
    ];
    for command in commands {
        let answer = bench.run(command).expect(2);
        assert!(
            answer.err.contains("the library holds several models: second, yamnet"),
            "{command:?}: {}",
            answer.err
        );
        assert!(answer.err.contains("--model NAME"), "{command:?}: {}", answer.err);
    }
    // These go on with all models, of which one was never installed here.
    for command in [&["index", "sounds"][..], &["sync", "sounds"], &["failures", "--retry"]] {
        let answer = bench.run(command).expect(2);
        let said = answer.err.contains("`second`, which is not installed any more");
        assert!(said && answer.err.contains("--model NAME"), "{command:?}: {}", answer.err);
    }
    for command in [
        &["search", "id:1", "--model", SECOND][..],
        &["search", "--class", "Noise", "--model", "yamnet"],
        &["duplicates", "--no-verify", "--model", SECOND],
        &["export", "--csv", "-", "--model", SECOND],
        &["sync", "sounds", "--model", "yamnet", "-q"],
        &["info"],
        &["failures"],
        &["reindex"],
        &["reindex", "--model", SECOND],
    ] {
        let answer = bench.run(command);
        // A file that failed before is still there, and said.
        let fine = if command[0] == "sync" { [2, 2] } else { [0, 1] };
        assert!(fine.contains(&answer.code), "{command:?}: {}", answer.err);
        assert!(!answer.err.contains("error:"), "{command:?}: {}", answer.err);
    }
    // Who knows the classes of a filter about labels is found out.
    let labels = bench.run(&["label", "list", "--where", "class(\"Noise\") >= 0"]).expect(0);
    assert!(labels.out.contains("Click"), "{}", labels.out);
    let answer = bench.run(&["label", "list", "--where", "class(\"Nois\") > 0"]).expect(2);
    assert!(answer.err.contains("no class called `Nois`"), "{}", answer.err);
    let answer =
        bench.run(&["label", "list", "--where", "class(\"Noise\") >= 0", "--model", SECOND]);
    assert!(answer.expect(2).err.contains("no class called `Noise`"));
}

#[test]
fn each_model_has_its_own_state_of_every_file() {
    let bench = both();
    let changes = |bench: &Bench| {
        let arguments = ["sync", "sounds", "--model", "yamnet", "--dry-run", "--format", "json"];
        bench.run(&arguments).expect(0).json()
    };
    let of_second = "SELECT count(*) FROM recording_vectors JOIN models ON id = model_id
                     WHERE name = 'second'";
    assert_eq!(changes(&bench), Vec::<Value>::new());
    // A new file, and one whose date alone has changed, are YAMNet's business.
    bench.tone("sounds/tone-2.wav", 700.0);
    let noise = fs::read(bench.path("sounds/noise-0.wav")).unwrap();
    fs::write(bench.path("sounds/noise-0.wav"), noise).unwrap();
    let found = changes(&bench);
    assert_eq!(found.len(), 2);
    bench.run(&["sync", "sounds", "--model", "yamnet", "-q"]).expect(0);
    assert_eq!(count(&bench, of_second), 5);
    assert_eq!(count(&bench, "SELECT count(*) FROM recording_vectors"), 12);

    // Without YAMNet's vectors, the same files are new to it, and only to it.
    bench.run(&["models", "drop", "yamnet"]).expect(0);
    let found = changes(&bench);
    assert_eq!(found.len(), 7);
    assert!(found.iter().all(|change| change["change"] == "new to the model"), "{found:?}");
    let indexed =
        bench.run(&["index", "sounds", "--model", "yamnet", "--format", "json"]).expect(0).json();
    assert_eq!((&indexed[0]["indexed"], &indexed[0]["unchanged"]), (&7.into(), &0.into()));
    assert_eq!(count(&bench, of_second), 5);

    // Another content is another sound to both.
    bench.clicks("sounds/tone-0.wav", 11);
    bench.run(&["index", "sounds", "--model", "yamnet", "-q"]).expect(0);
    assert_eq!(count(&bench, of_second), 4);
    assert_eq!(count(&bench, "SELECT count(*) FROM recordings"), 7);
}

#[test]
fn a_dropped_model_leaves_nothing_and_takes_nothing_else() {
    let bench = both();
    bench.run(&["label", "add", "id:1", "Click"]).expect(0);
    bench.run(&["reindex", "-q"]).expect(0);
    let generations = || {
        let mut names: Vec<String> = fs::read_dir(bench.path("sonoteca.db.cache"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "index"))
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(generations().len(), 4);
    let hits = |model: &[&str]| {
        let arguments = [&["search", "id:1", "--by", "segment", "--format", "json"], model];
        bench.run(&arguments.concat()).expect(0).out
    };
    let before = hits(&["--model", "yamnet"]);

    let planned = bench.run(&["models", "drop", SECOND, "--dry-run", "--format", "json"]).expect(0);
    assert_eq!(planned.json()[0]["recordings"], 5);
    assert_eq!(generations().len(), 4);
    let dropped = bench.run(&["models", "drop", SECOND]).expect(0);
    assert!(dropped.out.contains("from") || dropped.out.contains("of 5 recordings"));
    assert!(generations().iter().all(|name| name.starts_with("yamnet-")), "{:?}", generations());
    assert_eq!(generations().len(), 2);
    for (sql, left) in [
        ("SELECT count(*) FROM models", 1),
        ("SELECT count(*) FROM recordings", 6),
        ("SELECT count(*) FROM labels", 1),
        ("SELECT count(*) FROM recording_vectors", 6),
        ("SELECT count(DISTINCT model_id) FROM segments", 1),
        ("SELECT count(*) FROM classes", 521),
        ("SELECT count(*) FROM runs", 1),
        ("SELECT count(*) FROM pragma_foreign_key_check", 0),
        ("SELECT integrity_check = 'ok' FROM pragma_integrity_check", 1),
    ] {
        assert_eq!(count(&bench, sql), left, "{sql}");
    }
    // The other is the only one, and what it was.
    assert_eq!(hits(&[]), before);

    // It may come back: nothing of its earlier self is taken for it.
    second::add(&bench.path("sonoteca.db"), |_| true);
    bench.run(&["reindex", "-q"]).expect(0);
    assert_eq!(search(&bench, &["id:1", "-k", "9"]).len(), 5);

    bench.run(&["models", "drop", "crepe-of-nobody"]).expect(2);
    bench.run(&["models", "drop", SECOND, "-q"]).expect(0);
    bench.run(&["models", "drop", "yamnet"]).expect(0);
    assert_eq!(count(&bench, "SELECT count(*) FROM segments"), 0);
    assert_eq!(generations(), Vec::<String>::new());
    bench.run(&["models", "drop", "yamnet"]).expect(1);
    let answer = bench.run(&["search", "id:1"]).expect(2);
    assert!(answer.err.contains("no vectors of `yamnet`"), "{}", answer.err);
}

#[test]
fn heads_keep_their_model() {
    let bench = both();
    for (id, class) in [("id:1", "Click"), ("id:2", "Click"), ("id:3", "Noise"), ("id:4", "Noise")]
    {
        bench.run(&["label", "add", id, class]).expect(0);
    }
    let train = ["train", "clicks", "--model", "yamnet", "--folds", "2", "--head", "prototype"];
    bench.run(&train).expect(0);
    let answer = bench.run(&["models", "drop", "yamnet"]).expect(2);
    assert!(answer.err.contains("trained on `yamnet`: clicks"), "{}", answer.err);
    assert!(answer.err.contains("--force"), "{}", answer.err);
    assert_eq!(count(&bench, "SELECT count(*) FROM models"), 2);
    // It is no head of the other model.
    bench.run(&["models", "drop", SECOND, "--dry-run"]).expect(0);

    let dropped = bench.run(&["models", "drop", "yamnet", "--force", "--format", "json"]).expect(0);
    assert_eq!(dropped.json()[0]["heads"], serde_json::json!(["clicks"]));
    for command in [&["predict", "clicks"][..], &["suggest", "clicks"], &["evaluate", "clicks"]] {
        let answer = bench.run(command).expect(2);
        assert!(answer.err.contains("reads embeddings of yamnet"), "{}", answer.err);
        assert!(answer.err.contains("these are of second"), "{}", answer.err);
    }
    // Indexed again by the same version, it is of use again.
    bench.run(&["index", "sounds", "--model", "yamnet", "-q"]).expect(0);
    bench.run(&["predict", "clicks"]).expect(0);
}
