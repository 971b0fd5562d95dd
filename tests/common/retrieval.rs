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

use sonoteca::index::scope::Allowed;
use sonoteca::ingest::{Cancel, Decoders, IndexOptions, Indexer, Observer, Outcome, Report};
use sonoteca::model::EmbeddingModel;
use sonoteca::search::{
    Hit, Level, Question, SearchOptions, Searcher, Voice, choose_model, fuse, stored_query,
};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
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
    leave_one_out_of(library, None)
}

/// As [`leave_one_out`], by the model called `name`, or the only one.
pub fn leave_one_out_of(library: &Library, name: Option<&str>) -> Quality {
    let model = choose_model(library, name).unwrap();
    let searcher = Searcher::open(library, model.clone(), Level::Recording).unwrap();
    let ids = recordings(library, &model);
    let options = SearchOptions { count: ids.len(), ..SearchOptions::default() };
    measure(library, &ids, |id| {
        searcher.search(&leaving_out(library, &model, id), &options).unwrap()
    })
}

/// As [`leave_one_out`], by the joined rankings of the models with these `names`, over the
/// recordings of the first.
pub fn fused_leave_one_out(library: &Library, names: &[&str]) -> Quality {
    let models: Vec<StoredModel> =
        names.iter().map(|name| choose_model(library, Some(name)).unwrap()).collect();
    let ids = recordings(library, &models[0]);
    let options = SearchOptions { count: ids.len(), ..SearchOptions::default() };
    let mut voices: Vec<Voice<'_>> = models
        .iter()
        .map(|model| Voice {
            searcher: Searcher::open(library, model.clone(), Level::Recording).unwrap(),
            question: leaving_out(library, model, ids[0]),
            allowed: Allowed::All,
        })
        .collect();
    measure(library, &ids, |id| {
        for (voice, model) in voices.iter_mut().zip(&models) {
            voice.question = leaving_out(library, model, id);
        }
        fuse(&voices, &options).unwrap().into_iter().map(|fused| fused.hit).collect()
    })
}

fn recordings(library: &Library, model: &StoredModel) -> Vec<i64> {
    let mut ids = Vec::new();
    library
        .for_each_recording(model.id, model.identity.dimension, |id, _| {
            ids.push(id);
            Ok(())
        })
        .unwrap();
    ids
}

/// Recording `id` as a question, and no answer.
fn leaving_out(library: &Library, model: &StoredModel, id: i64) -> Question {
    let vector = stored_query(library, model, id, Level::Recording).unwrap();
    Question::of_vector(vector).except(id)
}

/// The quality of the answers that `search` gives for each of `ids`.
fn measure(library: &Library, ids: &[i64], mut search: impl FnMut(i64) -> Vec<Hit>) -> Quality {
    let mut sums = Quality::default();
    for &id in ids {
        let class = class_of(&library.recording(id).unwrap().unwrap().path);
        let right: Vec<bool> =
            search(id).iter().map(|hit| class_of(&hit.recording.path) == class).collect();
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
