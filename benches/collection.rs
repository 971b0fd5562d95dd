//! Searches of stored vectors, from the library and its cache to matches with exact cosines: ids
//! are `case/size`, or `case/share` of what a filter lets pass, with the recall there on standard
//! error. One thread.
//!
//! Data: ESC-10's segments (from `SONOTECA_SHARED`, `../shared`) grown by the recipe in
//! `tests/common/grown.rs`, through the store, in a temporary folder. Reading stored vectors from
//! SQLite, which decides between candidates, is part of every search. Not measured here: the
//! process's start, and disks (everything is in the page cache).
//!
//! `SONOTECA_SIZES=20000,1000000` measures libraries of these sizes instead of the usual ones (a
//! million takes a quarter of an hour, 10 GB of memory and 7 GB in the temporary folder).
//! `SONOTECA_GROWN=FOLDER` keeps the libraries there, to be searched by hand and used again.

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

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

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
    /// Of the seeds, and of what is not kept.
    folder: TempDir,
    seeds: Mutex<grown::Seeds>,
}

/// How many segments a benchmark's libraries have.
fn sizes(usual: &[usize]) -> Vec<usize> {
    let wanted = std::env::var("SONOTECA_SIZES").ok();
    wanted.map_or_else(
        || usual.to_vec(),
        |sizes| sizes.split(',').map(|size| size.trim().parse().unwrap()).collect(),
    )
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
    built(count, GRAPH_FROM)
}

/// The library of `count` segments, with a graph where there are at least `graph_from`.
fn built(count: usize, graph_from: usize) -> Library {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap();
    let stock = stock();
    let folder = std::env::var_os("SONOTECA_GROWN").map(PathBuf::from);
    let folder = folder.as_deref().unwrap_or_else(|| stock.folder.path());
    let kind = if count >= graph_from { "graph" } else { "scan" };
    let path = folder.join(format!("{count}-{kind}.db"));
    if !path.exists() {
        grown::add(
            &mut Library::open_or_create(&path).unwrap(),
            &mut stock.seeds.lock().unwrap(),
            count,
        );
        // Outside the pool of one: an index is built by every core.
        rayon::ThreadPoolBuilder::new().build().unwrap().install(|| build(&path, graph_from));
    }
    Library::open(&path).unwrap()
}

fn build(path: &Path, graph_from: usize) {
    let library = Library::open(path).unwrap();
    let model = choose_model(&library, None).unwrap();
    let lock = BuilderLock::try_take(&library, "bench").unwrap().unwrap();
    let builder = Builder { lock: &lock, recall: 0.99, graph_from, watcher: &Silent };
    let started = Instant::now();
    let built = builder.build(&library, &model, Level::Segment).unwrap().unwrap();
    let (seconds, name) = (started.elapsed().as_secs_f64(), path.display());
    eprintln!("{name}: {seconds:.1} s, {built:?}");
}

fn queries() -> Vec<Vec<f32>> {
    let mut seeds = stock().seeds.lock().unwrap();
    (0..100).map(|_| seeds.query()).collect()
}

fn search(bencher: Bencher<'_, '_>, library: &Library, scope: &Scope, options: CollectionOptions) {
    let model = choose_model(library, None).unwrap();
    let collection = Collection::open_with(library, &model, Level::Segment, options).unwrap();
    let queries = queries();
    let mut next = queries.iter().cycle();
    bencher.bench_local(|| {
        let query = next.next().unwrap();
        collection.nearest(library, black_box(query), 10, scope).unwrap()
    });
}

#[divan::bench(args = sizes(&[5_000, 10_000, 20_000, 50_000, 100_000]))]
fn exact_scan(bencher: Bencher<'_, '_>, count: usize) {
    search(bencher, &library(count), &Scope::default(), CollectionOptions { exact: true });
}

#[divan::bench(args = sizes(&[5_000, 10_000, 20_000, 50_000, 100_000]))]
fn usual(bencher: Bencher<'_, '_>, count: usize) {
    search(bencher, &library(count), &Scope::default(), CollectionOptions::default());
}

/// With a graph also where there are few: what [`GRAPH_FROM`] is chosen by.
#[divan::bench(args = [5_000, 10_000, 20_000, 50_000])]
fn graph(bencher: Bencher<'_, '_>, count: usize) {
    let library = built(count, 1);
    search(bencher, &library, &Scope::default(), CollectionOptions::default());
}

/// One of so many of 100,000 segments passes.
#[divan::bench(args = [2, 10, 100, 1_000, 10_000])]
fn filtered(bencher: Bencher<'_, '_>, one_of: usize) {
    let ids = (1..=100_000_i64).step_by(one_of).collect();
    let scope = Scope { allowed: Allowed::Segments(ids), ..Scope::default() };
    eprintln!("1 of {one_of}: recall@10 {:.4}", recall(100_000, &scope));
    search(bencher, &library(100_000), &scope, CollectionOptions::default());
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

#[divan::bench(args = sizes(&[20_000, 100_000]))]
fn open(bencher: Bencher<'_, '_>, count: usize) {
    let library = library(count);
    let model = choose_model(&library, None).unwrap();
    bencher.bench_local(|| Collection::open(&library, black_box(&model), Level::Segment).unwrap());
}
