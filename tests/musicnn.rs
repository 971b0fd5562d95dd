//! musicnn's front end against librosa's mel spectrogram (`tests/golden/musicnn/make_mel.py`). The
//! network is tested beside its code.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use safetensors::SafeTensors;
use sonoteca::frontend::patch::PatchStream;
use sonoteca::frontend::spec::MUSICNN;

/// Powers are rounded to float16: where float32's noise moves one over the middle between two of
/// them, it becomes the neighbour, which is 2⁻¹⁰ of it away at most: log10(1 + 2⁻¹⁰).
const STEP: f32 = 4.3e-4;
/// Where none is moved; and how many are: twice float32's noise over the distance of the middles.
const TOLERANCE: f32 = 1e-5;
const MOST_MOVED: f64 = 0.01;

/// Samples, and librosa's log-mel frames, `[187, 96]`.
fn golden() -> (Vec<f32>, Vec<f32>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/musicnn/mel.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let samples = file.tensor("samples").unwrap();
    let samples = samples.data().as_chunks::<2>().0.iter();
    let log_mel = file.tensor("log_mel").unwrap();
    let log_mel = log_mel.data().as_chunks::<4>().0.iter();
    (
        samples.map(|&bytes| f32::from(i16::from_le_bytes(bytes)) / 32_768.0).collect(),
        log_mel.map(|&bytes| f32::from_le_bytes(bytes)).collect(),
    )
}

#[test]
fn log_mel_equals_librosa_s() {
    let (samples, expected) = golden();
    let (mut stream, mut found) = (PatchStream::new(MUSICNN), Vec::new());
    for block in samples.chunks(4_999) {
        stream.push(block, &mut found);
    }
    stream.finish(&mut found);
    assert_eq!((samples.len(), found.len()), (MUSICNN.patch_samples, MUSICNN.patch_values()));
    let differences: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect();
    let most = differences.iter().copied().fold(0.0, f32::max);
    let moved = differences.iter().filter(|&&difference| difference > TOLERANCE).count();
    let moved = moved as f64 / differences.len() as f64;
    eprintln!("log-mel differs by at most {most:.1e}; {moved:.5} of the values are moved");
    assert!(found.iter().all(|value| value.is_finite()));
    assert!(most <= STEP && moved <= MOST_MOVED, "{most}, {moved}");

    // A shift by one frame would show.
    let bands = expected.len() / MUSICNN.patch_frames;
    let shifted = found[bands..].iter().zip(&expected).map(|(a, b)| (a - b).abs());
    assert!(shifted.fold(0.0, f32::max) > 100.0 * STEP);
}
