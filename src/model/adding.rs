//! Models of the user's own: a TorchScript module, a server that embeds, a trained head's hidden
//! layer, or one that was published (`adding/published.rs`).
//!
//! In: what the user says of one. Out: its card and what belongs to it, in the store, all or
//! nothing. Whatever is added is asked first (`adding/inspection.rs`), and what it answers is its
//! card. Refuses names that are taken, and models whose vectors could not be trusted.

mod inspection;
mod published;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::Digest;

use inspection::Inspected;

use super::card::{
    Answering, Architecture, Base, Measured, MemoryNeed, ModelCard, Remote, Sending, Sha256,
    Weights,
};
use super::chained::{self, Chained};
use super::compute::Compute;
use super::network::{Network, Sent};
use super::remote::{self, Hosted};
use super::store::{ModelStore, is_name};
use super::torchscript::Module;
use super::{EmbeddingModel, own, probe, registry, torchscript};
use crate::error::{AddedProblem, Error, Result};
use crate::frontend::spec::{MelSpec, YAMNET_MEL};

pub use published::{NewPublished, add_folder, add_repository, name_of};

/// No module is read past this: larger ones are for other machines.
const MOST_MODULE: u64 = 4 << 30;
/// No description of mel bands is longer.
const MOST_MEL: u64 = 1 << 16;
/// The name of a module in the store.
const MODULE: &str = "module.pt";

/// What 10 s take in wav2vec 2.0, in millions of bytes, where it takes most: 65 of the first
/// convolution's maps, 98 of the windows that the second one multiplies, and 33 of its maps.
const WAV2VEC2_JOB_MB: u64 = 250;

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
    /// A trained head's last hidden layer.
    Head(HiddenLayer),
}

/// A trained head's last hidden layer, as a module.
#[derive(Clone, Debug, PartialEq)]
pub struct HiddenLayer {
    /// The head.
    pub head: String,
    /// The archive of the module.
    pub archive: Vec<u8>,
    /// Whether the module takes one window at a time.
    pub one_at_a_time: bool,
    /// What it reads.
    pub reads: Reads,
}

/// What a hidden layer reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Reads {
    /// Frames, as many as the window has.
    Frames(MelSpec),
    /// Consecutive embeddings of a model.
    Embeddings(Base),
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
    /// Whether it gave values that are stored in 32 bits only.
    pub is_too_large_for_half: bool,
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
        Origin::Head(layer) => add_head(new, layer, store, compute),
    }
}

/// Whole frames of `hop_samples` samples that are nearest to `seconds`, at least one: what a window
/// of a model that is added has.
pub fn frames_of(seconds: f64, sample_rate: u32, hop_samples: usize) -> usize {
    own::frames_of(seconds, sample_rate, hop_samples)
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
    let archive = read(path, MOST_MODULE)?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let what = format!("the TorchScript module {file_name}");
    let card = ModelCard { mel, ..windowed(new, &what)? };
    inspect_module(card, path, &archive, store, compute)
}

fn add_head(
    new: &NewModel,
    layer: &HiddenLayer,
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    let HiddenLayer { head, archive, one_at_a_time, reads } = layer;
    let what = format!("the hidden layer of head {head}");
    let card = match reads {
        Reads::Frames(mel) => ModelCard { mel: Some(*mel), ..windowed(new, &what)? },
        Reads::Embeddings(base) => ModelCard {
            architecture: Architecture::Chained,
            inherited: Some(registry::inherited(&new.name, base, store)?),
            base: Some(base.clone()),
            ..blank(new, &what)
        },
    };
    let card = ModelCard { one_at_a_time: *one_at_a_time, ..card };
    inspect_module(card, Path::new(head), archive, store, compute)
}

/// A card whose window is what the user said.
fn windowed(new: &NewModel, what: &str) -> Result<ModelCard> {
    let mut card = blank(new, what);
    card.sample_rate = required(new.sample_rate, None, "the rate", "--rate HERTZ")?;
    card.window_s = required(new.window_s, None, "the window", "--window SECONDS")?;
    card.hop_s = new.hop_s.unwrap_or(card.window_s / 2.0);
    Ok(card)
}

