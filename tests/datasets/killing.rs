//! A run that is killed in the middle leaves whole files, and the next one goes on behind them.

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bench::Bench;
use super::{manifest, parts, rows};

#[test]
fn a_killed_run_leaves_no_half_file_and_is_taken_up() {
    let bench = Bench::new();
    fs::create_dir(bench.path("sounds")).unwrap();
    let mut list = String::new();
    for number in 0..60 {
        bench.noise(&format!("sounds/{number}.wav"), number);
        writeln!(list, "sounds/{number}.wav").unwrap();
    }
    fs::write(bench.path("list"), list).unwrap();
    // A file a few recordings: each has five vectors of 4,096 bytes.
    let arguments =
        ["extract", "--manifest", "list", "--out", "vectors", "--part-size", "60kB", "--jobs", "1"];
    let mut child = bench
        .command()
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let folder = bench.path("vectors");
    let waited = Instant::now();
    let published = || {
        folder.read_dir().map_or(0, |entries| {
            let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
            entries.map(name).filter(|name| name.to_string_lossy().ends_with(".parquet")).count()
        })
    };
    while published() < 2 {
        assert!(waited.elapsed() < Duration::from_mins(2), "nothing was published");
        assert!(child.try_wait().unwrap().is_none(), "it was done before it could be killed");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!folder.join("_manifest.json").exists(), "it was not done");
    let (before, _) = rows(&folder);
    assert!((1..60).contains(&before.len()), "{} recordings", before.len());

    // What a run leaves that was fetching an object.
    fs::write(folder.join(".tmp-object-left.wav"), "half of an object").unwrap();
    let summary = bench.run(&[&arguments[..], &["--format", "json"]].concat()).expect(0);
    let summary = summary.json().swap_remove(0);
    assert_eq!(summary["passed_over"], before.len());
    assert_eq!(summary["recordings"], 60 - before.len());
    assert!(parts(&folder).len() > 2);
    let left_over = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left_over.into_iter().all(|name| !name.to_string_lossy().starts_with(".tmp")));

    // Row for row what one run makes in one file.
    bench.run(&["extract", "--manifest", "list", "--out", "whole", "-q"]).expect(0);
    let whole = bench.path("whole");
    assert_eq!(rows(&folder), rows(&whole));
    assert_eq!(manifest(&folder)["rows_checksum"], manifest(&whole)["rows_checksum"]);
}
