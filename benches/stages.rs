//! One benchmark per stage on made input, for comparing changes: ids are `stage/case`. Throughput
//! of the audio stages is in samples of input. Seeds are fixed.
//!
//! Not measured here: files and codecs (see `benches/esc10.rs`), and anything on several threads.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a program that prints figures"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sonoteca::audio::resample::{ResampleFilter, Resampler};
use sonoteca::frontend::patch::PatchStream;
use sonoteca::frontend::spec::YAMNET;
use sonoteca::index::NeighbourIndex;
use sonoteca::index::exact::ExactIndex;
use sonoteca::model::set_threads_per_operation;
use sonoteca::store::vector;
use sonoteca::units::SampleRate;

fn main() {
    set_threads_per_operation(1);
    divan::main();
}

/// Ten seconds of noise.
fn noise(rate: u32) -> Vec<f32> {
    let mut state = 1_u32;
    (0..10 * rate)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as f32 / u32::MAX as f32 - 0.5
        })
        .collect()
}

#[divan::bench(args = [8_000, 11_127, 44_100, 48_000, 96_000])]
fn resample(bencher: Bencher<'_, '_>, rate: u32) {
    let filter = Arc::new(ResampleFilter::new(
        SampleRate::new(rate).unwrap(),
        SampleRate::new(16_000).unwrap(),
    ));
    let input = noise(rate);
    bencher.counter(ItemsCount::new(input.len())).bench_local(|| {
        let mut output = Vec::with_capacity(170_000);
        let mut resampler = Resampler::new(Arc::clone(&filter));
        resampler.push(black_box(&input), &mut output);
        resampler.finish(&mut output);
        output
    });
}

#[divan::bench]
fn front_end(bencher: Bencher<'_, '_>) {
    let input = noise(16_000);
    bencher.counter(ItemsCount::new(input.len())).bench_local(|| {
        let mut stream = PatchStream::new(YAMNET);
        let mut patches = Vec::new();
        stream.push(black_box(&input), &mut patches);
        stream.finish(&mut patches);
        patches
    });
}

#[divan::bench(args = [1, 4, 8, 10, 16, 24, 32, 64])]
fn network(bencher: Bencher<'_, '_>, batch: usize) {
    let model = common::yamnet();
    let patches: Vec<f32> = noise(16_000)
        .into_iter()
        .cycle()
        .take(batch * YAMNET.patch_values())
        .map(|x| 8.0 * x - 3.0)
        .collect();
    bencher.counter(ItemsCount::new(batch)).bench_local(|| model.embed(black_box(&patches)));
}

#[divan::bench(args = ["dense", "sparse"])]
fn store_decode(bencher: Bencher<'_, '_>, kind: &str) {
    let values: Vec<f32> = noise(16_000)
        .into_iter()
        .take(1_024)
        .map(|x| if kind == "sparse" { (x - 0.25).max(0.0) } else { x })
        .collect();
    let bytes = vector::encode(&values, vector::Precision::Half).unwrap();
    bencher.bench_local(|| {
        let mut decoded = Vec::with_capacity(1_024);
        vector::decode(black_box(&bytes), 1_024, &mut decoded).map(|()| decoded)
    });
}

fn vectors(count: usize) -> (ExactIndex, Vec<f32>) {
    let mut index = ExactIndex::new(1_024);
    let pool: Vec<f32> = noise(48_000).into_iter().map(|x| (x - 0.25).max(0.0)).collect();
    for (id, place) in (0..).zip((0..count).map(|n| n * 7_919 % (pool.len() - 1_024))) {
        index.add(id, &pool[place..place + 1_024]).unwrap();
    }
    let query = pool[500..1_524].to_vec();
    (index, query)
}

#[divan::bench(args = [1_000, 20_000])]
fn index_exact(bencher: Bencher<'_, '_>, count: usize) {
    let (index, query) = vectors(count);
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| index.search(black_box(&query), 10, &|_| true));
}
