//! A published model becomes one of the user's: a folder, or a repository of the model hub.
//!
//! In: a name, and where the model is. Out: its card, its weights and what it answers to the probe,
//! in the store, all or nothing. What it says of itself is looked at before its weights are fetched. What
//! a hub's download leaves when it is cut stays in the store, and the next call goes on with it; what
//! turned out to be of no use does not stay.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Addition, blank_card, check_name, finish};
use crate::error::{AddedProblem, Error, Result};
use crate::frontend::spec::WAV2VEC2;
use crate::model::card::{Architecture, ModelCard, Segments, Weights as StoredWeights};
use crate::model::compute::Compute;
use crate::model::published::{self, Description, Fetching, Published};
use crate::model::store::ModelStore;
use crate::model::weights::Weights;
use crate::model::{torchscript, wav2vec2};

/// What the weights are called in the store.
const FILE: &str = "model.safetensors";
/// The branch that a repository shows.
const REVISION: &str = "main";

/// What the user says of a published model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPublished {
    /// What it will be called.
    pub name: String,
    /// The hidden layer that its embeddings are made of; the last one, when `None`.
    pub layer: Option<usize>,
    /// What it is good for.
    pub task: Option<String>,
    /// Licence of its weights; what it says itself, when `None`.
    pub licence: Option<String>,
}

/// Where a published model comes from.
struct Provenance {
    version: String,
    repository: Option<String>,
}

/// Adds the published model in `folder` to `store`.
///
/// # Errors
/// As [`published::describe`] and [`published::read`], and [`Error::Added`] when the name is taken or
/// its vectors could not be trusted.
pub fn add_folder(
    new: &NewPublished,
    folder: &Path,
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    check_name(&new.name, store)?;
    let what = folder.display().to_string();
    let description = described(new, &what, folder)?;
    let published = published::read(&what, folder, &description)?;
    let version = format!("SHA-256 {}", published.published_sha256);
    let from = Provenance { version, repository: None };
    add(new, (&description, &published), from, store, compute)
}

/// Fetches `repository` from the user's model hub and adds it to `store`. `progress` is told how each
/// file comes along.
///
/// # Errors
/// As [`published::fetch_description`], [`published::fetch_weights`] and [`add_folder`].
pub fn add_repository(
    new: &NewPublished,
    repository: &str,
    store: &ModelStore,
    compute: Compute,
    progress: &mut dyn FnMut(Fetching<'_>),
) -> Result<Addition> {
    check_name(&new.name, store)?;
    let folder = store.downloads(repository)?;
    let mut fetch = || {
        let commit = published::fetch_description(repository, REVISION, &folder, progress)?;
        let description = described(new, repository, &folder)?;
        let revision = commit.as_deref().unwrap_or(REVISION);
        published::fetch_weights(repository, revision, &folder, progress)?;
        let published = published::read(repository, &folder, &description)?;
        let commit = commit.unwrap_or_else(|| format!("SHA-256 {}", published.published_sha256));
        let version = format!("{repository} {commit}");
        let from = Provenance { version, repository: Some(repository.to_owned()) };
        add(new, (&description, &published), from, store, compute)
    };
    let added = fetch();
    let is_over = match &added {
        Ok(_) => true,
        Err(error) => is_final(error) || !has_weights(&folder),
    };
    if is_over {
        let removed = fs::remove_dir_all(&folder);
        if added.is_ok() {
            removed.map_err(|source| Error::Io { action: "remove", path: folder, source })?;
        }
    }
    added
}

/// What a repository's model is called here, unless the user says otherwise.
pub fn name_of(repository: &str) -> String {
    repository.rsplit('/').next().unwrap_or(repository).to_ascii_lowercase().replace('.', "-")
}

fn described(new: &NewPublished, what: &str, folder: &Path) -> Result<Description> {
    let description = published::describe(what, folder)?;
    description.require_layer(what, new.layer)?;
    Ok(description)
}

/// Whether what was fetched can never become a model, however often that is tried.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Added(problem) => {
            !matches!(problem, AddedProblem::Layer { .. } | AddedProblem::Taken { .. })
        }
        Error::Checkpoint { .. } => true,
        _ => false,
    }
}

/// Whether `folder` holds weights, or a part of some, which would have to be fetched again.
fn has_weights(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.filter_map(std::result::Result::ok).any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.contains(".safetensors") && !name.contains(".json")
    })
}

fn add(
    new: &NewPublished,
    (description, published): (&Description, &Published),
    from: Provenance,
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    let compute = compute.resolve()?;
    let (name, layer) = (&new.name[..], new.layer);
    let unknown = || "unknown".to_owned();
    let task = || "speech: self-supervised, best tuned or read at a middle layer".to_owned();
    let licence = new.licence.clone().or_else(|| description.licence.clone());
    let card = ModelCard {
        version: from.version,
        repository: from.repository,
        task: new.task.clone().unwrap_or_else(task),
        architecture: Architecture::Wav2vec2,
        citation: "A. Baevski, H. Zhou, A. Mohamed and M. Auli, wav2vec 2.0: A Framework for \
                   Self-Supervised Learning of Speech Representations, arXiv:2006.11477, 2020"
            .to_owned(),
        sample_rate: WAV2VEC2.sample_rate,
        embedding_dimension: published.dimension,
        window_s: WAV2VEC2.step_s(),
        hop_s: WAV2VEC2.step_hop_s(),
        segments: Some(Segments { segment_s: 1.0, hop_s: 0.5 }),
        // A patch fills the network by itself.
        batch_patches: 1,
        // The last one is the same whether it was named or not.
        layer: layer.filter(|&layer| layer != published.layers),
        weights: StoredWeights {
            file: FILE.to_owned(),
            sha256: published.sha256,
            bytes: None,
            licence: licence.unwrap_or_else(unknown),
            copyright: unknown(),
        },
        ..blank_card(name)
    };
    let compute = torchscript::compute_of(compute);
    let weights = Weights::from_safetensors(name, &PathBuf::from(FILE), &published.weights)?;
    let network = wav2vec2::build(weights, name, layer, compute)?;
    finish(card, network, Some(&published.weights), store, compute)
}
