//! How fast each model that is built in hears, on one thread: ESC-10's recordings, from the folder
//! `data/esc10` of `SONOTECA_SHARED` (`../shared`), whose weights are installed; the others are
//! named and left out.
//!
//! For each model the front end (decoding and resampling included) and the network are timed by
//! themselves, in the batches of its card, over as many recordings as fill two minutes of sound:
//! joined to one stretch for the network, so that models which hear half a minute at a time are
//! not mostly fed with padding. Not measured: loading. Names as arguments choose models.
//!
//! With `--batches`, the network is timed on a quarter of that sound at each precision and in batches
//! of several sizes, to choose a card's `batch_patches` and a precision by. Of
//! bfloat16 the mean and the least cosine with float32 are told. Each figure is the better of two.

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
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
/// Patches a batch that are tried.
const BATCHES: [usize; 5] = [1, 4, 8, 16, 32];

fn main() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    set_threads_per_operation(1);
    let folder = tempfile::tempdir().unwrap();
    let sound = joined(&esc10, folder.path());
    let store = ModelStore::of_user().unwrap();
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let by_batch = std::env::args().any(|argument| argument == "--batches");
    if by_batch {
        let sizes = BATCHES.map(|size| format!("{size:>7}")).concat();
        println!("seconds of audio a second by patches a batch, one thread");
        println!("{:>16}  {:>8} {:>5} {sizes}  cosine: mean, least", "model", "", "card");
    } else {
        println!("seconds of audio a second, one thread, {AUDIO_S} s of ESC-10");
        println!("{:>16}  {:>9}  {:>9}", "model", "front end", "network");
    }
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
        if by_batch {
            let quarter = patches.count().div_ceil(4);
            let exact = Timed::new(&model, &patches, quarter);
            exact.print(name, "float32", card.batch_patches, None);
            let compute = Compute { device: Device::Cpu, precision: Precision::Bfloat16 };
            if let Ok(model) = EmbeddingModel::load(name, &store, compute) {
                let rounded = Timed::new(&model, &patches, quarter);
                rounded.print(name, "bfloat16", card.batch_patches, Some(&exact));
            }
            continue;
        }
        let (network_s, rows) = run(&model, &patches, patches.count(), card.batch_patches);
        assert_eq!(rows.len(), patches.health.len() * model.identity().dimension);
        println!("{name:>16}  {:>9.0}  {:>9.1}", AUDIO_S / front_end_s, AUDIO_S / network_s);
    }
}

/// Seconds that the first `count` patches take in batches of `size`, and their embeddings.
fn run(model: &EmbeddingModel, patches: &Patches, count: usize, size: usize) -> (f64, Vec<f32>) {
    let front_end = model.front_end();
    let started = Instant::now();
    let mut rows = Vec::new();
    for first in (0..count).step_by(size) {
        let batch = patches.batch(&front_end, first, size.min(count - first));
        rows.extend(model.embed_batch(&batch).unwrap().embeddings);
    }
    (started.elapsed().as_secs_f64(), rows)
}

/// A network's speed by the size of its batches.
struct Timed {
    /// Seconds of audio a second, for each of [`BATCHES`].
    speeds: Vec<f64>,
    rows: Vec<f32>,
    dimension: usize,
}

impl Timed {
    fn new(model: &EmbeddingModel, patches: &Patches, count: usize) -> Self {
        let audio_s = AUDIO_S * count as f64 / patches.count() as f64;
        let mut rows = Vec::new();
        let speeds = BATCHES.map(|size| {
            let mut best = f64::INFINITY;
            for _ in 0..2 {
                let (seconds, embeddings) = run(model, patches, count, size);
                best = best.min(seconds);
                rows = embeddings;
            }
            audio_s / best
        });
        Self { speeds: speeds.to_vec(), rows, dimension: model.identity().dimension }
    }

    fn print(&self, name: &str, precision: &str, card: usize, exact: Option<&Self>) {
        let speeds =
            self.speeds.iter().map(|speed| format!("{speed:>7.1}")).collect::<Vec<_>>().concat();
        let cosines: Vec<f64> = exact.map_or_else(Vec::new, |exact| {
            let pairs = self.rows.chunks(self.dimension).zip(exact.rows.chunks(self.dimension));
            pairs.map(|(a, b)| cosine(a, b)).collect()
        });
        let told = if cosines.is_empty() {
            String::new()
        } else {
            let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
            format!("{mean:.5}, {:.4}", cosines.iter().copied().fold(f64::INFINITY, f64::min))
        };
        println!("{name:>16}  {precision:>8} {card:>5} {speeds}  {told}");
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    // Of silence there may be none: equal then.
    if a == b { 1.0 } else { dot(a, b) / (dot(a, a) * dot(b, b)).sqrt() }
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
