//! What can be typed after `sonoteca label`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// `sonoteca label`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Say what is heard in recordings: add, list, remove, import and export labels

A label is a class in a stretch of a recording, or in all of it: positive (it is there), negative (it is \
                  not) or unsure. It is tied to time, so it holds whatever network the library is \
                  indexed with. Labels by heads have sources that begin with head: and nothing is \
                  learnt from them.",
    after_help = "Examples:
  sonoteca label add id:12@3.5-4.2 Dog
  sonoteca label import annotations.csv
  sonoteca label list
  sonoteca label export > labels.csv"
)]
pub(crate) struct LabelArgs {
    #[command(subcommand)]
    pub(crate) command: LabelCommand,
}

/// The commands of `sonoteca label`.
#[derive(Debug, Subcommand)]
pub(crate) enum LabelCommand {
    /// Add a label to recordings, or to stretches of them
    #[command(after_help = "Examples:
  sonoteca label add id:12@3.5-4.2 Dog          from 3.5 to 4.2 seconds
  sonoteca label add bark.wav id:13@2- Dog      all of bark.wav, and recording 13 from 2 seconds on
  sonoteca label add id:12@1:02:03.5-1h2m5s Dog times as people write them
  sonoteca label add id:12@6.5 Dog              a point: of the recording, and of no segment
  sonoteca label add id:12 Cat --negative       there is no cat in it
  sonoteca label add id:12 id:14 --class 'Great tit' --source jane")]
    Add(AddArgs),
    /// Remove labels by id, class, source, judgement or recording
    #[command(
        long_about = "Remove labels by id, class, source, judgement or recording

What is said is joined by and: --class Dog --source head:birds removes what that head says of dogs. \
                      Something must be said.",
        after_help = "Examples:
  sonoteca label remove 17 18
  sonoteca label remove --source head:birds --dry-run
  sonoteca label remove --recording id:12 --class Dog"
    )]
    Remove(RemoveLabelsArgs),
    /// List labels: counts by class or, of a selection, each of them
    #[command(after_help = "Examples:
  sonoteca label list                           how many of each class
  sonoteca label list id:12                     each label of recording 12
  sonoteca label list --class Dog --judgement unsure
  sonoteca label list --all --format json")]
    List(ListLabelsArgs),
    /// Bring in labels from tables, Audacity, Raven, or folders that are classes
    #[command(
        long_about = "Bring in labels from tables, Audacity, Raven, or folders that are classes

The format is guessed from what is in a file, and its name:
  csv       a table whose first line names its columns: path, start, end, class (or such as file, \
                      begin_time, onset, end_time, offset, label, species), and if there are any \
                      judgement or presence, source, score, low_hz and high_hz. Cells are parted \
                      by commas, semicolons or tabs. Without start and end a label is of the whole \
                      recording. Times are seconds, or such as 1m30s and 1:02:03.5. Where \
                      semicolons or tabs part the cells, 1,5 is one and a half; what may be \
                      thousands, such as 1,500 beside 1.5, is refused.
  audacity  a label track. Which recording it is about is said by its name (bark.txt is about \
                      bark.wav) or by --recording. A label without length stays a point: it says \
                      of the recording that the class is in it, and of no segment. [negative] or \
                      [unsure] behind a label is its judgement.
  raven     a selection table. The recording is that of Begin Path or Begin File, else as for audacity.

