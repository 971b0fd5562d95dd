//! Models of the user's own: a TorchScript module, or a server that embeds.
//!
//! In: what the user says of one. Out: its card and what belongs to it, in the store, all or
//! nothing. Whatever is added is asked first (`adding/inspection.rs`), and what it answers is its
//! card. Refuses names that are taken, and models whose vectors could not be trusted.

mod inspection;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::Digest;

use super::card::{Answering, Architecture, Measured, ModelCard, Remote, Sending, Sha256, Weights};
use super::compute::Compute;
use super::network::{Network, Sent};
use super::remote::{self, Hosted};
use super::store::{ModelStore, is_name};
use super::torchscript::Module;
use super::{EmbeddingModel, own, probe, registry};
use crate::error::{AddedProblem, Error, Result};
use crate::frontend::spec::{MelSpec, YAMNET_MEL};

/// No module is read past this: larger ones are for other machines.
const MOST_MODULE: u64 = 4 << 30;
/// No description of mel bands is longer.
const MOST_MEL: u64 = 1 << 16;
/// The name of a module in the store.
const MODULE: &str = "module.pt";

/// A model that is to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewModel {
    /// What it will be called.
    pub name: String,
    /// What it is good for.
    pub task: Option<String>,
    /// Licence of its weights.
    pub licence: Option<String>,
    /// Rate of the samples that it takes, in Hz.
    pub sample_rate: Option<u32>,
    /// Time that a vector stands for, in seconds.
    pub window_s: Option<f64>,
    /// Time from one vector to the next, in seconds; half a window, when `None`.
    pub hop_s: Option<f64>,
    /// What computes its vectors.
    pub origin: Origin,
}

/// What computes the vectors of a model that is to be added.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// The TorchScript module in a file.
    TorchScript {
        /// The file.
        path: PathBuf,
        /// What it hears.
        input: ModuleInput,
    },
    /// A server.
    Remote(Server),
}

/// What a module hears.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ModuleInput {
    /// Samples.
    #[default]
    Waveform,
    /// The mel bands that a file describes; YAMNet's, without one.
    LogMel(Option<PathBuf>),
}

/// A server that is to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// What stands before `/v1/embed`.
    pub url: String,
    /// The environment variable that holds its key.
    pub key_env: Option<String>,
    /// How sound is sent.
    pub send: Sending,
    /// How vectors are answered.
    pub answer: Answering,
    /// Longest time for a request and its answer, in seconds.
    pub timeout_s: f64,
    /// How often a request is sent again that failed for now.
    pub retries: u32,
}

/// A model that was added.
#[derive(Clone, Debug)]
pub struct Addition {
    /// Its card, as it is in the store.
    pub card: &'static ModelCard,
    /// What its server was sent to find out about it.
    pub sent: Option<Sent>,
}

/// Adds `new` to `store`, once it has passed the inspection on `compute`.
///
/// # Errors
/// [`Error::Added`] says what is wrong with it; [`Error::Io`].
pub fn add(new: &NewModel, store: &ModelStore, compute: Compute) -> Result<Addition> {
    check_name(&new.name, store)?;
    let compute = compute.resolve()?;
    match &new.origin {
        Origin::TorchScript { path, input } => add_module(new, path, input, store, compute),
        Origin::Remote(server) => add_server(new, server, store, compute),
    }
}

fn check_name(name: &str, store: &ModelStore) -> Result<()> {
    if !is_name(name) {
        return Err(AddedProblem::Name { name: name.to_owned() }.into());
    }
    let built_in = registry::is_built_in(name);
    if built_in || store.read_card(name)?.is_some() {
        return Err(AddedProblem::Taken { name: name.to_owned(), built_in }.into());
    }
    Ok(())
}

fn add_module(
    new: &NewModel,
    path: &Path,
    input: &ModuleInput,
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    let mel = match input {
        ModuleInput::Waveform => None,
        ModuleInput::LogMel(None) => Some(YAMNET_MEL),
        ModuleInput::LogMel(Some(path)) => Some(read_mel(path)?),
    };
    let bytes = read(path, MOST_MODULE)?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut card = ModelCard {
        architecture: Architecture::TorchScript,
        mel,
        ..blank(new, &format!("the TorchScript module {file_name}"))
    };
    card.sample_rate = required(new.sample_rate, None, "the rate", "--rate HERTZ")?;
    card.window_s = required(new.window_s, None, "the window", "--window SECONDS")?;
    card.hop_s = new.hop_s.unwrap_or(card.window_s / 2.0);
    MODULE.clone_into(&mut card.weights.file);
    card.weights.sha256 = Sha256(sha2::Sha256::digest(&bytes).into());
    own::settle(&mut card)?;
    let front_end = own::front_end(&card);
    card.batch_patches = own::batch_patches(&front_end);
    let module = Module::load(&card.name, path, &bytes, &front_end, compute)?;
    card.embedding_dimension = inspection::dimension(&module, &front_end, &card.name)?;
    let network = Box::new(module.of_dimension(card.embedding_dimension));
    finish(card, network, Some(&bytes), store, compute)
}

