//! A Milvus server by kind of index: how fast rows get in, what they take of memory and disk, how fast and
//! how right its answers are.
//!
//! `cargo bench --features milvus --bench stores -- SEEDS.db ROWS FOLDER [INDEX…]` grows `ROWS` segments from
//! those of the library `SEEDS.db` (ESC-10, say) by the recipe in `tests/common/grown.rs`, writes them as a
//! dataset, and for each `INDEX` (`hnsw`, `ivf_sq8`, as in a store's address; all, where none is named)
//! starts a server (`scripts/milvus.py`), imports, waits until it has nothing to do any more, and prints a
//! JSON object: rows a second, acknowledged; resident memory before and after; bytes of its data without
//! its log of messages; the median and the 99th percentile of the seconds of 200 questions for ten segments
//! on one thread, rows included; and recall@10 against a scan of all vectors. Linux only.

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that prints figures"
)]

#[path = "../tests/common/grown.rs"]
mod grown;

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use sonoteca::dataset::Observer;
use sonoteca::dataset::exporting::{header_of, write_all};
use sonoteca::dataset::folder::{DatasetWriter, PART_BYTES, manifest, parts};
use sonoteca::index::scope::Scope;
use sonoteca::milvus::{self, Store, StoreSearcher};
use sonoteca::search::collection::{Collection, CollectionOptions};
use sonoteca::search::{Level, Question, SearchOptions, choose_model};
use sonoteca::store::Library;
use sonoteca::store::vector::Precision;

const NEIGHBOURS: usize = 10;
const QUESTIONS: usize = 200;
const INDEXES: [&str; 4] = ["hnsw", "flat", "ivf_flat", "ivf_sq8"];

struct Unwatched;

impl Observer for Unwatched {
    fn advanced(&self, _: u64, _: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A server, and the script that ends with this program.
struct Server {
    script: Child,
    process: u32,
    port: u16,
}

impl Server {
    fn start(data: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/milvus.py");
        let mut script = Command::new("python3")
            .arg(script)
            .args(["serve", "--until-eof", "--data"])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().unwrap());
        let port = numbers.next().unwrap().try_into().unwrap();
        Self { script, process: numbers.next().unwrap(), port }
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process)).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
    }

    /// Ticks of processor time so far.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process)).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Waits until it did next to nothing for ten seconds; for how long.
    fn wait(&self) -> f64 {
        let (started, mut quiet) = (Instant::now(), 0);
        while quiet < 10 && started.elapsed() < Duration::from_mins(30) {
            let before = self.ticks();
            std::thread::sleep(Duration::from_secs(1));
            quiet = if self.ticks() - before < 20 { quiet + 1 } else { 0 };
        }
        started.elapsed().as_secs_f64() - f64::from(quiet)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let [seeds, rows, folder, indexes @ ..] = &arguments[..] else {
        // `cargo bench` runs this too; without a library to grow from there is nothing to do.
        return;
    };
    let rows: usize = rows.parse().unwrap();
    let folder = Path::new(folder);
    fs::create_dir_all(folder).unwrap();
    let library = folder.join(format!("{rows}.db"));
    let mut seeds = grown::Seeds::new(&Library::open(Path::new(seeds)).unwrap());
    if !library.exists() {
        grown::add(&mut Library::open_or_create(&library).unwrap(), &mut seeds, rows);
    }
    let library = Library::open(&library).unwrap();
    let model = choose_model(&library, None).unwrap();
    let dataset = folder.join(format!("{rows}"));
    if !dataset.join("_manifest.json").exists() {
        let header = header_of(&library, &model, Precision::Single).unwrap();
        let (mut writer, _) =
            DatasetWriter::in_folder(&dataset, header, PART_BYTES, "bench").unwrap();
        write_all(&library, &model, &Scope::default(), &mut writer, &Unwatched).unwrap();
        writer.finish(true).unwrap();
    }
    let questions: Vec<Vec<f32>> = (0..QUESTIONS).map(|_| seeds.query()).collect();
    let exact = CollectionOptions { exact: true };
    let exact = Collection::open_with(&library, &model, Level::Segment, exact).unwrap();
    // Segments of both stores are told by their cosines: of grown vectors no two are the same.
    let right: Vec<HashSet<i64>> = questions
        .iter()
        .map(|question| {
            let found = exact.nearest(&library, question, NEIGHBOURS, &Scope::default()).unwrap();
            found.iter().map(|found| place(found.cosine)).collect()
        })
        .collect();
    let indexes: Vec<&str> = if indexes.is_empty() {
        INDEXES.to_vec()
    } else {
        indexes.iter().map(String::as_str).collect()
    };
    for index in indexes {
        println!("{}", measure(folder, &dataset, index, &questions, &right));
    }
}

/// A cosine in steps of a 100,000th: what rounding does not move, but for the few at an edge.
fn place(cosine: f32) -> i64 {
    (f64::from(cosine) * 1e5).round() as i64
}

fn measure(
    folder: &Path,
    dataset: &Path,
    index: &str,
    questions: &[Vec<f32>],
    right: &[HashSet<i64>],
) -> serde_json::Value {
    let data = folder.join(format!("milvus-{index}"));
    let _ = fs::remove_dir_all(&data);
    let server = Server::start(&data);
    let address = format!("milvus://127.0.0.1:{}/bench?index={index}", server.port);
    let address = address.parse().unwrap();
    let parts = parts(dataset).unwrap();
    let listed = manifest(dataset, &parts).unwrap().unwrap();
    server.wait();
    let empty = server.status("VmRSS");
    let (report, store) =
        milvus::importing::import(&address, &parts, &listed.files, &Unwatched).unwrap();
    let store: Store = store.unwrap();
    let indexed_s = server.wait();
    let searcher = StoreSearcher::new(&store, Level::Segment, None).unwrap();
    let options =
        SearchOptions { count: NEIGHBOURS, single_segments: true, ..SearchOptions::default() };
    let ask = |question: &Vec<f32>| {
        let started = Instant::now();
        let question = Question::of_vector(question.clone());
        let hits = searcher.search(&question, &options).unwrap();
        (started.elapsed().as_secs_f64(), hits)
    };
    for question in questions {
        ask(question);
    }
    let (mut seconds, mut agreed) = (Vec::new(), 0);
    for (question, right) in questions.iter().zip(right) {
        let (taken, hits) = ask(question);
        seconds.push(taken);
        let is_right = |place: i64| (place - 1..=place + 1).any(|place| right.contains(&place));
        agreed += hits.iter().filter(|hit| is_right(place(hit.score))).count();
    }
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds[((seconds.len() - 1) as f64 * share) as usize];
    let written = report.imported + report.segments;
    json!({
        "index": index,
        "rows": written,
        "rows_a_second": written as f64 / report.elapsed_s,
        "indexed_after_s": indexed_s,
        "resident_bytes": { "empty": empty, "loaded": server.status("VmRSS"), "peak": server.status("VmHWM") },
        "disk_bytes": { "rows": bytes_in(&data, Some("rocksmq")), "all": bytes_in(&data, None) },
        "search_s": { "median": at(0.5), "99 %": at(0.99) },
        "recall": agreed as f64 / (NEIGHBOURS * questions.len()) as f64,
    })
}

/// Bytes of all files in a folder, but for those below a folder of that name.
fn bytes_in(folder: &Path, but: Option<&str>) -> u64 {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let bytes = entries.map(|entry| {
        let path = entry.path();
        let is_left_out = path.file_name().and_then(|name| name.to_str()) == but && but.is_some();
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() && !is_left_out => bytes_in(&path, but),
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => 0,
        }
    });
    bytes.sum()
}
