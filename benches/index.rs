//! The parts of nearest-neighbour search, on one thread and made vectors: products of quantised
//! rows (bytes a second are those that a product reads) and walks of the graph, whose recall is
//! printed beside. Seeds are fixed.
//!
//! The vectors are clusters of 25 in 1024 dimensions, a fifth of them stored values, as YAMNet's;
//! `benches/collection.rs` has real ones, and `benches/neighbours/run.py` the peers. Not measured
//! here: files and SQLite.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a program that prints figures"
)]

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use sonoteca::index::codes::{Form, Layout, OwnedRows};
use sonoteca::index::graph::{OwnedGraph, Pool};
use sonoteca::index::metric::normalise;
use sonoteca::index::quantise::PreparedQuery;
use sonoteca::index::scan::{Candidate, refine, scan};

const DIMENSION: usize = 1_024;
const ROWS: usize = 20_000;
const CLUSTER: usize = 25;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    divan::main();
}

struct Random(u64);

impl Random {
    /// In [0, 1).
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Rows in clusters; a query for each cluster.
    fn vectors(&mut self, rows: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let (mut vectors, mut queries) = (Vec::new(), Vec::new());
        while vectors.len() < rows {
            let centre: Vec<f32> = (0..DIMENSION).map(|_| (self.next() - 0.8).max(0.0)).collect();
            for number in 0..=CLUSTER {
                let mut vector: Vec<f32> =
                    centre.iter().map(|x| x * (0.7 + 0.6 * self.next())).collect();
                normalise(&mut vector, DIMENSION).unwrap();
                if number < CLUSTER { vectors.push(vector) } else { queries.push(vector) }
            }
        }
        (vectors, queries)
    }
}

fn rows_of(vectors: &[Vec<f32>], form: Form) -> OwnedRows {
    let mut rows = OwnedRows::with_layout(Layout { dimension: DIMENSION, form });
    assert!(vectors.iter().all(|vector| rows.push(vector)));
    rows
}

/// 64 rows, which stay in the nearest cache, and a query.
fn few(form: Form) -> (OwnedRows, PreparedQuery) {
    let (vectors, queries) = Random(1).vectors(64);
    let rows = rows_of(&vectors[..64], form);
    let query = PreparedQuery::new(&queries[0], rows.rows().layout());
    (rows, query)
}

const FORMS: [Form; 2] = [Form::Dense, Form::Packed];

#[divan::bench(args = FORMS)]
fn coarse(bencher: Bencher<'_, '_>, form: Form) {
    let (owned, query) = few(form);
    let rows: Vec<&[u8]> = (0..64).map(|position| owned.rows().row(position).unwrap()).collect();
    let mut cosines = [0.0; 64];
    bencher
        .counter(BytesCount::new(owned.bytes().len()))
        .bench_local(|| query.coarse(black_box(&rows), &mut cosines));
}

#[divan::bench(args = FORMS)]
fn fine(bencher: Bencher<'_, '_>, form: Form) {
    let (owned, query) = few(form);
    let rows: Vec<&[u8]> = (0..64).map(|position| owned.rows().row(position).unwrap()).collect();
    bencher
        .counter(BytesCount::new(owned.bytes().len()))
        .bench_local(|| rows.iter().map(|row| query.fine(black_box(row))).sum::<f32>());
}

#[divan::bench(args = FORMS)]
fn of_row(bencher: Bencher<'_, '_>, form: Form) {
    let (owned, _) = few(form);
    bencher.bench_local(|| PreparedQuery::of_row(owned.rows(), black_box(7)).unwrap());
}

struct Indexed {
    rows: OwnedRows,
    graph: OwnedGraph,
    queries: Vec<PreparedQuery>,
    truth: Vec<Vec<u32>>,
}

static INDEXED: LazyLock<Indexed> = LazyLock::new(|| {
    let (vectors, queries) = Random(2).vectors(ROWS);
    let rows = rows_of(&vectors, Form::Packed);
    let graph = OwnedGraph::build(rows.rows()).unwrap();
    let layout = rows.rows().layout();
    let queries: Vec<_> = queries.iter().map(|query| PreparedQuery::new(query, layout)).collect();
    let truth = queries
        .iter()
        .map(|query: &PreparedQuery| {
            ten(&rows, query, scan(rows.rows(), query, 10, &|_| true).unwrap())
        })
        .collect();
    Indexed { rows, graph, queries, truth }
});

/// The positions of the ten nearest of `candidates`.
fn ten(rows: &OwnedRows, query: &PreparedQuery, candidates: Vec<Candidate>) -> Vec<u32> {
    let mut found = refine(rows.rows(), query, 10, candidates).unwrap();
    found.sort_by(|a, b| (b.lower + b.upper).total_cmp(&(a.lower + a.upper)));
    found.iter().take(10).map(|candidate| candidate.position).collect()
}

#[divan::bench(args = [10, 16, 32, 64, 128])]
fn walk(bencher: Bencher<'_, '_>, width: usize) {
    let Indexed { rows, graph, queries, truth } = &*INDEXED;
    let pool = Pool::default();
    let search = |query: &PreparedQuery| {
        ten(rows, query, graph.graph().search(rows.rows(), query, width, &pool).unwrap())
    };
    say_recall("walk", width, queries, truth, search);
    let mut queries = queries.iter().cycle();
    bencher.bench_local(|| search(queries.next().unwrap()));
}

/// A walk for one row in four: `benches/collection.rs` has narrower filters, which are scanned.
#[divan::bench(args = [32, 64])]
fn walk_filtered(bencher: Bencher<'_, '_>, width: usize) {
    let Indexed { rows, graph, queries, .. } = &*INDEXED;
    let pool = Pool::default();
    let keep = |position: u32| position.is_multiple_of(4);
    let truth: Vec<_> = queries
        .iter()
        .map(|query| {
            let found = scan(rows.rows(), query, 10, &|position| position.is_multiple_of(4));
            ten(rows, query, found.unwrap())
        })
        .collect();
    let search = |query: &PreparedQuery| {
        let graph = graph.graph();
        let found = graph.search_filtered(rows.rows(), query, width, keep, ROWS, &pool).unwrap();
        ten(rows, query, found.map(|walked| walked.candidates).unwrap_or_default())
    };
    say_recall("walk_filtered", width, queries, &truth, search);
    let mut queries = queries.iter().cycle();
    bencher.bench_local(|| search(queries.next().unwrap()));
}

/// Says once what a search finds.
fn say_recall(
    name: &'static str,
    width: usize,
    queries: &[PreparedQuery],
    truth: &[Vec<u32>],
    search: impl Fn(&PreparedQuery) -> Vec<u32>,
) {
    static SAID: Mutex<BTreeMap<(&str, usize), f64>> = Mutex::new(BTreeMap::new());
    SAID.lock().unwrap().entry((name, width)).or_insert_with(|| {
        let right = |(query, truth): (_, &Vec<u32>)| {
            search(query).iter().filter(|position| truth.contains(position)).count()
        };
        let right: usize = queries.iter().zip(truth).map(right).sum();
        let all: usize = truth.iter().map(Vec::len).sum();
        let recall = right as f64 / all as f64;
        eprintln!("{name}, width {width}: recall@10 {recall:.4}");
        recall
    });
}
