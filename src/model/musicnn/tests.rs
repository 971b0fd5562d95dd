//! The network against the original graphs' answers, and its two engines against each other.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use super::*;
use crate::model::card::Format;
use crate::model::checkpoint::{Checkpoint, CheckpointBytes, Problem};
use crate::model::golden::{arrays, largest_difference, weights};
use crate::model::network::{Batch, NetworkOutput};

/// The bound.
const TOLERANCE: f32 = 1e-4;
const CPU: Compute = Compute { device: Device::Cpu, precision: Precision::Float32 };
/// Each model and what its arrays are called.
const MODELS: [(&str, &str); 2] = [("musicnn-mtt", "MTT_musicnn"), ("musicnn-msd", "MSD_musicnn")];

/// Bytes of the checkpoint's data file.
const DATA_BYTES: usize = 9_465_596;

fn networks(model: &str) -> [(&'static str, Box<dyn Network>); 2] {
    let parameters = Parameters::take(weights(model), 50).unwrap();
    [
        ("own", Box::new(cpu::Musicnn::new(&parameters))),
        ("tch", Box::new(torch::Musicnn::new(&parameters, CPU).unwrap())),
    ]
}

fn run(network: &dyn Network, values: &[f32]) -> NetworkOutput {
    let count = values.len() / FRONT_END.patch_values();
    let sound_samples = vec![FRONT_END.patch_samples; count];
    network.run(&Batch { values, sound_samples: &sound_samples }).unwrap()
}

/// Frames in the range of log-mel values, by a generator.
fn frames(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let value = |index: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let level = 1.0 + (index as f32 / 4_000.0).sin();
        level * 2.0 * (state as f32 / u32::MAX as f32)
    };
    (0..count * BANDS).map(value).collect()
}

#[test]
fn embeddings_and_tags_equal_the_reference() {
    let Some(golden) = arrays("musicnn.safetensors") else { return };
    let patches = &golden["patches"];
    assert_eq!(patches.len(), 3 * FRONT_END.patch_values());
    for (model, array) in MODELS {
        for (engine, network) in networks(model) {
            let found = run(network.as_ref(), patches);
            let embeddings =
                largest_difference(&found.embeddings, &golden[&format!("embedding_{array}")]);
            let tags = largest_difference(&found.scores, &golden[&format!("tags_{array}")]);
            eprintln!("{model}, {engine}: embeddings off by {embeddings:.1e}, tags by {tags:.1e}");
            assert!(embeddings <= TOLERANCE && tags <= TOLERANCE, "{model}, {engine}");
        }
    }
}

#[test]
fn bfloat16_keeps_the_direction_of_embeddings() {
    let sound = frames(4 * FRONT_END.patch_frames);
    let compute = Compute { precision: Precision::Bfloat16, ..CPU };
    for (model, _) in MODELS {
        let parameters = Parameters::take(weights(model), 50).unwrap();
        let exact = run(&cpu::Musicnn::new(&parameters), &sound).embeddings;
        let rounded = build(weights(model), 50, compute, Engine::Own).unwrap();
        let rounded = run(rounded.as_ref(), &sound).embeddings;
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let norms = dot(&exact, &exact) * dot(&rounded, &rounded);
        let cosine = dot(&exact, &rounded) / norms.sqrt();
        eprintln!("{model}: cosine in bfloat16 {cosine:.6}");
        // What is asked of YAMNet's, too.
        assert!(cosine >= 0.999, "{model}: {cosine}");
    }
}

#[test]
fn a_shift_by_one_frame_would_show() {
    let Some(golden) = arrays("musicnn.safetensors") else { return };
    let size = FRONT_END.patch_values();
    for (model, array) in MODELS {
        let network = &networks(model)[0].1;
        for (index, patch) in golden["patches"].chunks_exact(size).enumerate() {
            // Each patch without its first frame, and silence behind.
            let shifted = [&patch[BANDS..], &[0.0; BANDS]].concat();
            let found = run(network.as_ref(), &shifted).embeddings;
            let expected = &golden[&format!("embedding_{array}")][index * EMBEDDING..][..EMBEDDING];
            assert!(largest_difference(&found, expected) > 10.0 * TOLERANCE, "{model}, {index}");
        }
    }
}

