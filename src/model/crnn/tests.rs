//! The network against the original graph's answers, and its two engines against each other.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use super::*;
use crate::frontend::patch::PatchStream;
use crate::model::card::Format;
use crate::model::checkpoint::{Checkpoint, CheckpointBytes, Problem};
use crate::model::compute::Precision;
use crate::model::golden::{arrays, largest_difference, weights};
use crate::model::network::{Batch, NetworkOutput};
use crate::model::torch::to_vec;

/// The bound.
const PROBABILITY_TOLERANCE: f32 = 1e-5;
/// Embeddings reach 10, and pass 196 steps of recurrence: float32's noise is 1e-5 of that.
const ENGINE_TOLERANCE: f32 = 1e-4;
const CPU: Compute = Compute { device: Device::Cpu, precision: Precision::Float32 };

/// Bytes of the checkpoint's data file.
const DATA_BYTES: usize = 898_270;

fn parameters() -> Parameters {
    Parameters::take(weights("crnn-bell"), 1).unwrap()
}

fn networks() -> [(&'static str, Box<dyn Network>); 2] {
    let parameters = parameters();
    [
        ("own", Box::new(cpu::Crnn::new(&parameters))),
        ("tch", Box::new(torch::Crnn::new(&parameters, CPU).unwrap())),
    ]
}

/// The frames of `samples`, a second or less, followed by silence.
fn patch(samples: &[f32]) -> Vec<f32> {
    let (mut stream, mut patches) = (PatchStream::new(FRONT_END), Vec::new());
    stream.push(samples, &mut patches);
    stream.finish(&mut patches);
    assert_eq!(patches.len(), FRONT_END.patch_values());
    patches
}

fn run(network: &dyn Network, values: &[f32], sound_samples: &[usize]) -> NetworkOutput {
    network.run(&Batch { values, sound_samples }).unwrap()
}

#[test]
fn probabilities_equal_the_reference() {
    let Some(golden) = arrays("crnn.safetensors") else { return };
    let cases = golden.iter().filter_map(|(name, samples)| {
        let name = name.strip_prefix("samples_")?;
        Some((name, samples, &golden[&format!("probability_{name}")]))
    });
    let mut compared = 0;
    for (name, samples, expected) in cases {
        let patch = patch(samples);
        for (engine, network) in networks() {
            let found = run(network.as_ref(), &patch, &[samples.len()]).scores;
            let difference = largest_difference(&found, expected);
            eprintln!("{name}, {engine}: {found:?}, off by {difference:.1e}");
            assert!(difference <= PROBABILITY_TOLERANCE, "{name}, {engine}: {found:?}");
        }
        compared += 1;
    }
    assert_eq!(compared, 6);
}

#[test]
fn a_shift_by_one_frame_would_show() {
    let Some(golden) = arrays("crnn.safetensors") else { return };
    let shown = golden.iter().filter(|(name, samples)| {
        let Some(name) = name.strip_prefix("samples_") else { return false };
        let expected = &golden[&format!("probability_{name}")];
        let shifted = patch(&samples[FRONT_END.hop_samples()..]);
        let network = cpu::Crnn::new(&parameters());
        let found = run(&network, &shifted, &[samples.len()]).scores;
        largest_difference(&found, expected) > 10.0 * PROBABILITY_TOLERANCE
    });
    // Where nothing rings, the probability is next to none wherever frames lie.
    assert!(shown.count() >= 2);
}

#[test]
fn every_frame_is_the_same_by_both_engines() {
    let samples: Vec<f32> = (0..16_000).map(|n| 0.3 * (n as f32).powf(1.3).sin()).collect();
    let patch = patch(&samples);
    let parameters = parameters();
    let (embeddings, scores) = cpu::Crnn::new(&parameters).frames(&patch);
    let network = torch::Crnn::new(&parameters, CPU).unwrap();
    let (theirs, their_scores) = network.frames(&patch, FRONT_END.patch_frames).unwrap();
    let difference = largest_difference(&embeddings, &to_vec(&theirs).unwrap());
    eprintln!("frames' embeddings differ by {difference:.1e}");
    assert_eq!(embeddings.len(), 98 * 64);
    assert!(difference <= ENGINE_TOLERANCE, "{difference}");
    let difference = largest_difference(&scores, &to_vec(&their_scores).unwrap());
    assert!(difference <= PROBABILITY_TOLERANCE, "{difference}");
}

#[test]
fn padding_is_not_heard_and_a_batch_does_not_matter() {
    assert_eq!([1, 399, 400, 8_000, 15_920, 16_000].map(frames_of), [1, 1, 1, 48, 98, 98]);
    let samples: Vec<f32> = (0..16_000).map(|n| 0.3 * (n as f32).powf(1.3).sin()).collect();
    let (whole, half) = (patch(&samples), patch(&samples[..8_000]));
    for (engine, network) in networks() {
        let network = network.as_ref();
        let both = run(network, &[&whole[..], &half].concat(), &[16_000, 8_000]);
        let alone = [run(network, &whole, &[16_000]), run(network, &half, &[8_000])];
        let alone: Vec<f32> = alone.into_iter().flat_map(|output| output.embeddings).collect();
        assert_eq!(both.embeddings, alone, "{engine}");
        // The same half second before other sound.
        let cut = run(network, &whole, &[8_000]);
        assert_eq!(cut.embeddings, alone[UNITS..], "{engine}");
    }
}

/// The published index; of what it says of a tensor's place, only zeros lie there.
fn index() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/checkpoints/crnn_bell.index");
    std::fs::read(path).unwrap()
}

fn convert(index: Vec<u8>, data_bytes: usize) -> std::result::Result<Weights, Problem> {
    let bytes = CheckpointBytes { data: vec![0; data_bytes], companion: index };
    from_checkpoint(&Checkpoint::open(Format::TensorFlow, &bytes)?)
}

#[test]
fn the_published_index_has_every_tensor_in_its_shape() {
    let weights = convert(index(), DATA_BYTES).unwrap();
    Parameters::take(weights, 1).unwrap();
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let problem = convert(index(), DATA_BYTES - 606659).unwrap_err();
    assert!(problem.contains("variables/19"), "{problem}");
    let problem = convert(index()[1..].to_vec(), DATA_BYTES).err();
    assert!(problem.is_some());
    let mut headless = index();
    let end = headless.len() - 1;
    headless[end] ^= 1;
    let problem = convert(headless, DATA_BYTES).unwrap_err();
    assert!(problem.contains("expected 0xdb4775248b80fb57"), "{problem}");
    // Whatever is wrong with it, it is refused or what it gives has another hash: never a panic.
    for place in (0..index().len()).step_by(11) {
        let mut index = index();
        index[place] ^= 0x24;
        drop(convert(index, DATA_BYTES));
    }
}
