//! What can be typed after `sonoteca metadata`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;

/// `sonoteca metadata`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sonoteca metadata import sites.csv
  sonoteca search bark.wav --where 'site = \"north\"'")]
pub(crate) struct MetadataArgs {
    #[command(subcommand)]
    pub(crate) command: MetadataCommand,
}

/// The commands of `sonoteca metadata`.
#[derive(Debug, Subcommand)]
pub(crate) enum MetadataCommand {
    /// Bring in a table: a line a recording, a column a piece of metadata
    #[command(
        long_about = "Bring in a table: a line a recording, a column a piece of metadata

The first line names the columns. The one called path (or file, or filename) says which recording a \
                      line is about: by an absolute path, one relative to the table's folder or \
                      the current one, the end of a path if only one recording's ends so, or \
                      id:N. What looks like a number is one. An empty cell changes nothing. \
                      Lines that match no recording are listed and make the exit status 2; the \
                      others are brought in. Importing the same table again changes nothing.",
        after_help = "Examples:
  sonoteca metadata import sites.csv
  sonoteca metadata import deployments.tsv --key recording
  cut -d, -f1,3 sites.csv | sonoteca metadata import -"
    )]
    Import {
        /// The table, comma-separated, or tab-separated if it is a .tsv; - is standard input
        #[arg(value_name = "FILE")]
        table: PathBuf,
        /// The column that names the recordings [default: path, file or filename]
        #[arg(long, value_name = "COLUMN")]
        key: Option<String>,
        /// What separates the cells, such as ; or tab
        #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
        delimiter: Option<u8>,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List what is known of a recording or, without one, what kinds of metadata there are
    #[command(after_help = "Examples:
  sonoteca metadata list
  sonoteca metadata list id:17")]
    List {
        /// A recording, by its path, the end of it, or id:N
        #[arg(value_name = "PATH|id:N")]
        recording: Option<OsString>,
    },
    /// Remove a kind of metadata from all recordings
    #[command(after_help = "Example:\n  sonoteca metadata remove site")]
    Remove {
        /// Its name
        key: String,
    },
    /// Print all metadata as a table that can be imported again
    #[command(after_help = "Examples:
  sonoteca metadata export > metadata.csv
  sonoteca metadata export --format json")]
    Export,
}

/// One character of ASCII, or the word `tab`.
pub(super) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err("expected one character, such as ; or the word tab".to_owned()),
    }
}
