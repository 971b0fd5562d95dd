//! The encoder against arrays of OpenAI's layers by transformers (`make_torch_models.py` in the
//! shared folder) and of CTranslate2 (`tests/golden/make_whisper.py`).

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::*;
use crate::frontend::patch::PatchStream;
use crate::model::compute::{Device, Precision};
use crate::model::registry;
use crate::model::store::ModelStore;

/// The bound of the issue, for weights that were rounded to float16: states are about 1 and reach
/// 30; float32's noise through the blocks is some 1e-4, as between transformers and CTranslate2.
const STATE_TOLERANCE: f32 = 1e-3;
/// The bound of the issue; the reference computes its spectrum in float64.
const MEL_TOLERANCE: f32 = 1e-4;
/// States of the arrays that the project holds are every so many.
const EVERY: usize = 60;

const CPU: Compute = Compute { device: Device::Cpu, precision: Precision::Float32 };

fn encoder(size: Size) -> Whisper {
    let card = registry::find(size.name).unwrap();
    let store = ModelStore::of_user().unwrap();
    let mut weights = store.read_weights(card).unwrap();
    let encoder = Whisper::take(&mut weights, size, Place::of(CPU)).unwrap();
    weights.finish().unwrap();
    encoder
}

/// Row-major values of a file's array.
fn array(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let (values, rest) = file.tensor(name).unwrap().data().as_chunks::<4>();
    assert!(rest.is_empty());
    values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn in_the_project(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What lies beside the project; none, said aloud, where it does not.
fn shared() -> Option<Vec<u8>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("SONOTECA_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join("golden/whisper_tiny_en.safetensors");
    if !path.is_file() {
        eprintln!("SKIPPED: there is no {} (SONOTECA_SHARED names another place)", path.display());
        return None;
    }
    Some(std::fs::read(path).unwrap())
}

/// `[mels, frames]`, scaled, as a patch of ours: `[frames, mels]`, logarithms to base 10.
fn patch_of(mel: &[f32]) -> Vec<f32> {
    let frames = mel.len() / MELS;
    let value = |frame: usize, band: usize| 4.0 * mel[band * frames + frame] - 4.0;
    (0..frames).flat_map(|frame| (0..MELS).map(move |band| value(frame, band))).collect()
}

/// What `make_whisper.py` calls generated.
#[expect(clippy::cast_possible_truncation, reason = "made in f64, given as f32")]
fn generated() -> Vec<f32> {
    let mut state = 1_u32;
    let value = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (10.0 * (f64::from(state) / f64::from(u32::MAX)) - 10.0) as f32
    };
    (0..FRONT_END.patch_values()).map(value).collect()
}

fn states(encoder: &Whisper, patch: &[f32], count: usize) -> Vec<f32> {
    torch::run("whisper", || to_vec(&encoder.states(patch, count)?)).unwrap()
}

fn every(states: &[f32], width: usize) -> Vec<f32> {
    states.chunks_exact(width).step_by(EVERY).flatten().copied().collect()
}

fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[track_caller]
fn assert_near(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    let difference = difference(ours, theirs);
    eprintln!("{what}: differs by at most {difference:.2e}");
    assert!(difference <= tolerance, "{what}: {difference}");
}

#[test]
fn tiny_s_states_equal_the_reference() {
    let encoder = encoder(TINY);
    let bytes = in_the_project("tests/golden/whisper.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ours = every(&states(&encoder, &generated(), POSITIONS), TINY.width);
    assert_near("generated", &ours, &array(&file, "generated_tiny"), STATE_TOLERANCE);
    let Some(bytes) = shared() else { return };
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for case in ["tone_440", "speech", "field"] {
        let ours = states(&encoder, &patch_of(&array(&file, &format!("mel_{case}"))), POSITIONS);
        let theirs = array(&file, &format!("encoder_{case}"));
        assert_near(case, &ours, &theirs, STATE_TOLERANCE);
        // A hop too far is no noise.
        let shifted = difference(&ours[TINY.width..], &theirs[..theirs.len() - TINY.width]);
        assert!(shifted > 100.0 * STATE_TOLERANCE, "{case}: {shifted}");
    }
}

#[test]
fn base_s_states_equal_ctranslate2_s() {
    let encoder = encoder(BASE);
    let bytes = in_the_project("tests/golden/whisper.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ours = every(&states(&encoder, &generated(), POSITIONS), BASE.width);
    assert_near("generated", &ours, &array(&file, "generated_base"), STATE_TOLERANCE);
    let Some(shared) = shared() else { return };
    let shared = SafeTensors::deserialize(&shared).unwrap();
    let patch = patch_of(&array(&shared, "mel_speech"));
    let ours = every(&states(&encoder, &patch, POSITIONS), BASE.width);
    assert_near("speech", &ours, &array(&file, "speech_base"), STATE_TOLERANCE);
}

#[test]
fn mel_bands_equal_the_reference() {
    let Some(bytes) = shared() else { return };
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for case in ["tone_440", "speech", "field"] {
        let samples = array(&file, &format!("samples_{case}"));
        let mut stream = PatchStream::new(FRONT_END);
        let mut patches = Vec::new();
        for block in samples.chunks(7_001) {
            stream.push(block, &mut patches);
        }
        stream.finish(&mut patches);
        assert_eq!(patches.len(), FRONT_END.patch_values(), "one patch");
        assert_eq!(stream.sound_samples(0), samples.len());
        let ours = scaled(&patches);
        let theirs = scaled(&patch_of(&array(&file, &format!("mel_{case}"))));
        assert_near(case, &ours, &theirs, MEL_TOLERANCE);
    }
}

/// Fewer states are the first of all, and embeddings their means.
#[test]
fn embeddings_are_means_of_half_seconds_of_sound() {
    let encoder = encoder(TINY);
    let patch = generated();
    let all = states(&encoder, &patch, POSITIONS);
    // 1.1 s: three steps, of which the last has a tenth of a second.
    let sound_samples = 17_600;
    let batch =
        Batch { values: &[&patch[..], &patch[..]].concat(), sound_samples: &[sound_samples, 1] };
    let output = encoder.run(&batch).unwrap();
    let mean = |first: usize, count: usize| -> Vec<f32> {
        let rows = &all[first * TINY.width..][..count * TINY.width];
        (0..TINY.width)
            .map(|column| rows.iter().skip(column).step_by(TINY.width).sum::<f32>() / count as f32)
            .collect()
    };
    let expected = [mean(0, 25), mean(25, 25), mean(50, 5), mean(0, 1)].concat();
    assert!(output.scores.is_empty());
    // Products of fewer rows are summed in another order.
    assert_near("steps", &output.embeddings, &expected, STATE_TOLERANCE);
    let shared = encoder.share().run(&batch).unwrap();
    assert_eq!(shared, output);
}

#[test]
fn a_missing_and_an_extra_tensor_are_named() {
    let card = registry::find(TINY.name).unwrap();
    let weights = ModelStore::of_user().unwrap().read_weights(card).unwrap();
    let found = build(weights.clone(), BASE, CPU).map(drop).unwrap_err().to_string();
    assert!(found.contains("encoder/conv1/weight"), "{found}");
    let fewer = Size { blocks: TINY.blocks - 1, ..TINY };
    let found = build(weights, fewer, CPU).map(drop).unwrap_err().to_string();
    assert!(found.contains("encoder/layer_3/"), "{found}");
}
