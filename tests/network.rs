//! The network's engines and precisions against each other, through the public interface.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use sonoteca::audio::decode::Decoder;
use sonoteca::audio::resample::{FilterCache, Resampler};
use sonoteca::frontend::patch::PatchStream;
use sonoteca::frontend::spec::YAMNET;
use sonoteca::model::compute::{Compute, Device, Precision};
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, Engine};
use sonoteca::units::SampleRate;

/// As in `tests/golden.rs`; on these patches the engines differ by less than 1e-4.
const EMBEDDING_TOLERANCE: f32 = 1e-3;
const SCORE_TOLERANCE: f32 = 3e-4;
/// The bound for bfloat16.
const LEAST_MEAN_COSINE: f64 = 0.999;

fn model(precision: Precision, engine: Engine) -> EmbeddingModel {
    let compute = Compute { device: Device::Cpu, precision };
    EmbeddingModel::load_on("yamnet", &ModelStore::of_user().unwrap(), compute, engine).unwrap()
}

/// Noise in the range of log-mel values, in recordings of five patches that overlap by half.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 7_u32;
    let mut half = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let level = (state >> 28) as f32 * 0.3;
        let mut noise = state;
        let value = |_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            6.0 * (noise as f32 / u32::MAX as f32 - 0.5) - 7.0 + level
        };
        (0..YAMNET.patch_values() / 2).map(value).collect::<Vec<f32>>()
    };
    let mut last = Vec::new();
    let mut patches = Vec::new();
    for patch in 0..count {
        patches.extend(if patch % 5 == 0 { half() } else { last });
        last = half();
        patches.extend_from_slice(&last);
    }
    patches
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn our_kernels_agree_with_libtorch() {
    let patches = noise(18);
    let ours = model(Precision::Float32, Engine::Own).embed(&patches).unwrap();
    let theirs = model(Precision::Float32, Engine::Torch).embed(&patches).unwrap();
    let embeddings = largest_difference(&ours.embeddings, &theirs.embeddings);
    let scores = largest_difference(&ours.scores, &theirs.scores);
    eprintln!("embeddings differ by {embeddings:.2e}, scores by {scores:.2e}");
    assert!(embeddings <= EMBEDDING_TOLERANCE && scores <= SCORE_TOLERANCE);
}

#[test]
fn a_patch_s_embedding_does_not_depend_on_its_batch() {
    let patches = noise(37);
    for precision in Precision::ALL {
        let model = model(precision, Engine::Own);
        let whole = model.embed(&patches).unwrap();
        for batch in [1, 2, 5, 16, 19] {
            let mut embeddings = Vec::new();
            let mut scores = Vec::new();
            // Another handle, whose buffers have not seen the rest.
            let model = model.share();
            for batch in patches.chunks(batch * YAMNET.patch_values()) {
                let output = model.embed(batch).unwrap();
                embeddings.extend(output.embeddings);
                scores.extend(output.scores);
            }
            assert!(embeddings == whole.embeddings, "{precision} by {batch}");
            assert!(scores == whole.scores, "{precision} by {batch}");
        }
    }
}

#[test]
fn bfloat16_keeps_the_direction_of_embeddings() {
    // Every eighth file; the next test takes all.
    keeps_the_direction(8, Engine::Own);
}

#[test]
#[ignore = "takes the whole of ESC-10: cargo test --release --test network -- --ignored --nocapture"]
fn bfloat16_keeps_the_direction_of_all_embeddings() {
    keeps_the_direction(1, Engine::Own);
    keeps_the_direction(1, Engine::Torch);
}

/// Compares the precisions over the segments of each `step`-th file of ESC-10.
fn keeps_the_direction(step: usize, engine: Engine) {
    let Some(esc10) = common::shared("data/esc10") else { return };
    let mut files: Vec<_> = walkdir::WalkDir::new(esc10)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ogg"))
        .collect();
    files.sort();
    let exact = model(Precision::Float32, Engine::Own);
    let rounded = model(Precision::Bfloat16, engine);
    let filters = FilterCache::default();
    let mut cosines = Vec::new();
    for path in files.iter().step_by(step) {
        let patches = patches(path, &filters);
        let expected = exact.embed(&patches).unwrap().embeddings;
        let found = rounded.embed(&patches).unwrap().embeddings;
        let pairs = found.chunks_exact(1024).zip(expected.chunks_exact(1024));
        cosines.extend(pairs.map(|(a, b)| cosine(a, b)));
    }
    cosines.sort_by(f64::total_cmp);
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    eprintln!(
        "bfloat16, {engine:?}, {} segments: mean cosine {mean:.6}, least {:.6}, 1 % below {:.6}",
        cosines.len(),
        cosines[0],
        cosines[cosines.len() / 100]
    );
    assert!(mean >= LEAST_MEAN_COSINE, "{mean}");
}

fn patches(path: &Path, filters: &FilterCache) -> Vec<f32> {
    let mut decoder = Decoder::open(path).unwrap();
    let rate = SampleRate::new(YAMNET.sample_rate).unwrap();
    let mut resampler = Resampler::new(filters.get(decoder.format().sample_rate, rate));
    let mut stream = PatchStream::new(YAMNET);
    let (mut block, mut samples, mut patches) = (Vec::new(), Vec::new(), Vec::new());
    while decoder.next_block(&mut block).unwrap() {
        resampler.push(&block, &mut samples);
    }
    resampler.finish(&mut samples);
    stream.push(&samples, &mut patches);
    stream.finish(&mut patches);
    patches
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
