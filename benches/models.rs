//! How fast each model that is built in hears, on one thread: ESC-10's recordings, from the folder
//! `data/esc10` of `SONOTECA_SHARED` (`../shared`), whose weights are installed; the others are
//! named and left out.
//!
//! For each model the front end (decoding and resampling included) and the network are timed by
//! themselves, in the batches of its card, over as many recordings as fill two minutes of sound:
//! joined to one stretch for the network, so that models which hear half a minute at a time are
//! not mostly fed with padding. Not measured: loading. Names as arguments choose models.

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a program that prints figures; what it shares with tests is public there"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use sonoteca::audio::resample::FilterCache;
use sonoteca::extract::{PatchReader, Patches};
use sonoteca::model::compute::{Compute, Device, Precision};
use sonoteca::model::store::{Installed, ModelStore};
use sonoteca::model::{EmbeddingModel, registry, set_threads_per_operation};

/// Sound that each model hears, in seconds.
const AUDIO_S: f64 = 120.0;

fn main() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    set_threads_per_operation(1);
    let folder = tempfile::tempdir().unwrap();
    let sound = joined(&esc10, folder.path());
    let store = ModelStore::of_user().unwrap();
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    println!("seconds of audio a second, one thread, {AUDIO_S} s of ESC-10");
    println!("{:>16}  {:>9}  {:>9}", "model", "front end", "network");
    for name in registry::built_in() {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        let card = registry::find(name).unwrap();
        if store.installed(card) == Installed::Missing {
            println!("{name:>16}  not installed: sonoteca models pull {name}");
            continue;
        }
        let compute = Compute { device: Device::Cpu, precision: Precision::Float32 };
        let model = EmbeddingModel::load(name, &store, compute).unwrap();
        let front_end = model.front_end();
        let started = Instant::now();
        let mut reader = PatchReader::open(&sound, front_end, &FilterCache::default()).unwrap();
        let mut patches = Patches::default();
        while reader.read(&mut patches).unwrap() {}
        let front_end_s = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let mut rows = 0;
        for first in (0..patches.count()).step_by(card.batch_patches) {
            let batch = patches.batch(&front_end, first, card.batch_patches);
            rows += model.embed_batch(&batch).unwrap().embeddings.len();
        }
        let network_s = started.elapsed().as_secs_f64();
        assert_eq!(rows, patches.health.len() * model.identity().dimension);
        println!("{name:>16}  {:>9.0}  {:>9.1}", AUDIO_S / front_end_s, AUDIO_S / network_s);
    }
}

/// The first recordings, every sixteenth, joined to one WAV file of [`AUDIO_S`].
fn joined(esc10: &Path, folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(esc10)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ogg"))
        .collect();
    files.sort();
    let path = folder.join("joined.wav");
    let rate = 44_100;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    let mut missing = (AUDIO_S * f64::from(rate)) as usize;
    for file in files.iter().step_by(16) {
        let mut decoder = sonoteca::audio::decode::Decoder::open(file).unwrap();
        let mut block = Vec::new();
        while missing > 0 && decoder.next_block(&mut block).unwrap() {
            for &sample in block.iter().take(missing) {
                writer.write_sample(sample).unwrap();
            }
            missing -= block.len().min(missing);
        }
    }
    assert_eq!(missing, 0, "ESC-10 is longer than that");
    writer.finalize().unwrap();
    path
}
