//! `sonoteca duplicates`: groups of stretches that are the same sound.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sonoteca::Result;

use sonoteca::search::duplicates::{
    DuplicateOptions, Duplicates, Evidence, Group, Member, Phase, Watcher, find_duplicates,
};
use sonoteca::search::{self, Collection, Level};
use sonoteca::store::Library;

use super::stores;
use crate::cli::Status;
use crate::cli::args::DuplicatesArgs;
use crate::cli::printer::{Printer, Row, counted, path_hex, readable_path, reason, say};
use crate::cli::settings::Settings;

/// Recordings that could not be listened to and are named; the rest are counted.
const MOST_NAMED: usize = 10;
/// Time between plain lines of progress.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

pub(crate) fn run(
    args: &DuplicatesArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    let found = match &args.store {
        Some(address) => of_store(args, address, settings, printer)?,
        None => match of_library(args, settings, printer)? {
            Some(found) => found,
            None => return Ok(Status::NothingFound),
        },
    };
    for (path, error) in found.unheard.iter().take(MOST_NAMED) {
        let path = readable_path(path);
        printer.warning(&format!("{path} could not be listened to: {}", reason(error)));
    }
    if found.unheard.len() > MOST_NAMED {
        let more = (found.unheard.len() - MOST_NAMED) as u64;
        printer.warning(&format!("{} more could not be listened to", counted(more, "recording")));
    }
    let shown = args.count.map_or(usize::MAX, |count| count as usize).min(found.groups.len());
    if shown == 0 {
        printer.note("No duplicates.");
        return Ok(Status::NothingFound);
    }
    let rows: Vec<MemberRow> = (1..)
        .zip(&found.groups[..shown])
        .flat_map(|(number, group)| rows_of(number, group))
        .collect();
    printer.rows(&rows)?;
    if shown < found.groups.len() {
        printer.note(&format!("{shown} of {}", counted(found.groups.len() as u64, "group")));
    }
    Ok(Status::Done)
}

/// The duplicates in the library; nothing, said, where it holds no recordings.
fn of_library(
    args: &DuplicatesArgs,
    settings: &Settings,
    printer: &Printer,
) -> Result<Option<Duplicates>> {
    let library = Library::open(&settings.library)?;
    if library.totals()?.recordings == 0 {
        printer.note("The library holds no recordings yet: sonoteca index FOLDER");
        return Ok(None);
    }
    let model = search::choose_model(&library, args.model.as_deref())?;
    let collection = Collection::open(&library, &model, Level::Segment)?;
    let options = options_of(args);
    let watch = Watch::new(settings);
    let found = find_duplicates(&library, &model, &collection, &options, &watch);
    watch.clear();
    let found = found?;
    // Also what showed while it was searched.
    if let Some(warning) = collection.warning() {
        printer.warning(&warning.to_string());
    }
    Ok(Some(found))
}

/// The duplicates in the store at `address`.
fn of_store(
    args: &DuplicatesArgs,
    address: &str,
    settings: &Settings,
    printer: &Printer,
) -> Result<Duplicates> {
    let store = stores::open(address, printer)?;
    store.require_model(args.model.as_deref())?;
    let watch = Watch::new(settings);
    let found = store.duplicates(&options_of(args), &watch);
    watch.clear();
    found
}

fn options_of(args: &DuplicatesArgs) -> DuplicateOptions {
    let default = DuplicateOptions::default();
    let cosine = args.threshold.filter(|_| args.no_verify);
    DuplicateOptions {
        threshold: args.threshold.unwrap_or(default.threshold),
        cosine: cosine.unwrap_or(default.cosine),
        min_duration_s: args.min_duration,
        within: args.within,
        verify: !args.no_verify,
    }
}

