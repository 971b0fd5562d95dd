//! Both published layouts, small and with random weights, against transformers
//! (`make_wav2vec2.py` in the shared folder).

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::*;
use crate::model::checkpoint::{Checkpoint, safetensors as reader};
use crate::model::compute::{Device, Precision};

/// The bound of the issue: hidden states are about 1, and float32's noise some 1e-6 a block.
const TOLERANCE: f32 = 1e-4;
const CPU: Compute = Compute { device: Device::Cpu, precision: Precision::Float32 };

struct Published {
    config: Config,
    bytes: Vec<u8>,
    cases: Vec<u8>,
}

/// The two models; none, said aloud, where they are not there.
fn published() -> Vec<Published> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("SONOTECA_SHARED").map_or_else(beside, PathBuf::from);
    let folder = folder.join("golden/wav2vec2");
    if !folder.is_dir() {
        eprintln!(
            "SKIPPED: there is no {} (SONOTECA_SHARED names another place)",
            folder.display()
        );
        return Vec::new();
    }
    let read = |layout: &str| {
        let folder = folder.join(layout);
        let config = fs::read_to_string(folder.join("config.json")).unwrap();
        Published {
            config: Config::read(&config, None).unwrap(),
            bytes: fs::read(folder.join("model.safetensors")).unwrap(),
            cases: fs::read(folder.join("cases.safetensors")).unwrap(),
        }
    };
    vec![read("base"), read("large")]
}

fn converted(bytes: &[u8], config: &Config) -> std::result::Result<Weights, String> {
    let checkpoint = Checkpoint::Safetensors(reader::Checkpoint::open(bytes)?);
    from_checkpoint("a model", &[checkpoint], config)
}

/// The same file with its tensors renamed, and one more where `extra` names it.
fn renamed(bytes: &[u8], rename: impl Fn(&str) -> String, extra: Option<&str>) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut views: Vec<(String, TensorView<'_>)> =
        file.tensors().into_iter().map(|(name, view)| (rename(&name), view)).collect();
    if let Some(name) = extra {
        views.push((name.to_owned(), TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap()));
    }
    safetensors::serialize(views, None).unwrap()
}

