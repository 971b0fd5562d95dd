//! What consists of pixels: spectrograms, lanes of scores, and the bars that say what a colour
//! means.
//!
//! In: levels and scores. Out: [`Raster`], of any size.

use super::colour::{Rgb, colour};
use crate::describe::events::Event;
use crate::describe::hearing::Hearing;
use crate::describe::spectrogram::{BANDS, FLOOR_DB, Spectrogram};

const WHITE: Rgb = [255; 3];
const BLACK: Rgb = [0; 3];
/// Lines of what is silent.
const HATCH: Rgb = [200; 3];
/// Pixels from one of these lines to the next.
const HATCH_PIXELS: usize = 6;

/// Decibels that a spectrogram shows at most: what is quieter is as white as silence.
const WIDEST_DB: f32 = 80.0;
/// And at least, so that even noise is not all contrast.
const NARROWEST_DB: f32 = 30.0;

/// Pixels, row by row from the upper left one on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `[height, width]`.
    pub pixels: Vec<Rgb>,
}

impl Raster {
    /// One whose pixel of column x and row y, counted from above, is `pixel(x, y)`.
    pub fn new(width: usize, height: usize, pixel: impl Fn(usize, usize) -> Rgb) -> Self {
        let pixel = &pixel;
        let rows = (0..height).flat_map(|y| (0..width).map(move |x| pixel(x, y)));
        Self { width, height, pixels: rows.collect() }
    }
}

/// The levels that colours stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelRange {
    /// The level of the lightest colour, in decibels.
    pub low_db: f32,
    /// The level of the darkest one.
    pub high_db: f32,
}

impl LevelRange {
    /// A range for `levels`, in steps of ten decibels: up to the loudest but for one in a
    /// thousand, down to the quietest twentieth.
    pub fn of(levels: &[f32]) -> Self {
        let mut sounding: Vec<f32> =
            levels.iter().copied().filter(|&level| level > FLOOR_DB).collect();
        if sounding.is_empty() {
            return Self { low_db: -WIDEST_DB, high_db: 0.0 };
        }
        let mut at = |per_mille: usize| {
            let place = (sounding.len() - 1) * per_mille / 1_000;
            *sounding.select_nth_unstable_by(place, f32::total_cmp).1
        };
        let (low, high) = (at(50), at(999));
        let high_db = (high / 10.0).ceil() * 10.0;
        let low_db =
            ((low / 10.0).floor() * 10.0).clamp(high_db - WIDEST_DB, high_db - NARROWEST_DB);
        Self { low_db, high_db }
    }

    /// Where `level` lies in it: 0 to 1.
    fn share(self, level: f32) -> f32 {
        (level - self.low_db) / (self.high_db - self.low_db)
    }
}

/// `spectrogram`, low frequencies below.
pub fn spectrogram(spectrogram: &Spectrogram, size: (usize, usize)) -> (Raster, LevelRange) {
    let range = LevelRange::of(&spectrogram.levels(size.0));
    (spectrogram_within(spectrogram, size, range), range)
}

/// `spectrogram`, low frequencies below, in the colours of `range`: pictures of parts of a recording
/// that have the same range can stand side by side.
pub fn spectrogram_within(
    spectrogram: &Spectrogram,
    (width, height): (usize, usize),
    range: LevelRange,
) -> Raster {
    let levels = spectrogram.levels(width);
    Raster::new(width, height, |x, y| {
        let band = (height - 1 - y) * BANDS / height;
        let level = levels.get(x * BANDS + band).copied().unwrap_or(FLOOR_DB);
        colour(range.share(level))
    })
}

/// The score of `class` along time, and black below it where an event is. What is silent is
/// hatched.
pub fn lane(hearing: &Hearing, class: usize, (width, height): (usize, usize)) -> Raster {
    let scores = hearing.scores(class, width);
    let is_event = event_columns(hearing, class, width);
    let bar = height - height.div_ceil(5);
    Raster::new(width, height, |x, y| match scores.get(x) {
        // A segment that is heard reaches into the silence beside it.
        _ if y > bar && is_event[x] => BLACK,
        Some(Some(_)) if y >= bar => WHITE,
        Some(Some(score)) => colour(*score),
        _ if (x + y).is_multiple_of(HATCH_PIXELS) => HATCH,
        _ => WHITE,
    })
}

/// Which of `width` columns an event of `class` is in; of each event one at least.
fn event_columns(hearing: &Hearing, class: usize, width: usize) -> Vec<bool> {
    let mut found = vec![false; width];
    let duration_s = hearing.end.duration_s;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times lie in the part"
    )]
    let column = |seconds: f64| (seconds / duration_s * width as f64) as usize;
    for Event { range, .. } in hearing.events.iter().filter(|event| event.class == class) {
        let first = column(range.start_s - hearing.start_s).min(width.saturating_sub(1));
        let behind = column(range.end_s - hearing.start_s).clamp(first + 1, width.max(first + 1));
        found[first..behind].fill(true);
    }
    found
}

/// The meaning of colours: the most at the top.
pub fn colour_bar(width: usize, height: usize) -> Raster {
    let last = height.saturating_sub(1).max(1) as f32;
    Raster::new(width, height, |_, y| colour(1.0 - y as f32 / last))
}
