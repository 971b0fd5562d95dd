//! Patches into embeddings: model cards, their weights, and the networks.
//!
//! In: patches. Out: embeddings and class scores of float32. A model is a card
//! (`models/NAME.toml`: where the weights come from, what they expect) and an architecture (one
//! file here, read beside the paper). Users add models of their own (`adding.rs`): a TorchScript
//! module, a server, or a trained head's hidden layer. The only room that imports tch.

pub mod adding;
pub mod card;
mod chained;
mod checkpoint;
pub mod compute;
mod conversion;
mod crepe;
mod crnn;
#[cfg(test)]
mod golden;
mod http;
mod hub;
mod kernel;
mod layers;
mod musicnn;
pub mod network;
mod own;
pub mod pool;
mod probe;
pub mod published;
pub mod pull;
pub mod registry;
mod remote;
mod resemblyzer;
pub mod store;
pub(crate) mod torch;
mod torchscript;
mod transformer;
mod wav2vec2;
mod weights;
mod whisper;
mod yamnet;

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frontend::spec::FrontEnd;
use card::{Architecture, ModelCard};
use chained::Chained;
use compute::Compute;
use network::{Batch, Company, Network, NetworkOutput, PitchOutput, Sent};
use remote::Hosted;
use store::ModelStore;
use torchscript::{Module, ModuleInput};
use weights::Weights;

/// Which vectors may be compared: those whose identity is the same in every part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelIdentity {
    /// The card's name.
    pub name: String,
    /// SHA-256 of the weights file.
    pub weights_sha256: [u8; 32],
    /// Version of the front end that fed the network.
    pub front_end_version: u32,
    /// Length of a vector.
    pub dimension: usize,
}

/// What computes a network on the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Kernels of our own; libtorch on other devices, and on processors without vectors.
    Own,
    /// libtorch everywhere: the oracle of the kernels' tests and benchmarks.
    Torch,
}

/// A model, ready to embed: its card, front end and network.
///
/// It can be sent to another thread but not shared between threads; give each one its own by
/// [`share`](Self::share), which costs microseconds.
pub struct EmbeddingModel {
    card: &'static ModelCard,
    identity: ModelIdentity,
    front_end: FrontEnd,
    compute: Compute,
    network: Box<dyn Network>,
}

