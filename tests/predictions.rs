//! Heads in use as users meet them: the real binary, real weights, a real library made from real
//! files, and a head trained on it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use bench::Bench;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Four takes each of tones, noise and clicks, of which the first three are labelled by a person,
/// and a head by recording that learnt from these.
fn trained() -> Bench {
    let bench = Bench::new();
    for class in ["tone", "noise", "clicks"] {
        fs::create_dir_all(bench.path(&format!("sounds/{class}"))).unwrap();
    }
    for take in 0..4 {
        bench.tone(&format!("sounds/tone/{take}.wav"), 440.0 + 25.0 * f64::from(take));
        bench.noise(&format!("sounds/noise/{take}.wav"), 7 + take);
        bench.clicks(&format!("sounds/clicks/{take}.wav"), 5 + take);
    }
    bench.run(&["index", "sounds", "-q"]).expect(0);
    for class in ["tone", "noise", "clicks"] {
        for take in 0..3 {
            let target = format!("{class}/{take}.wav");
            bench.run(&["label", "add", &target, class]).expect(0);
        }
    }
    let arguments = ["train", "kinds", "--head", "prototype", "--folds", "3", "-q"];
    bench.run(&arguments).expect(0);
    bench
}

fn json(bench: &Bench, arguments: &[&str]) -> Vec<Value> {
    bench.run(&[arguments, &["--format", "json"]].concat()).expect(0).json()
}

fn machine_labels(bench: &Bench) -> Vec<Value> {
    let answer = bench.run(&["label", "list", "--source", "head:kinds", "--format", "json"]);
    assert!([0, 1].contains(&answer.code), "{}", answer.err);
    answer.json()
}

#[test]
fn the_library_is_predicted_and_saved_once() {
    let bench = trained();
    let said = json(&bench, &["predict", "kinds"]);
    assert_eq!(said.len(), 12);
    for row in &said {
        let class = row["class"].as_str().unwrap();
        assert!(row["path"].as_str().unwrap().contains(&format!("/{class}/")), "{row}");
        assert_eq!((&row["start_s"], &row["segments"]), (&Value::Null, &1.into()));
    }
    let filtered = json(&bench, &["predict", "kinds", "--where", "path ~ \"*/tone/*\""]);
    assert_eq!(filtered.len(), 4);
    assert!(said.iter().filter(|row| filtered.contains(row)).count() == 4);

    let save = ["predict", "kinds", "--save", "--threshold", "0"];
    bench.run(&save).expect(0);
    let first = machine_labels(&bench);
    assert_eq!(first.len(), 12);
    let again = bench.run(&save).expect(0);
    assert!(again.err.contains("of which 0 new; 0 taken away"), "{}", again.err);
    assert_eq!(machine_labels(&bench), first);
    // Only what was asked about is replaced.
    let some = ["predict", "kinds", "--save", "--threshold", "1", "--class", "tone"];
    let answer = bench.run(&some);
    assert!([0, 1].contains(&answer.code), "{}", answer.err);
    let left = machine_labels(&bench);
    assert_eq!(left.iter().filter(|label| label["class"] != "tone").count(), 8);

    // Nothing is learnt from what a head said: nine recordings, as before.
    bench.run(&["train", "again", "--head", "prototype", "--folds", "3", "-q"]).expect(0);
    let card = json(&bench, &["head", "show", "again"]);
    assert_eq!(card[0]["learnt_from"]["recordings"], 9);
}

#[test]
fn files_are_said_the_same_of_as_their_rows_and_fail_alone() {
    let bench = trained();
    fs::write(bench.path("broken.wav"), "RIFF no sound").unwrap();
    for by in ["recording", "segment"] {
        let common = ["predict", "kinds", "--by", by, "--threshold", "0", "--format", "json"];
        let stored = bench.run(&[&common[..], &["--where", "name ~ \"1.wav\""]].concat()).expect(0);
        let files = ["sounds/clicks/1.wav", "broken.wav", "sounds/noise/1.wav", "missing.wav"];
        let files = [&common[..], &files, &["sounds/tone/1.wav"]].concat();
        let heard = bench.run(&files).expect(2);
        assert!(heard.err.contains("broken.wav") && heard.err.contains("missing.wav"));
        let (stored, heard) = (stored.json(), heard.json());
        assert_eq!(stored.len(), heard.len(), "{by}");
        for row in &heard {
            assert_eq!(row["recording_id"], Value::Null);
            let same = |other: &&Value| {
                other["path"] == row["path"]
                    && other["class"] == row["class"]
                    && other["start_s"] == row["start_s"]
            };
            let other = stored.iter().find(same).unwrap();
            let apart = other["score"].as_f64().unwrap() - row["score"].as_f64().unwrap();
            // Float noise: batches do not change an embedding, and both are kept as float16.
            assert!(apart.abs() < 1e-5, "{row} {other}");
            assert_eq!(other["end_s"], row["end_s"]);
        }
    }
}

