//! What a model that scores classes hears along a recording.
//!
//! In: patches of a recording, and a model. Out: [`Hearing`]. Segments of silence, and of one constant
//! value, are left out and counted: networks say something of them all the same. Classes are heard by
//! the rule of [`events`](super::events).

use super::columns::{Column, Columns};
use super::events::{Event, EventJoiner, EventSpec};
use super::listening::HearingSpec;
use crate::audio::health::Health;
use crate::audio::segment::{TimeRange, patch_range};
use crate::error::Result;
use crate::extract::RecordingEnd;
use crate::model::EmbeddingModel;
use crate::model::network::Batch;
use crate::model::pool::{Mean, top_scores};
use crate::model::registry;

/// More than a picture has pixels across, and with 521 classes some 8 MB.
const MOST_COLUMNS: usize = 2_048;

/// The highest classes of one segment.
#[derive(Clone, Debug, PartialEq)]
pub struct HeardSegment {
    /// The stretch, in seconds from the recording's beginning.
    pub range: TimeRange,
    /// Class numbers and scores, the highest first.
    pub classes: Vec<(usize, f32)>,
}

/// What is said of a class over the whole part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassSummary {
    /// The class's number.
    pub class: usize,
    /// Seconds of its events.
    pub heard_s: f64,
    /// Its highest score in a segment.
    pub highest: f32,
    /// Its mean score over all segments.
    pub mean: f32,
}

/// The highest score of each class in a column; empty of no segments.
#[derive(Clone, Debug, Default)]
struct Highest(Vec<f32>);

impl Column for Highest {
    fn add(&mut self, later: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&later.0);
            return;
        }
        for (highest, &score) in self.0.iter_mut().zip(&later.0) {
            *highest = highest.max(score);
        }
    }
}

/// What a model hears in a recording, or in a part of it.
#[derive(Debug)]
pub struct Hearing {
    /// The model's name.
    pub model: String,
    /// The names of its classes, by number.
    pub class_names: Vec<String>,
    /// Length of a segment, in seconds.
    pub window_s: f64,
    /// From one segment's start to the next one's, in seconds.
    pub hop_s: f64,
    /// When a class is heard.
    pub spec: EventSpec,
    /// Where the part begins, in seconds from the recording's beginning.
    pub start_s: f64,
    /// How long the part is, and how whole the recording.
    pub end: RecordingEnd,
    /// Segments, those left out included.
    pub segments: usize,
    /// Segments that were left out, being silent or constant.
    pub left_out: usize,
    /// The events; times count from the recording's beginning.
    pub events: Vec<Event>,
    /// The highest classes of each segment, where they were asked for.
    pub heard: Vec<HeardSegment>,
    mean: Vec<f32>,
    highest: Vec<f32>,
    columns: Columns<Highest>,
}

impl Hearing {
    /// The `count` classes that are heard longest; of those heard as long, such as not at all,
    /// those with the highest scores.
    pub fn classes(&self, count: usize) -> Vec<ClassSummary> {
        let mut classes: Vec<ClassSummary> = (0..self.class_names.len())
            .map(|class| ClassSummary {
                class,
                heard_s: 0.0,
                highest: self.highest[class],
                mean: self.mean[class],
            })
            .collect();
        for event in &self.events {
            classes[event.class].heard_s += event.range.end_s - event.range.start_s;
        }
        classes.sort_by(|a, b| {
            let by_time = b.heard_s.total_cmp(&a.heard_s);
            by_time.then(b.highest.total_cmp(&a.highest)).then(a.class.cmp(&b.class))
        });
        classes.truncate(count);
        classes
    }

