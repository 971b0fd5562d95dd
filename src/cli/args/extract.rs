//! What can be typed after `sonoteca extract`.

use std::path::PathBuf;

use super::{Vectors, WorkArgs, byte_size};

/// `sonoteca extract`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Turn recordings into vectors in Parquet files or JSON lines, without a library

Reads a manifest: a path or an address a line, or an object such as {\"path\": \"a.wav\", \"metadata\": {\"site\": \
                  \"A\"}}, in any mixture. Writes a row for each recording with its mean vector and \
                  what is known of it, a row for each of its segments, and a row for each file \
                  that failed, with the reason. Ids are made from content, model and segment, so \
                  that the same recording has the same ids wherever it is extracted. Files appear \
                  when they are whole: a run that was stopped is taken up by starting it again, \
                  and what is in the folder already is passed over. The exit status is 2 when \
                  files failed, with everything else written. `sonoteca import` brings the folder \
                  into a library; docs/scale.md has the columns, and how other programs read them.",
    after_help = "Examples:
  sonoteca extract --manifest list.txt --out vectors
  find ~/recordings -name '*.wav' | sonoteca extract --manifest - --out vectors
  sonoteca extract --manifest list.jsonl --out part.parquet --segment 10
  sonoteca extract --manifest list.txt --out - | jq -c 'select(.kind == \"failure\")'"
)]
pub(crate) struct ExtractArgs {
    /// What to extract: a path a line, or an object of JSON (- is standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// A folder for Parquet files, or one file: NAME.parquet, or NAME.jsonl for JSON lines, which
    /// - writes to standard output
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) out: PathBuf,
    /// The network to use [default: yamnet]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// How much of a vector's values is written; Spark 4.0 cannot read f16
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub(crate) vectors: Vectors,
    /// Begin another file of the folder when one holds vectors of this size, before compression
    /// [default: 512MiB]
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    pub(crate) part_size: Option<u64>,
    /// Overwrite the one file, if it is there
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}
