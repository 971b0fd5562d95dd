//! What can be typed after `sonoteca export`.

use std::path::PathBuf;

use super::By;

/// `sonoteca export`
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("form").required(true),
    long_about = "Write vectors to a file, for numpy, spreadsheets and other programs

--npy writes float32 vectors, [rows, dimension], as numpy reads them, and beside FILE.npy the table \
                  FILE.csv, which says in the same order what each row is: id, recording_id, path, \
                  start_s, end_s. --csv writes one table, the values in columns v0, v1 and so on. \
                  Segments that are silent, constant or clipped are left out, as they are of \
                  searches. --parquet writes a dataset as `sonoteca extract` does: recordings and all \
                  their segments with what the library knows of them, in Parquet files that `sonoteca \
                  import` and other programs read. Nothing is held in memory, and a file appears when \
                  it is whole.",
    after_help = "Examples:
  sonoteca export --npy vectors.npy
  sonoteca export --npy recordings.npy --by recording
  sonoteca export --csv - | head -2
  sonoteca export --parquet vectors"
)]
pub(crate) struct ExportArgs {
    /// Write an array for numpy, and a table of its rows beside it (- is standard output, without
    /// the table)
    #[arg(long, value_name = "FILE", group = "form")]
    pub(crate) npy: Option<PathBuf>,
    /// Write a table (- is standard output)
    #[arg(long, value_name = "FILE", group = "form")]
    pub(crate) csv: Option<PathBuf>,
    /// Write a dataset of Parquet files into this folder, which is made, or is empty
    #[arg(long, value_name = "DIR", group = "form", conflicts_with_all = ["by", "force"])]
    pub(crate) parquet: Option<PathBuf>,
    /// What is written
    #[arg(long, value_name = "LEVEL", default_value = "segment")]
    pub(crate) by: By,
    /// Write only what passes this filter, such as 'duration < 5 and class("Bird") > 0.3'
    #[arg(long = "where", value_name = "FILTER", long_help = super::filter::HELP)]
    pub(crate) filter: Option<String>,
    /// The network whose vectors are written [default: the library's only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Overwrite files that are there
    #[arg(long)]
    pub(crate) force: bool,
}
