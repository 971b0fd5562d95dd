//! A library that lives beside a changing collection: what is new, moved, gone, broken, removed.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use bench::{Answer, Bench};
use rusqlite::Connection;
use serde_json::Value;

/// The single object that a command prints.
fn object(bench: &Bench, arguments: &[&str], code: i32) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    bench.run(&arguments).expect(code).json().swap_remove(0)
}

fn scalar(bench: &Bench, sql: &str) -> i64 {
    let library = Connection::open(bench.path("sonoteca.db")).unwrap();
    library.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Every change that a dry run announces: what, and the file's name.
fn announced(bench: &Bench) -> Vec<(String, String)> {
    let answer = bench.run(&["sync", "sounds", "--dry-run", "--format", "json"]).expect(0);
    let mut changes: Vec<_> = answer
        .json()
        .iter()
        .map(|change| {
            let path = change["path"].as_str().unwrap();
            let name = path.rsplit('/').next().unwrap().to_owned();
            (change["change"].as_str().unwrap().to_owned(), name)
        })
        .collect();
    changes.sort();
    changes
}

fn pair(change: &str, name: &str) -> (String, String) {
    (change.to_owned(), name.to_owned())
}

#[test]
fn sync_says_what_it_would_do_and_does_what_it_said() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let hits = bench.run(&["search", "sounds/tone-1.wav", "-k", "1", "--format", "json"]);
    let id_before = hits.expect(0).json()[0]["recording_id"].clone();

    // One moves, one goes, one changes, one is new; the rest stays.
    fs::create_dir(bench.path("sounds/deep")).unwrap();
    fs::rename(bench.path("sounds/tone-1.wav"), bench.path("sounds/deep/renamed.wav")).unwrap();
    fs::remove_file(bench.path("sounds/noise-1.wav")).unwrap();
    bench.clicks("sounds/clicks-1.wav", 30);
    bench.tone("sounds/new.wav", 3_000.0);
    let expected = [
        pair("changed", "clicks-1.wav"),
        pair("gone", "noise-1.wav"),
        pair("moved", "renamed.wav"),
        pair("new", "new.wav"),
    ];
    assert_eq!(announced(&bench), expected);
    assert_eq!(announced(&bench), expected, "looking changes nothing");

    // Nobody can be asked here: what is gone stays until --prune.
    let answer = bench.run(&["sync", "sounds", "--format", "json"]).expect(0);
    assert!(answer.err.contains("to remove them: --prune"), "{}", answer.err);
    let report = &answer.json()[0];
    for (what, count) in
        [("indexed", 2), ("moved", 1), ("removed", 0), ("missing", 1), ("unchanged", 3)]
    {
        assert_eq!(report[what], count, "{what}: {report}");
    }
    let hits = bench.run(&["search", "sounds/deep/renamed.wav", "-k", "1", "--format", "json"]);
    let hit = &hits.expect(0).json()[0];
    assert_eq!(hit["recording_id"], id_before, "it is the same recording");
    assert!(hit["path"].as_str().unwrap().ends_with("deep/renamed.wav"));

    let report = object(&bench, &["sync", "sounds", "--prune"], 0);
    assert_eq!((&report["removed"], &report["missing"]), (&1.into(), &0.into()));
    assert!(announced(&bench).is_empty());
    assert_eq!(scalar(&bench, "SELECT count(*) FROM recordings"), 6);
}

#[test]
fn two_copies_of_a_moved_file_are_one_move_and_one_new_recording() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    fs::copy(bench.path("sounds/tone-0.wav"), bench.path("sounds/a.wav")).unwrap();
    fs::rename(bench.path("sounds/tone-0.wav"), bench.path("sounds/b.wav")).unwrap();
    // As long as what is gone, and something else.
    bench.tone("sounds/c.wav", 900.0);
    assert_eq!(
        announced(&bench),
        [pair("moved", "a.wav"), pair("new", "b.wav"), pair("new", "c.wav")]
    );
    bench.run(&["sync", "sounds", "-q"]).expect(0);
    assert!(announced(&bench).is_empty());
}

#[test]
fn a_content_that_changed_behind_its_date_is_found_by_checksum() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let path = bench.path("sounds/tone-0.wav");
    let date = fs::metadata(&path).unwrap().modified().unwrap();
    bench.tone("sounds/tone-0.wav", 2_000.0);
    fs::File::options().write(true).open(&path).unwrap().set_modified(date).unwrap();
    assert!(announced(&bench).is_empty(), "length and date are what they were");
    let report = object(&bench, &["sync", "sounds", "--checksum"], 0);
    assert_eq!((&report["indexed"], &report["unchanged"]), (&1.into(), &5.into()));
}