    /// The highest score of `class` in each of `count` columns of the part, `[columns]`; `None`
    /// where nothing but silence is. A segment stands for the hop around its middle.
    pub fn scores(&self, class: usize, count: usize) -> Vec<Option<f32>> {
        let columns = self.columns.columns();
        let (hop_s, duration_s) = (self.hop_s, self.end.duration_s);
        // The hop around the first segment's middle begins so much behind its start.
        let lead_s = (self.window_s - hop_s) / 2.0;
        let place = |seconds: f64| {
            let segment = ((seconds - lead_s) / hop_s).floor().max(0.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "not negative, and no more than there are segments"
            )]
            let segment = segment as usize;
            let column = segment / self.columns.units_per_column();
            column.min(columns.len().saturating_sub(1))
        };
        (0..count)
            .map(|index| {
                let at = |index: usize| index as f64 / count as f64 * duration_s;
                // The end of a column is the beginning of the next one, and not in it.
                let (first, last) = (place(at(index)), place(at(index + 1) - 1e-9));
                let within = columns.get(first..=last.max(first))?;
                within.iter().filter_map(|highest| highest.0.get(class).copied()).reduce(f32::max)
            })
            .collect()
    }
}

/// Hears the classes of one recording.
#[derive(Debug)]
pub(super) struct ClassEar<'a> {
    model: &'a EmbeddingModel,
    spec: &'a HearingSpec,
    class_names: Vec<String>,
    start_s: f64,
    joiner: EventJoiner,
    heard: Vec<HeardSegment>,
    mean: Mean,
    highest: Vec<f32>,
    columns: Columns<Highest>,
    segments: usize,
    left_out: usize,
}

impl<'a> ClassEar<'a> {
    /// An ear for a model that scores classes.
    pub(super) fn new(model: &'a EmbeddingModel, spec: &'a HearingSpec) -> Result<Self> {
        let card = model.card();
        let classes = card.class_count();
        Ok(Self {
            model,
            spec,
            class_names: registry::class_names(&card.name)?,
            start_s: spec.part.start_s(),
            joiner: EventJoiner::new(spec.events, card.hop_s),
            heard: Vec::new(),
            mean: Mean::new(classes),
            highest: vec![0.0; classes],
            columns: Columns::new(MOST_COLUMNS),
            segments: 0,
            left_out: 0,
        })
    }

    /// Hears the next patches, `health` being that of their steps.
    pub(super) fn listen(&mut self, batch: &Batch<'_>, health: &[Health]) -> Result<()> {
        let output = self.model.embed_batch(batch)?;
        for (scores, &health) in output.scores.chunks_exact(self.highest.len()).zip(health) {
            self.hear(scores, health);
        }
        Ok(())
    }

    /// Takes the next segment.
    fn hear(&mut self, scores: &[f32], health: Health) {
        let card = self.model.card();
        // Where the recording ends shows at its end.
        let range = patch_range(self.segments, card.window_s, card.hop_s, f64::INFINITY);
        let (start_s, end_s) = (self.start_s + range.start_s, self.start_s + range.end_s);
        let range = TimeRange { start_s, end_s };
        self.segments += 1;
        if health.has(Health::SILENT) || health.has(Health::CONSTANT) {
            self.left_out += 1;
            self.columns.push(&Highest::default());
            return;
        }
        self.mean.add(scores);
        for (highest, &score) in self.highest.iter_mut().zip(scores) {
            *highest = highest.max(score);
        }
        self.columns.push(&Highest(scores.to_vec()));
        self.joiner.push(range, scores);
        if self.spec.keeps_segments {
            let classes = top_scores(scores, self.spec.events.top);
            self.heard.push(HeardSegment { range, classes });
        }
    }

    /// What was heard of a recording, or of a part, that ended so.
    pub(super) fn finish(self, end: RecordingEnd) -> Hearing {
        let card = self.model.card();
        let end_s = self.start_s + end.duration_s;
        let mut events = self.joiner.finish();
        // The last segments are padded past the end.
        for event in &mut events {
            event.range.end_s = event.range.end_s.min(end_s);
        }
        let mut heard = self.heard;
        for segment in &mut heard {
            segment.range.end_s = segment.range.end_s.min(end_s);
        }
        Hearing {
            model: card.name.clone(),
            class_names: self.class_names,
            window_s: card.window_s,
            hop_s: card.hop_s,
            spec: self.spec.events,
            start_s: self.start_s,
            end,
            segments: self.segments,
            left_out: self.left_out,
            events,
            heard,
            mean: self.mean.mean(),
            highest: self.highest,
            columns: self.columns,
        }
    }
}