/// Recordings of the library and standard input are named as searches name them.
#[test]
fn what_is_stored_and_what_comes_in_are_said_the_same_of_as_files() {
    let bench = trained();
    let common = ["predict", "kinds", "--threshold", "0", "--format", "json"];
    let file = bench.run(&[&common[..], &["sounds/noise/3.wav"]].concat()).expect(0).json();
    let all = bench.run(&common).expect(0).json();
    let is_same = |row: &&Value| row["path"] == file[0]["path"];
    let stored = all.iter().find(is_same).unwrap();
    let id = format!("id:{}", stored["recording_id"]);
    let named = bench.run(&[&common[..], &["id:1", "sounds/noise/3.wav", &id]].concat());
    let named = named.expect(0).json();
    assert_eq!(named.len(), 3);
    assert_eq!((&named[0], &named[2]), (&all[0], stored));
    assert_eq!(named[1], file[0]);
    for by in ["recording", "segment"] {
        let ask = |what: &str| {
            let mut command = bench.command();
            command.args(common).args(["--by", by, what]);
            command.stdin(fs::File::open(bench.path("sounds/noise/3.wav")).unwrap());
            bench::Answer::of(&command.output().unwrap()).expect(0).json()
        };
        let (input, stored) = (ask("-"), ask(&id));
        assert_eq!(input.len(), stored.len());
        for (input, stored) in input.iter().zip(&stored) {
            assert_eq!(input["path"], "standard input");
            assert_eq!(input["recording_id"], Value::Null);
            for field in ["class", "start_s", "end_s", "segments"] {
                assert_eq!(input[field], stored[field], "{by} {field}");
            }
        }
    }
    let wrong = bench.run(&[&common[..], &["id:99", "id:1"]].concat()).expect(2);
    assert!(wrong.err.contains("no recording id:99"), "{}", wrong.err);
    assert_eq!(wrong.json().len(), 1, "what is there is told");
    let twice = bench.run(&[&common[..], &["-", "-"]].concat()).expect(2);
    assert!(twice.err.contains("only once"), "{}", twice.err);
    // Errors say nothing of where it was kept meanwhile.
    let mut command = bench.command();
    command.args(common).arg("-").stdin(fs::File::open(bench.path("sonoteca.db")).unwrap());
    let broken = bench::Answer::of(&command.output().unwrap()).expect(2);
    assert!(
        broken.err.contains("standard input") && !broken.err.contains(".tmp"),
        "{}",
        broken.err
    );
}

/// While it waits for standard input, the file that it writes is not whole.
#[test]
fn what_was_not_whole_goes_away() {
    let bench = trained();
    fs::create_dir(bench.path("temporary")).unwrap();
    let left = |folder: &str| {
        let entries = fs::read_dir(bench.path(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".tmp")).collect::<Vec<_>>()
    };
    for signal in [Signal::INT, Signal::KILL] {
        let mut command = bench.command();
        command.args(["predict", "kinds", "-", "--format", "csv", "--out", "said.csv"]);
        command.env("TMPDIR", bench.path("temporary"));
        let mut run = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while left(".").is_empty() || left("temporary").is_empty() {
            assert!(run.try_wait().unwrap().is_none(), "it waits");
            sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&run), signal).unwrap();
        let output = run.wait_with_output().unwrap();
        if signal == Signal::INT {
            assert_eq!(output.status.code(), Some(2));
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains("interrupted"), "{told}");
            assert_eq!((left("."), left("temporary")), (vec![], vec![]));
        }
    }
    // Nobody could remove it then. The next one does, once it is certain that nobody is at it.
    let [name] = &left(".")[..] else { panic!("one file is left") };
    let path = bench.path(name);
    let export = |name: &str| bench.run(&["export", "--csv", name, "-q"]).expect(0);
    export("young.csv");
    assert!(path.exists());
    let old = SystemTime::now() - Duration::from_mins(2);
    fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    export("old.csv");
    assert!(!path.exists());
}

