//! `sonoteca search`: the most similar recordings or segments.

mod words;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use sonoteca::audio::resample::FilterCache;
use sonoteca::extract::Extractor;
use sonoteca::filter::Filter;
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, identity_of, registry};
use sonoteca::search::collection::CollectionOptions;
use sonoteca::search::{self, Among, Hit, Level, Scope, Searcher};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use sonoteca::{Error, Result};

use crate::cli::Status;
use crate::cli::args::{By, SearchArgs};
use crate::cli::printer::{Printer, Row, counted, path_hex, readable_path};
use crate::cli::settings::Settings;

/// Classes that are shown of each hit.
const CLASSES_SHOWN: usize = 3;
/// Below this a score says that the class is not there.
const LEAST_SCORE: f64 = 0.01;

pub(crate) fn run(args: &SearchArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    let filter = args.filter.as_deref().map(Filter::parse).transpose()?;
    let library = Library::open(&settings.library)?;
    if library.totals()?.recordings == 0 {
        printer.note("The library holds no recordings yet: sonoteca index FOLDER");
        return Ok(Status::NothingFound);
    }
    let model = search::choose_model(&library, args.model.as_deref())?;
    let level = match args.by {
        By::Recording => Level::Recording,
        By::Segment => Level::Segment,
    };
    let allowed = search::allowed(&library, filter.as_ref(), &model, level)?;
    let Some(query) = &args.query else {
        let among = Among { library: &library, model: &model, level, allowed };
        return words::run(args, &among, printer);
    };
    let (vector, except) = match stored_id(query) {
        Some(id) => (search::stored_query(&library, &model, id, level)?, Some(id)),
        None => (embed_file(Path::new(query), &model, level, printer)?, None),
    };
    let scope = Scope { allowed, except: except.into_iter().collect() };
    warn_of_other_versions(&library, &model, printer)?;
    let searcher =
        Searcher::open_with(&library, model, level, CollectionOptions { exact: args.exact })?;
    let silent = searcher.without_direction() as u64;
    if silent > 0 {
        printer.detail(&format!("left out, being all zeros: {}", counted(silent, "vector")));
    }
    let hits = searcher.search_within(&vector, &scope, args.count as usize)?;
    if let Some(warning) = searcher.warning() {
        printer.warning(&warning.to_string());
    }
    if hits.is_empty() {
        printer.note(match filter {
            Some(_) => "Nothing passes the filter that is fit for this search.",
            None => "Nothing to compare with: no other vector is fit for this search.",
        });
        return Ok(Status::NothingFound);
    }
    let rows: Vec<HitRow> = hits.iter().map(|hit| HitRow::new(hit, level)).collect();
    printer.rows(&rows)?;
    Ok(Status::Done)
}

/// Says when recordings were indexed with another version of the model only.
fn warn_of_other_versions(library: &Library, model: &StoredModel, printer: &Printer) -> Result<()> {
    let others = library.models()?.into_iter().filter(|other| {
        other.id != model.id && other.identity.name == model.identity.name && other.recordings > 0
    });
    let recordings: u64 = others.map(|other| other.recordings).sum();
    if recordings > 0 {
        printer.warning(&format!(
            "{} with vectors of another version of {} left out; to include them: sonoteca index \
             FOLDER",
            counted(recordings, "recording"),
            model.identity.name
        ));
    }
    Ok(())
}

/// The N of `id:N`. A file of that name can be given as `./id:N`.
fn stored_id(query: &OsStr) -> Option<i64> {
    query.to_str()?.strip_prefix("id:")?.parse().ok()
}

/// The vector of an audio file by `model`, whose installed version must be the library's. Among
/// segments, silence is no part of the question.
fn embed_file(
    path: &Path,
    model: &StoredModel,
    level: Level,
    printer: &Printer,
) -> Result<Vec<f32>> {
    if !path.is_file() {
        return Err(Error::UnknownQuery {
            query: path.to_string_lossy().into_owned(),
            is_folder: path.is_dir(),
        });
    }
    let card = registry::find(&model.identity.name)?;
    search::require_same_version(model, &identity_of(card))?;
    let network = EmbeddingModel::load(&card.name, &ModelStore::of_user()?, Compute::default())?;
    let extractor = Extractor::new(network, Arc::new(FilterCache::default()));
    let extraction = extractor.extract(path, |_| Ok(()))?;
    if let Some(flaw) = extraction.end.integrity.flaw() {
        printer.warning(&format!("{} is {flaw}; what there is was used", readable_path(path)));
    }
    Ok(match level {
        Level::Recording => extraction.pooled,
        Level::Segment => extraction.pooled_sound,
    })
}

/// A hit as it is printed.
#[derive(Debug, Serialize)]
struct HitRow {
    rank: usize,
    score: f32,
    recording_id: i64,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    start_s: f64,
    end_s: f64,
    duration_s: f64,
    status: String,
    codec: String,
    classes: Vec<ClassRow>,
    #[serde(skip)]
    readable_path: String,
    #[serde(skip)]
    level: Level,
}

#[derive(Debug, Serialize)]
struct ClassRow {
    name: String,
    score: f64,
}

impl HitRow {
    fn new(hit: &Hit, level: Level) -> Self {
        let path = &hit.recording.path;
        Self {
            rank: hit.rank,
            score: hit.score,
            recording_id: hit.recording.id,
            path: path.to_string_lossy().into_owned(),
            path_hex: path_hex(path),
            start_s: hit.range.start_s,
            end_s: hit.range.end_s,
            duration_s: hit.recording.duration_s,
            status: hit.recording.status.clone(),
            codec: hit.recording.codec.clone(),
            classes: hit
                .classes
                .iter()
                .filter(|class| class.score >= LEAST_SCORE)
                .take(CLASSES_SHOWN)
                .map(|class| ClassRow { name: class.name.clone(), score: class.score })
                .collect(),
            readable_path: match hit.recording.status.as_str() {
                "ok" => readable_path(path).into_owned(),
                flaw => format!("{} ({flaw})", readable_path(path)),
            },
            level,
        }
    }

    fn class_names(&self) -> String {
        let names: Vec<&str> = self.classes.iter().map(|class| class.name.as_str()).collect();
        names.join("; ")
    }
}

impl Row for HitRow {
    const COLUMNS: &'static [&'static str] = &[
        "rank",
        "score",
        "recording_id",
        "path",
        "start_s",
        "end_s",
        "duration_s",
        "status",
        "codec",
        "classes",
    ];
    const HEADINGS: &'static [&'static str] =
        &["#", "Score", "Recording", "Seconds", "Id", "Sounds like"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.rank.to_string(),
            self.score.to_string(),
            self.recording_id.to_string(),
            self.path.clone(),
            self.start_s.to_string(),
            self.end_s.to_string(),
            self.duration_s.to_string(),
            self.status.clone(),
            self.codec.clone(),
            self.class_names(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        vec![
            self.rank.to_string(),
            format!("{:.3}", self.score),
            self.readable_path.clone(),
            match self.level {
                Level::Recording => format!("{:.2}", self.duration_s),
                Level::Segment => format!("{:.2}–{:.2}", self.start_s, self.end_s),
            },
            format!("id:{}", self.recording_id),
            self.class_names(),
        ]
    }
}
