//! What can be typed after `sonoteca train`, `evaluate` and `head`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::By;
use super::filter::HELP;

/// `sonoteca train`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Train a head: a small model that says what your labels say

It learns from stored vectors, so no recording is listened to again (but for --head crnn and tf-lstm), and is kept in the library \
                  under NAME, in place of an earlier one. How well it does is found out on \
                  recordings that were held out: in each of --folds turns a fold of the recordings \
                  is left out of everything, learnt without, and asked about. Copies of a file \
                  stay together, and so do recordings that have the same --group-by. Labels that \
                  heads wrote are not learnt from.

What a label is learnt as: a recording has the classes of its labels, wherever in it they are; a \
                  segment (--by segment) those of labels that cover half of it. With a class per \
                  row, one is chosen; with several at once, or with negative labels, each class is \
                  said or not, and what nobody said is not known, unless --exhaustive.",
    after_help = "Examples:
  sonoteca train birds
  sonoteca train birds --by segment --group-by site --report birds.html
  sonoteca train pulse --task regression --target tempo
  sonoteca train birds --where 'not path ~ \"*/test/*\"' --head prototype"
)]
pub(crate) struct TrainArgs {
    /// The head's name
    pub(crate) name: String,
    /// The kind of head [default: logistic; of numbers ridge]
    #[arg(long, value_name = "KIND")]
    pub(crate) head: Option<HeadName>,
    /// The classes, parted by commas [default: all that there are labels of]
    #[arg(long, value_name = "CLASS,...", value_delimiter = ',')]
    pub(crate) classes: Vec<String>,
    /// What it is to say [default: single if every row has one class, else multi]
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<TaskName>,
    /// Of --task regression: the metadata that holds the number
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
    /// What it learns from: whole recordings, or moments
    #[arg(long, value_name = "WHAT", default_value = "recording")]
    pub(crate) by: By,
    /// What is not labelled in a labelled recording is not there
    #[arg(long)]
    pub(crate) exhaustive: bool,
    /// Hold out together what has the same value of this metadata, such as site or speaker
    #[arg(long, value_name = "NAME")]
    pub(crate) group_by: Option<String>,
    /// Folds, each of which is held out once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub(crate) folds: u16,
    /// Hold out this share of the groups once instead, such as 0.2; at least one
    #[arg(long, value_name = "SHARE", conflicts_with = "folds", value_parser = share)]
    pub(crate) hold_out: Option<f64>,
    /// How much classes count: as they are, or rare ones as much as frequent ones
    #[arg(long, value_name = "HOW", default_value = "none")]
    pub(crate) class_weights: WeightsName,
    /// Change rows while they are learnt from: mix two (mixup), hide stretches of bands and time (masks, as
    /// in SpecAugment), or both; of heads that learn by gradients
    #[arg(long, value_name = "HOW", default_value = "none")]
    pub(crate) augment: AugmentName,
    /// The precision that each class's threshold is to have [default: 0.9]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) precision: Option<f64>,
    /// What chance is drawn from: the same number gives the same head
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The network whose vectors are learnt from [default: the library's, if it has only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    #[arg(long = "where", value_name = "FILTER", help = "Learn only from what passes this filter", long_help = HELP)]
    pub(crate) filter: Option<String>,
    /// Write a report with plots: one HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// `sonoteca evaluate`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Say how well a head does on what it has not learnt from, or how well searches do

`sonoteca evaluate NAME` trains heads as NAME was trained, on the labels as they are now, with parts \
                  held out in turns; the head itself stays as it is. With --where, the head itself \
                  is asked about labelled recordings that pass the filter and that it has not \
                  learnt from. `sonoteca evaluate retrieval` searches with each labelled recording \
                  and counts what comes back with the same label.",
    after_help = "Examples:
  sonoteca evaluate birds --report birds.html
  sonoteca evaluate birds --where 'path ~ \"*/test/*\"'
  sonoteca evaluate retrieval --group-by site"
)]
pub(crate) struct EvaluateArgs {
    /// The head, or the word retrieval
    pub(crate) name: String,
    #[arg(long = "where", value_name = "FILTER", help = "Ask about what passes this filter", long_help = HELP)]
    pub(crate) filter: Option<String>,
    /// Of retrieval: what has the same value of this metadata does not count as found
    #[arg(long, value_name = "NAME")]
    pub(crate) group_by: Option<String>,
    /// Of retrieval: the network [default: the library's, if it has only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Write a report with plots: one HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// `sonoteca head`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sonoteca head list
  sonoteca head export birds --out heads
  sonoteca head import heads/birds.json --library other.db")]
pub(crate) struct HeadArgs {
    #[command(subcommand)]
    pub(crate) command: HeadCommand,
}

/// The commands of `sonoteca head`.
#[derive(Debug, Subcommand)]
pub(crate) enum HeadCommand {
    /// List the heads of the library
    #[command(after_help = "Example:\n  sonoteca head list --format json")]
    List,
    /// Say what a head is, what it learnt from and how well it does
    #[command(after_help = "Example:\n  sonoteca head show birds")]
    Show {
        /// The head
        name: String,
    },
    /// Write a head to files: NAME.json, its card, and NAME.safetensors, its numbers
    #[command(
        long_about = "Write a head to files: NAME.json, its card, and NAME.safetensors, its numbers

With --weights a linear head is written as plain JSON instead, for programs of your own: the \
                      probability of class k is softmax (or sigmoid, if several classes can be \
                      there at once) of (weights[k] · x + biases[k]) / temperature, where x is the \
                      vector as `sonoteca export` writes it. Nothing is overwritten.",
        after_help = "Examples:
  sonoteca head export birds --out heads
  sonoteca head export birds --weights > birds.weights.json"
    )]
    Export {
        /// The head
        name: String,
        /// The folder that the files are written to
        #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "weights")]
        out: PathBuf,
        /// Print plain weights, JSON
        #[arg(long)]
        weights: bool,
        /// Write over files of an earlier export
        #[arg(long, conflicts_with = "weights")]
        replace: bool,
    },
    /// Bring in a head from its files
    #[command(
        long_about = "Bring in a head from its files

