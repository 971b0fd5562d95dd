//! The pitch along time, on an axis of octaves.
//!
//! In: a track. Out: the range that holds it, its ticks, and its pixels.

use super::colour::{Rgb, colour};
use super::raster::Raster;
use super::scales::frequencies;
use crate::describe::pitch::{Note, PitchTrack};

/// Pixels from the lowest to the highest pitch.
pub(super) const PITCH_HEIGHT: i32 = 120;
/// Half the height of a mark, in pixels.
const HALF_MARK: usize = 1;
/// Lines of the notes C.
const OCTAVE: Rgb = [225; 3];
const WHITE: Rgb = [255; 3];
/// The frequency of C0, in Hz, in equal temperament with A4 at 440 Hz.
const C0_HZ: f64 = 16.351597831287414;
/// Octaves that are shown at least: so much of a speaker's range that a steady voice looks steady.
const LEAST_OCTAVES: f64 = 2.0;

/// What lies between the lower and the upper edge, in octaves above C0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PitchAxis {
    low: f64,
    high: f64,
}

impl PitchAxis {
    /// The range of what `track` has, with a quarter of an octave around it; `None`, where it has no
    /// pitch.
    pub(super) fn of(track: &PitchTrack) -> Option<Self> {
        // Any number of columns finds the same: some of each that is kept.
        let heard = track.columns(crate::describe::pitch::MOST_COLUMNS).into_iter().flatten();
        let octaves = heard.map(|pitch| octaves(pitch.frequency_hz));
        let (low, high) = octaves
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), octave| {
                (low.min(octave), high.max(octave))
            });
        if low > high {
            return None;
        }
        let margin = 0.25_f64.max((LEAST_OCTAVES - (high - low)) / 2.0);
        Some(Self { low: low - margin, high: high + margin })
    }

    /// Where `hertz` lies: 0 at the upper edge, 1 at the lower one.
    pub(super) fn share_from_top(self, hertz: f64) -> f64 {
        (self.high - octaves(hertz)) / (self.high - self.low)
    }

    fn has(self, hertz: f64) -> bool {
        (self.low..=self.high).contains(&octaves(hertz))
    }

    /// Round frequencies, and the text at each.
    pub(super) fn frequencies(self) -> impl Iterator<Item = (f64, String)> {
        let all = frequencies(10_000.0).filter(move |&hertz| self.has(hertz));
        all.map(|hertz| (hertz, hertz.to_string()))
    }

    /// The notes C, and the name of each.
    pub(super) fn notes(self) -> impl Iterator<Item = (f64, String)> {
        let all = (0..12).map(|octave| C0_HZ * f64::from(octave).exp2());
        all.filter(move |&hertz| self.has(hertz)).map(|hertz| {
            let Note { name, octave, .. } = Note::nearest(hertz);
            (hertz, format!("{name}{octave}"))
        })
    }
}

fn octaves(hertz: f64) -> f64 {
    (hertz / C0_HZ).log2()
}

/// The track as `width` columns of pixels.
pub(super) fn track_raster(track: &PitchTrack, axis: PitchAxis, width: usize) -> Raster {
    let height = PITCH_HEIGHT.cast_unsigned() as usize;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rows of a picture; what lies above it is its first row"
    )]
    let row = |hertz: f64| ((axis.share_from_top(hertz) * height as f64) as usize).min(height - 1);
    let marks: Vec<_> = track
        .columns(width)
        .into_iter()
        .map(|pitch| pitch.map(|pitch| (row(pitch.frequency_hz), colour(pitch.confidence))))
        .collect();
    let mut is_octave = vec![false; height];
    axis.notes().for_each(|(hertz, _)| is_octave[row(hertz)] = true);
    Raster::new(width, height, |x, y| match marks.get(x).copied().flatten() {
        Some((row, shade)) if row.abs_diff(y) <= HALF_MARK => shade,
        _ if is_octave[y] => OCTAVE,
        _ => WHITE,
    })
}