impl fmt::Debug for EmbeddingModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddingModel")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl EmbeddingModel {
    /// Loads the weights of `name` from the per-user store and builds its network for `compute`.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] without such a card,
    /// [`Error::ModelMissing`] when the weights were not pulled,
    /// [`Error::Checksum`] when they are not the card's,
    /// [`Error::DeviceMissing`] when there is no such device,
    /// [`Error::Probe`] when it does not embed a known sound as it should.
    pub fn load(name: &str, store: &ModelStore, compute: Compute) -> Result<Self> {
        Self::load_with(name, store, (compute, Engine::Own), None)
    }

    /// [`load`](Self::load), where `company` is told what the network has to wait for, from the first
    /// question on that a hosted one asks its server.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_in_company(
        name: &str,
        store: &ModelStore,
        compute: Compute,
        company: &Arc<dyn Company>,
    ) -> Result<Self> {
        let model = Self::load_with(name, store, (compute, Engine::Own), Some(company))?;
        Ok(model.in_company_of(company))
    }

    /// [`load`](Self::load) with a choice of what computes it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_on(
        name: &str,
        store: &ModelStore,
        compute: Compute,
        engine: Engine,
    ) -> Result<Self> {
        Self::load_with(name, store, (compute, engine), None)
    }

    fn load_with(
        name: &str,
        store: &ModelStore,
        (compute, engine): (Compute, Engine),
        company: Option<&Arc<dyn Company>>,
    ) -> Result<Self> {
        let card = registry::find_in(name, store)?;
        let compute = compute.resolve()?;
        let module = |input| {
            let (path, bytes) = (store.weights_path(card), store.read_module(card)?);
            let module = Module::load(name, &path, &bytes, input, compute)?;
            Ok::<_, Error>(module.of_dimension(card.embedding_dimension))
        };
        let network: Box<dyn Network> = match (card.architecture, &card.base) {
            (Architecture::TorchScript, _) => {
                let input = ModuleInput::patches(&front_end_of(card), card.one_at_a_time);
                Box::new(module(input)?)
            }
            (Architecture::Chained, Some(base)) => {
                // As when the head was trained, and as what stands behind it computes.
                let compute = torchscript::compute_of(compute);
                let model = Self::load_with(&base.name, store, (compute, engine), company)?;
                let dimension = model.identity.dimension;
                let module = module(chained::input(base, dimension, card.one_at_a_time))?;
                Box::new(Chained::new(model, base.embeddings, module))
            }
            (Architecture::Remote, _) => Box::new(Hosted::open(card, company)?),
            (Architecture::Wav2vec2, _) => {
                let compute = torchscript::compute_of(compute);
                wav2vec2::build(store.read_weights(card)?, name, card.layer, compute)?
            }
            _ => return Self::build(card, store.read_weights(card)?, compute, engine),
        };
        let model = Self::added(card, compute, network);
        probe::check(&model, &store.read_probe(card)?)?;
        Ok(model)
    }

    /// A model that the user added, of which nothing was checked.
    fn added(card: &'static ModelCard, compute: Compute, network: Box<dyn Network>) -> Self {
        let compute = torchscript::compute_of(compute);
        let (identity, front_end) = (identity_of(card), front_end_of(card));
        Self { card, identity, front_end, compute, network }
    }

    /// Builds the network and asks it the probe; `compute` is resolved.
    fn build(
        card: &'static ModelCard,
        weights: Weights,
        compute: Compute,
        engine: Engine,
    ) -> Result<Self> {
        let model = Self::unchecked(card, weights, compute, engine)?;
        probe::check(&model, registry::probe(card))?;
        Ok(model)
    }

    fn unchecked(
        card: &'static ModelCard,
        weights: Weights,
        compute: Compute,
        engine: Engine,
    ) -> Result<Self> {
        let network = match card.architecture {
            Architecture::Yamnet => yamnet::build(weights, card.class_count(), compute, engine)?,
            Architecture::CrepeTiny => crepe::build(weights, crepe::Size::Tiny, compute)?,
            Architecture::CrepeFull => crepe::build(weights, crepe::Size::Full, compute)?,
            Architecture::Resemblyzer => resemblyzer::build(weights, compute)?,
            Architecture::WhisperTiny => whisper::build(weights, whisper::TINY, compute)?,
            Architecture::WhisperBase => whisper::build(weights, whisper::BASE, compute)?,
            Architecture::CrnnBell => crnn::build(weights, card.class_count(), compute, engine)?,
            Architecture::Musicnn => musicnn::build(weights, card.class_count(), compute, engine)?,
            // They are none that are built in.
            Architecture::Wav2vec2
            | Architecture::TorchScript
            | Architecture::Remote
            | Architecture::Chained => {
                let (name, source) = (card.name.clone(), "it is no network of ours".into());
                return Err(Error::Card { name, source });
            }
        };
        let compute = Compute { precision: network.precision(compute.precision), ..compute };
        let (identity, front_end) = (identity_of(card), front_end_of(card));
        Ok(Self { card, identity, front_end, compute, network })
    }

    /// The same model for another thread; the weights are shared.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            card: self.card,
            identity: self.identity.clone(),
            front_end: self.front_end,
            compute: self.compute,
            network: self.network.share(),
        }
    }

    /// The same, which tells `company` what it has to wait for, and waits no longer than that wants.
    #[must_use]
    pub fn in_company_of(mut self, company: &Arc<dyn Company>) -> Self {
        self.network.keep_company(company);
        self
    }

    /// The model's card.
    pub fn card(&self) -> &'static ModelCard {
        self.card
    }

    /// What its vectors may be compared with.
    pub fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// The front end that makes its patches.
    pub fn front_end(&self) -> FrontEnd {
        self.front_end
    }

    /// What left this machine, by this model and those that [`share`](Self::share) made of it;
    /// `None`, where all is computed here.
    pub fn sent(&self) -> Option<Sent> {
        self.network.sent()
    }

    /// Where and how it runs, with [`Device::Auto`](compute::Device::Auto) resolved.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// Embeds patches that are sound throughout, `[patches, frames, values]`.
    ///
    /// # Errors
    /// [`Error::Network`] when libtorch fails.
    ///
    /// # Panics
    /// When `patches` is not a whole number of patches.
    pub fn embed(&self, patches: &[f32]) -> Result<NetworkOutput> {
        let count = patches.len() / self.front_end.patch_values();
        let sound_samples = vec![self.front_end.patch_samples; count];
        self.embed_batch(&Batch { values: patches, sound_samples: &sound_samples })
    }

    /// Embeds a batch of patches: a row for every step of every patch.
    ///
    /// # Errors
    /// [`Error::Network`] when libtorch fails.
    ///
    /// # Panics
    /// When the batch has not as many values as its patches need.
    pub fn embed_batch(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let values = batch.sound_samples.len() * self.front_end.patch_values();
        assert_eq!(batch.values.len(), values, "whole patches");
        if batch.values.is_empty() {
            return Ok(NetworkOutput::default());
        }
        self.network.run(batch)
    }

    /// The pitch of a batch of patches along time.
    ///
    /// # Errors
    /// [`Error::NothingHeard`] when the model knows of no pitch, [`Error::Network`] when libtorch
    /// fails.
    ///
    /// # Panics
    /// When the batch has not as many values as its patches need.
    pub fn pitch(&self, batch: &Batch<'_>) -> Result<PitchOutput> {
        let values = batch.sound_samples.len() * self.front_end.patch_values();
        assert_eq!(batch.values.len(), values, "whole patches");
        let known = self.network.pitch(batch);
        known.unwrap_or_else(|| Err(nothing_heard(&self.card.name)))
    }
}

