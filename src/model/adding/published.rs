//! A published model becomes one of the user's: a folder, or a repository of the model hub.
//!
//! In: a name, and where the model is. Out: its card, its weights and what it answers to the probe,
//! in the store, all or nothing. What a hub's download leaves when it is cut stays in the store, and
//! the next call goes on with it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Addition, blank_card, check_name, finish};
use crate::error::{Error, Result};
use crate::frontend::spec::WAV2VEC2;
use crate::model::card::{Architecture, ModelCard, Segments, Weights as StoredWeights};
use crate::model::compute::Compute;
use crate::model::published::{self, Published};
use crate::model::store::ModelStore;
use crate::model::weights::Weights;
use crate::model::{torchscript, wav2vec2};

/// What the weights are called in the store.
const FILE: &str = "model.safetensors";
/// The branch that a repository shows.
const REVISION: &str = "main";

/// Adds the published model in `folder` to `store` as `name`. Its embeddings are made of hidden
/// layer `layer`; of the last one, without.
///
/// # Errors
/// As [`published::read`], and [`Error::Added`] when the name is taken or its vectors could not be
/// trusted.
pub fn add_folder(
    name: &str,
    folder: &Path,
    layer: Option<usize>,
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    check_name(name, store)?;
    let published = published::read(name, folder)?;
    let version = format!("SHA-256 {}", published.published_sha256);
    add(name, &published, version, layer, store, compute)
}

/// Fetches `repository` from the user's model hub and adds it under the last part of its name.
/// `progress` is told of each file how many bytes there are, and of how many.
///
/// # Errors
/// As [`published::fetch`] and [`add_folder`].
pub fn add_repository(
    repository: &str,
    layer: Option<usize>,
    store: &ModelStore,
    compute: Compute,
    progress: &mut dyn FnMut(&str, u64, Option<u64>),
) -> Result<Addition> {
    let name = name_of(repository);
    check_name(&name, store)?;
    let folder = store.downloads(repository)?;
    let commit = published::fetch(repository, REVISION, &folder, progress)?;
    let published = published::read(&name, &folder)?;
    let commit = commit.unwrap_or_else(|| format!("SHA-256 {}", published.published_sha256));
    let version = format!("{repository} {commit}");
    let addition = add(&name, &published, version, layer, store, compute)?;
    fs::remove_dir_all(&folder).map_err(|source| Error::Io {
        action: "remove",
        path: folder,
        source,
    })?;
    Ok(addition)
}

/// What a repository's model is called here.
pub fn name_of(repository: &str) -> String {
    repository.rsplit('/').next().unwrap_or(repository).to_ascii_lowercase().replace('.', "-")
}

fn add(
    name: &str,
    published: &Published,
    version: String,
    layer: Option<usize>,
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    let compute = compute.resolve()?;
    let unknown = || "unknown".to_owned();
    let card = ModelCard {
        version,
        task: "speech: self-supervised, best tuned or read at a middle layer".to_owned(),
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
            licence: unknown(),
            copyright: unknown(),
        },
        ..blank_card(name)
    };
    let compute = torchscript::compute_of(compute);
    let weights = Weights::from_safetensors(name, &PathBuf::from(FILE), &published.weights)?;
    let network = wav2vec2::build(weights, name, layer, compute)?;
    finish(card, network, Some(&published.weights), store, compute)
}
