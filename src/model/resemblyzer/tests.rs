//! Resemblyzer against arrays that its own code computed (`make_torch_models.py` beside them).

use super::*;
use crate::frontend::patch::PatchStream;
use crate::model::golden::{Golden, installed};

/// The bound.
const LEAST_COSINE: f64 = 0.99999;
const CASES: [&str; 3] = ["tone_440", "speech", "field"];
/// The bound for mel bands, of a value.
const MEL_TOLERANCE: f32 = 1e-4;
/// Of a frame's loudest band, what float32 leaves uncertain in any other. Transforms in float32 err
/// by some ε = 6e-8 of the largest amplitude A; a power a² then errs by 2aεA, which is within 1e-4
/// of it down to a = 1.2e-3 · A, where it is 1.4e-10 · A². The reference transforms in float64.
const MEL_NOISE: f32 = 1e-9;
/// From one window to the next, in frames.
const HOP: usize = 77;
/// Length of a frame, and from one to the next, in samples.
const WINDOW: usize = 400;
const HOP_SAMPLES: usize = 160;

fn network() -> Option<Resemblyzer> {
    let compute = Compute { device: crate::model::compute::Device::Cpu, ..Compute::default() };
    Some(Resemblyzer::new(installed(MODEL)?, compute).unwrap())
}

fn run(network: &Resemblyzer, values: &[f32]) -> Vec<f32> {
    let sound_samples = vec![25_600; values.len() / (FRAMES * MELS)];
    network.run(&Batch { values, sound_samples: &sound_samples }).unwrap().embeddings
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The patches of a recording.
fn patches(samples: &[f32]) -> Vec<f32> {
    let mut stream = PatchStream::new(FRONT_END);
    let mut patches = Vec::new();
    for block in samples.chunks(7_001) {
        stream.push(block, &mut patches);
    }
    stream.finish(&mut patches);
    patches
}

/// The reference's samples are raised to the level already.
#[test]
fn mel_bands_equal_the_reference() {
    let Some(golden) = Golden::open("resemblyzer.safetensors") else { return };
    for case in CASES {
        let samples = golden.array(&format!("samples_{case}"));
        let theirs = golden.array(&format!("mel_{case}"));
        // Frames that reach past the sound see its border there, and here padding before that.
        let inside = (samples.len() - WINDOW / 2) / HOP_SAMPLES;
        let (mut worst, mut compared) = (0.0_f32, 0);
        for (patch, ours) in patches(&samples).chunks(FRAMES * MELS).enumerate() {
            for (frame, ours) in ours.chunks(MELS).enumerate() {
                let at = patch * HOP + frame;
                if at > inside {
                    break;
                }
                let theirs = &theirs[at * MELS..][..MELS];
                let loudest = theirs.iter().copied().fold(0.0, f32::max);
                for (ours, theirs) in ours.iter().zip(theirs) {
                    let excess = (ours - theirs).abs() - MEL_NOISE * loudest;
                    worst = worst.max(excess / theirs);
                    compared += 1;
                }
            }
        }
        eprintln!("{case}: mel bands differ by {worst:.1e}");
        assert!(compared > theirs.len() / 2 && worst <= MEL_TOLERANCE, "{case}: {worst}");
    }
}

#[test]
fn embeddings_equal_the_reference_from_samples() {
    let Some(golden) = Golden::open("resemblyzer.safetensors") else { return };
    let Some(network) = network() else { return };
    for case in CASES {
        let ours = run(&network, &patches(&golden.array(&format!("samples_{case}"))));
        let theirs = golden.array(&format!("partials_{case}"));
        assert_eq!(ours.len(), theirs.len(), "{case}: windows");
        for (ours, theirs) in ours.chunks(EMBEDDING).zip(theirs.chunks(EMBEDDING)) {
            let cosine = cosine(ours, theirs);
            assert!(cosine >= LEAST_COSINE, "{case}: {cosine}");
        }
        // An utterance is the mean of its windows; their length is 1, so that the mean's direction
        // is the reference's.
        let mean: Vec<f32> =
            (0..EMBEDDING).map(|at| ours.iter().skip(at).step_by(EMBEDDING).sum()).collect();
        let cosine = cosine(&mean, &golden.array(&format!("utterance_{case}")));
        eprintln!("{case}: utterance cosine {cosine:.8}");
        assert!(cosine >= LEAST_COSINE, "{case}: {cosine}");
    }
}

#[test]
fn an_embedding_does_not_depend_on_its_batch() {
    let Some(network) = network() else { return };
    let patch = |seed: usize| -> Vec<f32> {
        (0..FRAMES * MELS).map(|n| ((n * 7_919 + seed * 104_729) % 1_000) as f32 * 1e-4).collect()
    };
    let patches: Vec<Vec<f32>> = (0..ROWS + 3).map(patch).collect();
    let together = run(&network, &patches.concat());
    for (patch, together) in patches.iter().zip(together.chunks(EMBEDDING)) {
        assert_eq!(run(&network, patch), together);
    }
}

#[test]
fn silence_is_finite() {
    let Some(network) = network() else { return };
    assert!(run(&network, &vec![0.0; FRAMES * MELS]).iter().all(|value| value.is_finite()));
}

#[test]
fn the_checkpoint_converts_to_the_card_s_weights() {
    use crate::model::card::Format;
    use crate::model::checkpoint::pytorch::published;
    use crate::model::checkpoint::{Checkpoint, CheckpointBytes};
    let wheel = "Resemblyzer-0.1.4-py3-none-any.whl";
    let Some(file) = published(wheel, "resemblyzer/pretrained.pt") else { return };
    let bytes = CheckpointBytes { data: file, ..CheckpointBytes::default() };
    let checkpoint = Checkpoint::open(Format::PyTorch, &bytes).unwrap();
    let weights = from_checkpoint(&checkpoint).unwrap();
    crate::model::golden::assert_converted(MODEL, &weights);
}

/// What the number of rows rests on; run it alone, optimised, on a quiet machine.
#[test]
#[ignore = "a measurement"]
fn how_long_patches_take() {
    tch::set_num_threads(1);
    let Some(network) = network() else { return };
    let values = vec![0.01; ROWS * FRAMES * MELS];
    let time = |_| {
        let start = std::time::Instant::now();
        run(&network, &values);
        start.elapsed().as_secs_f64()
    };
    let best = (0..8).map(time).fold(f64::INFINITY, f64::min);
    eprintln!("{ROWS} patches: {:.1} ms", best * 1e3);
}