fn add_server(
    new: &NewModel,
    server: &Server,
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    let remote = check_server(server)?;
    let found = remote::describe(&new.name, &remote)?;
    let remote = Remote { model: found.model.clone(), version: found.version.clone(), ..remote };
    let mut card = ModelCard {
        architecture: Architecture::Remote,
        ..blank(new, &format!("`{}` at {}", found.model, remote.url))
    };
    card.sample_rate = required(new.sample_rate, found.sample_rate, "the rate", "--rate HERTZ")?;
    card.window_s = required(new.window_s, found.window_s, "the window", "--window SECONDS")?;
    card.hop_s = new.hop_s.or(found.hop_s).unwrap_or(card.window_s / 2.0);
    "probe.bin".clone_into(&mut card.weights.file);
    card.weights.sha256 = remote::identity(&found.model, &found.version);
    if let (None, Some(licence)) = (&new.licence, &found.licence) {
        licence.clone_into(&mut card.weights.licence);
    }
    card.remote = Some(remote);
    card.embedding_dimension = found.dimension;
    own::settle(&mut card)?;
    card.batch_patches = own::batch_patches(&own::front_end(&card));
    let network = Box::new(Hosted::open(&card)?);
    finish(card, network, None, store, compute)
}

/// Inspects the model and writes it.
fn finish(
    card: ModelCard,
    network: Box<dyn Network>,
    module: Option<&[u8]>,
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    let name = card.name.clone();
    // As what is loaded from the store: it lives as long as the process.
    let drafted: &'static ModelCard = Box::leak(Box::new(card));
    let model = EmbeddingModel::added(drafted, compute, network);
    let audio_s_per_s = inspection::inspect(&model)?;
    let probe: Vec<u8> = probe::embedding(&model)?.into_iter().flat_map(f32::to_le_bytes).collect();
    let card = ModelCard { measured: Some(Measured { audio_s_per_s }), ..drafted.clone() };
    let text = toml::to_string(&card)
        .map_err(|error| Error::Card { name: name.clone(), source: error.into() })?;
    store.add(&card, &text, &probe, module)?;
    Ok(Addition { card: registry::find_in(&name, store)?, sent: model.sent() })
}

/// A card of which only what the user said is right.
fn blank(new: &NewModel, what: &str) -> ModelCard {
    let unknown = || "unknown".to_owned();
    ModelCard {
        name: new.name.clone(),
        version: "1".to_owned(),
        task: new.task.clone().unwrap_or_else(|| format!("your own: {what}")),
        architecture: Architecture::TorchScript,
        citation: unknown(),
        sample_rate: 0,
        embedding_dimension: 0,
        window_s: 0.0,
        hop_s: 0.0,
        segments: None,
        batch_patches: 1,
        weights: Weights {
            file: String::new(),
            sha256: Sha256([0; 32]),
            licence: new.licence.clone().unwrap_or_else(unknown),
            copyright: unknown(),
        },
        source: None,
        classes: None,
        mel: None,
        remote: None,
        measured: None,
    }
}

/// What the user said, or what the server says.
fn required<T>(said: Option<T>, other: Option<T>, what: &'static str, option: &str) -> Result<T> {
    said.or(other).ok_or_else(|| {
        let (found, expected) = ("not given".to_owned(), option.to_owned());
        AddedProblem::Setting { what, found, expected }.into()
    })
}

/// The server as its card will have it, but for the model.
fn check_server(server: &Server) -> Result<Remote> {
    let url = server.url.trim_end_matches('/').to_owned();
    remote::check_address(&url, server.key_env.is_some())?;
    if let Some(variable) = &server.key_env {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_right = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && variable.chars().all(is_inner);
        // What is none may be the key itself, which is not to be shown.
        own::require(is_right, "--key-env", "no name of a variable".to_owned(), || {
            "the name of the environment variable that holds the key".to_owned()
        })?;
    }
    let timeout_s = server.timeout_s;
    own::require((0.1..=3_600.0).contains(&timeout_s), "--timeout", timeout_s.to_string(), || {
        "0.1 to 3600 s".to_owned()
    })?;
    own::require(server.retries <= 20, "--retries", server.retries.to_string(), || {
        "20 at most".to_owned()
    })?;
    Ok(Remote {
        url,
        key_env: server.key_env.clone(),
        model: String::new(),
        version: String::new(),
        send: server.send,
        answer: server.answer,
        timeout_s,
        retries: server.retries,
    })
}

/// The mel bands that the file at `path` describes.
fn read_mel(path: &Path) -> Result<MelSpec> {
    let bytes = read(path, MOST_MEL)?;
    toml::from_str(&String::from_utf8_lossy(&bytes))
        .map_err(|error| AddedProblem::Mel { path: path.to_owned(), source: error.into() }.into())
}

fn read(path: &Path, most_bytes: u64) -> Result<Vec<u8>> {
    use std::io::{Error as IoError, ErrorKind, Read};
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(most_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most_bytes {
        return Err(failed(IoError::new(ErrorKind::FileTooLarge, "it is too large for that")));
    }
    Ok(bytes)
}