/// The refusal of a model that has no words for what it hears, which names those that have.
pub fn nothing_heard(model: &str) -> Error {
    let those = |say: fn(&ModelCard) -> bool| {
        registry::names().filter(|name| registry::find(name).is_ok_and(say)).collect()
    };
    Error::NothingHeard {
        model: model.to_owned(),
        with_classes: those(|card| card.class_count() > 0),
        with_pitch: those(ModelCard::tells_pitch),
    }
}

/// The front end of the architecture that `card` names; its weights need not be installed.
pub fn front_end_of(card: &ModelCard) -> FrontEnd {
    match card.architecture {
        Architecture::Yamnet => yamnet::FRONT_END,
        Architecture::CrepeTiny | Architecture::CrepeFull => crepe::FRONT_END,
        Architecture::Resemblyzer => resemblyzer::FRONT_END,
        Architecture::WhisperTiny | Architecture::WhisperBase => whisper::FRONT_END,
        Architecture::CrnnBell => crnn::FRONT_END,
        Architecture::Musicnn => musicnn::FRONT_END,
        Architecture::Wav2vec2 => {
            let FrontEnd { version, .. } = wav2vec2::FRONT_END;
            let version = card.layer.map_or(version, |layer| own::version_of_layer(version, layer));
            FrontEnd { version, ..wav2vec2::FRONT_END }
        }
        Architecture::TorchScript | Architecture::Remote | Architecture::Chained => {
            own::front_end(card)
        }
    }
}

/// What the vectors of the model that `card` describes may be compared with; its weights need not
/// be installed.
pub fn identity_of(card: &ModelCard) -> ModelIdentity {
    ModelIdentity {
        name: card.name.clone(),
        weights_sha256: card.weights.sha256.0,
        front_end_version: front_end_of(card).version,
        dimension: card.embedding_dimension,
    }
}

/// Checks what is installed of the model that `card` describes: its file by its hash, a server by
/// what it says that it is.
///
/// # Errors
/// As [`ModelStore::verify`], and [`Error::Added`] when a server does not answer, or as another.
pub fn verify(card: &ModelCard, store: &ModelStore, company: &Arc<dyn Company>) -> Result<()> {
    match card.architecture {
        Architecture::Remote => Hosted::open(card, Some(company)).map(drop),
        _ => store.verify(card),
    }
}

/// Sets how many threads libtorch uses inside one operation, for this thread and for threads that
/// use it first from now on. One, when the caller runs several networks side by side.
pub fn set_threads_per_operation(threads: usize) {
    torch::set_threads(threads);
}
