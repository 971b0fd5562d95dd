//! What was acknowledged survives `kill -9`, and a killed run is taken up where it was.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]
#![cfg(unix)]

#[path = "common/bench.rs"]
mod bench;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use bench::Bench;
use rusqlite::{Connection, OpenFlags};

/// Runs that are killed. A whole run takes about a second, its start a third of that; the moments
/// spread over all of it.
const KILLS: u32 = 100;
const RECORDINGS: u32 = 400;

/// Every recording's file name and its segments: their times and vectors.
type Content = BTreeMap<String, Vec<(f64, f64, Vec<u8>)>>;

fn content(library: &Path) -> Content {
    let connection =
        Connection::open_with_flags(library, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let check: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let broken: i64 = connection
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(broken, 0);
    let half_done: i64 = connection
        .query_row(
            "SELECT count(*) FROM recordings AS r LEFT JOIN recording_vectors AS v
                 ON v.recording_id = r.id
             WHERE v.segment_count IS NOT
                 (SELECT count(*) FROM segments AS s WHERE s.recording_id = r.id)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(half_done, 0, "recordings without all their segments");
    let mut query = connection
        .prepare(
            "SELECT path, start_s, end_s, segments.vector FROM recordings
             JOIN segments ON recording_id = recordings.id ORDER BY path, start_s",
        )
        .unwrap();
    let mut content = Content::new();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let path: String = row.get(0).unwrap();
        let name = path.rsplit('/').next().unwrap().to_owned();
        let segment = (row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap());
        content.entry(name).or_default().push(segment);
    }
    content
}

/// The files that a verbose run said it had indexed.
fn acknowledged(log: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(log).unwrap();
    // The last line may be cut off in the middle: then nobody has read it as said.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .filter_map(|line| line.split_once(": indexed"))
        .map(|(path, _)| path.rsplit('/').next().unwrap().to_owned())
        .collect()
}

/// A folder of sounds is often where its library is. Closing a file there loses all of a process's
/// locks on it, SQLite's too; then the next command that looks takes the journal away.
#[test]
fn a_library_among_the_sounds_that_others_look_at_loses_nothing() {
    let bench = Bench::new();
    for n in 0..RECORDINGS {
        bench.tone(&format!("{n:03}.wav"), 200.0 + 5.0 * f64::from(n));
    }
    for round in 0..5 {
        let log = bench.path("log");
        let mut run = bench
            .command()
            .args(["index", ".", "-v", "-j1"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        while acknowledged(&log).is_empty() && run.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(5));
        }
        bench.run(&["info"]).expect(0);
        sleep(Duration::from_millis(600));
        run.kill().unwrap();
        run.wait().unwrap();
        let said = acknowledged(&log);
        assert!(!said.is_empty());
        let content = content(&bench.path("sonoteca.db"));
        let missing: Vec<_> = said.iter().filter(|name| !content.contains_key(*name)).collect();
        assert!(missing.is_empty(), "round {round}: {missing:?}");
        for name in ["sonoteca.db", "sonoteca.db-wal", "sonoteca.db-shm"] {
            let _ = fs::remove_file(bench.path(name));
        }
    }
}

/// What is written into a file without a name is lost, so it is not said to be stored.
#[test]
fn a_library_that_is_taken_away_ends_the_run() {
    let bench = Bench::new();
    fs::create_dir(bench.path("sounds")).unwrap();
    for n in 0..RECORDINGS {
        bench.tone(&format!("sounds/{n:03}.wav"), 200.0 + 5.0 * f64::from(n));
    }
    let log = bench.path("log");
    let mut run = bench
        .command()
        .args(["index", "sounds", "-v", "-j1"])
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    while acknowledged(&log).is_empty() {
        sleep(Duration::from_millis(5));
    }
    fs::remove_file(bench.path("sonoteca.db")).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(2));
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("there is no library at"), "{said}");
    assert!(acknowledged(&log).len() < RECORDINGS as usize, "it stopped");
}

#[test]
fn a_hundred_kills_lose_nothing_that_was_said() {
    let bench = Bench::new();
    fs::create_dir(bench.path("sounds")).unwrap();
    for n in 0..RECORDINGS {
        bench.tone(&format!("sounds/{n:03}.wav"), 200.0 + 5.0 * f64::from(n));
    }
    let library = bench.path("sonoteca.db");
    let log = bench.path("log");
    let (mut said, mut said_in_all, mut rounds) = (BTreeSet::new(), 0, 1);
    for kill in 0..KILLS {
        let mut run = bench
            .command()
            .args(["index", "sounds", "-v"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        // 200 to 1,100 ms, in an order that is no order.
        sleep(Duration::from_millis(u64::from(200 + kill * 619 % 900)));
        run.kill().unwrap();
        run.wait().unwrap();
        let acknowledged = acknowledged(&log);
        said_in_all += acknowledged.len();
        said.extend(acknowledged);
        if library.exists() && !said.is_empty() {
            let content = content(&library);
            let missing: Vec<_> = said.iter().filter(|name| !content.contains_key(*name)).collect();
            assert!(missing.is_empty(), "after kill {kill}: {missing:?}");
            if content.len() == RECORDINGS as usize {
                // Everything is there: from the beginning again.
                for name in ["sonoteca.db", "sonoteca.db-wal", "sonoteca.db-shm"] {
                    let _ = fs::remove_file(bench.path(name));
                }
                said.clear();
                rounds += 1;
            }
        }
    }
    eprintln!("{KILLS} kills, {rounds} libraries, {said_in_all} recordings acknowledged");
    assert!(said_in_all > 0, "some runs got far enough to say something");

    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench.run(&["index", "sounds", "-q", "--library", "undisturbed.db"]).expect(0);
    let (killed, undisturbed) = (content(&library), content(&bench.path("undisturbed.db")));
    assert_eq!(undisturbed.len(), RECORDINGS as usize);
    assert!(killed == undisturbed, "the libraries differ");
}