/// A folder that is not there may be a disk that is not.
#[test]
fn a_missing_folder_prunes_nothing() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    fs::rename(bench.path("sounds"), bench.path("elsewhere")).unwrap();
    let answer = bench.run(&["sync", "sounds", "--prune"]).expect(2);
    assert!(answer.err.contains("could not find sounds"), "{}", answer.err);
    assert_eq!(scalar(&bench, "SELECT count(*) FROM recordings"), 6);
    // A dry run makes no library.
    bench.run(&["sync", "elsewhere", "--dry-run", "--library", "none.db"]).expect(2);
    assert!(!bench.path("none.db").exists());
}

#[test]
fn what_moved_and_was_not_embedded_by_this_model_is() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    // As if another version of the model had made the library.
    let library = Connection::open(bench.path("sonoteca.db")).unwrap();
    library.execute("UPDATE models SET front_end_version = 0", []).unwrap();
    drop(library);
    fs::rename(bench.path("sounds/tone-0.wav"), bench.path("sounds/z.wav")).unwrap();
    let report = object(&bench, &["sync", "sounds"], 0);
    assert_eq!((&report["indexed"], &report["moved"]), (&6.into(), &1.into()));
    assert_eq!(scalar(&bench, "SELECT count(*) FROM recordings"), 6);
    assert_eq!(object(&bench, &["sync", "sounds"], 0)["unchanged"], 6);
}

/// An empty folder is what a disk that is not mounted leaves behind.
#[test]
fn a_folder_without_a_recording_left_prunes_nothing() {
    let bench = Bench::with_sounds();
    fs::create_dir(bench.path("more")).unwrap();
    for name in ["a", "b"] {
        bench.tone(&format!("more/{name}.wav"), 700.0);
    }
    bench.run(&["index", "sounds", "more", "-q"]).expect(0);
    fs::rename(bench.path("sounds"), bench.path("unplugged")).unwrap();
    fs::create_dir(bench.path("sounds")).unwrap();
    fs::remove_file(bench.path("more/a.wav")).unwrap();
    let answer = bench.run(&["sync", "sounds", "more", "--prune", "--format", "json"]).expect(0);
    assert!(answer.err.contains("no recording is left in sounds"), "{}", answer.err);
    assert_eq!(
        (&answer.json()[0]["removed"], &answer.json()[0]["missing"]),
        (&1.into(), &6.into())
    );
    assert_eq!(object(&bench, &["remove", "sounds"], 0)["removed"], 6);
}

/// A folder below that is there and empty is what a disk leaves, too; one that is gone was removed.
#[test]
fn a_folder_below_that_became_empty_is_kept_and_one_that_went_is_not() {
    let bench = Bench::with_sounds();
    for folder in ["sounds/disk/2024/may", "sounds/removed/deep", "sounds/thinned"] {
        fs::create_dir_all(bench.path(folder)).unwrap();
        bench.tone(&format!("{folder}/a.wav"), 700.0);
        bench.noise(&format!("{folder}/b.wav"), 5);
    }
    bench.run(&["index", "sounds", "-q"]).expect(0);
    fs::remove_dir_all(bench.path("sounds/disk")).unwrap();
    fs::create_dir(bench.path("sounds/disk")).unwrap();
    fs::remove_dir_all(bench.path("sounds/removed")).unwrap();
    fs::remove_file(bench.path("sounds/thinned/a.wav")).unwrap();
    let told = "no recording is left in sounds/disk, so none of it is removed";
    let dry = bench.run(&["sync", "sounds", "--dry-run"]).expect(0);
    assert!(dry.err.contains(told), "{}", dry.err);
    let answer = bench.run(&["sync", "sounds", "--prune"]).expect(0);
    assert_eq!(answer.err.matches("no recording is left").count(), 1, "{}", answer.err);
    assert!(answer.err.contains(told), "{}", answer.err);
    assert!(answer.out.contains("Gone, and removed: 3 recordings"), "{}", answer.out);
    assert!(answer.out.contains("still in the library: 2 recordings"), "{}", answer.out);
    assert!(answer.out.contains("of folders in which nothing is left"), "{}", answer.out);
    assert_eq!(object(&bench, &["remove", "sounds/disk"], 0)["removed"], 2);
}