#[test]
fn segments_are_joined_and_written_in_every_format() {
    let bench = trained();
    let events = bench.run(&["predict", "kinds", "--by", "segment", "--format", "json"]);
    assert!(events.err.contains("found on whole recordings"), "{}", events.err);
    let arguments = ["predict", "kinds", "--by", "segment", "--threshold", "0"];
    let events = json(&bench, &arguments);
    assert!(events.iter().any(|event| event["segments"].as_u64().unwrap() > 1), "{events:?}");
    for event in &events {
        let (start_s, end_s) =
            (event["start_s"].as_f64().unwrap(), event["end_s"].as_f64().unwrap());
        assert!(start_s < end_s && event["score"].as_f64() >= event["mean_score"].as_f64());
    }
    let run = |more: &[&str]| bench.run(&[&arguments[..], more].concat());
    let csv = run(&["--format", "csv"]).expect(0).out;
    assert_eq!(csv.lines().count(), events.len() + 1);
    let raven = run(&["--format", "raven"]).expect(0).out;
    assert_eq!(raven.lines().count(), events.len() + 1);
    let several = run(&["--format", "audacity"]).expect(2);
    assert!(several.err.contains("--out"), "{}", several.err);
    run(&["--format", "audacity", "--out", "tracks"]).expect(0);
    assert!(fs::read_dir(bench.path("tracks")).unwrap().count() > 1);
    run(&["--format", "csv", "--out", "all.csv"]).expect(0);
    assert_eq!(fs::read_to_string(bench.path("all.csv")).unwrap(), csv);
    run(&["--format", "csv", "--out", "all.csv"]).expect(2);
}

#[test]
fn a_head_ranks_the_library() {
    let bench = trained();
    let search = ["search", "--head", "kinds", "--class", "tone", "-k", "12"];
    let ranked = json(&bench, &search);
    assert_eq!(ranked.len(), 12);
    assert!(ranked[..4].iter().all(|hit| hit["path"].as_str().unwrap().contains("/tone/")));
    let scores: Vec<f64> = ranked.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b));
    let near = json(&bench, &[&search[..], &["--near", "0.5"]].concat());
    let apart: Vec<f64> =
        near.iter().map(|hit| (hit["score"].as_f64().unwrap() - 0.5).abs()).collect();
    assert!(apart.is_sorted_by(|a, b| *a <= *b + 1e-6), "{apart:?}");
    let by_segment = ["--by", "segment", "--raw", "--spread"];
    let spread = json(&bench, &[&search[..], &by_segment].concat());
    let recordings: BTreeSet<i64> =
        spread.iter().map(|hit| hit["recording_id"].as_i64().unwrap()).collect();
    assert_eq!(recordings.len(), 12);
    bench.run(&["search", "--head", "kinds"]).expect(2);
    bench.run(&["search", "--head", "kinds", "--class", "tones"]).expect(2);
    bench.run(&["search", "id:1", "--head", "kinds", "--class", "tone"]).expect(2);
}

#[test]
fn suggestions_are_new_and_their_commands_work() {
    let bench = trained();
    let rows = json(&bench, &["suggest", "kinds"]);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(rows, json(&bench, &["suggest", "kinds"]));
    for row in &rows {
        assert!(row["path"].as_str().unwrap().ends_with("/3.wav"), "{row}");
        let command = row["command"].as_str().unwrap();
        let words: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
        bench.run(&words[1..]).expect(0);
    }
    bench.run(&["suggest", "kinds"]).expect(1);
}