A path is absolute, or relative to the current folder or the file's, or the end of a path if only one \
                      recording's ends so, or id:N. Rows that cannot be taken, such as those of \
                      unknown recordings, or that end more than 0.1 seconds behind the \
                      recording's end, are listed with their line and reason and make the exit \
                      status 2; the others are brought in, all at once. What is there already, \
                      equal in recording, stretch, class, judgement and source, is not added again.",
        after_help = "Examples:
  sonoteca label import annotations.csv --dry-run
  sonoteca label import tracks/*.txt --source jane
  sonoteca label import 'Label Track.txt' --recording id:12
  sonoteca label import site1.selections.txt --class-column 'Call Type'
  sonoteca label import --from-folders dataset        dataset/Dog/1.wav is a Dog"
    )]
    Import(ImportLabelsArgs),
    /// Write labels as a table, for Audacity or for Raven
    #[command(
        long_about = "Write labels as a table, for Audacity or for Raven

As csv, which is what happens unless --format says otherwise, a line a label in the order in which they \
                      came, with paths relative to the current folder where they lie below it. \
                      Columns for judgement, source, score and frequencies are there if something \
                      is in them; of sources, if one is not you. What is exported can be imported \
                      again, and what was imported is given back as it was.

As audacity or raven a file a recording in the folder --out. On standard output, audacity is one \
                      recording's, and raven one table of all, with Begin Path.",
        after_help = "Examples:
  sonoteca label export > labels.csv
  sonoteca label export --format audacity --out tracks
  sonoteca label export --format raven --out tables --class-column Species
  sonoteca label export --source head:birds --where 'date >= 2024-05' --format json"
    )]
    Export(ExportLabelsArgs),
}

/// `sonoteca label add`
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Recordings, each by its path, the end of it or id:N, with @START-END a stretch of it, or with
    /// @TIME a point in it; behind them the class
    #[arg(required = true, value_name = "RECORDING... CLASS")]
    pub(crate) words: Vec<OsString>,
    /// The class, where all words are recordings
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Option<String>,
    /// It is not heard there
    #[arg(long, conflicts_with = "unsure")]
    pub(crate) negative: bool,
    /// It may be heard there
    #[arg(long)]
    pub(crate) unsure: bool,
    /// Who says so [default: your user name]
    #[arg(long, value_name = "WHO", value_parser = source)]
    pub(crate) source: Option<String>,
}

/// Which labels, by what they say.
#[derive(Debug, clap::Args)]
pub(crate) struct SelectionArgs {
    /// Labels of this class; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Vec<String>,
    /// Labels by this source, such as jane or head:birds; may be given several times
    #[arg(long, value_name = "WHO")]
    pub(crate) source: Vec<String>,
    /// Labels that say so; may be given several times
    #[arg(long, value_name = "JUDGEMENT")]
    pub(crate) judgement: Vec<JudgementName>,
}

/// `sonoteca label remove`
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveLabelsArgs {
    /// Ids of labels, as `sonoteca label list` shows them
    #[arg(value_name = "LABEL")]
    pub(crate) ids: Vec<i64>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Labels of this recording, by its path, the end of it, or id:N; may be given several times
    #[arg(long, value_name = "PATH|id:N")]
    pub(crate) recording: Vec<OsString>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `sonoteca label list`
#[derive(Debug, clap::Args)]
pub(crate) struct ListLabelsArgs {
    /// Recordings, by their paths, the ends of them, or id:N
    #[arg(value_name = "PATH|id:N")]
    pub(crate) recordings: Vec<OsString>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Labels of recordings that pass this filter, such as 'duration < 5'
    #[arg(long = "where", value_name = "FILTER", long_help = super::filter::HELP)]
    pub(crate) filter: Option<String>,
    /// The network whose classes the filter speaks of [default: the only one that knows them]
    #[arg(long, value_name = "NAME", requires = "filter")]
    pub(crate) model: Option<String>,
    /// List each label, also where nothing is selected
    #[arg(long)]
    pub(crate) all: bool,
}

/// `sonoteca label import`
#[derive(Debug, clap::Args)]
pub(crate) struct ImportLabelsArgs {
    /// Files of labels; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "from_folders")]
    pub(crate) files: Vec<PathBuf>,
    /// Take the names of the sub-folders of DIR for the classes of the recordings below them
    #[arg(long, value_name = "DIR")]
    pub(crate) from_folders: Option<PathBuf>,
    /// Their format [default: guessed]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) from_format: Option<FileFormat>,
    /// The recording that all of it is about, by its path, the end of it, or id:N
    #[arg(long, value_name = "PATH|id:N")]
    pub(crate) recording: Option<OsString>,
    /// The column of the classes [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) class_column: Option<String>,
    /// What separates the cells of a table, such as ; or tab [default: guessed]
    #[arg(long, value_name = "CHARACTER", value_parser = super::metadata::delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// Who says so, where the file does not [default: your user name]
    #[arg(long, value_name = "WHO", value_parser = source)]
    pub(crate) source: Option<String>,
    /// What the labels say, where the file does not
    #[arg(long, value_name = "JUDGEMENT", default_value = "positive")]
    pub(crate) judgement: JudgementName,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `sonoteca label export`
#[derive(Debug, clap::Args)]
pub(crate) struct ExportLabelsArgs {
    /// Write into this file, or, as audacity and raven, into this folder; nothing is overwritten
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Labels of recordings that pass this filter, such as 'duration < 5'
    #[arg(long = "where", value_name = "FILTER", long_help = super::filter::HELP)]
    pub(crate) filter: Option<String>,
    /// The network whose classes the filter speaks of [default: the only one that knows them]
    #[arg(long, value_name = "NAME", requires = "filter")]
    pub(crate) model: Option<String>,
    /// Write paths relative to DIR where they lie below it [default: the current folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) relative_to: Option<PathBuf>,
    /// What the column of classes is called in selection tables
    #[arg(long, value_name = "COLUMN", default_value = "Annotation")]
    pub(crate) class_column: String,
}

/// What is said of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum JudgementName {
    /// It is there.
    Positive,
    /// It is not.
    Negative,
    /// Hard to say.
    Unsure,
}

/// How files of labels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// A table with a header.
    Csv,
    /// A label track of Audacity.
    Audacity,
    /// A selection table of Raven.
    Raven,
}

/// Who says so: nobody who could be taken for a head.
fn source(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected a name".to_owned()),
        name if name.starts_with("head:") => {
            Err("names that begin with head: are those of heads; choose another".to_owned())
        }
        name => Ok(name.to_owned()),
    }
}