#[test]
fn a_dry_run_settles_nothing() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench.run(&["remove", "sounds"]).expect(0);
    bench.run(&["sync", "sounds", "--dry-run", "--segment", "2"]).expect(0);
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let info = object(&bench, &["info"], 0);
    assert_eq!(info["models"][0]["segment_s"], 0.96);
}

#[cfg(unix)]
#[test]
fn what_lies_behind_a_link_is_synced_too() {
    let bench = Bench::with_sounds();
    fs::create_dir(bench.path("links")).unwrap();
    std::os::unix::fs::symlink(bench.path("sounds"), bench.path("links/in")).unwrap();
    assert_eq!(object(&bench, &["sync", "links"], 0)["indexed"], 6);
    fs::remove_file(bench.path("sounds/tone-0.wav")).unwrap();
    fs::rename(bench.path("sounds/tone-1.wav"), bench.path("sounds/z.wav")).unwrap();
    let report = object(&bench, &["sync", "links", "--prune"], 0);
    assert_eq!((&report["moved"], &report["removed"]), (&1.into(), &1.into()));
    assert_eq!(scalar(&bench, "SELECT count(*) FROM recordings"), 5);
}

#[test]
fn removed_recordings_are_gone_and_compact_gives_their_room_back() {
    let bench = Bench::with_sounds();
    for n in 0..200 {
        bench.tone(&format!("sounds/more-{n}.wav"), 300.0 + f64::from(n));
    }
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let bytes = || fs::metadata(bench.path("sonoteca.db")).unwrap().len();
    let before = bytes();

    let report = object(&bench, &["remove", "sounds", "--dry-run"], 0);
    assert_eq!(report["removed"], 206);
    let report = object(&bench, &["remove", "id:1", "sounds/tone-0.wav"], 0);
    assert_eq!(report["removed"], 2);
    let unknown = bench.run(&["remove", "id:1", "nowhere.wav", "id:2"]).expect(2);
    assert!(unknown.err.contains("no recording id:1"), "{}", unknown.err);
    assert!(unknown.err.contains("nowhere.wav"), "{}", unknown.err);
    assert!(unknown.out.contains("1 recording"), "the rest is done: {}", unknown.out);
    bench.run(&["search", "id:2"]).expect(2);

    // A folder need not exist any more.
    fs::remove_dir_all(bench.path("sounds")).unwrap();
    assert_eq!(object(&bench, &["remove", "sounds"], 0)["removed"], 203);
    for table in ["recordings", "segments", "recording_vectors", "recording_classes"] {
        assert_eq!(scalar(&bench, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    let sizes = object(&bench, &["compact"], 0);
    assert!(sizes["bytes_after"].as_u64().unwrap() < sizes["bytes_before"].as_u64().unwrap());
    assert!(bytes() < before);
    assert_eq!(scalar(&bench, "PRAGMA page_size"), 32_768);
}

#[test]
fn the_ledger_of_failures() {
    let bench = Bench::with_sounds();
    bench.run(&["failures"]).expect(2); // there is no library yet
    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench.run(&["failures"]).expect(1);
    fs::write(bench.path("sounds/empty.wav"), "").unwrap();
    fs::write(bench.path("sounds/broken.flac"), "fLaC and then nothing").unwrap();
    bench.run(&["index", "sounds", "-q"]).expect(2);

    let failures = bench.run(&["failures", "--format", "json"]).expect(0).json();
    assert_eq!(failures.len(), 2);
    assert!(failures[0]["path"].as_str().unwrap().ends_with("broken.flac"));
    assert_eq!(
        (&failures[1]["stage"], &failures[1]["reason"], &failures[1]["attempts"]),
        (&"decode".into(), &"the file is empty".into(), &1.into())
    );
    assert!(failures[1]["hint"].as_str().unwrap().contains("original"));
    let info = bench.run(&["info"]).expect(0);
    assert!(info.out.contains("2 files could not be indexed"), "{}", info.out);

    // As they are, they are not tried again, but not forgotten either.
    let again = bench.run(&["index", "sounds", "--format", "json"]).expect(2);
    assert_eq!(
        (&again.json()[0]["failed_before"], &again.json()[0]["failures"]),
        (&2.into(), &0.into())
    );
    assert!(again.err.contains("2 files failed before"), "{}", again.err);
    bench.run(&["failures", "--retry", "-q"]).expect(2);
    let failures = bench.run(&["failures", "--format", "json"]).expect(0).json();
    assert_eq!(failures[0]["attempts"], 2);

    // A file that is mended leaves the ledger; so does one that is removed.
    bench.tone("sounds/empty.wav", 500.0);
    bench.run(&["index", "sounds", "-q"]).expect(2);
    assert_eq!(bench.run(&["failures", "--format", "json"]).expect(0).json().len(), 1);
    bench.run(&["remove", "sounds/broken.flac"]).expect(0);
    bench.run(&["failures"]).expect(1);
    fs::remove_file(bench.path("sounds/broken.flac")).unwrap();
    assert_eq!(object(&bench, &["index", "sounds"], 0)["unchanged"], 7);
}

#[test]
fn a_recording_that_goes_bad_keeps_what_is_known_of_it() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    fs::write(bench.path("sounds/tone-0.wav"), "RIFF, and then nothing of the sort").unwrap();
    let answer = bench.run(&["index", "sounds"]).expect(2);
    assert!(answer.err.contains("tone-0.wav"), "{}", answer.err);
    assert_eq!(scalar(&bench, "SELECT count(*) FROM recordings"), 6);
}

#[test]
fn a_list_of_files_from_a_file_or_standard_input() {
    let bench = Bench::with_sounds();
    fs::write(bench.path("list"), "sounds/tone-0.wav\r\n\nsounds/noise-0.wav\n").unwrap();
    assert_eq!(object(&bench, &["index", "--files-from", "list"], 0)["indexed"], 2);
    let mut child = bench
        .command()
        .args(["index", "--files-from", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let names = b"sounds/tone-1.wav\0sounds/missing.wav\0sounds/tone-0.wav\0";
    child.stdin.take().unwrap().write_all(names).unwrap();
    let answer = Answer::of(&child.wait_with_output().unwrap()).expect(2);
    let report = &answer.json()[0];
    assert_eq!((&report["indexed"], &report["unchanged"]), (&1.into(), &1.into()));
    assert!(answer.err.contains("missing.wav"), "{}", answer.err);
    bench.run(&["index", "--files-from", "nowhere"]).expect(2);
    bench.run(&["index"]).expect(2);
}

#[test]
fn longer_segments_belong_to_a_library() {
    let bench = Bench::with_sounds();
    bench.wav("long.wav", (0..22_050 * 7).map(|n| 0.3 * (f64::from(n) * 0.1).sin()));
    for arguments in [
        &["--segment", "0.5"][..],
        &["--segment", "3", "--hop", "4"],
        &["--segment", "3", "--hop", "0.1"],
        &["--segment", "x"],
        &["--hop", "3"],
    ] {
        bench.run(&[&["index", "long.wav"], arguments].concat()).expect(2);
    }
    let report = object(&bench, &["index", "long.wav", "--segment", "3", "--hop", "2"], 0);
    // From 0, 2, 4 and 6 s.
    assert_eq!(report["segments"], 4);
    let hits = bench.run(&["search", "long.wav", "--by", "segment", "--raw", "--format", "json"]);
    let mut ranges: Vec<_> = hits
        .expect(0)
        .json()
        .iter()
        .map(|hit| (hit["start_s"].as_f64().unwrap(), hit["end_s"].as_f64().unwrap()))
        .collect();
    ranges.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(ranges, [(0.0, 3.0), (2.0, 5.0), (4.0, 7.0), (6.0, 7.0)]);

    // What follows goes on alike; another length is refused, and says which there is.
    assert_eq!(object(&bench, &["index", "sounds"], 0)["segments"], 6);
    let other = bench.run(&["index", "sounds", "--segment", "5"]).expect(2);
    assert!(other.err.contains("3 s long, every 2 s"), "{}", other.err);
    assert!(other.err.contains("hint:"), "{}", other.err);
    let info = object(&bench, &["info"], 0);
    assert_eq!(info["models"][0]["segment_s"], 3.0);
}

#[test]
fn how_much_is_kept_is_a_choice() {
    let bench = Bench::with_sounds();
    let bytes = |library: &str, options: &[&str]| {
        let library = ["--library", library];
        bench.run(&[&["index", "sounds", "-q"], options, &library].concat()).expect(0);
        let connection = Connection::open(bench.path(library[1])).unwrap();
        let read = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
        (
            read("SELECT sum(length(vector)) FROM segments"),
            read("SELECT coalesce(max(length(classes)), 0) FROM segments"),
            read("SELECT count(*) FROM recording_classes"),
        )
    };
    let usual = bytes("a.db", &[]);
    let most = bytes("b.db", &["--vectors", "f32", "--scores", "20"]);
    let least = bytes("c.db", &["--scores", "0"]);
    assert!(most.0 > usual.0 * 3 / 2, "{usual:?} {most:?}");
    assert_eq!((usual.1, usual.2), (20, 60));
    assert_eq!((most.1, most.2), (80, 240));
    assert_eq!((least.1, least.2), (0, 0));

    // Both precisions in one library answer one question.
    bench.tone("more.wav", 455.0);
    bench.run(&["index", "more.wav", "-q", "--vectors", "f32", "--library", "a.db"]).expect(0);
    let hits = bench.run(&["search", "more.wav", "--library", "a.db", "--format", "json"]);
    let hits = hits.expect(0).json();
    assert!(hits[0]["path"].as_str().unwrap().ends_with("more.wav"));
    assert!(hits[1]["path"].as_str().unwrap().contains("tone-"));
}

#[test]
fn segments_without_sound_are_marked_and_left_out() {
    let bench = Bench::with_sounds();
    bench.wav("silent.wav", (0..44_100).map(|_| 0.0));
    bench.wav("constant.wav", (0..44_100).map(|_| 0.25));
    bench.wav("clipped.wav", (0..44_100).map(|n| (f64::from(n) * 0.1).sin().signum() * 1.1));
    let paths = ["index", "silent.wav", "constant.wav", "clipped.wav", "sounds", "-q"];
    bench.run(&paths).expect(0);
    let info = object(&bench, &["info"], 0);
    let model = &info["models"][0];
    assert_eq!((&model["segments"], &model["left_out"]), (&36.into(), &12.into()));
    for kind in ["silent", "constant", "clipped"] {
        assert_eq!(model["left_out_for"][kind], 4, "{kind}: {model}");
    }
    let text = bench.run(&["info"]).expect(0).out;
    assert!(text.contains("left out of searches by segment: 12"), "{text}");

    let search = |level: &str| {
        let mut arguments = vec!["search", "constant.wav", "--by", level, "-k", "100"];
        arguments.extend((level == "segment").then_some("--raw"));
        arguments.extend(["--format", "json"]);
        bench.run(&arguments).expect(0).json()
    };
    assert_eq!(search("segment").len(), 24, "only the sounds");
    // A recording's vector stays the mean of all; one that is silent throughout is no answer.
    let recordings = search("recording");
    assert_eq!(recordings.len(), 8);
    assert!(recordings.iter().all(|hit| !hit["path"].as_str().unwrap().ends_with("silent.wav")));
    // A moment shows what the moment sounds like.
    assert_eq!(search("segment")[0]["classes"].as_array().unwrap().len(), 3);
}

#[test]
fn a_library_that_is_being_written_says_by_whom() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds/tone-0.wav", "-q"]).expect(0);
    let cache = bench.path("sonoteca.db.cache");
    let lock = sonoteca::store::lock::WriterLock::try_take(&cache, "index").unwrap().unwrap();
    let waiting = bench
        .command()
        .args(["index", "sounds"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    // Searches do not wait.
    bench.run(&["search", "id:1"]).expect(1);
    assert_eq!(scalar(&bench, "SELECT count(*) FROM recordings"), 1);
    drop(lock);
    let answer = Answer::of(&waiting.wait_with_output().unwrap()).expect(0);
    let holder = format!("waiting for process {} (sonoteca index)", std::process::id());
    assert!(answer.err.contains(&holder), "{}", answer.err);
    assert_eq!(scalar(&bench, "SELECT count(*) FROM recordings"), 6);
}

#[test]
fn memory_is_bounded_by_what_is_allowed() {
    let bench = Bench::with_sounds();
    let answer = bench.run(&["index", "sounds", "--max-memory", "50MB"]).expect(2);
    assert!(answer.err.contains("too little"), "{}", answer.err);
    assert!(answer.err.contains("hint: give more with --max-memory"), "{}", answer.err);
    bench.run(&["index", "sounds", "--max-memory", "much"]).expect(2);
    bench.run(&["index", "sounds", "--max-memory", "0.5 GiB", "-q"]).expect(0);
}
