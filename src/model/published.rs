//! Models as their makers publish them: a folder, or a repository of a model hub.
//!
//! In: a folder with `config.json` and `model.safetensors`, or the name of a repository that holds
//! them. Out: what it says of itself ([`describe`]), which is little and comes first; then
//! [`Published`]: the weights as they are stored here, and what a card must know of them. Weights may
//! be in several files, with an index of them. Refuses architectures that are not built here, and
//! folders in which something is missing.

mod licence;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::Digest;

use super::card::{ModelCard, Sha256};
use super::checkpoint::{Checkpoint, safetensors};
use super::hub::{self, Hub, HubFile};
use super::store::ModelStore;
use super::wav2vec2::{self, Config, Unfit};
use crate::error::{AddedProblem, Error, HubProblem, Result};

pub use super::hub::Fetching;

/// What a network is, in words of its maker.
const CONFIG: &str = "config.json";
/// What it wants its input to be; not every maker says.
const PREPROCESSOR: &str = "preprocessor_config.json";
/// What its maker says to people, and under which licence.
const README: &str = "README.md";
/// Its tensors.
const WEIGHTS: &str = "model.safetensors";
/// Which of several files has which of them, where one would be too long.
const INDEX: &str = "model.safetensors.index.json";
/// No description comes near; tensors are read whole.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;
/// Files that an index may name. Those of the largest models are some dozens.
const MOST_FILES: usize = 256;

/// What a published model says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    config: Config,
    /// The licence of the weights, where it says so.
    pub licence: Option<String>,
}

/// A published model, converted to what is stored here.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The tensors and the settings beside them, as a safetensors file.
    pub weights: Vec<u8>,
    /// SHA-256 of these.
    pub sha256: Sha256,
    /// SHA-256 of the file that was published; of several, one behind the other, by their names.
    pub published_sha256: Sha256,
    /// Length of an embedding.
    pub dimension: usize,
    /// The last hidden layer; 0 is what goes into the first block.
    pub layers: usize,
}

/// `model.safetensors.index.json`, as far as it says which files there are.
#[derive(Debug, Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Whether `name` can only be that of a repository, `OWNER/NAME`.
pub fn is_repository(name: &str) -> bool {
    name.split('/').count() == 2 && hub::is_path(name)
}

/// Whether `path` is a folder that describes a published model.
pub fn is_folder(path: &Path) -> bool {
    path.join(CONFIG).is_file()
}

impl Description {
    /// Refuses a hidden layer that `what` does not have.
    ///
    /// # Errors
    /// [`Error::Added`].
    pub fn require_layer(&self, what: &str, layer: Option<usize>) -> Result<()> {
        match (layer, self.config.layers()) {
            (Some(found), last) if found > last => {
                Err(AddedProblem::Layer { what: what.to_owned(), found, last }.into())
            }
            _ => Ok(()),
        }
    }
}

/// What the model in `folder`, which people know as `what`, says of itself.
///
/// # Errors
/// [`Error::Added`] when it is of an architecture or a form that is not built here,
/// [`Error::NotWeights`] without a `config.json`.
pub fn describe(what: &str, folder: &Path) -> Result<Description> {
    let optional = |file: &str| {
        let path = folder.join(file);
        if path.is_file() { text(&path).map(Some) } else { Ok(None) }
    };
    let config = optional(CONFIG)?.ok_or_else(|| missing(what, folder, CONFIG))?;
    let config = Config::read(&config, optional(PREPROCESSOR)?.as_deref());
    let config = config.map_err(|unfit| {
        let what = what.to_owned();
        match unfit {
            Unfit::Architecture(found) => AddedProblem::Architecture { what, found },
            Unfit::Form(problem) => AddedProblem::Form { what, problem },
        }
    })?;
    let licence = optional(README)?.as_deref().and_then(licence::of_readme);
    Ok(Description { config, licence })
}

