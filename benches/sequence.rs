//! What heads that learn by gradients are worth on ESC-10, beside logistic regression: accuracy on
//! the data's own five folds, and the seconds of training all six heads of each (one for each fold,
//! and the last on everything), reading included.
//!
//! `cargo bench --bench sequence -- mlp lstm` trains these kinds; all, where none is named. Settings
//! were chosen on the same data. `SEEDS=5` trains by five seeds, and `AUGMENT=mixup` (none, masks, both)
//! changes rows as `train --augment` does.

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

use std::path::PathBuf;
use std::time::Instant;

use sonoteca::store::Library;
use sonoteca::store::labels::{Judgement, NewLabel};
use sonoteca::store::metadata::MetadataValue;
use sonoteca::store::segments::Level;
use sonoteca::train::head::card::TrainingSettings;
use sonoteca::train::learner::{Augmentation, ClassWeights, HeadKind};
use sonoteca::train::split::Plan;
use sonoteca::train::task::Targets;
use sonoteca::train::training::{Order, train};

const KINDS: [HeadKind; 5] =
    [HeadKind::Logistic, HeadKind::Mlp, HeadKind::Lstm, HeadKind::Crnn, HeadKind::TfLstm];

fn main() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("SONOTECA_BENCH_LIBRARY")
        .map_or_else(|| folder.path().join("esc10.db"), PathBuf::from);
    let mut library = if path.exists() {
        Library::open(&path).unwrap()
    } else {
        retrieval::index(&esc10, &path, &common::yamnet()).0
    };
    label(&mut library);
    let model = library.models().unwrap().remove(0);
    let named: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let augmentation = augmentation();
    let seeds: u64 = std::env::var("SEEDS").map_or(1, |seeds| seeds.parse().unwrap());
    for kind in KINDS {
        if !named.is_empty() && !named.iter().any(|name| name == kind.as_str()) {
            continue;
        }
        for seed in 1..=seeds {
            let settings = TrainingSettings {
                by: Level::Recording,
                classes: Vec::new(),
                target: None,
                exhaustive: false,
                group_by: Some("fold".to_owned()),
                filter: None,
                plan: Plan::Folds(5),
                class_weights: ClassWeights::None,
                augmentation,
                precision: 0.9,
                seed,
            };
            let order = Order {
                name: "bench",
                model: &model,
                kind: Some(kind),
                task: None,
                passing: None,
                settings: &settings,
            };
            let start = Instant::now();
            let trained = train(&library, &order, String::new()).unwrap();
            let seconds = start.elapsed().as_secs_f64();
            let held_out = trained.held_out.unwrap();
            let Targets::Single(wanted) = &held_out.targets else { panic!("one class each") };
            let said = held_out.outputs.chunks_exact(held_out.classes.len());
            let right = said.zip(wanted).filter(|(said, wanted)| {
                let best = (0..said.len()).max_by(|&a, &b| said[a].total_cmp(&said[b]));
                best == Some(**wanted as usize)
            });
            let accuracy = right.count() as f64 / wanted.len() as f64;
            println!(
                "{:<9} seed {seed}: accuracy {accuracy:.4}, {seconds:6.1} s, {:?}",
                kind.as_str(),
                trained.head.card().choices
            );
        }
    }
}

/// How rows are changed, as `AUGMENT` says.
fn augmentation() -> Augmentation {
    let name = std::env::var("AUGMENT").unwrap_or("none".to_owned());
    serde_json::from_value(name.into()).unwrap()
}

/// Labels every recording by its folder, and says its fold: the first digit of its name.
fn label(library: &mut Library) {
    let model = library.models().unwrap().remove(0).id;
    let hashes = library.content_hashes(model).unwrap();
    let recordings: Vec<_> =
        hashes.keys().filter_map(|&id| library.recording(id).unwrap()).collect();
    if recordings.iter().any(|recording| !library.labels(recording.id).unwrap().is_empty()) {
        return;
    }
    let writer = library.begin().unwrap();
    for recording in recordings {
        let name = recording.path.file_name().unwrap().to_string_lossy().into_owned();
        let class = recording.path.parent().unwrap().file_name().unwrap().to_string_lossy();
        writer
            .add_label(&NewLabel {
                recording: recording.id,
                class: &class,
                range: None,
                judgement: Judgement::Positive,
                source: "esc10",
                score: None,
                band_hz: None,
            })
            .unwrap();
        let fold = MetadataValue::of_cell(&name[..1]);
        writer.put_metadata(recording.id, "fold", &fold).unwrap();
    }
    writer.commit().unwrap();
}
