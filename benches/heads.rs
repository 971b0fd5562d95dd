//! Heads on vectors that another program has chosen, for `benches/heads/run.py`: what is said right
//! of what was held out, and the seconds of training.
//!
//! `heads FOLDER` reads `vectors.f32` (`[rows, dimension]`), `labels.u32`, `folds.u32` (`[rows]`,
//! little-endian) and `tasks.json`, and prints a line of JSON a task. A task has a kind of head and
//! either `"folds": n`, for which everything is trained as `sonoteca train` does, or `"train"`, the
//! numbers of the rows that are learnt from: all others are asked about.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that prints figures"
)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use sonoteca::train::held_out::RowPlace;
use sonoteca::train::learner::{Augmentation, ClassWeights, HeadKind, Learnt, Lesson, learn};
use sonoteca::train::network::Network;
use sonoteca::train::rows::{Rows, RowsBuilder};
use sonoteca::train::task::Targets;

/// The rows of all tasks.
struct Data {
    vectors: Vec<f32>,
    dimension: usize,
    labels: Vec<u32>,
    folds: Vec<u32>,
    classes: usize,
}

fn main() {
    let Some(folder) = std::env::args().nth(1).filter(|name| !name.starts_with('-')) else {
        println!("run by benches/heads/run.py");
        return;
    };
    let folder = Path::new(&folder);
    let labels = numbers(&folder.join("labels.u32"));
    let vectors: Vec<f32> = fs::read(folder.join("vectors.f32"))
        .unwrap()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let data = Data {
        dimension: vectors.len() / labels.len(),
        classes: *labels.iter().max().unwrap() as usize + 1,
        folds: numbers(&folder.join("folds.u32")),
        vectors,
        labels,
    };
    let tasks = fs::read_to_string(folder.join("tasks.json")).unwrap();
    for task in serde_json::from_str::<Vec<Value>>(&tasks).unwrap() {
        println!("{}", data.answer(&task));
    }
}

impl Data {
    fn answer(&self, task: &Value) -> Value {
        let kind: HeadKind = serde_json::from_value(task["head"].clone()).unwrap();
        let started = Instant::now();
        let (right, asked) = match task["train"].as_array() {
            Some(rows) => {
                let rows: Vec<usize> = rows
                    .iter()
                    .map(|row| usize::try_from(row.as_u64().unwrap()).unwrap())
                    .collect();
                self.few(kind, &rows)
            }
            None => self.in_folds(kind),
        };
        let seconds = started.elapsed().as_secs_f64();
        json!({ "right": right, "asked": asked, "seconds": seconds })
    }

    fn in_folds(&self, kind: HeadKind) -> (usize, usize) {
        let all: Vec<usize> = (0..self.labels.len()).collect();
        let count = *self.folds.iter().max().unwrap() as usize + 1;
        let learnt = self.learn(kind, &all, count);
        // Of very many rows some are asked about.
        let said = learnt.held_out.chunks_exact(self.classes).zip(&self.labels);
        let asked: Vec<_> = said.filter(|(said, _)| !said[0].is_nan()).collect();
        let right = asked.iter().filter(|(said, label)| best(said) == **label).count();
        (right, asked.len())
    }

    fn few(&self, kind: HeadKind, rows: &[usize]) -> (usize, usize) {
        let learnt = self.learn(kind, rows, 0);
        let shape = (self.dimension, self.classes);
        let network = Network::new("few", kind, learnt.tensors, shape).unwrap();
        let asked: Vec<usize> = (0..self.labels.len()).filter(|row| !rows.contains(row)).collect();
        let vectors: Vec<f32> = asked.iter().flat_map(|&row| self.row(row).to_vec()).collect();
        let said = match &network {
            Network::Linear(head) => head.apply(&vectors),
            Network::Perceptron(head) => head.apply(&vectors),
            Network::Sequence(_) => return (0, 0),
        };
        let said = said.chunks_exact(self.classes).map(best);
        let right = said.zip(&asked).filter(|(said, row)| *said == self.labels[**row]).count();
        (right, asked.len())
    }

    fn learn(&self, kind: HeadKind, rows: &[usize], fold_count: usize) -> Learnt {
        let labels: Vec<u32> = rows.iter().map(|&row| self.labels[row]).collect();
        // By fold where there are folds: parts of one recording share one on ESC-10.
        let groups: Vec<u32> = if fold_count > 0 {
            rows.iter().map(|&row| self.folds[row]).collect()
        } else {
            (0..u32::try_from(rows.len()).unwrap()).collect()
        };
        let folds: Vec<Option<u32>> =
            rows.iter().map(|&row| (fold_count > 0).then(|| self.folds[row])).collect();
        let places: Vec<RowPlace> =
            (0..).take(rows.len()).map(|recording| RowPlace { recording, range: None }).collect();
        let lesson = Lesson {
            rows: &self.rows(rows),
            sequences: None,
            class_count: self.classes,
            targets: &Targets::Single(labels),
            groups: &groups,
            places: &places,
            folds: &folds,
            fold_count,
            class_weights: ClassWeights::None,
            augmentation: Augmentation::None,
            seed: 0,
            watch: None,
        };
        learn(kind, &lesson).unwrap()
    }

    /// As training collects them: in memory, or, when there are many, in a file.
    fn rows(&self, numbers: &[usize]) -> Rows {
        let mut rows = RowsBuilder::new(self.dimension);
        for &row in numbers {
            rows.push(self.row(row)).unwrap();
        }
        rows.finish().unwrap()
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.vectors[row * self.dimension..][..self.dimension]
    }
}

fn numbers(path: &Path) -> Vec<u32> {
    let bytes = fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

fn best(said: &[f32]) -> u32 {
    let most = said.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    most.map_or(0, |(class, _)| u32::try_from(class).unwrap())
}
