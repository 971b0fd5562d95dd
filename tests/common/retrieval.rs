//! Retrieval quality on ESC-10, through the product: index, then leave-one-out search.
//!
//! Recordings are compared by the cosine of their pooled vectors as a library stores them. P@k is
//! the share of a query's class among its k nearest others, mAP the mean over queries of average
//! precision over all others.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by test programs and benches, each of which uses a part of it"
)]

use std::path::{Path, PathBuf};

use sonoteca::ingest::{Cancel, Decoders, IndexOptions, Indexer, Observer, Outcome, Report};
use sonoteca::model::EmbeddingModel;
use sonoteca::search::{Hit, Level, Question, SearchOptions, Searcher, choose_model, stored_query};
use sonoteca::store::Library;
use sonoteca::store::worklist::Sum;

/// Means over all recordings as queries.
#[derive(Debug, Default)]
pub struct Quality {
    /// Share of first neighbours of the same class.
    pub precision_at_1: f64,
    /// Share of the same class among the first five.
    pub precision_at_5: f64,
    /// Mean average precision.
    pub mean_average_precision: f64,
    /// How many recordings were queries.
    pub queries: usize,
}

struct Silent;

impl Observer for Silent {
    fn planned(&self, _: &[(String, Sum)]) {}
    fn heard(&self, _: f64) {}
    fn finished(&self, _: &Path, _: u64, _: &Outcome) {}
}

/// Indexes `dataset` (a folder a class) into a library at `path`.
pub fn index(dataset: &Path, path: &Path, model: &EmbeddingModel) -> (Library, Report) {
    let mut library = Library::open_or_create(path).unwrap();
    let (decoders, options) = (Decoders::Threads, IndexOptions::default());
    let (cancel, observer) = (Cancel::default(), &Silent);
    let indexer = Indexer {
        models: std::slice::from_ref(model),
        decoders: &decoders,
        options: &options,
        cancel: &cancel,
        observer,
    };
    let report = indexer.index(&mut library, &[PathBuf::from(dataset)]).unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    (library, report)
}

/// Searches for every recording of `library` among the others.
pub fn leave_one_out(library: &Library) -> Quality {
    let model = choose_model(library, None).unwrap();
    let searcher = Searcher::open(library, model.clone(), Level::Recording).unwrap();
    let mut ids = Vec::new();
    library
        .for_each_recording(model.id, model.identity.dimension, |id, _| {
            ids.push(id);
            Ok(())
        })
        .unwrap();
    let mut sums = Quality::default();
    for &id in &ids {
        let class = class_of(&library.recording(id).unwrap().unwrap().path);
        let vector = stored_query(library, &model, id, Level::Recording).unwrap();
        let question = Question::of_vector(vector).except(id);
        let options = SearchOptions { count: ids.len(), ..SearchOptions::default() };
        let hits = searcher.search(&question, &options).unwrap();
        let right: Vec<bool> =
            hits.iter().map(|hit: &Hit| class_of(&hit.recording.path) == class).collect();
        sums.precision_at_1 += precision(&right, 1);
        sums.precision_at_5 += precision(&right, 5);
        sums.mean_average_precision += average_precision(&right);
    }
    let count = ids.len() as f64;
    Quality {
        precision_at_1: sums.precision_at_1 / count,
        precision_at_5: sums.precision_at_5 / count,
        mean_average_precision: sums.mean_average_precision / count,
        queries: ids.len(),
    }
}

fn class_of(path: &Path) -> String {
    path.parent().and_then(Path::file_name).unwrap().to_string_lossy().into_owned()
}

fn precision(right: &[bool], k: usize) -> f64 {
    right.iter().take(k).filter(|&&right| right).count() as f64 / k as f64
}

fn average_precision(right: &[bool]) -> f64 {
    let all = right.iter().filter(|&&right| right).count();
    let mut found = 0.0;
    let mut sum = 0.0;
    for (rank, _) in right.iter().enumerate().filter(|&(_, &right)| right) {
        found += 1.0;
        sum += found / (rank + 1) as f64;
    }
    sum / all.max(1) as f64
}
