//! A head by segment on a library of any size: how long it takes and how much memory, reading stored
//! vectors from SQLite included.
//!
//! `cargo bench --bench segments -- SEEDS.db ROWS FOLDER` grows `ROWS` segments from those of the library
//! `SEEDS.db`, whose recordings have a label each (as `benches/sequence.rs` leaves ESC-10), by the recipe in
//! `tests/common/grown.rs`: all of a recording from segments of one class, which is its label. The library
//! stays in `FOLDER`. Then a logistic head learns from all segments, held out by recording in five folds, and
//! a JSON object is printed: seconds of making, labelling and training; the share of held-out segments of which
//! the class was said; the peak of resident memory before and after training (Linux).

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a program that prints figures"
)]

#[path = "../tests/common/grown.rs"]
mod grown;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use sonoteca::search::choose_model;
use sonoteca::store::Library;
use sonoteca::store::labels::{Judgement, NewLabel};
use sonoteca::store::segments::Level;
use sonoteca::train::head::card::TrainingSettings;
use sonoteca::train::learner::{Augmentation, ClassWeights, HeadKind};
use sonoteca::train::split::Plan;
use sonoteca::train::training::{Order, train};

fn main() {
    let Some((seeds, rows, folder)) = grown::arguments() else { return };
    let path = folder.join(format!("{rows}-labelled.db"));
    let started = Instant::now();
    if !path.exists() {
        make(&path, &seeds, rows);
    }
    let made_s = started.elapsed().as_secs_f64();
    let before = grown::peak_bytes();

    let library = Library::open(&path).unwrap();
    let model = choose_model(&library, None).unwrap();
    let settings = TrainingSettings {
        by: Level::Segment,
        classes: Vec::new(),
        target: None,
        exhaustive: false,
        group_by: None,
        filter: None,
        plan: Plan::Folds(5),
        class_weights: ClassWeights::None,
        augmentation: Augmentation::None,
        precision: 0.9,
        seed: 0,
    };
    let order = Order {
        name: "bench",
        model: &model,
        kind: Some(HeadKind::Logistic),
        task: None,
        passing: None,
        settings: &settings,
    };
    let started = Instant::now();
    let trained = train(&library, &order, String::new()).unwrap();
    let train_s = started.elapsed().as_secs_f64();
    let report = trained.head.card().report(trained.held_out.as_ref());
    println!(
        "{}",
        json!({
            "rows": rows,
            "threads": rayon::current_num_threads(),
            "make_s": made_s,
            "train_s": train_s,
            "report": serde_json::to_value(&report).unwrap().get("accuracy"),
            "choices": trained.head.card().choices,
            "peak_bytes": { "before": before, "after": grown::peak_bytes() },
        })
    );
}

/// A library whose recordings sound like one class each.
fn make(path: &Path, seeds: &Path, rows: usize) {
    let library = Library::open(seeds).unwrap();
    let mut seeds = grown::Seeds::new(&library);
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, id) in seeds.ids().into_iter().enumerate() {
        let recording = library.segment(id).unwrap().unwrap().recording_id;
        let label = library.labels(recording).unwrap().remove(0);
        places.entry(label.class).or_default().push(place);
    }
    let places: Vec<(String, Vec<usize>)> = places.into_iter().collect();
    let class_of = |number: u64| &places[usize::try_from(number).unwrap() % places.len()];
    let mut made = Library::open_or_create(path).unwrap();
    grown::add_by(&mut made, rows, &mut |number| {
        let (_, places) = class_of(number);
        let place = places[seeds.random.below(places.len())];
        seeds.grow_from(place)
    });
    let model = made.models().unwrap().remove(0).id;
    let mut recordings: Vec<i64> = made.content_hashes(model).unwrap().into_keys().collect();
    recordings.sort_unstable();
    made.expect_many_writes(128).unwrap();
    let writer = made.begin().unwrap();
    for (number, recording) in recordings.into_iter().enumerate() {
        let label = NewLabel {
            recording,
            class: &class_of(number as u64).0,
            range: None,
            judgement: Judgement::Positive,
            source: "bench",
            score: None,
            band_hz: None,
        };
        writer.add_label(&label).unwrap();
    }
    writer.commit().unwrap();
}
