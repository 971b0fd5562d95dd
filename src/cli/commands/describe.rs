//! `sonoteca describe`: what is heard in a recording along time, and a picture of it.

mod drawing;
mod pitch_rows;
mod progress;
mod rows;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sonoteca::audio::excerpt::{Part, Stretch};
use sonoteca::audio::resample::FilterCache;
use sonoteca::describe::{EventSpec, Hearing, HearingSpec, Listening, Outline, PitchTrack};
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, nothing_heard, registry};
use sonoteca::store::Library;
use sonoteca::{Error, Result};

use super::standard_input::{NAME, Spooled};
use crate::cli::Status;
use crate::cli::args::{DescribeArgs, Format};
use crate::cli::printer::{Printer, counted, readable_path};
use crate::cli::settings::Settings;
use drawing::PlotFile;
use progress::ListeningProgress;

/// What is described: a file, and how it is called.
struct Subject {
    path: PathBuf,
    name: String,
    /// Held until all is read.
    input: Option<Spooled>,
}

pub(crate) fn run(
    args: &DescribeArgs,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<Status> {
    if settings.format == Format::Raven {
        let problem = "events of classes have no channel and no band, which selections need";
        let hint = "choose --format audacity";
        return Err(Error::Usage { problem, hint });
    }
    if args.segments && settings.format == Format::Audacity {
        return Err(Error::Usage {
            problem: "a label track has events, and --segments asks for the scores of segments",
            hint: "leave --segments out, or choose --format csv",
        });
    }
    // What cannot be written, or has no words, is refused before anything takes time.
    let plot = args.plot.as_deref().map(PlotFile::new).transpose()?;
    let mut pitch_models = 0;
    for name in &args.model {
        let card = registry::find(name)?;
        if card.class_count() == 0 && !card.tells_pitch() {
            return Err(nothing_heard(name));
        }
        pitch_models += usize::from(card.tells_pitch());
    }
    if settings.format == Format::Csv && (1..args.model.len()).contains(&pitch_models) {
        return Err(Error::Usage {
            problem: "classes and pitch have different columns, and CSV has one set of them",
            hint: "describe with one of the models at a time, or choose --format json",
        });
    }
    let subject = Subject::find(&args.recording, settings)?;
    let progress = ListeningProgress::new(settings);
    let heard = listen(args, &subject.path, plot.is_some(), &progress);
    progress.clear();
    let (listening, outline) = heard.map_err(|error| match &subject.input {
        Some(input) => input.named(error),
        None => error,
    })?;
    if let Some(flaw) = listening.end.integrity.flaw() {
        printer.warning(&format!("{} is {flaw}; what there is was used", subject.name));
    }
    rows::print(args, &subject.name, &listening, settings.format, printer)?;
    listening.hearings.iter().for_each(|hearing| tell_of(hearing, printer));
    listening.pitches.iter().for_each(|pitch| tell_of_pitch(pitch, printer));
    if let (Some(plot), Some(outline)) = (plot, outline) {
        printer.flush()?;
        plot.write(&subject.name, &outline, &listening, usize::from(args.top))?;
        printer.note(&format!("Drawn into {}", plot.path().display()));
    }
    let nothing = listening.hearings.iter().all(|hearing| hearing.events.is_empty())
        && listening.pitches.iter().all(|pitch| pitch.stretches.is_empty());
    Ok(if nothing { Status::NothingFound } else { Status::Done })
}

impl Subject {
    fn find(text: &OsStr, settings: &Settings) -> Result<Self> {
        if text == "-" {
            let input = Spooled::read()?;
            let path = input.path().to_owned();
            return Ok(Self { path, name: NAME.to_owned(), input: Some(input) });
        }
        let id = text.to_str().and_then(|text| text.strip_prefix("id:")?.parse::<i64>().ok());
        let path = match id {
            Some(id) => {
                let recording = Library::open(&settings.library)?.recording(id)?;
                let path = recording.ok_or(Error::UnknownRecording { id })?.path;
                if !path.exists() {
                    return Err(Error::Gone { path });
                }
                path
            }
            None => PathBuf::from(text),
        };
        if !path.is_file() {
            return Err(Error::UnknownQuery {
                query: path.to_string_lossy().into_owned(),
                is_folder: path.is_dir(),
            });
        }
        let name = readable_path(&path).into_owned();
        Ok(Self { path, name, input: None })
    }
}

/// Listens with every model and, for a plot, looks at the recording beside.
fn listen(
    args: &DescribeArgs,
    path: &Path,
    wants_outline: bool,
    progress: &ListeningProgress,
) -> Result<(Listening, Option<Outline>)> {
    let is_whole = args.start.is_none() && args.end.is_none();
    let stretch = Stretch { start_s: args.start.unwrap_or(0.0), end_s: args.end };
    let part = Part {
        stretch: (!is_whole).then_some(stretch),
        channel: args.channel.map(|channel| channel - 1),
    };
    let spec = HearingSpec {
        part,
        events: EventSpec { threshold: args.threshold, top: usize::from(args.top) },
        pitch_confidence: args.pitch_confidence,
        keeps_segments: args.segments,
    };
    let (store, filters) = (ModelStore::of_user()?, FilterCache::default());
    let mut names: Vec<&String> = Vec::new();
    for name in &args.model {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let models = names
        .into_iter()
        .map(|name| EmbeddingModel::load(name, &store, Compute::default()))
        .collect::<Result<Vec<_>>>()?;
    let hear =
        move || Listening::of(path, &models, &spec, &filters, |heard_s| progress.at(heard_s));
    let look = || wants_outline.then(|| Outline::read(path, part)).transpose();
    let (listening, outline) = rayon::join(hear, look);
    Ok((listening?, outline?))
}

/// Says what the rows do not show.
fn tell_of(hearing: &Hearing, printer: &Printer) {
    tell_of_silence(&hearing.model, (hearing.left_out, hearing.segments), "segment", printer);
    if hearing.events.is_empty() && hearing.left_out < hearing.segments {
        printer.note(&format!(
            "{}: no class scores {} in any segment; --threshold sets another",
            hearing.model, hearing.spec.threshold
        ));
    }
}

fn tell_of_pitch(track: &PitchTrack, printer: &Printer) {
    tell_of_silence(&track.model, (track.left_out, track.patches), "half second", printer);
    if track.stretches.is_empty() && track.left_out < track.patches {
        printer.note(&format!(
            "{}: no pitch with a confidence of {} for 50 ms; --pitch-confidence sets another",
            track.model, track.least_confidence
        ));
    }
}

fn tell_of_silence(model: &str, (silent, all): (usize, usize), noun: &str, printer: &Printer) {
    if silent > 0 {
        let left_out = counted(silent as u64, noun);
        let which = if silent == all { ", which is all" } else { "" };
        printer.note(&format!("{model}: left out, being silent: {left_out}{which}"));
    }
}
