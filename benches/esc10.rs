//! Retrieval quality and the speed of each stage on ESC-10: 400 Ogg Vorbis files at 44.1 kHz,
//! 2003 s of field recordings, from the folder `data/esc10` of `SONOTECA_SHARED` (`../shared`).
//!
//! The stages run one after another on one thread, each over the whole collection in memory, so
//! that a stage's time is only its own; the last line is the product, from files to a synced
//! library on all cores. Not measured: the time to load libtorch and the weights.
//!
//! AMD EPYC (Zen 5, AVX-512, 2 cores, otherwise idle), rustc 1.95, libtorch 2.13.0; seconds of
//! audio per second, in the order of the lines: see `ARCHITECTURE.md`, "Figures". How threads are
//! split, there too, measured by the whole command (best of four, seconds; batches of 16 patches,
//! libtorch with one thread per operation; layouts and batches are in `benches/network.rs`):
//!
//! | jobs | float32 | bfloat16 |
//! | --- | --- | --- |
//! | 1 | 2.70 | 2.31 |
//! | 2 | 2.60 | 1.99 |
//! | 3 | 2.59 | 1.95 |
//! | 4 | 2.70 | 2.04 |

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a program that prints figures; what it shares with tests is public there"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/retrieval.rs"]
mod retrieval;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sonoteca::audio::decode::Decoder;
use sonoteca::audio::resample::{FilterCache, Resampler};
use sonoteca::frontend::patch::PatchStream;
use sonoteca::frontend::spec::YAMNET;
use sonoteca::model::set_threads_per_operation;
use sonoteca::units::SampleRate;

/// Patches in one call of the network, as in extraction.
const BATCH_PATCHES: usize = 16;

fn main() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    set_threads_per_operation(1);
    let model = common::yamnet();
    let files = ogg_files(&esc10);

    let (recordings, decode_s) =
        timed(|| files.iter().map(|path| decode(path)).collect::<Vec<_>>());
    let audio_s: f64 = recordings.iter().map(Recording::seconds).sum();
    println!("ESC-10: {} files, {audio_s:.0} s", files.len());
    report("decode", audio_s, decode_s);

    let filters = FilterCache::default();
    let (waveforms, resample_s) = timed(|| {
        recordings.iter().map(|recording| recording.resample(&filters)).collect::<Vec<_>>()
    });
    report("resample", audio_s, resample_s);

    let (patches, front_end_s) = timed(|| waveforms.iter().map(|x| patches(x)).collect::<Vec<_>>());
    report("front end", audio_s, front_end_s);

    let batch = BATCH_PATCHES * YAMNET.patch_values();
    let count = patches.iter().map(Vec::len).sum::<usize>() / YAMNET.patch_values();
    let (embeddings, network_s) = timed(|| {
        let run = |patches| model.embed(patches).unwrap().embeddings.len();
        patches.iter().flat_map(|recording| recording.chunks(batch)).map(run).sum::<usize>()
    });
    assert_eq!(embeddings, count * model.identity().dimension);
    report("network", audio_s, network_s);
    println!("{:>12}  {:.0} patches/s", "", count as f64 / network_s);
    report("all stages", audio_s, decode_s + resample_s + front_end_s + network_s);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("esc10.db");
    let (library, done) = retrieval::index(&esc10, &path, &model);
    report("index", done.duration_s, done.elapsed_s);
    let bytes = library.file_bytes().unwrap() / done.segments;
    println!("{:>12}  {bytes} bytes a segment", "");

    let quality = retrieval::leave_one_out(&library);
    println!(
        "retrieval, leave one out of {}: P@1 {:.4}, P@5 {:.4}, mAP {:.4}",
        quality.queries,
        quality.precision_at_1,
        quality.precision_at_5,
        quality.mean_average_precision
    );
}

fn ogg_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ogg"))
        .collect();
    files.sort();
    files
}

struct Recording {
    samples: Vec<f32>,
    rate: SampleRate,
}

fn decode(path: &Path) -> Recording {
    let mut decoder = Decoder::open(path).unwrap();
    let (mut samples, mut block) = (Vec::new(), Vec::new());
    while decoder.next_block(&mut block).unwrap() {
        samples.extend_from_slice(&block);
    }
    Recording { samples, rate: decoder.format().sample_rate }
}

impl Recording {
    fn seconds(&self) -> f64 {
        self.rate.seconds(self.samples.len() as u64)
    }

    fn resample(&self, filters: &FilterCache) -> Vec<f32> {
        let output_rate = SampleRate::new(YAMNET.sample_rate).unwrap();
        let mut resampler = Resampler::new(Arc::clone(&filters.get(self.rate, output_rate)));
        let mut output = Vec::new();
        for block in self.samples.chunks(4_096) {
            resampler.push(block, &mut output);
        }
        resampler.finish(&mut output);
        output
    }
}

fn patches(waveform: &[f32]) -> Vec<f32> {
    let mut stream = PatchStream::new(YAMNET);
    let mut patches = Vec::new();
    stream.push(waveform, &mut patches);
    stream.finish(&mut patches);
    patches
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

fn report(stage: &str, audio_s: f64, elapsed_s: f64) {
    println!("{stage:>12}  {:>8.0} s of audio a second  ({elapsed_s:.2} s)", audio_s / elapsed_s);
}
