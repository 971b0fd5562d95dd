//! `sonoteca info`: what the library holds.

use serde::Serialize;
use sonoteca::Result;
use sonoteca::model::card::Sha256;
use sonoteca::store::Library;
use sonoteca::store::migrate::newest_version;

use crate::cli::Status;
use crate::cli::printer::{Printer, Row, counted, grouped, readable_bytes, readable_duration};
use crate::cli::settings::Settings;

pub(crate) fn run(settings: &Settings, printer: &mut Printer) -> Result<Status> {
    let library = Library::open(&settings.library)?;
    let totals = library.totals()?;
    let info = Info {
        library: library.path().to_string_lossy().into_owned(),
        file_bytes: library.file_bytes()?,
        schema_version: newest_version(),
        recordings: totals.recordings,
        truncated: totals.truncated,
        damaged: totals.damaged,
        audio_s: totals.duration_s,
        models: library
            .models()?
            .into_iter()
            .map(|model| ModelInfo {
                name: model.identity.name,
                weights_sha256: Sha256(model.identity.weights_sha256).to_string(),
                front_end_version: model.identity.front_end_version,
                dimension: model.identity.dimension,
                recordings: model.recordings,
                segments: model.segments,
            })
            .collect(),
    };
    printer.record(&info, &info.text())?;
    Ok(Status::Done)
}

#[derive(Debug, Serialize)]
struct Info {
    library: String,
    file_bytes: u64,
    schema_version: i32,
    recordings: u64,
    truncated: u64,
    damaged: u64,
    audio_s: f64,
    models: Vec<ModelInfo>,
}

#[derive(Debug, Serialize)]
struct ModelInfo {
    name: String,
    weights_sha256: String,
    front_end_version: u32,
    dimension: usize,
    recordings: u64,
    segments: u64,
}

impl Info {
    fn segments(&self) -> u64 {
        self.models.iter().map(|model| model.segments).sum()
    }

    fn text(&self) -> String {
        let mut flaws = Vec::new();
        for (count, flaw) in [(self.truncated, "truncated"), (self.damaged, "damaged")] {
            if count > 0 {
                flaws.push(format!("{} {flaw}", grouped(count)));
            }
        }
        let flaws =
            if flaws.is_empty() { String::new() } else { format!(" ({})", flaws.join(", ")) };
        let mut lines = vec![
            format!(
                "{}: {}, schema version {}",
                self.library,
                readable_bytes(self.file_bytes),
                self.schema_version
            ),
            format!(
                "{}{flaws}, {} of audio",
                counted(self.recordings, "recording"),
                readable_duration(self.audio_s)
            ),
        ];
        lines.extend(self.models.iter().map(|model| {
            format!(
                "{}: {} of {} dimensions from {}",
                model.name,
                counted(model.segments, "segment"),
                model.dimension,
                counted(model.recordings, "recording"),
            )
        }));
        lines.join("\n") + "\n"
    }
}

impl Row for Info {
    const COLUMNS: &'static [&'static str] = &[
        "library",
        "file_bytes",
        "schema_version",
        "recordings",
        "truncated",
        "damaged",
        "audio_s",
        "models",
        "segments",
    ];
    const HEADINGS: &'static [&'static str] = Self::COLUMNS;

    fn cells(&self) -> Vec<String> {
        let names: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
        vec![
            self.library.clone(),
            self.file_bytes.to_string(),
            self.schema_version.to_string(),
            self.recordings.to_string(),
            self.truncated.to_string(),
            self.damaged.to_string(),
            self.audio_s.to_string(),
            names.join("; "),
            self.segments().to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