Give one of its two files; the other lies beside it. The head speaks of vectors of the very network \
                      that it was trained on, and is refused where there are only others, when it \
                      is used.",
        after_help = "Example:\n  sonoteca head import heads/birds.json --name birds-2024"
    )]
    Import {
        /// The card or the numbers
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What it is called here [default: as it was]
        #[arg(long)]
        name: Option<String>,
        /// Take the place of a head of that name
        #[arg(long)]
        replace: bool,
    },
    /// Take heads out of the library
    #[command(after_help = "Example:\n  sonoteca head remove birds")]
    Remove {
        /// The heads
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// The kinds of heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeadName {
    /// The nearest class mean: for one to five examples a class.
    Prototype,
    /// Logistic regression.
    Logistic,
    /// Linear regression, for numbers.
    Ridge,
    /// A network with one hidden layer.
    Mlp,
    /// A recurrent network over a recording's segments.
    Lstm,
    /// Convolutions, then a recurrent network, over log-mel frames; listens to the files again.
    Crnn,
    /// Recurrent over frequency and time, over log-mel frames; listens to the files again.
    TfLstm,
}

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskName {
    /// One of its classes.
    Single,
    /// Each of its classes or not.
    Multi,
    /// A number.
    Regression,
}

/// How rows are changed while they are learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AugmentName {
    /// Not at all.
    None,
    /// Two are mixed.
    Mixup,
    /// Stretches of bands and of time are hidden.
    Masks,
    /// Both.
    Both,
}

/// How much classes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightsName {
    /// As much as they have examples.
    None,
    /// All the same.
    Balanced,
}

/// A share of a whole.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a share between 0 and 1, such as 0.9".to_owned()),
    }
}
