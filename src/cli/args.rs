//! What can be typed.
//!
//! In: the process's arguments. Out: [`Args`], as typed; what they mean is decided in
//! [`super::settings`].

mod describe;
mod duplicates;
mod export;
mod extract;
mod filter;
mod heads;
mod import;
mod label;
mod metadata;
mod models;
mod predict;
mod reindex;
mod search;
mod serve;
mod store;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use sonoteca::units::times::{EXAMPLES, parse_seconds};

pub(crate) use describe::DescribeArgs;
pub(crate) use duplicates::DuplicatesArgs;
pub(crate) use export::ExportArgs;
pub(crate) use extract::ExtractArgs;
pub(crate) use heads::{
    AugmentName, EvaluateArgs, HeadArgs, HeadCommand, HeadName, TaskName, TrainArgs, WeightsName,
};
pub(crate) use import::ImportArgs;
pub(crate) use label::{
    AddArgs, ExportLabelsArgs, FileFormat, ImportLabelsArgs, JudgementName, LabelArgs,
    LabelCommand, ListLabelsArgs, RemoveLabelsArgs, SelectionArgs,
};
pub(crate) use metadata::{MetadataArgs, MetadataCommand};
pub(crate) use models::{AddModelArgs, AnsweringName, InputName, PullArgs, SendingName};
pub(crate) use predict::{PredictArgs, SuggestArgs};
pub(crate) use reindex::ReindexArgs;
pub(crate) use search::{By, PartArgs, SearchArgs};
pub(crate) use serve::ServeArgs;

/// The environment variable that names the library.
pub(crate) const LIBRARY_VARIABLE: &str = "SONOTECA_LIBRARY";
/// The library where nothing else is said.
pub(crate) const DEFAULT_LIBRARY: &str = "sonoteca.db";

/// Find similar sounds in a pile of recordings.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  sonoteca models pull yamnet          get the weights of the network, once
  sonoteca index ~/recordings          listen to every recording in a folder
  sonoteca search bark.wav             find the recordings most like one
  sonoteca search id:17 --by segment   find moments like recording 17
  sonoteca sync ~/recordings           take in what changed, moved or went since

Exit status: 0 all is well, 1 nothing was found, 2 something failed."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command, before or after its name.
#[derive(Debug, clap::Args)]
pub(crate) struct GlobalArgs {
    /// The library: one SQLite file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = LIBRARY_VARIABLE,
        default_value = DEFAULT_LIBRARY,
        help_heading = "Global options"
    )]
    pub(crate) library: PathBuf,
    /// How results are printed; json is one object a line
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Global options"
    )]
    pub(crate) format: Format,
    /// Print results and errors only
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Say more about what happens
    #[arg(
        short,
        long,
        global = true,
        action = ArgAction::Count,
        conflicts_with = "quiet",
        help_heading = "Global options"
    )]
    pub(crate) verbose: u8,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: one object a line.
    Json,
    /// For spreadsheets: a header, then a row a result.
    Csv,
    /// For Audacity: a label track (search, describe, predict and label export only).
    Audacity,
    /// For Raven: a selection table (search, predict and label export only).
    Raven,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add recordings to the library
    Index(IndexArgs),
    /// Find the recordings, or the moments in them, that sound most like one
    Search(SearchArgs),
    /// Say what is heard in a recording along time, and draw it
    Describe(DescribeArgs),
    /// Find stretches that are the same sound: copies, excerpts, other encodings
    Duplicates(DuplicatesArgs),
    /// Bring the library up to date with folders: new, changed, moved and gone recordings
    Sync(SyncArgs),
    /// Take recordings out of the library; their files stay as they are
    Remove(RemoveArgs),
    /// List the files that could not be indexed, and why, or try them again
    Failures(FailuresArgs),
    /// Write vectors to a file, for numpy, spreadsheets and other programs
    Export(ExportArgs),
    /// Turn recordings into vectors in Parquet files or JSON lines, without a library
    Extract(ExtractArgs),
    /// Bring a dataset of vectors into the library: what extract or export wrote
    Import(ImportArgs),
    /// Train a head: a small model that says what your labels say
    Train(TrainArgs),
    /// Say how well a head does on what it has not learnt from, or how well searches do
    Evaluate(EvaluateArgs),
    /// Say what a head hears in the library, or in files
    Predict(PredictArgs),
    /// Say what to listen to and label next, for a head to learn most from
    Suggest(SuggestArgs),
    /// List, show, export, import and remove heads
    Head(HeadArgs),
    /// Bring in what you know of your recordings from a table, and list, export or remove it
    Metadata(MetadataArgs),
    /// Say what is heard in recordings: add, list, remove, import and export labels
    Label(LabelArgs),
    /// Serve the library as a page and an API
    Serve(ServeArgs),
    /// Say what the library holds
    #[command(after_help = "Example:\n  sonoteca info --library ~/sounds.db --format json")]
    Info,
    /// Build what makes searches fast anew, and check what it finds
    Reindex(ReindexArgs),
    /// Give the room of removed recordings back to the disk
    #[command(
        long_about = "Give the room of removed recordings back to the disk

