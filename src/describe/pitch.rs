//! The pitch along a recording, as a model hears it.
//!
//! In: patches of a recording, and a model. Out: [`PitchTrack`]. A frame is *pitched* when the
//! model's confidence in its pitch is high enough, and the patch that it lies in is neither silent nor
//! constant. Pitched frames are one [`PitchedStretch`] as long as no more than 50 ms lie between them
//! and the pitch moves by less than a semitone from one to the next: a glide is one stretch, a melody
//! is a stretch a note. Stretches that are shorter than 50 ms are left out, being mostly consonants
//! and clicks.

use super::columns::{Column, Columns};
use super::listening::HearingSpec;
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::error::Result;
use crate::extract::RecordingEnd;
use crate::model::EmbeddingModel;
use crate::model::network::{Batch, Pitch};

/// More than a picture has pixels across.
pub(super) const MOST_COLUMNS: usize = 4_096;
/// The longest gap in a stretch, and the shortest stretch.
const GAP_S: f64 = 0.05;
/// How far the pitch moves from one frame to the next inside of a stretch, at most, in semitones.
const STEP_SEMITONES: f64 = 1.0;
/// The note A4, in Hz, and its number among the notes of MIDI.
const A4_HZ: f64 = 440.0;
const A4_NUMBER: f64 = 69.0;
const NOTES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// The note that is nearest to a frequency, in equal temperament with A4 at 440 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its name, such as `A` or `C#`.
    pub name: &'static str,
    /// Its octave; middle C begins the fourth.
    pub octave: i32,
    /// How far the frequency lies above it, in hundredths of a semitone: −50 to 50.
    pub cents: i32,
}

impl Note {
    /// The note nearest to `frequency_hz`, which is positive.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "octaves and cents are few, and remainders not negative"
    )]
    pub fn nearest(frequency_hz: f64) -> Self {
        let number = A4_NUMBER + semitones(A4_HZ, frequency_hz);
        let nearest = number.round();
        let name = NOTES[nearest.rem_euclid(12.0) as usize % NOTES.len()];
        let octave = nearest.div_euclid(12.0) as i32 - 1;
        Self { name, octave, cents: ((number - nearest) * 100.0).round() as i32 }
    }
}

/// From one frequency to another, in semitones.
fn semitones(from_hz: f64, to_hz: f64) -> f64 {
    12.0 * (to_hz / from_hz).log2()
}

/// A stretch with a pitch that has no leaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PitchedStretch {
    /// Where it is, in seconds from the recording's beginning.
    pub range: TimeRange,
    /// The mean of the frames' pitch, on the scale of semitones, in Hz.
    pub frequency_hz: f64,
    /// The lowest frame's.
    pub lowest_hz: f64,
    /// The highest frame's.
    pub highest_hz: f64,
    /// The mean of the frames' confidence.
    pub confidence: f32,
    /// Frames that are pitched.
    pub frames: usize,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PitchFrame {
    /// Its middle, in seconds from the recording's beginning.
    pub time_s: f64,
    /// What is heard there.
    pub pitch: Pitch,
}

/// The surest pitch of a column.
#[derive(Clone, Copy, Debug, Default)]
struct Surest(Option<Pitch>);

impl Column for Surest {
    fn add(&mut self, later: &Self) {
        if later.0.is_some_and(|later| self.0.is_none_or(|mine| later.confidence > mine.confidence))
        {
            self.0 = later.0;
        }
    }
}

/// The pitch along a recording, or along a part of it.
#[derive(Debug)]
pub struct PitchTrack {
    /// The model's name.
    pub model: String,
    /// From one frame to the next, in seconds.
    pub frame_hop_s: f64,
    /// The least confidence of a pitched frame.
    pub least_confidence: f32,
    /// Where the part begins, in seconds from the recording's beginning.
    pub start_s: f64,
    /// How long the part is, and how whole the recording.
    pub end: RecordingEnd,
    /// Frames, and how many of them are pitched.
    pub frames: usize,
    /// How many of them are pitched.
    pub pitched: usize,
    /// Patches, and how many of them are silent or constant.
    pub patches: usize,
    /// How many of them are silent or constant.
    pub left_out: usize,
    /// The stretches, in the order of time.
    pub stretches: Vec<PitchedStretch>,
    /// Every frame that is not silent, where they were asked for.
    pub kept: Vec<PitchFrame>,
    columns: Columns<Surest>,
}

