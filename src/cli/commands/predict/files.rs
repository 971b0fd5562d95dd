//! What is named: files, which need not be in the library, decoded and embedded, several at once;
//! standard input; recordings of the library.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sonoteca::audio::resample::FilterCache;
use sonoteca::extract::Extractor;
use sonoteca::index::scope::Scope;
use sonoteca::ingest::audio_files;
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, identity_of, registry};
use sonoteca::search;
use sonoteca::store::Library;
use sonoteca::train::predict::{HeardFile, Hearing, Left, Listener};
use sonoteca::{Error, Result};

use super::output::{Output, Sound};
use super::{Question, tell_of_left};
use crate::cli::commands::embedding::tell_of_sent;
use crate::cli::commands::standard_input::{NAME, Spooled};
use crate::cli::company;
use crate::cli::printer::{Printer, counted, say};
use crate::cli::{STANDARD_INPUT, Status};

/// What was named.
enum Named {
    /// A recording of the library, by its id.
    Stored(i64),
    /// Audio files, as they are found.
    Files(Vec<PathBuf>),
    StandardInput,
}

/// Listens to what was named, in its order; what fails costs itself.
pub(super) fn run(
    paths: &[PathBuf],
    question: &Question,
    library: &Library,
    output: &mut Output<'_>,
    printer: &mut Printer,
) -> Result<Status> {
    let mut asking = Asking {
        question,
        library,
        network: OnceCell::new(),
        left: Left::default(),
        done: 0,
        failed: 0,
        printer: &mut *printer,
        output: &mut *output,
    };
    let named = asking.named(paths)?;
    if named.is_empty() && asking.failed == 0 {
        asking.printer.note("There is no audio file in what was named.");
        return Ok(Status::NothingFound);
    }
    for named in named {
        match named {
            Named::Stored(id) => asking.stored(id)?,
            Named::Files(paths) => asking.files(&paths)?,
            Named::StandardInput => asking.standard_input()?,
        }
    }
    let Asking { network, left, failed, .. } = asking;
    if let Some(sent) = network.get().and_then(EmbeddingModel::sent) {
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

/// A question on its way through what was named.
struct Asking<'a, 'b> {
    question: &'a Question,
    library: &'a Library,
    /// Loaded when the first file is met.
    network: OnceCell<EmbeddingModel>,
    left: Left,
    done: i64,
    failed: u64,
    printer: &'a mut Printer,
    output: &'a mut Output<'b>,
}

impl Asking<'_, '_> {
    /// What `paths` name, files that follow one another together. `id:N` and `-` are never files:
    /// those are `./id:N` and `./-`.
    fn named(&mut self, paths: &[PathBuf]) -> Result<Vec<Named>> {
        let mut all = Vec::new();
        let mut reads_input = false;
        for path in paths {
            let text = path.to_str().unwrap_or_default();
            if text == "-" || text == STANDARD_INPUT {
                if reads_input {
                    return Err(Error::Usage {
                        problem: "standard input can be read only once",
                        hint: "save it to a file, and name that",
                    });
                }
                reads_input = true;
                all.push(Named::StandardInput);
                continue;
            }
            if let Some(id) = text.strip_prefix("id:").and_then(|id| id.parse().ok()) {
                all.push(Named::Stored(id));
                continue;
            }
            let mut files = Vec::new();
            for found in audio_files(path) {
                match found {
                    Ok(path) => files.push(path),
                    Err(error) => self.fail(&error),
                }
            }
            match all.last_mut() {
                Some(Named::Files(earlier)) => earlier.append(&mut files),
                _ if files.is_empty() => {}
                _ => all.push(Named::Files(files)),
            }
        }
        Ok(all)
    }

    /// A recording of the library, by its stored vectors: its file is not read.
    fn stored(&mut self, id: i64) -> Result<()> {
        let Question { head, model, level, .. } = self.question;
        let mut hearing = Hearing::new(head, model, *level, Scope::default())?;
        let said = match hearing.one(self.library, id) {
            Ok(said) => said,
            Err(error @ (Error::UnknownRecording { .. } | Error::NotIndexed { .. })) => {
                self.fail(&error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.count(hearing.left);
        let recording = self.library.recording(id)?;
        if let (Some(said), Some(recording)) = (said, recording) {
            let detections = self.question.bar.detect(&said);
            self.output.write(&Sound::stored(&recording), &detections, self.printer)?;
        }
        Ok(())
    }

    fn files(&mut self, paths: &[PathBuf]) -> Result<()> {
        let mut listeners = listeners(self.question, &self.network()?, paths.len())?;
        for paths in paths.chunks(listeners.len()) {
            let heard: Vec<_> = listeners
                .par_iter_mut()
                .zip(paths)
                .map(|(listener, path)| listener.hear(path))
                .collect();
            for (path, heard) in paths.iter().zip(heard) {
                match heard {
                    Ok(heard) => {
                        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                        self.tell(&path, &heard)?;
                    }
                    Err(error) => self.fail(&error),
                }
            }
        }
        Ok(())
    }

    fn standard_input(&mut self) -> Result<()> {
        let spooled = Spooled::read()?;
        let listeners = listeners(self.question, &self.network()?, 1)?;
        for listener in listeners {
            match listener.hear(spooled.path()) {
                Ok(heard) => self.tell(Path::new(NAME), &heard)?,
                Err(error) => self.fail(&spooled.named(error)),
            }
        }
        Ok(())
    }

    /// Tells what was detected in the file at `path`.
    fn tell(&mut self, path: &Path, heard: &HeardFile) -> Result<()> {
        self.count(heard.left);
        let detections = self.question.bar.detect(&heard.said);
        self.done += 1;
        self.output.write(&Sound::file(path, heard, self.done), &detections, self.printer)
    }

    fn count(&mut self, left: Left) {
        self.left.unfit += left.unfit;
        self.left.unread += left.unread;
    }

    fn fail(&mut self, error: &Error) {
        self.failed += 1;
        self.printer.error(error);
    }

    /// The network of the question's model, whose installed version must be the library's.
    fn network(&self) -> Result<EmbeddingModel> {
        if let Some(network) = self.network.get() {
            return Ok(network.share());
        }
        let model = &self.question.model;
        let card = registry::find_held(&model.identity.name)?;
        search::require_same_version(model, &identity_of(card))?;
        let (store, company) = (ModelStore::of_user()?, company::of(self.printer));
        let network =
            EmbeddingModel::load_in_company(&card.name, &store, Compute::default(), &company)?;
        Ok(self.network.get_or_init(|| network).share())
    }
}

/// A listener for each thread; all share the weights of `network`.
fn listeners<'a>(
    question: &'a Question,
    network: &EmbeddingModel,
    files: usize,
) -> Result<Vec<Listener<'a>>> {
    let filters = Arc::new(FilterCache::default());
    let threads = rayon::current_num_threads().min(files).max(1);
    let networks = std::iter::repeat_with(|| network.share()).take(threads);
    networks
        .map(|network| {
            let extractor = Extractor::new(network, Arc::clone(&filters));
            Listener::new(&question.head, extractor, question.level, question.model.segmentation)
        })
        .collect()
}