SQLite keeps the room of removed rows for new ones. This rewrites the library without it, which needs \
                      as much free disk as the library takes while it works.",
        after_help = "Example:\n  sonoteca compact --library ~/sounds.db"
    )]
    Compact,
    /// List, install, add and check the models that turn sound into vectors
    Models(ModelsArgs),
}

/// `sonoteca index`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Add recordings to the library

Walks folders, decodes what is audio, turns every 0.96 seconds of it into a vector, every 0.48 seconds, \
                  and stores the vectors. Files that are in the library already and have not \
                  changed are passed over, so an interrupted run is taken up by starting it \
                  again: what the progress counts is on the disk. Files that are not audio are \
                  skipped; audio that cannot be decoded is reported at the end, kept in a ledger \
                  (sonoteca failures), and makes the exit status 2, with everything else stored.",
    after_help = "Examples:
  sonoteca index ~/recordings
  sonoteca index field/2026-05 field/2026-06 --library field.db
  find . -name '*.wav' -newer last | sonoteca index --files-from -
  sonoteca index ~/music --segment 10 --hop 10     ten-second segments: a smaller library"
)]
pub(crate) struct IndexArgs {
    /// Folders, which are walked, and files
    #[arg(required_unless_present = "files_from", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Index the files and folders that FILE lists, one a line (- is standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) files_from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,
}

/// How recordings become vectors: options of every command that embeds.
#[derive(Debug, clap::Args)]
pub(crate) struct EmbeddingArgs {
    /// The network to use; several may be given, and each file is decoded once for all [default:
    /// the library's only one, or yamnet for a new library]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<String>,
    /// How much of a vector's values is kept: f16 is what every search needs
    #[arg(long, value_name = "PRECISION", default_value = "f16")]
    pub(crate) vectors: Vectors,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

/// How the work is done, whatever becomes of the vectors.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkArgs {
    /// Files decoded, and batches embedded, at once [default: one per processor core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Memory that all of it may take, such as 700MB or 4GB [default: half of what is free]
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    pub(crate) max_memory: Option<u64>,
    /// What runs the network
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: DeviceName,
    /// How exactly the network computes; the vectors of both may be searched together
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub(crate) precision: PrecisionName,
    /// Pool the network's windows into segments of this many seconds [default: the library's]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) segment: Option<f64>,
    /// Seconds from one segment's start to the next one's [default: the segment's length]
    #[arg(long, value_name = "SECONDS", requires = "segment", value_parser = seconds)]
    pub(crate) hop: Option<f64>,
    /// Class scores that are kept of each segment; of a recording, twice as many
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=521))]
    pub(crate) scores: u16,
    /// Give a file up when decoding it takes longer [default: 120, and 2 for every megabyte]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) time_limit: Option<f64>,
}

/// What runs the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceName {
    /// The graphics processor if libtorch can use one, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA graphics processor.
    Cuda,
    /// An Apple graphics processor.
    Mps,
}

/// How exactly the network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionName {
    /// Float32.
    F32,
    /// Bfloat16 products, float32 sums: faster where the processor has instructions for it.
    Bf16,
}

/// How much of a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Vectors {
    /// Half precision.
    F16,
    /// Single precision: all bits.
    F32,
}

/// A number of seconds above zero.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // A year: more than any recording, and less than what a clock can hold.
        Ok(seconds) if seconds > 0.0 && seconds <= 31_536_000.0 => Ok(seconds),
        _ => Err("expected a number of seconds above 0, such as 5 or 0.96".to_owned()),
    }
}

/// A time in a recording, in seconds.
fn time(text: &str) -> Result<f64, String> {
    parse_seconds(text).ok_or_else(|| format!("expected a time such as {EXAMPLES}"))
}

