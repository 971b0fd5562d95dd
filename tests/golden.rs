//! The front end and the network against arrays that YAMNet's own code computed
//! (`tests/golden/make_yamnet.py`).

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use sonoteca::frontend::patch::PatchStream;
use sonoteca::frontend::spec::YAMNET;

/// The bounds. The reference computes its FFT in float32: where a band holds almost no
/// energy, which only pure tones have, its rounding noise shows through the logarithm.
const LOG_MEL_TOLERANCE: f32 = 2e-4;
const LOG_MEL_TOLERANCE_TONES: f32 = 1e-2;
const EMBEDDING_TOLERANCE: f32 = 1e-3;
const SCORE_TOLERANCE: f32 = 3e-4;
const LEAST_COSINE: f64 = 0.999_999;

struct Golden {
    name: String,
    samples: Vec<f32>,
    log_mel: Vec<f32>,
    embeddings: Vec<f32>,
    scores: Vec<f32>,
}

impl Golden {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let array = |name: &str| -> Vec<f32> {
            let (values, rest) = file.tensor(name).unwrap().data().as_chunks::<4>();
            assert!(rest.is_empty());
            values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
        };
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            samples: array("samples"),
            log_mel: array("log_mel"),
            embeddings: array("embeddings"),
            scores: array("scores"),
        }
    }

    fn log_mel_tolerance(&self) -> f32 {
        match self.name.as_str() {
            "tone_440_3s" | "chirp_3s" => LOG_MEL_TOLERANCE_TONES,
            _ => LOG_MEL_TOLERANCE,
        }
    }

    /// Our patches, `[patches, frames, mels]`.
    fn patches(&self) -> Vec<f32> {
        let mut stream = PatchStream::new(YAMNET);
        let mut patches = Vec::new();
        for block in self.samples.chunks(5_000) {
            stream.push(block, &mut patches);
        }
        stream.finish(&mut patches);
        patches
    }
}

/// The arrays in the project, and those beside it that are too large to be in it.
fn goldens() -> Vec<Golden> {
    let mut paths: Vec<PathBuf> = Vec::new();
    let here = common::root().join("tests/golden/yamnet");
    for folder in [common::shared("golden/yamnet"), Some(here)].into_iter().flatten() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if paths.iter().all(|known| known.file_name() != path.file_name()) {
                paths.push(path);
            }
        }
    }
    assert!(paths.len() >= 6, "the project itself holds six");
    paths.sort();
    paths.iter().map(|path| Golden::read(path)).collect()
}

/// The frames of patches that overlap by half, each once.
fn frames(patches: &[f32]) -> Vec<f32> {
    let hop = YAMNET.patch_hop_frames * YAMNET.frame_values();
    let mut frames = Vec::new();
    for patch in patches.chunks_exact(YAMNET.patch_values()) {
        frames.truncate(frames.len().saturating_sub(YAMNET.patch_values() - hop));
        frames.extend_from_slice(patch);
    }
    frames
}

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn log_mel_equals_the_reference() {
    for golden in goldens() {
        let ours = frames(&golden.patches());
        assert_eq!(ours.len(), golden.log_mel.len(), "{}: shape", golden.name);
        let difference = largest_difference(&ours, &golden.log_mel);
        eprintln!("{}: log-mel differs by at most {difference:.2e}", golden.name);
        assert!(difference <= golden.log_mel_tolerance(), "{}: {difference}", golden.name);
    }
}

#[test]
fn a_shift_by_one_frame_would_show() {
    for golden in goldens() {
        // Silence and a steady tone look the same at every frame; the rest must not.
        if ["silence_1s", "tone_440_3s", "full_scale_square"].contains(&golden.name.as_str()) {
            continue;
        }
        let ours = frames(&golden.patches());
        let shifted = &ours[YAMNET.frame_values()..];
        let difference = largest_difference(shifted, &golden.log_mel[..shifted.len()]);
        assert!(difference > 10.0 * golden.log_mel_tolerance(), "{}: {difference}", golden.name);
    }
}

#[test]
fn embeddings_and_scores_equal_the_reference() {
    let model = common::yamnet();
    for golden in goldens() {
        let mut embeddings = Vec::new();
        let mut scores = Vec::new();
        // Batches of an odd size, so that the last one is not full.
        for batch in golden.patches().chunks(7 * YAMNET.patch_values()) {
            let output = model.embed(batch).unwrap();
            embeddings.extend(output.embeddings);
            scores.extend(output.scores);
        }
        assert_eq!(embeddings.len(), golden.embeddings.len(), "{}: shape", golden.name);
        assert_eq!(scores.len(), golden.scores.len(), "{}: shape", golden.name);
        let difference = largest_difference(&embeddings, &golden.embeddings);
        let score_difference = largest_difference(&scores, &golden.scores);
        let cosine = embeddings
            .chunks_exact(1024)
            .zip(golden.embeddings.chunks_exact(1024))
            .map(|(a, b)| cosine(a, b))
            .fold(1.0, f64::min);
        eprintln!(
            "{}: embeddings differ by {difference:.2e}, scores by {score_difference:.2e}, \
             least cosine {cosine:.9}",
            golden.name
        );
        assert!(difference <= EMBEDDING_TOLERANCE, "{}: {difference}", golden.name);
        assert!(score_difference <= SCORE_TOLERANCE, "{}: {score_difference}", golden.name);
        assert!(cosine >= LEAST_COSINE, "{}: {cosine}", golden.name);
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
