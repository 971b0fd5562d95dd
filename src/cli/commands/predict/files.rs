//! Files that need not be in the library: decoded and embedded, several at once.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;
use sonoteca::Result;
use sonoteca::audio::resample::FilterCache;
use sonoteca::extract::Extractor;
use sonoteca::ingest::audio_files;
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, identity_of, registry};
use sonoteca::search;
use sonoteca::train::predict::{Left, Listener};

use super::output::{Output, Sound};
use super::{Question, tell_of_left};
use crate::cli::Status;
use crate::cli::args::PredictArgs;
use crate::cli::commands::embedding::tell_of_sent;
use crate::cli::printer::{Printer, counted, say};

/// Listens to the files of `args`; one that fails costs itself.
pub(super) fn run(
    args: &PredictArgs,
    question: &Question,
    output: &mut Output<'_>,
    printer: &mut Printer,
) -> Result<Status> {
    let (mut failed, mut done) = (0, 0);
    let mut all = Vec::new();
    for found in args.paths.iter().flat_map(|path| audio_files(path)) {
        match found {
            Ok(path) => all.push(path),
            Err(error) => {
                failed += 1;
                printer.error(&error);
            }
        }
    }
    if all.is_empty() && failed == 0 {
        printer.note("There is no audio file in what was named.");
        return Ok(Status::NothingFound);
    }
    let network = network(question)?;
    let mut listeners = listeners(question, &network, all.len())?;
    let mut left = Left::default();
    for paths in all.chunks(listeners.len()) {
        let heard: Vec<_> = listeners
            .par_iter_mut()
            .zip(paths)
            .map(|(listener, path)| listener.hear(path))
            .collect();
        for (path, heard) in paths.iter().zip(heard) {
            match heard {
                Ok(heard) => {
                    left.unfit += heard.left.unfit;
                    left.unread += heard.left.unread;
                    let detections = question.bar.detect(&heard.said);
                    let path = path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
                    done += 1;
                    output.write(&Sound::file(&path, &heard, done), &detections, printer)?;
                }
                Err(error) => {
                    failed += 1;
                    printer.error(&error);
                }
            }
        }
    }
    if let Some(sent) = network.sent() {
        tell_of_sent(&sent, printer);
    }
    tell_of_left(left, printer);
    if failed > 0 {
        say(format_args!("{} could not be listened to", counted(failed, "file")));
        return Ok(Status::Failed);
    }
    if output.rows() == 0 {
        printer.note("Nothing was detected.");
        return Ok(Status::NothingFound);
    }
    Ok(Status::Done)
}

/// The network of the question's model, whose installed version must be the library's.
fn network(question: &Question) -> Result<EmbeddingModel> {
    let model = &question.model;
    let card = registry::find(&model.identity.name)?;
    search::require_same_version(model, &identity_of(card))?;
    EmbeddingModel::load(&card.name, &ModelStore::of_user()?, Compute::default())
}

/// A listener for each thread; all share the network's weights.
fn listeners<'a>(
    question: &'a Question,
    network: &EmbeddingModel,
    files: usize,
) -> Result<Vec<Listener<'a>>> {
    let model = &question.model;
    let filters = Arc::new(FilterCache::default());
    let threads = rayon::current_num_threads().min(files).max(1);
    (0..threads)
        .map(|_| {
            let extractor = Extractor::new(network.share(), Arc::clone(&filters));
            Listener::new(&question.head, extractor, question.level, model.segmentation)
        })
        .collect()
}