/// A number of bytes, with or without a unit.
fn byte_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let factor = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "ki" => 1024.0,
        "mi" => 1_048_576.0,
        "gi" => 1_073_741_824.0,
        _ => 0.0,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive; no memory is that large"
    )]
    match digits.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && factor > 0.0 => Ok((number * factor) as u64),
        _ => Err("expected a size such as 700MB, 4GB or 512MiB".to_owned()),
    }
}

/// `sonoteca sync`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Bring the library up to date with folders

Indexes what is new and what has changed, gives recordings that moved their new paths (their vectors, \
                  and whatever else belongs to them, stay: the content is the same), and removes \
                  recordings whose files are gone, after asking. Files count as unchanged when \
                  their length and date are; --checksum compares their contents.",
    after_help = "Examples:
  sonoteca sync ~/recordings --dry-run     what would be done
  sonoteca sync ~/recordings --prune       without asking about what is gone"
)]
pub(crate) struct SyncArgs {
    /// Folders, which are walked, and files
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove recordings whose files are gone without asking
    #[arg(long)]
    pub(crate) prune: bool,
    /// Compare contents, not lengths and dates; reads every file
    #[arg(long)]
    pub(crate) checksum: bool,
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,
}

/// `sonoteca remove`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Take recordings out of the library; their files stay as they are

A folder stands for everything below it, whether it still exists or not. Ids are never given again. \
                  The library's file keeps its size until `sonoteca compact`.",
    after_help = "Examples:
  sonoteca remove id:17 id:18
  sonoteca remove ~/recordings/2019 --dry-run"
)]
pub(crate) struct RemoveArgs {
    /// Files, folders, and id:N for recording N of the library
    #[arg(required = true, value_name = "PATH|id:N")]
    pub(crate) targets: Vec<OsString>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `sonoteca failures`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "List the files that could not be indexed, and why, or try them again

A file is listed until it is indexed after all, or removed. Indexing does not try it again while neither \
                  the file nor sonoteca has changed.",
    after_help = "Examples:
  sonoteca failures
  sonoteca failures --retry
  sonoteca failures --format json | jq -r .path"
)]
pub(crate) struct FailuresArgs {
    /// Try them again, now
    #[arg(long)]
    pub(crate) retry: bool,
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,
}

/// `sonoteca models`
#[derive(Debug, clap::Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

/// The commands of `sonoteca models`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the networks and whether their weights are installed
    #[command(after_help = "Example:\n  sonoteca models list")]
    List,
    /// Show the card of a network: its source, licence and sizes
    #[command(after_help = "Example:\n  sonoteca models info yamnet")]
    Info {
        /// The network
        name: String,
    },
    /// Install the weights of a network, or a wav2vec 2.0 of the model hub
    Pull(PullArgs),
    /// Add a model of your own: a TorchScript module, a server that embeds, or a head's hidden layer
    Add(Box<AddModelArgs>),
    /// Take out a model that was added, or the weights of one that was pulled
    #[command(
        long_about = "Take out a model that was added, or the weights of one that was pulled

Vectors in libraries stay, and so do searches by what is stored; to embed with the model it has to be \
                      added or pulled again. OWNER/NAME drops what a download from the model hub \
                      that was stopped has left.",
        after_help = "Examples:
  sonoteca models remove owls
  sonoteca models remove yamnet --yes
  sonoteca models remove facebook/wav2vec2-base"
    )]
    Remove {
        /// The model, or the repository of a download
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Check that the installed weights are the right ones, and that servers run the right model
    #[command(after_help = "Example:\n  sonoteca models verify yamnet")]
    Verify {
        /// The networks [default: all that are installed]
        names: Vec<String>,
    },
    /// Take a network's vectors, segments and classes out of the library
    #[command(
        long_about = "Take a network's vectors, segments and classes out of the library

Recordings, labels, metadata and what other networks made stay, and so do the weights in the store. All \
                      versions of the network go. Heads that were trained on it could not be used \
                      any more: while there are some, nothing is removed without --force, which \
                      keeps them for when the recordings are indexed with the same version of the \
                      network again. The library's file keeps its size until `sonoteca compact`.",
        after_help = "Examples:
  sonoteca models drop crepe-tiny --library ~/sounds.db
  sonoteca models drop yamnet --dry-run"
    )]
    Drop {
        /// The network
        name: String,
        /// Also where heads were trained on it
        #[arg(long)]
        force: bool,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}