/// Commands that are printed to be pasted name the library that was named.
#[test]
fn commands_to_paste_are_of_the_same_library() {
    let bench = trained();
    let other = "my library.db";
    fs::copy(bench.path("sonoteca.db"), bench.path(other)).unwrap();
    let rows = json(&bench, &["suggest", "kinds", "--library", other]);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    for row in &rows {
        for key in ["command", "other_command"] {
            assert!(text(row, key).ends_with(" --library 'my library.db'"), "{row}");
        }
        let negative = text(row, "other_command").contains(" --negative");
        assert_eq!(negative, row["other_class"].is_null(), "{row}");
    }
    let shell = |command: &str| {
        let folder = Path::new(env!("CARGO_BIN_EXE_sonoteca")).parent().unwrap();
        let status = std::process::Command::new("sh")
            .args(["-c", command])
            .current_dir(bench.folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .env_remove("SONOTECA_LIBRARY")
            .status();
        assert!(status.unwrap().success(), "{command}");
    };
    let before = (all_labels(&bench, "sonoteca.db"), all_labels(&bench, other));
    shell(&text(&rows[0], "command"));
    assert_eq!(all_labels(&bench, "sonoteca.db"), before.0);
    assert_eq!(all_labels(&bench, other), before.1 + 1);
    // Asked about a class, it is the class that is answered about.
    let search = json(&bench, &["search", "--head", "kinds", "--class", "noise", "-k", "50"]);
    for row in &json(&bench, &["suggest", "kinds", "--class", "noise"]) {
        assert_eq!(row["class"], "noise", "{row}");
        let path = row["path"].as_str().unwrap();
        let said = search.iter().find(|hit| hit["path"] == path).unwrap();
        let score = |row: &Value| row["score"].as_f64().unwrap();
        assert!((score(row) - score(said)).abs() < 1e-6, "the score of that class: {row}");
    }
    // In the usual library nothing has to be said.
    let rows = json(&bench, &["suggest", "kinds"]);
    assert!(!text(&rows[0], "command").contains("--library"), "{}", rows[0]);
    let answer = bench.run(&["train", "kinds", "--library", other]).expect(0);
    assert!(
        answer.err.contains("sonoteca predict kinds --library 'my library.db'"),
        "{}",
        answer.err
    );
}

fn all_labels(bench: &Bench, library: &str) -> usize {
    let list = ["label", "list", "--where", "duration > 0", "--format", "json"];
    bench.run(&[&list[..], &["--library", library]].concat()).expect(0).json().len()
}

#[test]
fn a_head_of_another_model_is_refused() {
    let bench = trained();
    bench.run(&["head", "export", "kinds", "--out", "heads"]).expect(0);
    let path = bench.path("heads/kinds.json");
    let mut card: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    card["model"]["front_end_version"] = 999.into();
    fs::write(&path, card.to_string()).unwrap();
    bench.run(&["head", "import", "heads/kinds.json", "--name", "other"]).expect(0);
    for arguments in [
        &["predict", "other"][..],
        &["predict", "other", "sounds/tone/0.wav"],
        &["search", "--head", "other", "--class", "tone"],
        &["suggest", "other"],
    ] {
        let answer = bench.run(arguments).expect(2);
        assert!(answer.err.contains("front end 999"), "{}", answer.err);
    }
}

#[test]
fn corrections_are_learnt_from_by_the_same_kind_of_head() {
    let bench = trained();
    let task = |name: &str| {
        bench.run(&["train", name, "--head", "prototype", "--folds", "3", "-q"]).expect(0);
        json(&bench, &["head", "show", name])[0]["task"].as_str().unwrap().to_owned()
    };
    // "This is no noise", of what the head did not learn from.
    bench.run(&["label", "add", "clicks/3.wav", "noise", "--negative"]).expect(0);
    assert_eq!(task("kinds"), "single");
    assert_eq!(task("other"), "single");
    // One recording in which there are two.
    bench.run(&["label", "add", "tone/0.wav", "noise"]).expect(0);
    assert_eq!(task("kinds"), "single");
    let card = json(&bench, &["head", "show", "kinds"]);
    assert_eq!(card[0]["learnt_from"]["recordings"], 8, "{}", card[0]);
    // Where every class has recordings without it, each is learnt by itself, unless the head that
    // is trained again was of another kind.
    for class in ["tone", "clicks"] {
        bench.run(&["label", "add", "noise/3.wav", class, "--negative"]).expect(0);
    }
    assert_eq!(task("new"), "multi");
    assert_eq!(task("kinds"), "single");
}

#[test]
fn training_again_says_what_is_otherwise() {
    let bench = trained();
    let again = ["train", "kinds", "--folds", "3", "--by", "segment", "--seed", "5"];
    let answer = bench.run(&again).expect(0);
    for difference in [
        "was trained with --head prototype, this one with --head logistic",
        "was trained with --by recording, this one with --by segment",
        "was trained with --seed 0, this one with --seed 5",
    ] {
        assert!(answer.err.contains(difference), "{difference}: {}", answer.err);
    }
    for name in ["a bird", "it's", "../evil", "retrieval", ""] {
        let refused = bench.run(&["train", name]).expect(2);
        assert!(refused.err.contains("cannot have that name"), "{}", refused.err);
    }
    let csv = bench.run(&["train", "kinds", "--format", "csv"]).expect(2);
    assert!(csv.err.contains("--format json"), "{}", csv.err);
}

#[test]
fn silence_has_no_class_and_a_threshold_that_was_named_holds() {
    let bench = trained();
    bench.wav("sounds/silent.wav", (0..44_100).map(|_| 0.0));
    for by in ["recording", "segment"] {
        let answer = bench.run(&["predict", "kinds", "sounds/silent.wav", "--by", by]).expect(1);
        assert!(answer.err.contains("Left out, being silent"), "{}", answer.err);
        assert!(answer.err.contains("Nothing was detected"), "{}", answer.err);
    }
    // A folder is every audio file in it, and nothing else.
    fs::create_dir_all(bench.path("new/deeper")).unwrap();
    bench.wav("new/deeper/silent.wav", (0..44_100).map(|_| 0.0));
    fs::write(bench.path("new/notes.txt"), "no audio").unwrap();
    let answer = bench.run(&["predict", "kinds", "new"]).expect(1);
    assert!(answer.err.contains("Left out, being silent"), "{}", answer.err);
    fs::remove_dir_all(bench.path("new/deeper")).unwrap();
    let answer = bench.run(&["predict", "kinds", "new"]).expect(1);
    assert!(answer.err.contains("no audio file"), "{}", answer.err);
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let of_silence =
        ["predict", "kinds", "--where", "name = \"silent.wav\"", "--threshold", "0", "--save"];
    assert!(bench.run(&of_silence).expect(1).err.contains("Nothing was detected"));
    let suggested = json(&bench, &["suggest", "kinds", "-n", "50"]);
    assert!(suggested.iter().all(|row| !row["path"].as_str().unwrap().contains("silent")));

    let all = json(&bench, &["predict", "kinds"]);
    let middle = all.iter().map(|row| row["score"].as_f64().unwrap()).sum::<f64>() / 12.0;
    let some = json(&bench, &["predict", "kinds", "--threshold", &middle.to_string()]);
    let reach = all.iter().filter(|row| row["score"].as_f64().unwrap() >= middle).count();
    assert_eq!(some.len(), reach);
    assert!(reach < 12, "{all:?}");
    let clicks = ["--where", "path ~ \"*/clicks/*\"", "--threshold", "0.9", "--class", "noise"];
    bench.run(&[&["predict", "kinds"][..], &clicks].concat()).expect(1);
}

#[test]
fn nothing_is_suggested_where_people_said_another_class() {
    let bench = trained();
    bench.run(&["label", "add", "noise/3.wav", "waterfall"]).expect(0);
    let suggested = json(&bench, &["suggest", "kinds", "-n", "50"]);
    let paths = suggested.iter().map(|row| row["path"].as_str().unwrap());
    let paths: BTreeSet<&str> = paths.map(|path| path.rsplit_once("sounds/").unwrap().1).collect();
    assert_eq!(paths, BTreeSet::from(["clicks/3.wav", "tone/3.wav"]));
}

#[test]
fn what_is_about_heads_needs_one() {
    let bench = trained();
    for option in [&["--near", "0.5"][..], &["--spread"]] {
        let answer = bench.run(&[&["search", "sounds/tone/0.wav"][..], option].concat()).expect(2);
        assert!(answer.err.contains("--head NAME"), "{}", answer.err);
    }
    let groups = bench.run(&["evaluate", "retrieval", "--group-by", "site"]).expect(2);
    assert!(groups.err.contains("called `site` to group by"), "{}", groups.err);
}
