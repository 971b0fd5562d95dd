//! Why a row of a file of labels was left out.
//!
//! In: what a reader met. Out: a reason that people can act on, with the line.

/// What reading a row, or a cell of it, gives.
pub type RowResult<T> = Result<T, RowProblem>;

/// A row that was left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Its line, counted from 1; 0 where it has none.
    pub line: u64,
    /// Why.
    pub problem: RowProblem,
}

/// Why a row was left out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// No recording of that name.
    #[error("`{name}` is no recording of the library")]
    UnknownRecording {
        /// The name.
        name: String,
    },
    /// A name that several recordings have.
    #[error("`{name}` is how the paths of {count} recordings end")]
    SeveralRecordings {
        /// The name.
        name: String,
        /// How many.
        count: usize,
    },
    /// An empty cell where the recording should be.
    #[error("it names no recording")]
    NoRecording,
    /// No class.
    #[error("it has no class")]
    NoClass,
    /// A class longer than anybody means.
    #[error("its class has {found} bytes; a \" may be missing")]
    LongClass {
        /// Its length.
        found: usize,
    },
    /// Not a number, or not a finite one.
    #[error("{column}: `{text}` is no number")]
    NotANumber {
        /// The column.
        column: &'static str,
        /// What stands there.
        text: String,
    },
    /// A number with a comma, where commas part the cells too.
    #[error(
        "{column}: `{text}` may be a decimal comma or a thousands separator where commas part the \
         cells; write numbers with a point, or save the table with semicolons"
    )]
    DecimalComma {
        /// The column.
        column: &'static str,
        /// What stands there.
        text: String,
    },
    /// A number such as 1,500, in a file where nothing says what its commas are.
    #[error(
        "{column}: `{text}` may be {small} or {large}: nothing before it says whether commas stand \
         before decimals or thousands; write it with a point"
    )]
    ThousandsOrDecimals {
        /// The column.
        column: &'static str,
        /// What stands there.
        text: String,
        /// With a decimal comma.
        small: f64,
        /// With a separator of thousands.
        large: f64,
    },
    /// A number whose mark is another than in the rows before it.
    #[error(
        "{column}: `{text}` has a {}, and numbers before it have a {}: which of them stands before \
         decimals is not clear", mark_name(*found), mark_name(other(*found))
    )]
    MixedMarks {
        /// The column.
        column: &'static str,
        /// What stands there.
        text: String,
        /// The mark in it.
        found: char,
    },
    /// A number below zero.
    #[error("{column}: {found} is less than 0")]
    Negative {
        /// The column.
        column: &'static str,
        /// The number.
        found: f64,
    },
    /// A stretch that ends before it begins.
    #[error("it ends before it begins: from {start_s} to {end_s} s")]
    EndBeforeStart {
        /// Its beginning.
        start_s: f64,
        /// Its end.
        end_s: f64,
    },
    /// A stretch that the recording does not have.
    #[error("it ends at {end_s} s, and its recording at {duration_s:.3} s")]
    BehindEnd {
        /// Its end.
        end_s: f64,
        /// The recording's length.
        duration_s: f64,
    },
    /// A score that is none.
    #[error("score: {found} is not from 0 to 1")]
    Score {
        /// The number.
        found: f64,
    },
    /// Half a band of frequencies, or one upside down.
    #[error("a band of frequencies needs both ends, the lower one first")]
    Band,
    /// A word that is no judgement.
    #[error("`{text}` is no judgement: expected positive, negative or unsure")]
    Judgement {
        /// The word.
        text: String,
    },
    /// A line of more cells than there are columns.
    #[error("it has {found} cells, expected {expected}")]
    Cells {
        /// How many it has.
        found: usize,
        /// How many columns there are.
        expected: usize,
    },
    /// A line of a label track without tabs.
    #[error("expected a start, an end and a label, parted by tabs")]
    NotALabel,
    /// Bytes that are no text.
    #[error(
        "it is not UTF-8: save the file as text in UTF-8, which spreadsheets offer as a kind of CSV"
    )]
    NotUtf8,
    /// A selection in a further file, without its time in it.
    #[error(
        "the table is of several files and has no File Offset (s); if times count from each \
         file's beginning: --from-format csv"
    )]
    NoFileOffset,
    /// A folder of which the library has nothing.
    #[error("nothing in the folder `{name}` is a recording of the library")]
    EmptyFolder {
        /// The folder.
        name: String,
    },
    /// A recording beside the folders that are classes.
    #[error("`{name}` lies in no sub-folder that could be its class")]
    NoFolder {
        /// The recording.
        name: String,
    },
}

fn mark_name(mark: char) -> &'static str {
    if mark == ',' { "comma" } else { "point" }
}

fn other(mark: char) -> char {
    if mark == ',' { '.' } else { ',' }
}
