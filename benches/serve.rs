//! Searches over HTTP while recordings are being indexed: 32 clients for a minute, each asking again as
//! soon as it is answered, by stored segments and recordings. Prints errors, median, 99th percentile and
//! the slowest, and the server's memory over time.
//!
//! Data: a library of 100,000 segments grown from ESC-10 (from `SONOTECA_SHARED`, `../shared`) by the
//! recipe in `tests/common/grown.rs`, with its graph; `SONOTECA_GROWN=FILE` keeps it there. What is
//! indexed meanwhile is ESC-10 again and again, under new names. Server and clients share the machine,
//! so that what clients take is part of what is measured. Not measured here: networks of the other kind.
//!
//! `SONOTECA_LOAD_S` sets another number of seconds.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints figures"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/grown.rs"]
mod grown;
#[path = "../tests/common/retrieval.rs"]
mod retrieval;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use grown::Random;
use serde_json::{Value, json};
use sonoteca::search::generation::{BuildStage, Builder, BuilderLock, GRAPH_FROM, Watcher};
use sonoteca::search::{Level, choose_model};
use sonoteca::store::Library;

const SEGMENTS: usize = 100_000;
const CLIENTS: u64 = 32;
/// Copies of ESC-10 that are indexed: more than a minute's work for one core.
const COPIES: usize = 40;
const GOAL_MS: f64 = 150.0;

struct Silent;

impl Watcher for Silent {
    fn at(&self, _: BuildStage, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A server, which ends with the measurement.
struct Served {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() {
    // `cargo test --benches` asks for nothing to be measured.
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    let Some(esc10) = common::shared("data/esc10") else { return };
    let folder = tempfile::tempdir().unwrap();
    let library = library(&esc10, folder.path());
    let sounds = sounds(&esc10, folder.path());
    let served = serve(&library, &sounds);
    let (segments, recordings) = ids(&library);
    // Opens what is searched, once.
    let mut first = Client::new(&served);
    let (status, _, took) = first.search(&json!({"like": [{"recording_id": recordings[0]}]}));
    println!(
        "the first search, which opens the index: {status}, {:.1} ms",
        1e3 * took.as_secs_f64()
    );
    let (status, job) = first.ask("POST", "/v1/index", &json!({}));
    assert_eq!(status, 202, "{job}");
    let path = format!("/v1/jobs/{}", job["id"]);
    loop {
        let (_, job) = first.ask("GET", &path, &Value::Null);
        if job["progress"].as_f64().is_some_and(|share| share > 0.0) {
            break;
        }
        assert!(job["state"] == "queued" || job["state"] == "running", "{job}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let seconds = std::env::var("SONOTECA_LOAD_S").ok().and_then(|text| text.parse().ok());
    let (is_over, errors) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    let mut memory = Vec::new();
    let mut times: Vec<f64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (served, is_over, errors) = (&served, &is_over, &errors);
                let (segments, recordings) = (&segments, &recordings);
                scope.spawn(move || {
                    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (number + 1));
                    let mut client = Client::new(served);
                    let mut times = Vec::new();
                    while !is_over.load(Ordering::Relaxed) {
                        let example = if random.next() < 0.5 {
                            json!({"segment_id": segments[random.below(segments.len())]})
                        } else {
                            json!({"recording_id": recordings[random.below(recordings.len())]})
                        };
                        let (status, answer, took) = client.search(&json!({"like": [example]}));
                        let hits = answer["hits"].as_array().map_or(0, Vec::len);
                        if status != 200 || hits == 0 {
                            errors.fetch_add(1, Ordering::Relaxed);
                            eprintln!("{status}: {answer}");
                        }
                        times.push(1e3 * took.as_secs_f64());
                    }
                    times
                })
            })
            .collect();
        while started.elapsed() < Duration::from_secs(seconds.unwrap_or(60)) {
            memory.push((started.elapsed().as_secs(), megabytes(served.process.id())));
            std::thread::sleep(Duration::from_secs(5));
        }
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let elapsed_s = started.elapsed().as_secs_f64();
    memory.push((started.elapsed().as_secs(), megabytes(served.process.id())));
    // The first connection was idle for too long.
    let mut last = Client::new(&served);
    let (_, job) = last.ask("GET", &path, &Value::Null);
    let (_, now) = last.ask("GET", "/v1/library", &Value::Null);
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        let place = (share * (times.len() - 1) as f64) as usize;
        times[place]
    };
    println!(
        "{} searches by {CLIENTS} clients in {elapsed_s:.0} s, {:.0} a second, {} errors",
        times.len(),
        times.len() as f64 / elapsed_s,
        errors.load(Ordering::Relaxed)
    );
    println!(
        "ms: median {:.1}, p95 {:.1}, p99 {:.1}, slowest {:.1} (goal: p99 below {GOAL_MS})",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    println!(
        "meanwhile the index job, {} at the end, came from {SEGMENTS} to {} segments",
        job["state"], now["segments"]
    );
    let memory: Vec<String> = memory.iter().map(|(s, mb)| format!("{s} s {mb} MB")).collect();
    println!("memory: {}", memory.join(", "));
    let _ = last.ask("DELETE", &path, &Value::Null);
    assert_eq!(errors.load(Ordering::Relaxed), 0);
}

/// The library of 100,000 segments, with its graph.
fn library(esc10: &Path, folder: &Path) -> PathBuf {
    let kept = std::env::var_os("SONOTECA_GROWN").map(PathBuf::from);
    let path = folder.join("load.db");
    let from = kept.as_ref().unwrap_or(&path);
    if !from.exists() {
        let model = common::yamnet();
        let (seeds, _) = retrieval::index(esc10, &folder.join("esc10.db"), &model);
        let mut library = Library::open_or_create(from).unwrap();
        grown::add(&mut library, &mut grown::Seeds::new(&seeds), SEGMENTS);
        let model = choose_model(&library, None).unwrap();
        let lock = BuilderLock::try_take(&library, "bench").unwrap().unwrap();
        let watcher = &Silent;
        let builder = Builder { lock: &lock, recall: 0.99, graph_from: GRAPH_FROM, watcher };
        for level in [Level::Segment, Level::Recording] {
            let built = builder.build(&library, &model, level).unwrap().unwrap();
            eprintln!("{level:?}: {built:?}");
        }
    }
    // What is kept stays as it is.
    if kept.is_some() {
        fs::copy(from, &path).unwrap();
        let cache = |path: &Path| PathBuf::from(format!("{}.cache", path.display()));
        fs::create_dir_all(cache(&path)).unwrap();
        for entry in fs::read_dir(cache(from)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), cache(&path).join(entry.file_name())).unwrap();
        }
    }
    path
}