impl PitchTrack {
    /// The surest pitched frame in each of `count` columns of the part; `None`, where there is none.
    pub fn columns(&self, count: usize) -> Vec<Option<Pitch>> {
        self.columns.resampled(count).into_iter().map(|Surest(pitch)| pitch).collect()
    }
}

/// Hears the pitch of one recording.
#[derive(Debug)]
pub(super) struct PitchEar<'a> {
    model: &'a EmbeddingModel,
    spec: &'a HearingSpec,
    start_s: f64,
    frame_hop_s: f64,
    frames: usize,
    pitched: usize,
    patches: usize,
    left_out: usize,
    joiner: Joiner,
    kept: Vec<PitchFrame>,
    columns: Columns<Surest>,
}

impl<'a> PitchEar<'a> {
    /// An ear for a model that tells the pitch.
    pub(super) fn new(model: &'a EmbeddingModel, spec: &'a HearingSpec) -> Self {
        Self {
            model,
            spec,
            start_s: spec.part.start_s(),
            frame_hop_s: 0.0,
            frames: 0,
            pitched: 0,
            patches: 0,
            left_out: 0,
            joiner: Joiner::default(),
            kept: Vec::new(),
            columns: Columns::new(MOST_COLUMNS),
        }
    }

    /// Hears the next patches, `health` being theirs: such models have one step a patch.
    pub(super) fn listen(&mut self, batch: &Batch<'_>, health: &[Health]) -> Result<()> {
        let output = self.model.pitch(batch)?;
        self.frame_hop_s = output.frame_hop_s;
        let mut frames = output.frames.iter();
        for (&count, &health) in output.frames_of.iter().zip(health) {
            let is_silent = health.has(Health::SILENT) || health.has(Health::CONSTANT);
            self.patches += 1;
            self.left_out += usize::from(is_silent);
            frames.by_ref().take(count).for_each(|&pitch| self.hear(pitch, is_silent));
        }
        Ok(())
    }

    /// Takes the next frame.
    fn hear(&mut self, pitch: Pitch, is_silent: bool) {
        let time_s = self.start_s + self.frames as f64 * self.frame_hop_s;
        let is_pitched = !is_silent && pitch.confidence >= self.spec.pitch_confidence;
        self.frames += 1;
        self.columns.push(&Surest(is_pitched.then_some(pitch)));
        if is_pitched {
            self.pitched += 1;
            self.joiner.push(time_s, self.frame_hop_s, pitch);
        }
        if self.spec.keeps_segments && !is_silent {
            self.kept.push(PitchFrame { time_s, pitch });
        }
    }

    /// What was heard of a recording, or of a part, that ended so.
    pub(super) fn finish(self, end: RecordingEnd) -> PitchTrack {
        let end_s = self.start_s + end.duration_s;
        let mut stretches = self.joiner.finish();
        for stretch in &mut stretches {
            let TimeRange { start_s, end_s: stretch_end_s } = &mut stretch.range;
            (*start_s, *stretch_end_s) = (start_s.max(self.start_s), stretch_end_s.min(end_s));
        }
        PitchTrack {
            model: self.model.card().name.clone(),
            frame_hop_s: self.frame_hop_s,
            least_confidence: self.spec.pitch_confidence,
            start_s: self.start_s,
            end,
            frames: self.frames,
            pitched: self.pitched,
            patches: self.patches,
            left_out: self.left_out,
            stretches,
            kept: self.kept,
            columns: self.columns,
        }
    }
}

/// Joins pitched frames into stretches as they come.
#[derive(Debug, Default)]
struct Joiner {
    open: Option<Open>,
    stretches: Vec<PitchedStretch>,
}

/// A stretch that may go on.
#[derive(Clone, Copy, Debug)]
struct Open {
    stretch: PitchedStretch,
    /// The pitch of its last frame.
    last_hz: f64,
    /// The sum of the logarithms of its frames' pitch, and of their confidence.
    log_sum: f64,
    confidence_sum: f64,
}

