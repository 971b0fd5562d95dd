//! What can be wrong with a model that the user adds.
//!
//! In: what was found. Out: [`AddedProblem`], and what to try.

use std::borrow::Cow;
use std::path::PathBuf;

use super::Source;

/// Why a model cannot be added, or one that was added cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddedProblem {
    /// A name that no model may have.
    #[error(
        "`{name}` is no name for a model: expected small letters, digits, - and _, 64 at most, a \
         letter or a digit first"
    )]
    Name {
        /// The name.
        name: String,
    },

    /// A name that another model has.
    #[error("there is a model called `{name}` already{}", if *built_in { ", built in" } else { "" })]
    Taken {
        /// The name.
        name: String,
        /// Whether it is one of ours.
        built_in: bool,
    },

    /// A number that makes no sense for a model.
    #[error("{what} is {found}, expected {expected}")]
    Setting {
        /// The option or the key.
        what: &'static str,
        /// What was given.
        found: String,
        /// What would do.
        expected: String,
    },

    /// A published network that is none of those that are built here.
    #[error("{what} is a `{found}` network; of published ones only wav2vec2 is built here")]
    Architecture {
        /// The repository or folder.
        what: String,
        /// What it calls itself.
        found: String,
    },

    /// A published network of the right kind, but not as it is built here.
    #[error("{what} is no wav2vec 2.0 as it is built here: {problem}")]
    Form {
        /// The repository or folder.
        what: String,
        /// What differs.
        problem: String,
    },

    /// A hidden layer that a network does not have.
    #[error("{what} has hidden layers 0 to {last}, and {found} was asked for")]
    Layer {
        /// The repository or folder.
        what: String,
        /// The layer asked for.
        found: usize,
        /// The last one.
        last: usize,
    },

    /// A name that a model of another repository has.
    #[error("`{name}` is {found} here, and not {repository}")]
    OtherRepository {
        /// The name.
        name: String,
        /// The repository asked for.
        repository: String,
        /// What has the name.
        found: String,
    },

    /// A description of mel bands that does not read.
    #[error("{} describes no mel bands", path.display())]
    Mel {
        /// The file.
        path: PathBuf,
        /// The parser's word.
        source: Source,
    },

    /// Something that belongs to an added model and is gone.
    #[error("the file of `{name}` is gone: {} does not exist", path.display())]
    FileMissing {
        /// The model.
        name: String,
        /// Where it was.
        path: PathBuf,
    },

    /// A model whose base is not there any more.
    #[error("`{name}` reads the embeddings of `{base}`, which is not there any more")]
    BaseGone {
        /// The model.
        name: String,
        /// Its base.
        base: String,
    },

    /// A file that libtorch does not load as TorchScript.
    #[error("{} is not TorchScript", path.display())]
    NotTorchScript {
        /// The file.
        path: PathBuf,
        /// libtorch's word.
        source: Source,
    },

    /// A module that fails on what it is given.
    #[error("`{model}` does not run on float32 of shape {shape:?}, which is {meaning}")]
    Input {
        /// The model.
        model: String,
        /// What it was given.
        shape: Vec<usize>,
        /// The names of its axes.
        meaning: &'static str,
        /// libtorch's word.
        source: Source,
    },

    /// A module that gives something else than a vector for each window.
    #[error("`{model}` gives {found} for {windows} windows, expected {expected}")]
    Output {
        /// The model.
        model: String,
        /// How many windows it got.
        windows: usize,
        /// What would have been right.
        expected: String,
        /// What it gave.
        found: String,
    },

    /// A vector with a value that is no number.
    #[error("`{model}` gives values that are no finite numbers for {sound}")]
    NotFinite {
        /// The model.
        model: String,
        /// What it heard.
        sound: &'static str,
    },

    /// Vectors that say nothing.
    #[error("`{model}` gives the same vector for a tone and for noise, or zeros")]
    Constant {
        /// The model.
        model: String,
    },

    /// A vector that depends on more than the sound.
    #[error(
        "`{model}` gives another vector for the same sound {when}: they differ by {difference:.1e} \
         of their length, expected at most {most:.0e}"
    )]
    NotDeterministic {
        /// The model.
        model: String,
        /// On which occasion.
        when: &'static str,
        /// The difference's length by the vector's.
        difference: f64,
        /// What rounding explains.
        most: f64,
    },

    /// A head without a layer that could serve as an embedding.
    #[error("head `{head}` has no hidden layer: a {kind} head weighs what it reads and says it")]
    NoHiddenLayer {
        /// The head.
        head: String,
        /// Its kind.
        kind: &'static str,
    },

    /// A head that reads what its model does not have.
    #[error("the hidden layer of head `{head}` cannot stand alone: {problem}")]
    HiddenLayer {
        /// The head.
        head: String,
        /// What is missing.
        problem: &'static str,
    },

    /// An address that no server of embeddings has.
    #[error("`{url}` is no address for a hosted model: {problem}")]
    Url {
        /// The address, without what may be secret.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A key that the environment does not hold.
    #[error("the key of `{model}` is not there: the environment variable {variable} is {found}")]
    Key {
        /// The model.
        model: String,
        /// The variable.
        variable: String,
        /// `not set`, or what is wrong with it.
        found: &'static str,
    },

    /// A server that does not answer.
    #[error("{url} did not answer ({} tried)", if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") })]
    Unreachable {
        /// The address.
        url: String,
        /// How often it was asked.
        attempts: u32,
        /// The client's word.
        source: Source,
    },

    /// A server whose answer was not waited for.
    #[error("the answer of {url} was not waited for: it was asked to stop")]
    Abandoned {
        /// The address.
        url: String,
    },

    /// A server that does not want to.
    #[error(
        "{url} refused with status {status}{}{}",
        if message.is_empty() { "" } else { ": " }, message
    )]
    Refused {
        /// The address.
        url: String,
        /// Its status.
        status: u16,
        /// What it said, shortened.
        message: String,
        /// Where its key comes from, if it has one.
        key_env: Option<String>,
    },

    /// An answer that is none of the protocol.
    #[error("{url} answered {found}, expected {expected}")]
    Answer {
        /// The address.
        url: String,
        /// What would have been right.
        expected: String,
        /// What came.
        found: String,
    },

    /// A server that runs another model than the one that was added.
    #[error("the server of `{model}` runs {found} now; it was added as {expected}")]
    Changed {
        /// The model.
        model: String,
        /// What it was.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl AddedProblem {
    /// Whether it may be of the sound in hand: the model itself is there and is what it was.
    pub(super) fn may_be_of_the_sound(&self) -> bool {
        match self {
            Self::Output { .. } | Self::Answer { .. } => true,
            // 503 is of the server as a whole; other faults of it may come of one window.
            Self::Refused { status, .. } => {
                matches!(status, 400 | 406 | 409 | 413 | 415 | 422 | 500..=502 | 504..=599)
            }
            _ => false,
        }
    }

    /// What to try.
    pub(super) fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Taken { name, built_in: false } => {
                return Some(
                    format!("choose another name, or take it out: sonoteca models remove {name}")
                        .into(),
                );
            }
            Self::Taken { .. } => "choose another name",
            Self::Name { .. } => "choose another name; of a model of the hub with --as NAME",
            Self::OtherRepository { repository, .. } => {
                return Some(
                    format!("give it another name: sonoteca models pull {repository} --as NAME")
                        .into(),
                );
            }
            Self::Architecture { .. } | Self::Form { .. } => {
                "any network can be added as TorchScript: sonoteca models add NAME --torchscript \
                 FILE; or by a server that runs it: --remote URL"
            }
            Self::Layer { .. } => "choose one of them with --layer, or leave it out for the last",
            Self::Setting { .. } => "sonoteca models add --help",
            Self::Mel { .. } => "the README shows such a file, under \"Models of your own\"",
            Self::FileMissing { name, .. } => {
                return Some(
                    format!("take it out and add it again: sonoteca models remove {name}").into(),
                );
            }
            Self::BaseGone { name, base } => {
                return Some(
                    format!(
                        "add `{base}` again as it was, or take `{name}` out: sonoteca models \
                         remove {name}"
                    )
                    .into(),
                );
            }
            Self::NotTorchScript { .. } => {
                "save it in Python with torch.jit.script(module).save(\"module.pt\"); a file of \
                 torch.save is a pickle, which is not loaded"
            }
            Self::Input { .. } => {
                "the module's forward takes one tensor; check --rate and --window, and whether it \
                 wants --input waveform or log-mel"
            }
            Self::Output { .. } => {
                "forward returns one tensor [batch, dimension]; pool over time inside the module"
            }
            Self::NotFinite { sound: "silence", .. } => {
                "add a small number before logarithms, roots and divisions"
            }
            Self::NotDeterministic { .. } => {
                "a module must not draw random numbers, remember what it heard before, or look at \
                 its batch; call eval() before saving it"
            }
            Self::NoHiddenLayer { .. } => {
                "train one that has: sonoteca train NAME --head mlp, lstm, crnn or tf-lstm"
            }
            Self::Url { .. } => {
                "give the server's address as https://HOST[:PORT][/PATH]; a key comes from \
                 --key-env VARIABLE and goes over https, or to this machine"
            }
            Self::Key { variable, .. } => {
                return Some(format!("export {variable}=…").into());
            }
            Self::Unreachable { .. } => {
                "check the address and the network, and run the same command again: of a run that \
                 was indexing, what was stored stays, and the rest follows"
            }
            Self::Refused { status: 401 | 403, key_env: Some(variable), .. } => {
                return Some(format!("check the key in {variable}").into());
            }
            Self::Refused { status: 401 | 403, key_env: None, .. } => {
                "add it with --key-env VARIABLE, which names the variable that holds its key"
            }
            Self::Answer { .. } => "docs/remote.md says what such a server answers",
            Self::Changed { .. } => {
                "vectors of different models are not compared: add the server again under a new \
                 name and index with that, or ask for the old version there"
            }
            Self::NotFinite { .. }
            | Self::Constant { .. }
            | Self::Abandoned { .. }
            | Self::HiddenLayer { .. }
            | Self::Refused { .. } => return None,
        };
        Some(Cow::Borrowed(hint))
    }
}