/// ESC-10, many times under other names.
fn sounds(esc10: &Path, folder: &Path) -> PathBuf {
    let sounds = folder.join("sounds");
    for class in fs::read_dir(esc10).unwrap() {
        let class = class.unwrap().path();
        if !class.is_dir() {
            continue;
        }
        for copy in 0..COPIES {
            let to = sounds.join(format!("{copy}/{}", class.file_name().unwrap().display()));
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(&class).unwrap() {
                let file = file.unwrap();
                let first = sounds.join(format!("0/{}", class.file_name().unwrap().display()));
                if copy == 0 {
                    fs::copy(file.path(), to.join(file.file_name())).unwrap();
                } else {
                    let first = first.join(file.file_name());
                    fs::hard_link(first, to.join(file.file_name())).unwrap();
                }
            }
        }
    }
    sounds
}

fn serve(library: &Path, sounds: &Path) -> Served {
    let mut process = Command::new(env!("CARGO_BIN_EXE_sonoteca"))
        .args(["serve", "--bind", "127.0.0.1:0", "--format", "json", "--quiet"])
        .arg("--library")
        .arg(library)
        .arg("--folder")
        .arg(sounds)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).unwrap();
    Served {
        process,
        address: started["address"].as_str().unwrap().parse().unwrap(),
        token: started["token"].as_str().unwrap().to_owned(),
    }
}

/// Segments and recordings to search with.
fn ids(library: &Path) -> (Vec<i64>, Vec<i64>) {
    let library = Library::open(library).unwrap();
    let model = choose_model(&library, None).unwrap();
    let (mut segments, mut recordings) = (Vec::new(), Vec::new());
    library
        .for_each_place(model.id, |key, _| {
            segments.push(key.segment);
            recordings.push(key.recording);
        })
        .unwrap();
    recordings.dedup();
    (segments, recordings)
}

/// Megabytes that a process has in memory.
fn megabytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}

/// A connection that stays open.
struct Client {
    stream: BufReader<TcpStream>,
    host: String,
    token: String,
}

impl Client {
    fn new(served: &Served) -> Self {
        let stream = TcpStream::connect(served.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let (host, token) = (served.address.to_string(), served.token.clone());
        Self { stream: BufReader::new(stream), host, token }
    }

    fn search(&mut self, body: &Value) -> (u16, Value, Duration) {
        let started = Instant::now();
        let (status, answer) = self.ask("POST", "/v1/search", body);
        (status, answer, started.elapsed())
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host,
            self.token,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(found) = line.strip_prefix("content-length: ") {
                length = found.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}
