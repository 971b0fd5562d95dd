//! `sonoteca describe`: what is heard in a recording along time, and a picture of it.

mod drawing;
mod rows;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sonoteca::audio::excerpt::{Part, Stretch};
use sonoteca::audio::resample::FilterCache;
use sonoteca::describe::hearing::without_classes;
use sonoteca::describe::{EventSpec, Hearing, HearingSpec, Outline};
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, registry};
use sonoteca::store::Library;
use sonoteca::{Error, Result};

use super::standard_input::Spooled;
use crate::cli::Status;
use crate::cli::args::{DescribeArgs, Format};
use crate::cli::printer::{Printer, counted, readable_path};
use crate::cli::settings::Settings;
use drawing::PlotFile;

/// What is described: a file, and how it is called.
struct Subject {
    path: PathBuf,
    name: String,
    /// Held until all is read.
    _input: Option<Spooled>,
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
    for name in &args.model {
        if registry::find(name)?.class_count() == 0 {
            return Err(without_classes(name));
        }
    }
    let subject = Subject::find(&args.recording, settings)?;
    let (hearings, outline) = listen(args, &subject.path, plot.is_some())?;
    if let Some(flaw) = hearings.first().and_then(|hearing| hearing.end.integrity.flaw()) {
        printer.warning(&format!("{} is {flaw}; what there is was used", subject.name));
    }
    rows::print(args, &subject.name, &hearings, settings.format, printer)?;
    for hearing in &hearings {
        tell_of(hearing, printer);
    }
    if let (Some(plot), Some(outline)) = (plot, outline) {
        printer.flush()?;
        plot.write(&subject.name, &outline, &hearings, usize::from(args.top))?;
        printer.note(&format!("Drawn into {}", plot.path().display()));
    }
    let nothing = hearings.iter().all(|hearing| hearing.events.is_empty());
    Ok(if nothing { Status::NothingFound } else { Status::Done })
}

impl Subject {
    fn find(text: &OsStr, settings: &Settings) -> Result<Self> {
        if text == "-" {
            let input = Spooled::read()?;
            let path = input.path().to_owned();
            return Ok(Self { path, name: "standard input".to_owned(), _input: Some(input) });
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
        Ok(Self { path, name, _input: None })
    }
}

/// Listens with every model and, for a plot, looks at the recording beside.
fn listen(
    args: &DescribeArgs,
    path: &Path,
    wants_outline: bool,
) -> Result<(Vec<Hearing>, Option<Outline>)> {
    let is_whole = args.start.is_none() && args.end.is_none();
    let stretch = Stretch { start_s: args.start.unwrap_or(0.0), end_s: args.end };
    let part = Part {
        stretch: (!is_whole).then_some(stretch),
        channel: args.channel.map(|channel| channel - 1),
    };
    let events = EventSpec { threshold: args.threshold, top: usize::from(args.top) };
    let spec = HearingSpec { part, events, keeps_segments: args.segments };
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
    let hear = move || -> Result<Vec<Hearing>> {
        models.iter().map(|model| Hearing::of(path, model, &spec, &filters)).collect()
    };
    let look = || wants_outline.then(|| Outline::read(path, part)).transpose();
    let (hearings, outline) = rayon::join(hear, look);
    Ok((hearings?, outline?))
}

/// Says what the rows do not show.
fn tell_of(hearing: &Hearing, printer: &Printer) {
    if hearing.left_out > 0 {
        let left_out = counted(hearing.left_out as u64, "segment");
        let all = if hearing.left_out == hearing.segments { ", which is all" } else { "" };
        printer.note(&format!("{}: left out, being silent: {left_out}{all}", hearing.model));
    }
    if hearing.events.is_empty() && hearing.left_out < hearing.segments {
        printer.note(&format!(
            "{}: no class scores {} in any segment; --threshold sets another",
            hearing.model, hearing.spec.threshold
        ));
    }
}
