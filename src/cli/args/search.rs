//! What can be typed after `sonoteca search`.

use std::ffi::OsString;

use clap::ValueEnum;

/// `sonoteca search`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Find the recordings, or the moments in them, that sound most like one

The score is the cosine of the angle between two vectors: 1 for the same sound, about 0 for sounds \
                  with nothing in common. The query's vector is the mean over all of it; with --by segment, over \
                  what of it is not silent.",
    after_help = "Examples:
  sonoteca search bark.wav                  the ten recordings most like bark.wav
  sonoteca search id:17 -k 5                the five most like recording 17, itself left out
  sonoteca search bark.wav --by segment     the moments, inside long recordings, most like it
  sonoteca search --class Dog               what the network takes for a dog
  sonoteca search --text 'dog garden'       the same words in paths, labels, metadata and classes
  sonoteca search bark.wav --where 'path ~ \"*/garden/*\" and date >= 2024-05'
  sonoteca search bark.wav --format json | jq -r .path"
)]
pub(crate) struct SearchArgs {
    /// An audio file, or id:N for recording N of the library
    #[arg(value_name = "QUERY", required_unless_present_any = ["class", "text"])]
    pub(crate) query: Option<OsString>,
    /// Find what scores highest for a class of the network, instead of what is like an example
    #[arg(long, value_name = "NAME", conflicts_with_all = ["query", "text"])]
    pub(crate) class: Option<String>,
    /// Find what has these words in its path, labels or metadata, or sounds like a class they name
    #[arg(long, value_name = "WORDS", conflicts_with = "query")]
    pub(crate) text: Option<String>,
    /// Search only what passes this filter, such as 'duration < 5 and class("Bird") > 0.3'
    #[arg(long = "where", value_name = "FILTER", long_help = super::filter::HELP)]
    pub(crate) filter: Option<String>,
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
    /// Compare every vector: none is missed, and large libraries take longer
    #[arg(long)]
    pub(crate) exact: bool,
    /// The network to use [default: the library's only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
}

/// What is compared with the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Whole recordings.
    Recording,
    /// Segments: about a second each, unless the library was made with longer ones.
    Segment,
}