/// Converts the model in `folder`, which people know as `what` and which says `description` of itself.
///
/// # Errors
/// [`Error::NotWeights`] without its weights, [`Error::Checkpoint`] when they are damaged,
/// [`Error::Added`] when they are not those of a network that is built here.
pub fn read(what: &str, folder: &Path, description: &Description) -> Result<Published> {
    let config = &description.config;
    let paths = weights_in(what, folder)?;
    let mut hash = sha2::Sha256::default();
    let mut contents = Vec::with_capacity(paths.len());
    for path in &paths {
        let bytes = fs::read(path).map_err(|source| io_error("read", path, source))?;
        hash.update(&bytes);
        contents.push(bytes);
    }
    let mut files = Vec::with_capacity(paths.len());
    for (path, bytes) in paths.iter().zip(&contents) {
        let opened = safetensors::Checkpoint::open(bytes)
            .map_err(|problem| Error::Checkpoint { path: path.clone(), problem })?;
        files.push(Checkpoint::Safetensors(opened));
    }
    let unfit = |problem| AddedProblem::Form { what: what.to_owned(), problem };
    let converted = wav2vec2::from_checkpoint(what, &files, config).map_err(unfit)?;
    // Nothing needs them any more, and they are as large as what was made of them.
    drop(files);
    drop(contents);
    let weights = converted.to_safetensors(folder)?;
    // What is missing, left over or of another shape shows now, and not when it is first used.
    wav2vec2::check(converted, what, config).map_err(|error| match error {
        Error::TensorMissing { .. }
        | Error::TensorUnexpected { .. }
        | Error::TensorShape { .. } => Error::from(unfit(error.to_string())),
        error => error,
    })?;
    Ok(Published {
        sha256: Sha256(sha2::Sha256::digest(&weights).into()),
        published_sha256: Sha256(hash.finalize().into()),
        weights,
        dimension: config.dimension(),
        layers: config.layers(),
    })
}

/// The hidden layer that embeddings of the published model of `card` are made of.
///
/// # Errors
/// As [`ModelStore::verify`], and [`Error::Card`] when it is no published model.
pub fn layer_of(card: &ModelCard, store: &ModelStore) -> Result<usize> {
    match card.layer {
        Some(layer) => Ok(layer),
        None => wav2vec2::last_layer(&store.read_weights(card)?, &card.name),
    }
}

