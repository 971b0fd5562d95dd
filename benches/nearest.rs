//! Our nearest neighbours for `benches/neighbours/run.py`, which lets the peers take turns with
//! them.
//!
//! `nearest ROWS.npy QUERIES.npy TRUTH.npy` reads float32 unit vectors `[rows, dimension]` and
//! `[queries, dimension]`, and int64 `[queries, 10]`, quantises the rows, builds the graph on as
//! many threads as `RAYON_NUM_THREADS` says, and prints a JSON object: `build_s`, `bytes` (of rows,
//! offsets, graph, and 16 more a row, which a file has for keys). Then for each width that it reads
//! from standard input, a line each, it searches for all queries on one thread and prints
//! `seconds_per_query` and `recall`. `scan` in place of a width is the exact scan.
//!
//! Preparing a query and ordering what was found by all 16 bits are in the time. Not in it: SQLite,
//! which decides in the product between rows whose limits overlap.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that prints figures"
)]

use std::io::BufRead;
use std::time::Instant;

use sonoteca::index::codes::OwnedRows;
use sonoteca::index::graph::{GraphArrays, OwnedGraph, Pool};
use sonoteca::index::quantise::PreparedQuery;
use sonoteca::index::scan::{refine, scan};

const K: usize = 10;
const KEY_BYTES: usize = 16;

/// An array of numbers as numpy writes it: its second dimension, and the numbers in C order.
fn read<T, const BYTES: usize>(path: &str, number: impl Fn([u8; BYTES]) -> T) -> (usize, Vec<T>) {
    let bytes = std::fs::read(path).unwrap();
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..end]).unwrap();
    assert!(header.contains("'fortran_order': False"), "{header}");
    let shape = header.split_once("'shape': (").unwrap().1.split(')').next().unwrap();
    let columns = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    (columns, bytes[end..].as_chunks().0.iter().map(|&bytes| number(bytes)).collect())
}

fn main() {
    // Cargo adds an argument of its own to a benchmark's.
    let paths: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [rows, queries, truth] = &paths[..] else {
        // `cargo bench` runs this too; without files there is nothing to do.
        return;
    };
    let (dimension, vectors) = read(rows, f32::from_le_bytes);
    let (_, queries) = read(queries, f32::from_le_bytes);
    let (_, truth) = read(truth, i64::from_le_bytes);
    let started = Instant::now();
    let mut rows = OwnedRows::new(dimension);
    assert!(vectors.chunks_exact(dimension).all(|vector| rows.push(vector)));
    rows.choose_form();
    drop(vectors);
    let graph = OwnedGraph::build(rows.rows()).unwrap();
    let build_s = started.elapsed().as_secs_f64();
    let GraphArrays { neighbours, levels, members, upper, next_same } = graph.arrays();
    let numbers = [neighbours, levels, members, upper, next_same, rows.offsets()];
    let bytes = rows.bytes().len()
        + numbers.iter().map(|numbers| size_of_val(*numbers)).sum::<usize>()
        + KEY_BYTES * rows.rows().len();
    println!("{}", serde_json::json!({ "build_s": build_s, "bytes": bytes }));

    let pool = Pool::default();
    // A scan would use every thread, and is to take its turn on one.
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for line in std::io::stdin().lock().lines() {
        let width: Option<usize> = line.unwrap().parse().ok();
        let (mut right, started) = (0, Instant::now());
        for (query, truth) in queries.chunks_exact(dimension).zip(truth.chunks_exact(K)) {
            let query = PreparedQuery::new(query, rows.rows().layout());
            let mut found = match width {
                Some(width) => {
                    let found = graph.graph().search(rows.rows(), &query, width, &pool).unwrap();
                    refine(rows.rows(), &query, K, found).unwrap()
                }
                None => one.install(|| scan(rows.rows(), &query, K, &|_| true).unwrap()),
            };
            found.sort_by(|a, b| (b.lower + b.upper).total_cmp(&(a.lower + a.upper)));
            let nearest = found.iter().take(K);
            right += nearest.filter(|found| truth.contains(&i64::from(found.position))).count();
        }
        let seconds_per_query = started.elapsed().as_secs_f64() / (truth.len() / K) as f64;
        let recall = right as f64 / truth.len() as f64;
        println!(
            "{}",
            serde_json::json!({ "seconds_per_query": seconds_per_query, "recall": recall })
        );
    }
}
