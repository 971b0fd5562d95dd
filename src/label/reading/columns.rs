//! What the columns of a table are, by the names that people and programs give them.
//!
//! In: headings. Out: where each thing stands. Refuses tables without classes.

use std::ops::Index;

use crate::error::LabelProblem;
use crate::label::LabelFormat;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Start,
    End,
    Class,
    Judgement,
    Source,
    Score,
    Low,
    High,
    FileOffset,
}

/// Names of recordings, the surest first.
const RECORDING: &[&str] = &[
    "path",
    "file",
    "filename",
    "filepath",
    "beginpath",
    "beginfile",
    "recording",
    "recordingpath",
    "audio",
    "audiofile",
    "audiopath",
    "soundfile",
    "wavfile",
    "wav",
    "fname",
];
const START: &[&str] = &[
    "start",
    "starts",
    "startsec",
    "startseconds",
    "starttime",
    "starttimes",
    "begin",
    "begins",
    "begintime",
    "begintimes",
    "onset",
    "onsets",
    "from",
    "timestart",
];
const END: &[&str] = &[
    "end",
    "ends",
    "endsec",
    "endseconds",
    "endtime",
    "endtimes",
    "stop",
    "stops",
    "stoptime",
    "offset",
    "offsets",
    "until",
    "to",
    "timeend",
];
const CLASS: &[&str] = &[
    "class",
    "classname",
    "label",
    "labels",
    "species",
    "category",
    "annotation",
    "commonname",
    "tag",
    "tags",
    "event",
    "eventlabel",
    "calltype",
    "soundtype",
    "speciescode",
];
/// Raven's tables are made by people, who add the columns of their field.
const RAVEN_CLASS: &[&str] = &[
    "species",
    "annotation",
    "commonname",
    "label",
    "labels",
    "tags",
    "tag",
    "class",
    "category",
    "calltype",
    "call",
    "soundtype",
    "type",
    "speciescode",
    "soundslike",
];
const OTHERS: [(Role, &[&str]); 6] = [
    (Role::Judgement, &["judgement", "judgment", "presence", "present", "verdict"]),
    (Role::Source, &["source", "annotator", "labeler", "labeller", "observer", "author"]),
    (Role::Score, &["score", "confidence", "probability"]),
    (Role::Low, &["lowhz", "lowfreqhz", "lowfreq", "lowfrequency", "lowfrequencyhz", "fmin"]),
    (Role::High, &["highhz", "highfreqhz", "highfreq", "highfrequency", "highfrequencyhz", "fmax"]),
    (Role::FileOffset, &["fileoffsets", "fileoffset"]),
];

/// Where each thing stands.
#[derive(Debug)]
pub(super) struct Columns {
    /// Those that name the recording, the surest first.
    pub(super) recordings: Vec<usize>,
    places: [Option<usize>; 9],
    /// How many columns there are.
    pub(super) width: usize,
}

impl Index<Role> for Columns {
    type Output = Option<usize>;

    fn index(&self, role: Role) -> &Option<usize> {
        &self.places[role as usize]
    }
}

impl Columns {
    /// The columns of a table with these headings.
    pub(super) fn new(
        headings: &[String],
        format: LabelFormat,
        class_column: Option<&str>,
    ) -> Result<Self, LabelProblem> {
        let names: Vec<String> = headings.iter().map(|heading| plain(heading)).collect();
        let find = |known: &[&str]| {
            known.iter().find_map(|name| names.iter().position(|found| found == name))
        };
        let classes = if format == LabelFormat::Raven { RAVEN_CLASS } else { CLASS };
        let class = match class_column {
            Some(wanted) => headings
                .iter()
                .position(|found| found.trim().to_lowercase() == wanted.trim().to_lowercase()),
            None => find(classes),
        };
        if class.is_none() {
            let expected = match class_column {
                Some(wanted) => vec![wanted.to_owned()],
                None => classes[..5].iter().map(|&name| name.to_owned()).collect(),
            };
            return Err(LabelProblem::NoColumn { expected, found: headings.to_vec() });
        }
        let mut columns = Self { recordings: Vec::new(), places: [None; 9], width: headings.len() };
        let mut put = |role: Role, place: Option<usize>| {
            columns.places[role as usize] = place.filter(|&place| {
                // What was named as the class is nothing else.
                role == Role::Class || Some(place) != class
            });
        };
        put(Role::Class, class);
        put(Role::Start, find(START));
        put(Role::End, find(END));
        for (role, names) in OTHERS {
            put(role, find(names));
        }
        columns.recordings = RECORDING
            .iter()
            .filter_map(|name| names.iter().position(|found| found == name))
            .filter(|&place| Some(place) != class)
            .collect();
        Ok(columns)
    }
}

/// A heading's letters and digits, in lower case: `Begin Time (s)` is `begintimes`.
pub(super) fn plain(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
