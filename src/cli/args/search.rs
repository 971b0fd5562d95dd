//! What can be typed after `sonoteca search`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use sonoteca::search::Level;

/// `sonoteca search`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Find the recordings, or the moments in them, that sound most like an example

The score is the cosine of the angle between two vectors: 1 for the same sound, about 0 for sounds \
                  with nothing in common. The query's vector is the mean over all of it; with --by segment, over \
                  what of it is not silent.

Several examples: the vectors of QUERY and of every --like, each at length one, are averaged, and \
                  0.3 times the average of every --unlike is subtracted; the score is the cosine to what is \
                  left, so with --unlike the best reach less than 1. An example is a file, id:N, or a \
                  stretch of either, such as bark.wav@1-2.5, id:12@9m-9m20s or id:12@1:02:03.5- (START- goes to \
                  the end).

Examples are no answers: id:N leaves its recording out, and a stretch of it, with --by segment, what \
                  overlaps the stretch. Files that are in the library, by path or by content, are left out \
                  likewise as soon as there are several examples; a single file is not, so that you see \
                  whether the library has it.

With --by segment, neighbouring segments of one recording that score at least three quarters of the \
                  best of them are one event. Segments whose gap is at most half a hop are neighbours.

With several --model, each ranks by itself, and the score is the mean over them of 61 / (60 + rank): 1 is \
                  first by all, and what a model does not rank among its first 1,000 counts 0 there \
                  (reciprocal rank fusion). Beside it stand each model's own score and rank. With \
                  --by segment, stretches that share at least half of the shorter one are the same \
                  moment.",
    after_help = "Examples:
  sonoteca search bark.wav                    the ten recordings most like bark.wav
  sonoteca search id:17 -k 5                  the five most like recording 17, itself left out
  sonoteca search bark.wav --by segment       the moments, inside long recordings, most like it
  sonoteca search walk.wav --start 3.2 --end 4.1 --channel 2
  sonoteca search --like a.wav --like id:12@3.5-4.2 --unlike rain.wav
  ffmpeg -i talk.mp4 -f wav - | sonoteca search -
  sonoteca search voice.wav --model yamnet --model resemblyzer   what both find
  sonoteca search bark.wav --by segment --per-recording 3 --copy-to barks --padding 0.5
  sonoteca search bark.wav --by segment -k 100 --format audacity --out labels
  sonoteca search --class Dog                 what the network takes for a dog
  sonoteca search --head birds --class Wren   what the head birds takes for a wren
  sonoteca search --head birds --class Wren --near 0.5 --spread   what it is least sure of
  sonoteca search --text 'dog garden'         these words in paths, labels, metadata and classes
  sonoteca search bark.wav --where 'path ~ \"*/garden/*\" and date >= 2024-05'
  sonoteca search bark.wav --store milvus://localhost:19530/sounds --by segment
  sonoteca search bark.wav --format json | jq -r .path"
)]
pub(crate) struct SearchArgs {
    /// An audio file, id:N for recording N of the library, or - for audio on standard input; with
    /// @START-END, that stretch of it
    #[arg(value_name = "QUERY")]
    pub(crate) query: Option<OsString>,
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// One more example of what is looked for: FILE, id:N, or a stretch of either by @START-END
    #[arg(long, value_name = "EXAMPLE", help_heading = "Examples")]
    pub(crate) like: Vec<OsString>,
    /// An example of what is not looked for
    #[arg(long, value_name = "EXAMPLE", help_heading = "Examples")]
    pub(crate) unlike: Vec<OsString>,
    /// Find what scores highest for a class of the network, or of --head, instead of what is like
    /// an example
    #[arg(long, value_name = "NAME", conflicts_with_all = ["query", "like", "unlike", "text"])]
    pub(crate) class: Option<String>,
    #[command(flatten)]
    pub(crate) ranking: RankingArgs,
    /// Find what has these words in its path, labels or metadata, or sounds like a class they name
    #[arg(long, value_name = "WORDS", conflicts_with_all = ["query", "like", "unlike"])]
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
    /// The most results from one recording, with --by segment
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) per_recording: Option<u32>,
    /// Leave segments single instead of joining neighbours into events, with --by segment
    #[arg(long)]
    pub(crate) raw: bool,
    /// Leave out what scores less
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = score)]
    pub(crate) min_score: Option<f32>,
    /// Say of each result which classes it shares with the query, and how the segments of its
    /// recording score: least, median, best, and the share that is near: --min-score or, without it
    /// and with several networks, by yamnet 0.6, and by others what a twentieth of the library reaches
    #[arg(long, conflicts_with_all = ["class", "text"])]
    pub(crate) explain: bool,
    /// The network to use; given several times, what each ranks is joined into one ranking
    /// [default: the library's only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<String>,
    /// A collection on a Milvus server instead of the library: milvus://HOST:PORT/COLLECTION
    #[arg(long, value_name = "ADDRESS", long_help = super::store::HELP)]
    pub(crate) store: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which head ranks, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Heads")]
pub(crate) struct RankingArgs {
    /// Rank by what this head says of --class, or, of a head that says a number, by the number
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["query", "like", "unlike", "text", "explain", "exact", "model"]
    )]
    pub(crate) head: Option<String>,
    /// With --head: rank by closeness to this probability, or number; 0.5 finds what it is unsure of
    #[arg(
        long,
        value_name = "VALUE",
        requires = "head",
        allow_negative_numbers = true,
        value_parser = finite
    )]
    pub(crate) near: Option<f64>,
    /// With --head: take recordings in turns, the best of each, then the second best
    #[arg(long, requires = "head")]
    pub(crate) spread: bool,
}

/// Which part of the query counts.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Part of the query")]
pub(crate) struct PartArgs {
    /// Where the part of QUERY begins that counts: seconds, or such as 9m, 1h2m3s or 1:02:03.5
    #[arg(
        long,
        value_name = "TIME",
        requires = "query",
        allow_negative_numbers = true,
        value_parser = super::time
    )]
    pub(crate) start: Option<f64>,
    /// Where it ends
    #[arg(
        long,
        value_name = "TIME",
        requires = "query",
        allow_negative_numbers = true,
        value_parser = super::time
    )]
    pub(crate) end: Option<f64>,
    /// The channel of QUERY that counts, from 1 [default: the mean over all]
    #[arg(
        long,
        value_name = "N",
        requires = "query",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub(crate) channel: Option<u16>,
}

/// Where answers go besides standard output.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// With --format audacity or raven: write one file per recording into DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Copy what was found into DIR, as WAV files; nothing is overwritten
    #[arg(long, value_name = "DIR")]
    pub(crate) copy_to: Option<PathBuf>,
    /// Copy this much more on either side
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0.0,
        requires = "copy_to",
        allow_negative_numbers = true,
        value_parser = seconds
    )]
    pub(crate) padding: f64,
}

/// What is compared with the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Whole recordings.
    Recording,
    /// Segments: about a second each, unless the library was made with longer ones.
    Segment,
}

impl By {
    /// What the library calls it.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Recording => Level::Recording,
            Self::Segment => Level::Segment,
        }
    }
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("expected a number".to_owned()),
    }
}

fn score(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(score) if (-1.0..=1.0).contains(&score) => Ok(score),
        _ => Err("expected a number from -1 to 1".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err("expected seconds, 0 or more".to_owned()),
    }
}