/// Loads the module in `archive`, which `path` held, and adds it with what it turns out to be.
fn inspect_module(
    mut card: ModelCard,
    path: &Path,
    archive: &[u8],
    store: &ModelStore,
    compute: Compute,
) -> Result<Addition> {
    MODULE.clone_into(&mut card.weights.file);
    card.weights.sha256 = Sha256(sha2::Sha256::digest(archive).into());
    own::settle(&mut card)?;
    own::check_overlap(&card)?;
    let front_end = own::front_end(&card);
    card.batch_patches = own::batch_patches(&front_end);
    let model = |base: &Base| EmbeddingModel::load(&base.name, store, compute);
    let base = card.base.as_ref().map(model).transpose()?;
    let input = match (&card.base, &base) {
        (Some(base), Some(model)) => {
            chained::input(base, model.identity().dimension, card.one_at_a_time)
        }
        _ => torchscript::ModuleInput::patches(&front_end, card.one_at_a_time),
    };
    let module = Module::load(&card.name, path, archive, input, compute)?;
    card.embedding_dimension = inspection::dimension(&module, &card.name)?;
    let module = module.of_dimension(card.embedding_dimension);
    let network: Box<dyn Network> = match (&card.base, base) {
        (Some(base), Some(model)) => Box::new(Chained::new(model, base.embeddings, module)),
        _ => Box::new(module),
    };
    finish(card, network, Some(archive), store, compute)
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
    own::check_overlap(&card)?;
    card.batch_patches = own::batch_patches(&own::front_end(&card));
    let network = Box::new(Hosted::open(&card, None)?);
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
    let Inspected { audio_s_per_s, is_too_large_for_half } = inspection::inspect(&model)?;
    let probe: Vec<u8> = probe::embedding(&model)?.into_iter().flat_map(f32::to_le_bytes).collect();
    let memory = memory_of(drafted, module.map_or(0, <[u8]>::len), store)?;
    let measured = Some(Measured { audio_s_per_s });
    let card = ModelCard { memory, measured, ..drafted.clone() };
    let text = toml::to_string(&card)
        .map_err(|error| Error::Card { name: name.clone(), source: error.into() })?;
    store.add(&card, &text, &probe, module)?;
    let card = registry::find_in(&name, store)?;
    Ok(Addition { card, sent: model.sent(), is_too_large_for_half })
}

/// What the model takes, whose file has so many bytes.
fn memory_of(card: &ModelCard, bytes: usize, store: &ModelStore) -> Result<MemoryNeed> {
    let mut need = MemoryNeed::of_file(bytes);
    if card.architecture == Architecture::Wav2vec2 {
        need.job_mb = WAV2VEC2_JOB_MB;
    }
    if let Some(base) = &card.base {
        let MemoryNeed { network_mb, job_mb } = registry::find_in(&base.name, store)?.memory;
        need =
            MemoryNeed { network_mb: need.network_mb + network_mb, job_mb: need.job_mb + job_mb };
    }
    Ok(need)
}

/// A card of which only what the user said is right.
fn blank(new: &NewModel, what: &str) -> ModelCard {
    let mut card = blank_card(&new.name);
    card.task = new.task.clone().unwrap_or_else(|| format!("your own: {what}"));
    if let Some(licence) = &new.licence {
        licence.clone_into(&mut card.weights.licence);
    }
    card
}

/// A card of which only the name is right.
fn blank_card(name: &str) -> ModelCard {
    let unknown = || "unknown".to_owned();
    ModelCard {
        name: name.to_owned(),
        version: "1".to_owned(),
        repository: None,
        task: unknown(),
        architecture: Architecture::TorchScript,
        citation: unknown(),
        sample_rate: 0,
        embedding_dimension: 0,
        window_s: 0.0,
        hop_s: 0.0,
        segments: None,
        layer: None,
        batch_patches: 1,
        memory: MemoryNeed::default(),
        weights: Weights {
            file: String::new(),
            sha256: Sha256([0; 32]),
            bytes: None,
            licence: unknown(),
            copyright: unknown(),
        },
        source: None,
        classes: None,
        mel: None,
        remote: None,
        base: None,
        one_at_a_time: false,
        measured: None,
        inherited: None,
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