#[test]
fn a_patch_is_the_same_whatever_was_run_before() {
    let hop = FRONT_END.patch_hop_frames * BANDS;
    let sound = frames(4 * FRONT_END.patch_frames);
    // Patches of one recording, which overlap, then the first one again.
    let starts = [0, hop, 2 * hop, 3 * hop, 0];
    let patches: Vec<&[f32]> =
        starts.iter().map(|&start| &sound[start..][..FRONT_END.patch_values()]).collect();
    let network = &networks("musicnn-mtt")[0].1;
    let together = run(network.as_ref(), &patches.concat());
    for (index, patch) in patches.iter().enumerate() {
        // Another handle, whose buffers have not seen the rest.
        let alone = run(network.share().as_ref(), patch);
        let range = index * EMBEDDING..(index + 1) * EMBEDDING;
        assert!(alone.embeddings == together.embeddings[range], "patch {index}");
    }
}

#[test]
fn padding_is_not_heard() {
    assert_eq!([1, 256, 257, 24_000, 47_872].map(frames_of), [1, 1, 2, 94, 187]);
    let sound = frames(2 * FRONT_END.patch_frames);
    let (patch, other) = sound.split_at(FRONT_END.patch_values());
    for (engine, network) in networks("musicnn-msd") {
        for samples in [160, 8_000, 24_000] {
            let heard = frames_of(samples) * BANDS;
            let followed = [&patch[..heard], &other[heard..]].concat();
            let run = |values| {
                network.run(&Batch { values, sound_samples: &[samples] }).unwrap().embeddings
            };
            let embedding = run(patch);
            assert!(embedding.iter().all(|value| value.is_finite()));
            assert_eq!(embedding, run(&followed), "{engine}, {samples} samples");
        }
    }
    let [own, torch] = networks("musicnn-msd");
    for samples in [100, 8_000, 24_000] {
        let run = |network: &dyn Network| {
            network.run(&Batch { values: patch, sound_samples: &[samples] }).unwrap().embeddings
        };
        let difference = largest_difference(&run(own.1.as_ref()), &run(torch.1.as_ref()));
        assert!(difference <= TOLERANCE, "{samples}: {difference}");
    }
}

/// The published index; of what it says of a tensor's place, only zeros lie there.
fn index() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/checkpoints/musicnn_mtt.index");
    std::fs::read(path).unwrap()
}

fn convert(index: Vec<u8>, data_bytes: usize) -> std::result::Result<Weights, Problem> {
    let bytes = CheckpointBytes { data: vec![0; data_bytes], companion: index };
    from_checkpoint(&Checkpoint::open(Format::TensorFlow, &bytes)?)
}

#[test]
fn the_published_index_has_every_tensor_in_its_shape() {
    let weights = convert(index(), DATA_BYTES).unwrap();
    Parameters::take(weights, 50).unwrap();
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let problem = convert(index(), DATA_BYTES - 120596).unwrap_err();
    assert!(problem.contains("dense_1"), "{problem}");
    let problem = convert(index()[1..].to_vec(), DATA_BYTES).err();
    assert!(problem.is_some());
    let mut headless = index();
    let end = headless.len() - 1;
    headless[end] ^= 1;
    let problem = convert(headless, DATA_BYTES).unwrap_err();
    assert!(problem.contains("expected 0xdb4775248b80fb57"), "{problem}");
    // Whatever is wrong with it, it is refused or what it gives has another hash: never a panic.
    for place in (0..index().len()).step_by(41) {
        let mut index = index();
        index[place] ^= 0x24;
        drop(convert(index, DATA_BYTES));
    }
}