/// Shows how far it is. Nothing asks it to stop: Ctrl-C ends the process, which leaves nothing
/// behind, since nothing is written.
struct Watch {
    is_quiet: bool,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Watch {
    fn new(settings: &Settings) -> Self {
        let is_quiet = settings.is_quiet();
        let bar = (settings.watched && !is_quiet).then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos} of {len}") {
                bar.set_style(style);
            }
            bar
        });
        Self { is_quiet, bar, last_line: Mutex::new(Instant::now()) }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for Watch {
    fn progressed(&self, phase: Phase, done: usize, all: usize) {
        let (what, of) = match phase {
            Phase::Looking => ("looking up", "segments"),
            Phase::Listening => ("listening to", "recordings"),
            Phase::Comparing => ("comparing", "pairs"),
            Phase::Aligning => ("aligning", "matches"),
        };
        if let Some(bar) = &self.bar {
            bar.set_length(all as u64);
            bar.set_message(format!("{what} {of}"));
            bar.set_position(done as u64);
        } else if !self.is_quiet
            && let Ok(mut last) = self.last_line.try_lock()
            && last.elapsed() >= PLAIN_EVERY
        {
            *last = Instant::now();
            say(format_args!("{what} {of}: {done} of {all}"));
        }
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A member of a group as it is printed.
#[derive(Debug, Serialize)]
struct MemberRow {
    group: usize,
    likely_original: bool,
    recording_id: i64,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    start_s: f64,
    end_s: f64,
    offset_s: f64,
    similarity: f32,
    evidence: &'static str,
    duration_s: f64,
    codec: String,
    sample_rate: u32,
    status: String,
    #[serde(skip)]
    readable_path: String,
}

fn rows_of(number: usize, group: &Group) -> impl Iterator<Item = MemberRow> {
    group
        .members
        .iter()
        .enumerate()
        .map(move |(index, member)| MemberRow::new(number, index, member))
}

impl MemberRow {
    fn new(group: usize, index: usize, member: &Member) -> Self {
        let recording = &member.recording;
        Self {
            group,
            likely_original: index == 0,
            recording_id: recording.id,
            path: recording.path.to_string_lossy().into_owned(),
            path_hex: path_hex(&recording.path),
            start_s: member.range.start_s,
            end_s: member.range.end_s,
            // No minus before a zero.
            offset_s: member.offset_s + 0.0,
            similarity: member.similarity,
            evidence: match member.evidence {
                Evidence::SameFile => "same-file",
                Evidence::Heard => "heard",
                Evidence::Vectors => "vectors",
            },
            duration_s: recording.duration_s,
            codec: recording.codec.clone(),
            sample_rate: recording.sample_rate,
            status: recording.status.clone(),
            readable_path: readable_path(&recording.path).into_owned(),
        }
    }

    fn remark(&self) -> &'static str {
        match (self.likely_original, self.evidence) {
            (true, _) => "likely original",
            (false, "same-file") => "the same file",
            (false, "vectors") => "not listened to",
            _ => "",
        }
    }
}

impl Row for MemberRow {
    const COLUMNS: &'static [&'static str] = &[
        "group",
        "likely_original",
        "recording_id",
        "path",
        "start_s",
        "end_s",
        "offset_s",
        "similarity",
        "evidence",
        "duration_s",
        "codec",
        "sample_rate",
        "status",
    ];
    const HEADINGS: &'static [&'static str] =
        &["Group", "Recording", "Seconds", "Of", "Offset", "Alike", "Id", ""];

    fn cells(&self) -> Vec<String> {
        vec![
            self.group.to_string(),
            self.likely_original.to_string(),
            self.recording_id.to_string(),
            self.path.clone(),
            self.start_s.to_string(),
            self.end_s.to_string(),
            self.offset_s.to_string(),
            self.similarity.to_string(),
            self.evidence.to_owned(),
            self.duration_s.to_string(),
            self.codec.clone(),
            self.sample_rate.to_string(),
            self.status.clone(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.group.to_string(),
            self.readable_path.clone(),
            format!("{:.2}–{:.2}", self.start_s, self.end_s),
            format!("{:.2}", self.duration_s),
            format!("{:+.3}", self.offset_s),
            format!("{:.3}", self.similarity),
            format!("id:{}", self.recording_id),
            self.remark().to_owned(),
        ]
    }
}
