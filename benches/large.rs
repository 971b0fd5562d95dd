//! A library of any size, from its vectors to its answers: how long an index takes to build and to
//! open, how much memory that takes, and how fast and how right a search is, reading stored vectors
//! from SQLite included.
//!
//! `cargo bench --bench large -- SEEDS.db ROWS FOLDER` grows `ROWS` segments from those of the library
//! `SEEDS.db` (ESC-10, say) by the recipe in `tests/common/grown.rs`, in `FOLDER`, which keeps the
//! library, and prints a JSON object: seconds of storing, of building with every core
//! (`RAYON_NUM_THREADS`), and of opening; bytes of the cache and of SQLite; the peak of resident memory
//! so far, after each step (Linux); the median and the 99th percentile of the seconds of 1,000
//! searches on one thread, and of 100 that compare all, and recall@10. A million takes 7 GB on the disk
//! and 10 GB of memory. It runs no network, and needs no libtorch when it runs.

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

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use sonoteca::index::scope::Scope;
use sonoteca::search::collection::{Collection, CollectionOptions};
use sonoteca::search::generation::{BuildStage, Builder, BuilderLock, Built, GRAPH_FROM, Watcher};
use sonoteca::search::{Level, choose_model};
use sonoteca::store::Library;

const NEIGHBOURS: usize = 10;
const SEARCHES: usize = 1_000;
const SCANS: usize = 100;

struct Silent;

impl Watcher for Silent {
    fn at(&self, _: BuildStage, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn main() {
    let Some((seeds, rows, folder)) = grown::arguments() else { return };
    let path = folder.join(format!("{rows}.db"));
    let mut seeds = grown::Seeds::new(&Library::open(&seeds).unwrap());

    let started = Instant::now();
    if !path.exists() {
        grown::add(&mut Library::open_or_create(&path).unwrap(), &mut seeds, rows);
    }
    let store_s = started.elapsed().as_secs_f64();
    let stored_peak = grown::peak_bytes();

    let (build_s, built) = build(&path);
    let built_peak = grown::peak_bytes();
    let cache = path.with_extension("db.cache");
    let cache_bytes: u64 =
        fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();

    let queries: Vec<Vec<f32>> = (0..SEARCHES).map(|_| seeds.query()).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let asked = path.clone();
    let searched = pool.install(move || search(&asked, &queries));
    println!(
        "{}",
        json!({
            "rows": rows,
            "threads": rayon::current_num_threads(),
            "store_s": store_s,
            "build_s": build_s,
            "built": format!("{built:?}"),
            "cache_bytes": cache_bytes,
            "library_bytes": fs::metadata(&path).unwrap().len(),
            "peak_bytes_after": { "storing": stored_peak, "building": built_peak, "all": grown::peak_bytes() },
            "searched": searched,
        })
    );
}

fn build(path: &Path) -> (f64, Built) {
    let library = Library::open(path).unwrap();
    let model = choose_model(&library, None).unwrap();
    let lock = BuilderLock::try_take(&library, "bench").unwrap().unwrap();
    let builder = Builder { lock: &lock, recall: 0.99, graph_from: GRAPH_FROM, watcher: &Silent };
    let started = Instant::now();
    let built = builder.build(&library, &model, Level::Segment).unwrap().unwrap();
    (started.elapsed().as_secs_f64(), built)
}

fn search(path: &Path, queries: &[Vec<f32>]) -> serde_json::Value {
    let library = Library::open(path).unwrap();
    let model = choose_model(&library, None).unwrap();
    let started = Instant::now();
    let open = |exact| {
        Collection::open_with(&library, &model, Level::Segment, CollectionOptions { exact })
    };
    let usual = open(false).unwrap();
    let open_s = started.elapsed().as_secs_f64();
    let exact = open(true).unwrap();
    let ask = |collection: &Collection, query: &[f32]| {
        let started = Instant::now();
        let found = collection.nearest(&library, query, NEIGHBOURS, &Scope::default()).unwrap();
        (started.elapsed().as_secs_f64(), found)
    };
    // Once before, so that the page cache is what it is in use.
    for query in queries {
        ask(&usual, query);
    }
    let (times, found): (Vec<f64>, Vec<_>) = queries.iter().map(|query| ask(&usual, query)).unzip();
    let (scan_times, right): (Vec<f64>, Vec<_>) =
        queries.iter().take(SCANS).map(|query| ask(&exact, query)).unzip();
    let hits: usize = right
        .iter()
        .zip(&found)
        .map(|(right, found)| found.iter().filter(|one| right.contains(one)).count())
        .sum();
    json!({
        "open_s": open_s,
        "search_s": percentiles(times),
        "scan_s": percentiles(scan_times),
        "recall": hits as f64 / right.iter().map(Vec::len).sum::<usize>() as f64,
    })
}

fn percentiles(mut seconds: Vec<f64>) -> serde_json::Value {
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds[((seconds.len() - 1) as f64 * share) as usize];
    json!({ "median": at(0.5), "99 %": at(0.99) })
}
