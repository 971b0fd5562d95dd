//! `sonoteca info`: what the library holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use sonoteca::Result;
use sonoteca::audio::health::Health;
use sonoteca::audio::segment::Segmentation;
use sonoteca::model::card::Sha256;
use sonoteca::search::generation::CacheState;
use sonoteca::store::Library;
use sonoteca::store::migrate::newest_version;
use sonoteca::store::models::StoredModel;

use super::refresh::LEVELS;
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
        failures: library.failure_count()?,
        codecs: library.codecs()?.into_iter().collect(),
        models: library
            .models()?
            .into_iter()
            .map(|model| ModelInfo::new(&library, model))
            .collect::<Result<_>>()?,
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
    failures: u64,
    codecs: BTreeMap<String, u64>,
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
    segment_s: f64,
    hop_s: f64,
    /// Segments that searches of segments leave out, and why; one may count under several.
    left_out: u64,
    left_out_for: BTreeMap<&'static str, u64>,
    precisions: BTreeMap<String, u64>,
    index: Vec<IndexInfo>,
}

impl ModelInfo {
    fn new(library: &Library, model: StoredModel) -> Result<Self> {
        let left_out = library.left_out(model.id)?;
        let kinds = Health::KINDS.into_iter().map(|(_, name)| name).zip(left_out.by_kind);
        let precisions = library.precisions(model.id)?.into_iter();
        let index = LEVELS
            .into_iter()
            .map(|(level, name)| Ok(IndexInfo::new(name, CacheState::of(library, &model, level)?)))
            .collect::<Result<_>>()?;
        let patches = Segmentation { segment_s: model.window_s, hop_s: model.hop_s };
        let segmentation = model.segmentation.unwrap_or(patches);
        Ok(Self {
            name: model.identity.name,
            weights_sha256: Sha256(model.identity.weights_sha256).to_string(),
            front_end_version: model.identity.front_end_version,
            dimension: model.identity.dimension,
            recordings: model.recordings,
            segments: model.segments,
            segment_s: segmentation.segment_s,
            hop_s: segmentation.hop_s,
            left_out: left_out.segments,
            left_out_for: kinds.filter(|(_, count)| *count > 0).collect(),
            precisions: precisions.map(|found| (found.precision, found.recordings)).collect(),
            index,
        })
    }

    /// `others`: whether the library holds another model of this name.
    fn text(&self, others: bool) -> String {
        let version = if others {
            let hash: String = self.weights_sha256.chars().take(12).collect();
            format!(" (weights {hash}, front end {})", self.front_end_version)
        } else {
            String::new()
        };
        let mut text = format!(
            "{}{version}: {} of {} s every {} s, {} dimensions, from {}",
            self.name,
            counted(self.segments, "segment"),
            self.segment_s,
            self.hop_s,
            self.dimension,
            counted(self.recordings, "recording"),
        );
        if self.precisions.keys().any(|precision| precision != "f32") {
            let each = self.precisions.iter();
            let each: Vec<_> =
                each.map(|(name, count)| format!("{} in {name}", grouped(*count))).collect();
            let _ = write!(text, "; embedded {}", each.join(", "));
        }
        if self.left_out > 0 {
            let each = self.left_out_for.iter();
            let each: Vec<_> =
                each.map(|(name, count)| format!("{} {name}", grouped(*count))).collect();
            let _ = write!(
                text,
                "\n  left out of searches by segment: {} ({})",
                grouped(self.left_out),
                each.join(", ")
            );
        }
        for index in &self.index {
            let _ = write!(text, "\n  {}", index.text());
        }
        text
    }
}

/// What searches of one level use.
#[derive(Debug, Serialize)]
struct IndexInfo {
    level: &'static str,
    /// Vectors in the index.
    rows: u64,
    /// Vectors that came since; searches see them too.
    delta: u64,
    /// Vectors that went since; searches leave them out.
    dead: u64,
    file_bytes: u64,
    /// The share of the ten nearest that its searches are to find.
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<f64>,
    /// What its graph finds of the ten nearest, as measured when it was built, with the interval
    /// that holds it with 95 %: the lower one of stored vectors, searched for among the others, and
    /// of what lies halfway between two near ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    recall: Option<[f64; 3]>,
    /// Why it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl IndexInfo {
    fn new(level: &'static str, state: CacheState) -> Self {
        let recall = state.recall.map(|recall| recall.lower());
        let recall = recall.map(|recall| [recall.recall, recall.low, recall.high]);
        let CacheState { rows, delta, dead, file_bytes, wanted, problem, .. } = state;
        Self { level, rows, delta, dead, file_bytes, wanted, recall, problem }
    }

    fn text(&self) -> String {
        if let Some(problem) = &self.problem {
            return format!("index by {}: {problem}: sonoteca reindex", self.level);
        }
        let mut text = format!(
            "index by {}: {}, {}",
            self.level,
            counted(self.rows, "vector"),
            readable_bytes(self.file_bytes)
        );
        for (count, what) in [(self.delta, "newer"), (self.dead, "removed")] {
            if count > 0 {
                let _ = write!(text, ", {} {what}", grouped(count));
            }
        }
        match self.recall {
            Some([recall, low, high]) => {
                let _ = write!(text, ", recall@10 {recall:.4} ({low:.4}–{high:.4})");
            }
            None => text.push_str(", all compared"),
        }
        text
    }
}

impl Info {
    fn segments(&self) -> u64 {
        self.models.iter().map(|model| model.segments).sum()
    }

    fn codec_text(&self) -> String {
        let each: Vec<_> =
            self.codecs.iter().map(|(name, count)| format!("{} {name}", grouped(*count))).collect();
        let half = if self.codecs.keys().any(|name| name.starts_with("he_aac")) {
            "; of he_aac the lower half of the band is heard"
        } else {
            ""
        };
        format!(
            "codecs: {}{half}",
            if each.is_empty() { "none".to_owned() } else { each.join(", ") }
        )
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
        lines.push(self.codec_text());
        let others = |name: &str| self.models.iter().filter(|model| model.name == name).count() > 1;
        lines.extend(self.models.iter().map(|model| model.text(others(&model.name))));
        if self.failures > 0 {
            let count = counted(self.failures, "file");
            lines.push(format!("{count} could not be indexed: sonoteca failures"));
        }
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
        "left_out",
        "failures",
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
            self.models.iter().map(|model| model.left_out).sum::<u64>().to_string(),
            self.failures.to_string(),
        ]
    }

    fn readable(&self) -> Vec<String> {
        self.cells()
    }
}
