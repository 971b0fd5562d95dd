//! What can be typed after `sonoteca duplicates`.

/// `sonoteca duplicates`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Find stretches that are the same sound: copies, excerpts, other encodings

Files that are the same byte for byte are told by their hashes. Of all others the vectors say what may be \
                  the same, and listening decides: a fingerprint of both files says where they \
                  agree, and their waveforms how well and at which offset, to the millisecond. \
                  Copies are found that were re-encoded, resampled, made louder or quieter, cut, \
                  or pasted into something longer; two takes of one kind of sound are no copies.

A group is the likely original (the longest, else without loss, else of the higher rate, else the \
                  oldest) and what was compared with it. A member's offset is where its recording \
                  would begin in the group's first one: second t of it is second t + offset of \
                  that. Recordings whose files cannot be read are compared by their vectors only, \
                  to a window of the network, and marked. Nothing is written or removed.",
    after_help = "Examples:
  sonoteca duplicates
  sonoteca duplicates --within --min-duration 2     loops and repetitions inside recordings too
  sonoteca duplicates --store milvus://localhost:19530/sounds
  sonoteca duplicates --format json | jq -r 'select(.evidence == \"same-file\") | .path'"
)]
pub(crate) struct DuplicatesArgs {
    /// Least similarity, from 0 to 1: how well the waveforms of both correlate (MP3 at 64 kbit/s
    /// 0.54 to 1, other takes below 0.3); with --no-verify the cosine of their vectors
    /// [default: 0.4; 0.98 with --no-verify]
    #[arg(long, value_name = "X", value_parser = share)]
    pub(crate) threshold: Option<f32>,
    /// Leave out stretches shorter than this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.4, value_parser = super::seconds)]
    pub(crate) min_duration: f64,
    /// Also what recurs within one recording
    #[arg(long)]
    pub(crate) within: bool,
    /// Do not listen: compare vectors only, for when the files are gone
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// How many groups, those with the longest stretches first [default: all]
    #[arg(
        short = 'k',
        long = "count",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) count: Option<u32>,
    /// The network whose vectors are used [default: the library's only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// A collection on a Milvus server instead of the library: milvus://HOST:PORT/COLLECTION
    #[arg(long, value_name = "ADDRESS", long_help = super::store::HELP)]
    pub(crate) store: Option<String>,
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1, such as 0.4".to_owned()),
    }
}