fn array(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let (values, rest) = file.tensor(name).unwrap().data().as_chunks::<4>();
    assert!(rest.is_empty());
    values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn network(weights: &mut Weights, config: &Config) -> Wav2Vec2 {
    Wav2Vec2::take(weights, "a model", config, config.num_hidden_layers, Place::of(CPU)).unwrap()
}

#[test]
fn every_hidden_layer_equals_the_reference() {
    for Published { config, bytes, cases } in published() {
        let mut weights = converted(&bytes, &config).unwrap();
        let network = network(&mut weights, &config);
        weights.finish().unwrap();
        let cases = SafeTensors::deserialize(&cases).unwrap();
        for case in ["tone", "noise_0_4s", "shortest"] {
            let samples = array(&cases, &format!("samples_{case}"));
            let given = input(&samples, true);
            let theirs = array(&cases, &format!("input_{case}"));
            assert!(difference(&given, &theirs) < 1e-5, "{case}: input");
            let mut layers = Vec::new();
            let features = torch::run("wav2vec2", || {
                let features = network.features(&given)?;
                let _last =
                    network.hidden_layers(&features, config.num_hidden_layers, |states| {
                        layers.push(states.shallow_clone());
                    })?;
                to_vec(&features)
            })
            .unwrap();
            let found = difference(&features, &array(&cases, &format!("features_{case}")));
            eprintln!("{case}: features differ by at most {found:.2e}");
            assert!(found <= TOLERANCE, "{case}: features: {found}");
            assert_eq!(layers.len(), config.num_hidden_layers + 1);
            for (layer, states) in layers.iter().enumerate() {
                let ours = torch::run("wav2vec2", || to_vec(states)).unwrap();
                let theirs = array(&cases, &format!("hidden_{layer}_{case}"));
                let found = difference(&ours, &theirs);
                eprintln!("{case}: hidden layer {layer} differs by at most {found:.2e}");
                assert!(found <= TOLERANCE, "{case}: hidden layer {layer}: {found}");
                let width = config.hidden_size;
                if ours.len() > width {
                    // A frame too far is no noise.
                    let shifted = difference(&ours[width..], &theirs[..theirs.len() - width]);
                    assert!(shifted > 100.0 * TOLERANCE, "{case}: hidden layer {layer}: {shifted}");
                }
            }
        }
    }
}

#[test]
fn embeddings_are_means_of_half_seconds_of_any_layer() {
    for Published { config, bytes, cases } in published() {
        let weights = converted(&bytes, &config).unwrap();
        let cases = SafeTensors::deserialize(&cases).unwrap();
        let samples = array(&cases, "samples_tone");
        let mut patch = samples.clone();
        // What lies behind the sound must not matter.
        patch.resize(FRONT_END.patch_values(), 0.5);
        let batch = Batch {
            values: &[&patch[..], &patch[..]].concat(),
            sound_samples: &[samples.len(), 1],
        };
        for layer in [None, Some(1)] {
            let network = build(weights.clone(), "a model", layer, CPU).unwrap();
            let output = network.run(&batch).unwrap();
            let layer = layer.unwrap_or(config.num_hidden_layers);
            let states = array(&cases, &format!("hidden_{layer}_tone"));
            let width = config.hidden_size;
            let mean = |rows: &[f32]| -> Vec<f32> {
                let count = (rows.len() / width) as f32;
                let sum = |column| rows.iter().skip(column).step_by(width).sum::<f32>();
                (0..width).map(|column| sum(column) / count).collect()
            };
            // 49 frames: 25 and 24. One sample makes one frame, of which nothing is known here.
            let expected: Vec<f32> = states.chunks(25 * width).flat_map(mean).collect();
            assert_eq!(output.embeddings.len(), expected.len() + width);
            let found = difference(&output.embeddings[..expected.len()], &expected);
            assert!(found <= TOLERANCE, "layer {layer}: {found}");
            assert_eq!(network.share().run(&batch).unwrap(), output);
        }
        let found = build(weights, "a model", Some(9), CPU).map(drop).unwrap_err();
        assert!(matches!(found, Error::Card { .. }), "{found}");
    }
}

#[test]
fn published_names_of_every_kind_give_the_same_weights() {
    for Published { config, bytes, .. } in published() {
        let path = Path::new("weights");
        let plain = converted(&bytes, &config).unwrap().to_safetensors(path).unwrap();
        let read = Weights::from_safetensors("a model", path, &plain).unwrap();
        assert_eq!(settings(&read, "a model").unwrap(), config);
        build(read, "a model", None, CPU).unwrap();

        let newer = |name: &str| {
            let name = name.replace("weight_g", "parametrizations.weight.original0");
            format!("wav2vec2.{}", name.replace("weight_v", "parametrizations.weight.original1"))
        };
        let other = renamed(&bytes, newer, Some("quantizer.codevectors"));
        let other = converted(&other, &config).unwrap().to_safetensors(path).unwrap();
        assert_eq!(other, plain);

        let extra = renamed(&bytes, str::to_owned, Some("encoder.surprise"));
        let found = build(converted(&extra, &config).unwrap(), "a model", None, CPU);
        assert!(
            matches!(found.map(drop), Err(Error::TensorUnexpected { tensor, .. }) if tensor == "encoder.surprise")
        );

        let missing = renamed(&bytes, |name| name.replace("layers.2", "layers.9"), None);
        let found = build(converted(&missing, &config).unwrap(), "a model", None, CPU);
        assert!(matches!(found.map(drop), Err(Error::TensorMissing { .. })));
    }
}

#[test]
fn weights_without_their_settings_are_refused() {
    for Published { bytes, .. } in published() {
        let weights = Weights::from_safetensors("a model", Path::new("weights"), &bytes).unwrap();
        let found = build(weights, "a model", None, CPU).map(drop).unwrap_err();
        assert!(matches!(found, Error::Card { .. }), "{found}");
    }
}

#[test]
fn silence_and_little_sound_stay_finite() {
    for Published { config, bytes, .. } in published() {
        let network = build(converted(&bytes, &config).unwrap(), "a model", None, CPU).unwrap();
        let values = vec![0.0; FRONT_END.patch_values()];
        for sound_samples in [1, 399, 400, 8_000, 8_001, 8_400] {
            let output =
                network.run(&Batch { values: &values, sound_samples: &[sound_samples] }).unwrap();
            let steps = FRONT_END.steps_of(sound_samples);
            assert_eq!(output.embeddings.len(), steps * config.hidden_size, "{sound_samples}");
            assert!(output.embeddings.iter().all(|value| value.is_finite()));
        }
    }
}