impl Joiner {
    /// Takes a pitched frame whose middle is at `time_s`.
    fn push(&mut self, time_s: f64, hop_s: f64, Pitch { frequency_hz, confidence }: Pitch) {
        let range = TimeRange { start_s: time_s - hop_s / 2.0, end_s: time_s + hop_s / 2.0 };
        let goes_on = |open: &Open| {
            range.start_s - open.stretch.range.end_s <= GAP_S + hop_s / 4.0
                && semitones(open.last_hz, frequency_hz).abs() < STEP_SEMITONES
        };
        let mut open = match self.open.take() {
            Some(open) if goes_on(&open) => open,
            before => {
                self.close(before);
                let stretch = PitchedStretch {
                    range,
                    frequency_hz,
                    lowest_hz: frequency_hz,
                    highest_hz: frequency_hz,
                    confidence,
                    frames: 0,
                };
                Open { stretch, last_hz: frequency_hz, log_sum: 0.0, confidence_sum: 0.0 }
            }
        };
        let stretch = &mut open.stretch;
        stretch.range.end_s = range.end_s;
        stretch.lowest_hz = stretch.lowest_hz.min(frequency_hz);
        stretch.highest_hz = stretch.highest_hz.max(frequency_hz);
        stretch.frames += 1;
        open.last_hz = frequency_hz;
        open.log_sum += frequency_hz.ln();
        open.confidence_sum += f64::from(confidence);
        self.open = Some(open);
    }

    fn close(&mut self, open: Option<Open>) {
        let Some(Open { mut stretch, log_sum, confidence_sum, .. }) = open else { return };
        // Half a millisecond, since sums of hops are no round numbers.
        if stretch.range.end_s - stretch.range.start_s < GAP_S - 5e-4 {
            return;
        }
        let frames = stretch.frames as f64;
        stretch.frequency_hz = (log_sum / frames).exp();
        #[expect(clippy::cast_possible_truncation, reason = "summed in f64, told in f32")]
        let confidence = (confidence_sum / frames) as f32;
        stretch.confidence = confidence;
        self.stretches.push(stretch);
    }

    fn finish(mut self) -> Vec<PitchedStretch> {
        let open = self.open.take();
        self.close(open);
        self.stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP_S: f64 = 0.01;

    /// Stretches of frames every 10 ms; 0 Hz is none. As milliseconds and rounded Hz.
    fn stretches(frames: &[f64]) -> Vec<(i64, i64, i64)> {
        let mut joiner = Joiner::default();
        for (index, &frequency_hz) in frames.iter().enumerate() {
            if frequency_hz > 0.0 {
                let pitch = Pitch { frequency_hz, confidence: 0.9 };
                joiner.push(index as f64 * HOP_S, HOP_S, pitch);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        let whole = |number: f64| number.round() as i64;
        let ms = |seconds: f64| whole(seconds * 1e3);
        let rows = joiner.finish().into_iter().map(|stretch| {
            (ms(stretch.range.start_s), ms(stretch.range.end_s), whole(stretch.frequency_hz))
        });
        rows.collect()
    }

    #[test]
    fn a_leap_begins_a_stretch_and_a_glide_does_not() {
        let leap = [[440.0; 10], [660.0; 10]].concat();
        assert_eq!(stretches(&leap), [(-5, 95, 440), (95, 195, 660)]);
        let glide: Vec<f64> = (0..=40).map(|n| 440.0 * (f64::from(n) / 40.0).exp2()).collect();
        // Over an octave, whose middle on the scale of semitones is a tritone up.
        assert_eq!(stretches(&glide), [(-5, 405, 622)]);
    }

    #[test]
    fn short_gaps_are_bridged_and_short_stretches_left_out() {
        let frames = [&[200.0; 5][..], &[0.0; 5], &[200.0; 5], &[0.0; 6], &[200.0; 4]].concat();
        assert_eq!(stretches(&frames), [(-5, 145, 200)]);
    }

    #[test]
    fn notes_have_the_names_that_players_know() {
        let note = |hz: f64| {
            let Note { name, octave, cents } = Note::nearest(hz);
            format!("{name}{octave} {cents:+}")
        };
        assert_eq!(note(440.0), "A4 +0");
        assert_eq!(note(261.6256), "C4 +0");
        assert_eq!(note(31.7), "B0 +46");
        assert_eq!(note(445.0), "A4 +20");
        assert_eq!(note(2_005.5), "B6 +26");
    }
}
