//! Searches of stored vectors, from the library and its cache to matches with exact cosines: ids
//! are `case/size`, or `case/share` of what a filter lets pass, with the recall there on standard
//! error. One thread.
//!
//! Data: ESC-10's segments (from `SONOTECA_SHARED`, `../shared`) grown by the recipe in
//! `tests/common/grown.rs`, through the store, in a temporary folder. Reading stored vectors from
//! SQLite, which decides between candidates, is part of every search. Not measured here: the
//! process's start, and disks (everything is in the page cache).
//!
//! `SONOTECA_GROWN=FILE` keeps the library of 100,000 there, to be searched by hand.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a program that prints figures"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/grown.rs"]
mod grown;
#[path = "../tests/common/retrieval.rs"]
mod retrieval;

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use divan::{Bencher, black_box};
use sonoteca::index::scope::{Allowed, Scope};
use sonoteca::search::collection::{Collection, CollectionOptions};
use sonoteca::search::generation::{BuildStage, Builder, BuilderLock, GRAPH_FROM, Watcher};
use sonoteca::search::{Level, choose_model};
use sonoteca::store::Library;
use tempfile::TempDir;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    divan::main();
}

struct Silent;

impl Watcher for Silent {
    fn at(&self, _: BuildStage, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What the benchmarks share: where things lie, and what vectors grow from.
struct Stock {
    folder: TempDir,
    seeds: Mutex<grown::Seeds>,
}

fn stock() -> &'static Stock {
    static STOCK: OnceLock<Stock> = OnceLock::new();
    STOCK.get_or_init(|| {
        let dataset = common::shared("data/esc10").expect("ESC-10 is what vectors grow from");
        let folder = tempfile::tempdir().unwrap();
        let model = common::yamnet();
        let (library, _) = retrieval::index(&dataset, &folder.path().join("esc10.db"), &model);
        Stock { seeds: Mutex::new(grown::Seeds::new(&library)), folder }
    })
}

/// The library of `count` segments, with its cache.
fn library(count: usize) -> Library {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap();
    let stock = stock();
    let kept = std::env::var_os("SONOTECA_GROWN").filter(|_| count == 100_000);
    let path = kept.map_or_else(|| stock.folder.path().join(format!("{count}.db")), PathBuf::from);
    if !path.exists() {
        let mut library = Library::open_or_create(&path).unwrap();
        grown::add(&mut library, &mut stock.seeds.lock().unwrap(), count);
        let model = choose_model(&library, None).unwrap();
        let lock = BuilderLock::try_take(&library, "bench").unwrap().unwrap();
        let builder =
            Builder { lock: &lock, recall: 0.99, graph_from: GRAPH_FROM, watcher: &Silent };
        let built = builder.build(&library, &model, Level::Segment).unwrap().unwrap();
        eprintln!("{count} segments: {built:?}");
    }
    Library::open(&path).unwrap()
}

fn queries() -> Vec<Vec<f32>> {
    let mut seeds = stock().seeds.lock().unwrap();
    (0..100).map(|_| seeds.query()).collect()
}

fn search(bencher: Bencher<'_, '_>, count: usize, scope: &Scope, options: CollectionOptions) {
    let library = library(count);
    let model = choose_model(&library, None).unwrap();
    let collection = Collection::open_with(&library, &model, Level::Segment, options).unwrap();
    let queries = queries();
    let mut next = queries.iter().cycle();
    bencher.bench_local(|| {
        let query = next.next().unwrap();
        collection.nearest(&library, black_box(query), 10, scope).unwrap()
    });
}

#[divan::bench(args = [5_000, 10_000, 20_000, 100_000])]
fn exact_scan(bencher: Bencher<'_, '_>, count: usize) {
    search(bencher, count, &Scope::default(), CollectionOptions { exact: true });
}

#[divan::bench(args = [5_000, 10_000, 20_000, 100_000])]
fn usual(bencher: Bencher<'_, '_>, count: usize) {
    search(bencher, count, &Scope::default(), CollectionOptions::default());
}

/// One of so many of 100,000 segments passes.
#[divan::bench(args = [2, 10, 100, 1_000, 10_000])]
fn filtered(bencher: Bencher<'_, '_>, one_of: usize) {
    let ids = (1..=100_000_i64).step_by(one_of).collect();
    let scope = Scope { allowed: Allowed::Segments(ids), ..Scope::default() };
    eprintln!("1 of {one_of}: recall@10 {:.4}", recall(100_000, &scope));
    search(bencher, 100_000, &scope, CollectionOptions::default());
}

/// The share of the ten nearest in `scope` that searches among `count` segments find, over a hundred
/// queries.
fn recall(count: usize, scope: &Scope) -> f64 {
    let library = library(count);
    let model = choose_model(&library, None).unwrap();
    let [usual, exact] = [false, true].map(|exact| {
        let options = CollectionOptions { exact };
        Collection::open_with(&library, &model, Level::Segment, options).unwrap()
    });
    let (mut right, mut all) = (0, 0);
    for query in queries() {
        let expected = exact.nearest(&library, &query, 10, scope).unwrap();
        let found = usual.nearest(&library, &query, 10, scope).unwrap();
        right += found.iter().filter(|one| expected.contains(one)).count();
        all += expected.len();
    }
    right as f64 / all as f64
}

#[divan::bench(args = [20_000, 100_000])]
fn open(bencher: Bencher<'_, '_>, count: usize) {
    let library = library(count);
    let model = choose_model(&library, None).unwrap();
    bencher.bench_local(|| Collection::open(&library, black_box(&model), Level::Segment).unwrap());
}
