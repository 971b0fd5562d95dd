//! What can be typed after `sonoteca predict` and `suggest`.

use std::path::PathBuf;

use super::By;
use super::filter::HELP;

/// `sonoteca predict`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Say what a head hears in the library, or in files

Without PATH, the whole library is asked about, by its stored vectors; with PATH, these files, or the \
                  audio files in these folders, are listened to, which need not be in the library; id:N \
                  is recording N of the library, by its stored vectors, and - is audio on standard \
                  input. By recording, a head that chooses \
                  one class says the most probable one and whether it reaches its threshold; one \
                  that says each class or not says those that do; one that says a number says it. \
                  By segment, segments of one class that follow one another at or above its \
                  threshold are one detection: its score is that of the best, beside their mean. \
                  Thresholds are those that training found, unless --threshold is given.

Silent, clipped and damaged segments are left out and counted. --save writes what was detected into the \
                  library as labels of source head:NAME, in place of that head's earlier ones; \
                  nothing is learnt from these.

With --store all that the store holds is asked about instead, by the head that lies in the library; a head \
                  that reads sequences of sound and not vectors cannot be asked so.",
    after_help = "Examples:
  sonoteca predict birds                        every recording of the library
  sonoteca predict birds new/ --by segment
  sonoteca predict birds id:17                  one recording of the library
  ffmpeg -i talk.mp4 -f wav - | sonoteca predict birds -
  sonoteca predict birds --where 'date >= 2024-05' --class Wren --threshold 0.8
  sonoteca predict birds --by segment --save
  sonoteca predict birds --store milvus://localhost:19530/sounds --format json
  sonoteca predict birds --by segment --format raven --out selections"
)]
pub(crate) struct PredictArgs {
    /// The head
    pub(crate) name: String,
    /// Audio files, folders of them, id:N for recording N of the library, or - for audio on standard
    /// input [default: the whole library]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Whole recordings, or moments in them [default: as the head was trained]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) by: Option<By>,
    /// Only this class; may be given several times
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Vec<String>,
    /// From which probability on a class is there [default: as training found for each class]; with
    /// --class also where another class is more probable
    #[arg(long, value_name = "PROBABILITY", value_parser = probability)]
    pub(crate) threshold: Option<f64>,
    /// Ask about what passes this filter only, such as 'duration < 5'
    #[arg(long = "where", value_name = "FILTER", long_help = HELP, conflicts_with = "paths")]
    pub(crate) filter: Option<String>,
    /// Write what was detected into the library, as labels of source head:NAME
    #[arg(long, conflicts_with = "paths")]
    pub(crate) save: bool,
    /// Write into this file, or, as audacity and raven, into this folder; nothing is overwritten
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) out: Option<PathBuf>,
    /// A collection on a Milvus server instead of the library: milvus://HOST:PORT/COLLECTION
    #[arg(long, value_name = "ADDRESS", long_help = super::store::HELP, conflicts_with_all = ["paths", "save"])]
    pub(crate) store: Option<String>,
}

/// `sonoteca suggest`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Say what to listen to and label next, for a head to learn most from

Half are what the head is least sure of: where its two most probable classes are nearest to one another, \
                  or, where each class is said or not, where one is nearest to its threshold. The \
                  rest are the most probable ones that nobody has confirmed. They are taken from \
                  different recordings, and none is of what people have labelled already. Below \
                  each stands the command that labels it: change the class where the head is wrong.",
    after_help = "Examples:
  sonoteca suggest birds
  sonoteca suggest birds -n 50 --class Wren --by segment
  sonoteca suggest birds --where 'date >= 2024-05' --format json | jq -r .command"
)]
pub(crate) struct SuggestArgs {
    /// The head
    pub(crate) name: String,
    /// How many
    #[arg(
        short = 'n',
        long = "count",
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub(crate) count: u32,
    /// Only this class [default: all of the head's]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,
    /// Whole recordings, or moments in them [default: as the head was trained]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) by: Option<By>,
    /// Choose from what passes this filter only, such as 'duration < 5'
    #[arg(long = "where", value_name = "FILTER", long_help = HELP)]
    pub(crate) filter: Option<String>,
}

/// A probability.
fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("expected a probability from 0 to 1, such as 0.5".to_owned()),
    }
}
