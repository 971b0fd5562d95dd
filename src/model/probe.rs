//! A sound that every build must embed alike, asked of each model as it is opened.
//!
//! In: a model and its stored answer. Out: nothing, or [`Error::Probe`]: a libtorch of another
//! kind, a processor that the kernels were not tried on, or weights that are not what they seem
//! then show before a library is filled with wrong vectors.

use std::f64::consts::PI;

use super::EmbeddingModel;
use super::compute::Precision;
use super::network::Batch;
use crate::error::{Error, Result};
use crate::frontend::patch::PatchStream;
use crate::frontend::spec::FrontEnd;

/// Float32's noise is 2e-8 below one on the golden sounds, and about 1e-6 where a graphics
/// processor rounds products to 10 bits (TF32). A wrong kernel is far below.
const LEAST_FLOAT32: f64 = 0.999_99;
/// Bfloat16 rounds to 8 bits; what ESC-10's segments keep on average (`tests/network.rs`).
const LEAST_BFLOAT16: f64 = 0.999;

/// The probe is no longer, in seconds: some models hear half a minute at a time.
const LONGEST_S: usize = 2;

/// Checks that `model` gives `expected`, float32 little-endian, for the probe.
pub(super) fn check(model: &EmbeddingModel, expected: &[u8]) -> Result<()> {
    let expected: Vec<f32> =
        expected.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let agreement = agreement(&embedding(model)?, &expected);
    let least = match model.compute().precision {
        Precision::Float32 => LEAST_FLOAT32,
        Precision::Bfloat16 => LEAST_BFLOAT16,
    };
    // Not the other way round: NaN agrees with nothing.
    if agreement >= least {
        return Ok(());
    }
    Err(Error::Probe { model: model.identity.name.clone(), agreement, least })
}

/// The embeddings of the probe, `[steps, dimension]`.
pub(super) fn embedding(model: &EmbeddingModel) -> Result<Vec<f32>> {
    let mut stream = PatchStream::new(model.front_end());
    let mut patches = Vec::new();
    stream.push(&samples(model.front_end()), &mut patches);
    stream.finish(&mut patches);
    let count = patches.len() / model.front_end().patch_values();
    let sound_samples: Vec<usize> = (0..count).map(|patch| stream.sound_samples(patch)).collect();
    let batch = Batch { values: &patches, sound_samples: &sound_samples };
    Ok(model.embed_batch(&batch)?.embeddings)
}

/// Samples of two patches, or of [`LONGEST_S`]: a rising tone over noise that grows, so that every band and frame has
/// something of its own.
#[expect(clippy::cast_possible_truncation, reason = "made in f64, given as f32")]
pub(super) fn samples(spec: FrontEnd) -> Vec<f32> {
    let longest = LONGEST_S * spec.sample_rate as usize;
    let count = (spec.grid().window_samples + spec.grid().hop_samples).min(longest);
    let mut state = 1_u32;
    let sample = |index| {
        // The generator of "Numerical Recipes", 3rd edition, section 7.1.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state) / f64::from(u32::MAX) - 0.5;
        let progress = f64::from(index) / count as f64;
        // From 100 Hz up to 3.5 kHz: its frequency is the derivative of its turns.
        let seconds = f64::from(index) / f64::from(spec.sample_rate);
        let turns = seconds * (100.0 + 1_700.0 * progress);
        (0.3 * (2.0 * PI * turns).sin() + 0.2 * progress * noise) as f32
    };
    (0..u32::try_from(count).unwrap_or(0)).map(sample).collect()
}

/// The cosine of two vectors, less where their lengths differ: 2ab / (a² + b²).
fn agreement(a: &[f32], b: &[f32]) -> f64 {
    if a.len() != b.len() {
        return 0.0;
    }
    let (mut product, mut squares) = (0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        product += a * b;
        squares += a * a + b * b;
    }
    2.0 * product / squares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::compute::{Compute, Device};
    use crate::model::store::ModelStore;
    use crate::model::weights::Weights;
    use crate::model::{Engine, registry};

    const CPU: Compute = Compute { device: Device::Cpu, precision: Precision::Float32 };

    fn weights() -> Weights {
        let card = registry::find("yamnet").unwrap();
        ModelStore::of_user().unwrap().read_weights(card).unwrap()
    }

    fn build(weights: Weights, compute: Compute, engine: Engine) -> Result<EmbeddingModel> {
        EmbeddingModel::build(registry::find("yamnet").unwrap(), weights, compute, engine)
    }

    #[test]
    fn every_engine_and_precision_passes() {
        for engine in [Engine::Own, Engine::Torch] {
            for precision in Precision::ALL {
                build(weights(), Compute { precision, ..CPU }, engine).unwrap();
            }
        }
    }

    #[test]
    fn changed_weights_are_noticed() {
        let scaled = |factor: f32| move |value: f32| value * factor;
        let changes: [(&str, &dyn Fn(f32) -> f32); 4] = [
            ("layer01.convolution.weight", &|value| -value),
            ("layer05.depthwise.weight", &scaled(1.5)),
            ("layer09.pointwise.norm.bias", &|value| value + 0.5),
            ("layer14.pointwise.weight", &scaled(f32::NAN)),
        ];
        for (tensor, change) in changes {
            let mut weights = weights();
            weights.change(tensor, change);
            for precision in Precision::ALL {
                let weights = weights.clone();
                let found = build(weights, Compute { precision, ..CPU }, Engine::Own);
                assert!(
                    matches!(&found, Err(error @ Error::Probe { .. }) if error.hint().is_some()),
                    "{tensor} in {precision}: {found:?}"
                );
            }
        }
    }

    /// Makes `models/*_probe.bin`: `cargo test --lib probe -- --ignored`. By libtorch, which golden
    /// tests hold against the reference implementations.
    #[test]
    #[ignore = "writes files of the repository"]
    fn write_the_expected_embeddings() {
        for name in registry::built_in() {
            let card = registry::find(name).unwrap();
            let weights = ModelStore::of_user().unwrap().read_weights(card).unwrap();
            let model = EmbeddingModel::unchecked(card, weights, CPU, Engine::Torch).unwrap();
            let bytes: Vec<u8> =
                embedding(&model).unwrap().into_iter().flat_map(f32::to_le_bytes).collect();
            let file = format!("{}_probe.bin", name.replace('-', "_"));
            let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
            std::fs::write(std::path::Path::new(models).join(file), bytes).unwrap();
        }
    }

    #[test]
    fn another_length_or_direction_agrees_less() {
        assert!((agreement(&[3.0, 4.0], &[3.0, 4.0]) - 1.0).abs() < 1e-12);
        assert!((agreement(&[3.0, 4.0], &[6.0, 8.0]) - 0.8).abs() < 1e-12);
        assert!(agreement(&[1.0, 0.0], &[0.0, 1.0]).abs() < 1e-12);
        assert!(agreement(&[f32::NAN], &[1.0]).is_nan());
    }
}