/// Fetches what `repository` at `revision` says of itself from the user's model hub into `folder`,
/// where [`describe`] finds it; gives the commit that the revision stood for, where the hub says so.
/// `progress` is told how it goes.
///
/// # Errors
/// [`Error::Hub`] when the hub does not give it, [`Error::Io`] when the folder cannot be written.
pub fn fetch_description(
    repository: &str,
    revision: &str,
    folder: &Path,
    progress: &mut dyn FnMut(Fetching<'_>),
) -> Result<Option<String>> {
    Repository::of_user(repository, revision, folder).description(progress)
}

/// As [`fetch_description`], the weights, where [`read`] finds them. Some gigabytes, perhaps.
///
/// # Errors
/// As [`fetch_description`], and [`Error::Checksum`] when a file is not what the hub announced.
pub fn fetch_weights(
    repository: &str,
    revision: &str,
    folder: &Path,
    progress: &mut dyn FnMut(Fetching<'_>),
) -> Result<()> {
    Repository::of_user(repository, revision, folder).weights(progress)
}

/// A repository at a revision, and where its files go.
struct Repository<'a> {
    hub: Hub,
    name: &'a str,
    revision: String,
    folder: &'a Path,
}

impl<'a> Repository<'a> {
    fn of_user(name: &'a str, revision: &str, folder: &'a Path) -> Self {
        Self { hub: Hub::of_user(), name, revision: revision.to_owned(), folder }
    }

    fn description(mut self, progress: &mut dyn FnMut(Fetching<'_>)) -> Result<Option<String>> {
        let commit = self.fetch(CONFIG, progress)?;
        // The first file's commit for all: a branch may move between two requests.
        self.revision = commit.clone().unwrap_or(self.revision);
        for file in [PREPROCESSOR, README] {
            self.fetch_if_there(file, progress)?;
        }
        Ok(commit)
    }

    fn weights(&self, progress: &mut dyn FnMut(Fetching<'_>)) -> Result<()> {
        if self.fetch_if_there(WEIGHTS, progress)? {
            return Ok(());
        }
        let missing = |error: Error| match error {
            // It is the one file that is missed.
            Error::Hub { repository, problem: HubProblem::Missing, .. } => {
                Error::Hub { repository, file: WEIGHTS.to_owned(), problem: HubProblem::Missing }
            }
            error => error,
        };
        self.fetch(INDEX, progress).map_err(missing)?;
        for file in files_of_index(self.name, &self.folder.join(INDEX))? {
            self.fetch(&file, progress)?;
        }
        Ok(())
    }

    /// Fetches a file that need not be there; whether it is.
    fn fetch_if_there(&self, file: &str, progress: &mut dyn FnMut(Fetching<'_>)) -> Result<bool> {
        match self.fetch(file, progress) {
            Ok(_) => Ok(true),
            Err(Error::Hub { problem: HubProblem::Missing, .. }) => {
                // What an earlier call has fetched was of another commit.
                let path = self.folder.join(file);
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        Err(io_error("remove", &path, source))
                    }
                    _ => Ok(false),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn fetch(&self, file: &str, progress: &mut dyn FnMut(Fetching<'_>)) -> Result<Option<String>> {
        let (repository, revision) = (self.name.to_owned(), self.revision.clone());
        let wanted = HubFile { repository, revision, file: file.to_owned() };
        self.hub.fetch(&wanted, self.folder, progress).map(|fetched| fetched.commit)
    }
}

/// The files of weights in `folder`, by name.
fn weights_in(what: &str, folder: &Path) -> Result<Vec<PathBuf>> {
    let whole = folder.join(WEIGHTS);
    if whole.is_file() {
        return Ok(vec![whole]);
    }
    let index = folder.join(INDEX);
    if !index.is_file() {
        return Err(missing(what, folder, WEIGHTS));
    }
    let files = files_of_index(what, &index)?;
    match files.iter().find(|file| !folder.join(file).is_file()) {
        Some(file) => Err(missing(what, folder, file)),
        None => Ok(files.iter().map(|file| folder.join(file)).collect()),
    }
}

/// The files that the index at `path` names, each once; those of a folder, and none elsewhere.
fn files_of_index(what: &str, path: &Path) -> Result<BTreeSet<String>> {
    let unfit = |problem| AddedProblem::Form { what: what.to_owned(), problem };
    let index: Index = serde_json::from_str(&text(path)?)
        .map_err(|error| unfit(format!("its {INDEX} does not read: {error}")))?;
    let files: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(odd) = files.iter().find(|file| file.contains('/') || !hub::is_path(file)) {
        return Err(unfit(format!("its {INDEX} names a file `{odd}`")).into());
    }
    if !(1..=MOST_FILES).contains(&files.len()) {
        let count = files.len();
        return Err(
            unfit(format!("its {INDEX} names {count} files, expected 1 to {MOST_FILES}")).into()
        );
    }
    Ok(files)
}

fn missing(what: &str, folder: &Path, file: &str) -> Error {
    Error::NotWeights {
        name: what.to_owned(),
        path: folder.to_owned(),
        expected: format!("{CONFIG} and {WEIGHTS} in it, and there is no {file}"),
    }
}

/// A file of words; no more of it than any has.
fn text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_DESCRIPTION_BYTES).read_to_end(&mut bytes))
        .map_err(|source| io_error("read", path, source))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: PathBuf::from(path), source }
}

#[cfg(test)]
mod tests;
