//! The network alone on one thread: patches a second by engine, precision and batch.
//!
//! `cargo bench --bench network` prints a table, `cargo bench --bench network -- --json` a JSON
//! object for each of its cells: `engine`, `precision`, `batch`, `threads` and `patches_per_s`, the
//! best of all turns. Only for `own-overlap` do patches overlap by half, as a recording's do. The
//! combinations take turns, so that what disturbs the machine disturbs all of them. Not measured:
//! the front end, several threads, loading.
//!
//! AMD EPYC (Zen 5, AVX-512 with BF16, no AMX; 2 cores, others building beside), rustc 1.95,
//! libtorch 2.13.0, 2026-11-22; best of 12 turns, patches a second on one thread:
//!
//! | engine | precision | batch 1 | 4 | 16 | 32 | 64 |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | own | f32 | 1436 | 1524 | 1542 | 1559 | 1554 |
//! | own-overlap | f32 | 1532 | 1641 | 1655 | 1654 | 1660 |
//! | tch | f32 | 325 | 576 | 854 | 893 | 655 |
//! | own | bf16 | 2736 | 2981 | 3006 | 2986 | 3005 |
//! | own-overlap | bf16 | 2898 | 3259 | 3223 | 3285 | 3270 |
//! | tch | bf16 | 385 | 930 | 1389 | 1500 | 1504 |

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a program that prints figures; what it shares with tests is public there"
)]

use std::time::Instant;

use sonoteca::frontend::spec::YAMNET;
use sonoteca::model::compute::{Compute, Device, Precision};
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, Engine, set_threads_per_operation};

const BATCHES: [usize; 5] = [1, 4, 16, 32, 64];
/// Turns of all combinations.
const TURNS: usize = 12;
/// Patches of one measurement: about a tenth of a second.
const PATCHES: usize = 128;

struct Cell {
    /// `own`, `own-overlap` (the patches of a recording, which share half their frames) or `tch`.
    engine: &'static str,
    precision: Precision,
    batch: usize,
    /// Patches a second, one value a turn.
    rates: Vec<f64>,
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    set_threads_per_operation(1);
    let most = *BATCHES.iter().max().unwrap();
    let (apart, overlapping) = (patches(most, false), patches(most, true));
    let mut models = Vec::new();
    for (engine, name, patches) in [
        (Engine::Own, "own", &apart),
        (Engine::Own, "own-overlap", &overlapping),
        (Engine::Torch, "tch", &apart),
    ] {
        for precision in Precision::ALL {
            let compute = Compute { device: Device::Cpu, precision };
            let store = ModelStore::of_user().unwrap();
            let model = EmbeddingModel::load_on("yamnet", &store, compute, engine).unwrap();
            let cell = |batch| Cell { engine: name, precision, batch, rates: Vec::new() };
            models.push((model, patches, BATCHES.map(cell)));
        }
    }
    for turn in 0..=TURNS {
        for (model, patches, cells) in &mut models {
            for cell in cells {
                let rate = measure(model, patches, cell.batch);
                // The first turn warms up.
                if turn > 0 {
                    cell.rates.push(rate);
                }
            }
        }
    }
    for cell in models.iter_mut().flat_map(|(_, _, cells)| cells) {
        cell.rates.sort_by(f64::total_cmp);
        print(cell, json);
    }
}

/// Patches a second in batches of `batch`, one after another.
fn measure(model: &EmbeddingModel, patches: &[f32], batch: usize) -> f64 {
    let repetitions = PATCHES.div_ceil(batch);
    let mut batches = patches.chunks_exact(batch * YAMNET.patch_values()).cycle();
    let started = Instant::now();
    for batch in batches.by_ref().take(repetitions) {
        std::hint::black_box(model.embed(std::hint::black_box(batch)).unwrap());
    }
    (repetitions * batch) as f64 / started.elapsed().as_secs_f64()
}

/// Noise in the range of log-mel values; patches overlap by half or have nothing in common.
fn patches(count: usize, overlap: bool) -> Vec<f32> {
    let mut state = 1_u32;
    let value = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        8.0 * (state as f32 / u32::MAX as f32 - 0.5) - 3.0
    };
    let size = YAMNET.patch_values();
    let hop = if overlap { size / 2 } else { size };
    let frames: Vec<f32> = (0..(count + 1) * size).map(value).collect();
    (0..count).flat_map(|patch| &frames[patch * hop..][..size]).copied().collect()
}

fn print(cell: &Cell, json: bool) {
    let best = cell.rates[cell.rates.len() - 1];
    let median = cell.rates[cell.rates.len() / 2];
    let Cell { engine, precision, batch, .. } = cell;
    if json {
        println!(
            "{{\"engine\":\"{engine}\",\"precision\":\"{precision}\",\"batch\":{batch},\
             \"threads\":1,\"patches_per_s\":{best:.1}}}"
        );
    } else {
        println!(
            "{engine:>11} {precision:>5} batch {batch:>3}: best {best:>6.0}, median {median:>6.0} patches/s"
        );
    }
}
