//! The panels of a picture, one above the other along one axis of time.
//!
//! In: a figure. Out: lines and letters on a drawing area, and images with their places. Letters
//! are 12 pixels high and take at most 0.65 of that in width, in `DejaVu` Sans, which is among the
//! widest fonts: what fits in it fits in others.

use std::io;

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBColor, TextStyle};

use super::pitch_panel::{PITCH_HEIGHT, PitchAxis, track_raster};
use super::raster::{LevelRange, Raster, colour_bar, lane, spectrogram};
use super::scales::{amplitude_limit, frequencies, kilohertz, time_ticks};
use super::{Figure, one_line, shortened};
use crate::describe::events::EventSpec;
use crate::describe::hearing::{ClassSummary, Hearing};
use crate::describe::pitch::PitchTrack;

/// What drawing fails with.
pub(super) type DrawingError = DrawingAreaErrorKind<io::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingError>;
type Images = Vec<((u32, u32), Raster)>;

const INK: RGBColor = RGBColor(0, 0, 0);
const GREY: RGBColor = RGBColor(90, 90, 90);
const LINE: RGBColor = RGBColor(150, 150, 150);
const WAVE: RGBColor = RGBColor(150, 165, 190);
const WAVE_RMS: RGBColor = RGBColor(50, 70, 110);
const FONT: &str = "sans-serif";
/// Plotters writes sizes by the height of a line, 1.24 times that of its letters.
const LINE_HEIGHT: f64 = 1.24;
const LETTERS: f64 = 12.0;
const TITLE_LETTERS: f64 = 17.0;

const PLOT_LEFT: i32 = 214;
const PLOT_WIDTH: i32 = 900;
const PLOT_RIGHT: i32 = PLOT_LEFT + PLOT_WIDTH;
const WIDTH: i32 = PLOT_RIGHT + 118;
const WAVEFORM_TOP: i32 = 64;
const WAVEFORM_HEIGHT: i32 = 96;
const SPECTROGRAM_TOP: i32 = WAVEFORM_TOP + WAVEFORM_HEIGHT + 14;
/// Two pixels a band.
const SPECTROGRAM_HEIGHT: i32 = 256;
const GROUP_HEADING: i32 = 30;
const LANE_HEIGHT: i32 = 20;
const LANE_GAP: i32 = 4;
const TICK: i32 = 5;
const TIME_AXIS_HEIGHT: i32 = 48;
const COLOUR_BAR_WIDTH: i32 = 14;
/// Characters that fit beside a plot, and above it.
const NAME_CHARACTERS: usize = 25;
const TITLE_CHARACTERS: usize = 90;
/// Ticks of the time axis, at most: texts such as `12:34:56` have room.
pub(super) const TIME_TICKS: usize = 12;

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) size: (u32, u32),
    /// Of each group of lanes, the upper edge of its heading, and its classes.
    groups: Vec<(i32, Vec<ClassSummary>)>,
    /// The upper edge of the heading of each panel of pitch.
    pitches: Vec<i32>,
    /// The lower edge of the last panel.
    bottom: i32,
}

impl Layout {
    pub(super) fn new(figure: &Figure<'_>) -> Self {
        let mut bottom = SPECTROGRAM_TOP + SPECTROGRAM_HEIGHT;
        let mut groups = Vec::new();
        for hearing in figure.hearings {
            // Of nothing that was heard, lanes would be of any classes.
            let is_heard = hearing.left_out < hearing.segments;
            let classes = hearing.classes(if is_heard { figure.lanes } else { 0 });
            let lanes = i32::try_from(classes.len()).unwrap_or(i32::MAX / LANE_HEIGHT / 2);
            groups.push((bottom, classes));
            bottom += GROUP_HEADING + lanes * (LANE_HEIGHT + LANE_GAP) - LANE_GAP;
        }
        let mut pitches = Vec::new();
        for track in figure.pitches {
            pitches.push(bottom);
            bottom += GROUP_HEADING + if track.pitched > 0 { PITCH_HEIGHT } else { 0 };
        }
        let height = bottom + TIME_AXIS_HEIGHT;
        Self { size: (WIDTH.cast_unsigned(), height.cast_unsigned()), groups, pitches, bottom }
    }
}

/// A figure that is being drawn.
pub(super) struct Drawing<'a, 'svg> {
    pub(super) area: &'a Area<'svg>,
    pub(super) layout: &'a Layout,
}

impl Drawing<'_, '_> {
    pub(super) fn draw(&self, figure: &Figure<'_>) -> Result<Images, DrawingError> {
        let mut images = Images::new();
        self.heading(figure)?;
        self.waveform(figure)?;
        self.spectrogram(figure, &mut images)?;
        for (hearing, (top, classes)) in figure.hearings.iter().zip(&self.layout.groups) {
            self.lanes(hearing, *top, classes, &mut images)?;
        }
        for (track, top) in figure.pitches.iter().zip(&self.layout.pitches) {
            self.pitch(track, *top, &mut images)?;
        }
        self.time_axis(figure)?;
        Ok(images)
    }

    fn heading(&self, figure: &Figure<'_>) -> Drawn {
        let outline = figure.outline;
        let title = shortened(&one_line(figure.title), TITLE_CHARACTERS);
        let style = (FONT, TITLE_LETTERS * LINE_HEIGHT).into_font().color(&INK);
        let style = style.pos(Pos::new(HPos::Left, VPos::Center));
        self.area.draw(&Text::new(title, (PLOT_LEFT, 20), style))?;
        let (start_s, end_s) = (outline.start_s, figure.end_s());
        let stretch =
            if start_s > 0.0 { format!("{start_s} to {end_s:.2} s") } else { length(end_s) };
        let channels = match outline.format.channels {
            1 => "one channel".to_owned(),
            several => format!("{several} channels"),
        };
        let silent = if outline.envelope.peak() > 0.0 { "" } else { ", silent" };
        let flaw = outline.integrity.flaw().map_or_else(String::new, |flaw| format!(", {flaw}"));
        let rate = kilohertz(f64::from(outline.format.sample_rate.hertz()));
        let facts = format!("{stretch}, {rate} kHz, {channels}{flaw}{silent}");
        self.text(&facts, (PLOT_LEFT, 44), GREY, HPos::Left)
    }

    fn waveform(&self, figure: &Figure<'_>) -> Drawn {
        let envelope = &figure.outline.envelope;
        let (limit, limit_text) = amplitude_limit(envelope.peak());
        let middle = WAVEFORM_TOP + WAVEFORM_HEIGHT / 2;
        let half = f64::from(WAVEFORM_HEIGHT / 2 - 2);
        let y =
            |amplitude: f32| middle - whole(f64::from((amplitude / limit).clamp(-1.0, 1.0)) * half);
        let extents = envelope.extents(PLOT_WIDTH.cast_unsigned() as usize);
        let columns = || (PLOT_LEFT..).zip(&extents);
        let outlined = |upper: Vec<(i32, i32)>, lower: Vec<(i32, i32)>, colour: RGBColor| {
            // What has no height has a line's.
            let lower = upper.iter().zip(lower).map(|(up, low)| (low.0, low.1.max(up.1 + 1)));
            let lower: Vec<_> = lower.collect();
            let around: Vec<_> = upper.into_iter().chain(lower.into_iter().rev()).collect();
            self.area.draw(&Polygon::new(around, colour.filled()))
        };
        self.line((PLOT_LEFT, middle), (PLOT_RIGHT, middle), LINE)?;
        let upper = columns().map(|(x, extent)| (x, y(extent.highest))).collect();
        let lower = columns().map(|(x, extent)| (x, y(extent.lowest))).collect();
        outlined(upper, lower, WAVE)?;
        let upper = columns().map(|(x, extent)| (x, y(extent.rms()))).collect();
        let lower = columns().map(|(x, extent)| (x, y(-extent.rms()))).collect();
        outlined(upper, lower, WAVE_RMS)?;
        self.frame(WAVEFORM_TOP, WAVEFORM_HEIGHT)?;
        for (amplitude, text) in [
            (limit, limit_text.to_owned()),
            (0.0, "0".to_owned()),
            (-limit, format!("−{limit_text}")),
        ] {
            self.left_tick(y(amplitude), &text)?;
        }
        self.vertical("amplitude", (PLOT_LEFT - 64, middle))?;
        let beside = PLOT_RIGHT + 10;
        self.text("light: peaks", (beside, middle - 9), GREY, HPos::Left)?;
        self.text("dark: RMS", (beside, middle + 9), GREY, HPos::Left)
    }

    fn spectrogram(&self, figure: &Figure<'_>, images: &mut Images) -> Drawn {
        let shown = &figure.outline.spectrogram;
        let size =
            (PLOT_WIDTH.cast_unsigned() as usize, SPECTROGRAM_HEIGHT.cast_unsigned() as usize);
        let (raster, range) = spectrogram(shown, size);
        images.push((place(PLOT_LEFT, SPECTROGRAM_TOP), raster));
        self.frame(SPECTROGRAM_TOP, SPECTROGRAM_HEIGHT)?;
        let bottom = SPECTROGRAM_TOP + SPECTROGRAM_HEIGHT;
        let nyquist = f64::from(shown.sample_rate().hertz()) / 2.0;
        let mut last = bottom;
        for hertz in frequencies(nyquist) {
            let y = bottom - whole(shown.height(hertz) * f64::from(SPECTROGRAM_HEIGHT));
            // Texts keep a line's distance from one another and stay beside their panel.
            if last - y >= 18 && y >= SPECTROGRAM_TOP + 5 {
                self.left_tick(y, &kilohertz(hertz))?;
                last = y;
            }
        }
        let middle = SPECTROGRAM_TOP + SPECTROGRAM_HEIGHT / 2;
        self.vertical("frequency, kHz (mel scale)", (PLOT_LEFT - 64, middle))?;
        self.levels(range, images)
    }

    /// The bar beside the spectrogram that says what its colours mean.
    fn levels(&self, range: LevelRange, images: &mut Images) -> Drawn {
        let (left, top, height) = (PLOT_RIGHT + 14, SPECTROGRAM_TOP, SPECTROGRAM_HEIGHT);
        self.colour_bar(left, (top, height), images)?;
        let steps = (range.high_db - range.low_db) / 10.0;
        let mut index = 0_u8;
        while f32::from(index) <= steps {
            let share = f32::from(index) / steps;
            let y = top + whole(f64::from(share) * f64::from(height));
            // Without the sign that a zero may have.
            let level = f64::from(range.high_db - 10.0 * f32::from(index)) + 0.0;
            let text = format!("{level:.0}").replace('-', "−");
            // The first and the last one stay beside the bar.
            self.right_tick(left + COLOUR_BAR_WIDTH, y, y.clamp(top + 5, top + height - 5), &text)?;
            index += 1;
        }
        let name = "level, dB (0: a full-scale sine)";
        self.vertical(name, (left + COLOUR_BAR_WIDTH + 54, top + height / 2))
    }

    fn lanes(
        &self,
        hearing: &Hearing,
        top: i32,
        classes: &[ClassSummary],
        images: &mut Images,
    ) -> Drawn {
        let heading_y = top + GROUP_HEADING - 11;
        if classes.is_empty() {
            let heading = format!("{}: nothing but silence", hearing.model);
            return self.text(&heading, (PLOT_LEFT, heading_y), INK, HPos::Left);
        }
        let hatched = if hearing.left_out > 0 { "; hatched: silent" } else { "" };
        let EventSpec { threshold, top: highest } = hearing.spec;
        let heading = format!(
            "{}: scores of classes; black below: an event, {threshold} or more and among the \
             {highest} highest{hatched}",
            hearing.model
        );
        self.text(&heading, (PLOT_LEFT, heading_y), INK, HPos::Left)?;
        self.text("highest", (PLOT_RIGHT + 6, heading_y), GREY, HPos::Left)?;
        let first = top + GROUP_HEADING;
        let mut y = first;
        for class in classes {
            let name = hearing.class_names.get(class.class).map_or("", String::as_str);
            let middle = y + LANE_HEIGHT / 2;
            let name = shortened(&one_line(name), NAME_CHARACTERS);
            self.text(&name, (PLOT_LEFT - 8, middle), INK, HPos::Right)?;
            let size = (PLOT_WIDTH.cast_unsigned() as usize, LANE_HEIGHT.cast_unsigned() as usize);
            images.push((place(PLOT_LEFT, y), lane(hearing, class.class, size)));
            self.frame(y, LANE_HEIGHT)?;
            let highest = format!("{:.2}", class.highest);
            self.text(&highest, (PLOT_RIGHT + 6, middle), INK, HPos::Left)?;
            y += LANE_HEIGHT + LANE_GAP;
        }
        let height = y - LANE_GAP - first;
        // A bar needs room for its two texts.
        if height < 2 * LANE_HEIGHT {
            return Ok(());
        }
        let left = PLOT_RIGHT + 58;
        self.colour_bar(left, (first, height), images)?;
        let beside = left + COLOUR_BAR_WIDTH;
        self.right_tick(beside, first, first + 5, "1")?;
        self.right_tick(beside, first + height, first + height - 5, "0")
    }

    fn pitch(&self, track: &PitchTrack, top: i32, images: &mut Images) -> Drawn {
        let heading_y = top + GROUP_HEADING - 11;
        let Some(axis) = PitchAxis::of(track) else {
            let heading = format!("{}: no pitch", track.model);
            return self.text(&heading, (PLOT_LEFT, heading_y), INK, HPos::Left);
        };
        let heading = format!(
            "{}: pitch, where its confidence is {} or more; darker is surer",
            track.model, track.least_confidence
        );
        self.text(&heading, (PLOT_LEFT, heading_y), INK, HPos::Left)?;
        let first = top + GROUP_HEADING;
        let width = PLOT_WIDTH.cast_unsigned() as usize;
        images.push((place(PLOT_LEFT, first), track_raster(track, axis, width)));
        self.frame(first, PITCH_HEIGHT)?;
        let mut last = i32::MAX;
        for (hertz, text) in axis.frequencies() {
            let y = first + whole(axis.share_from_top(hertz) * f64::from(PITCH_HEIGHT));
            if last - y >= 18 {
                self.left_tick(y, &text)?;
                last = y;
            }
        }
        for (hertz, name) in axis.notes() {
            let y = first + whole(axis.share_from_top(hertz) * f64::from(PITCH_HEIGHT));
            self.right_tick(PLOT_RIGHT, y, y, &name)?;
        }
        let middle = first + PITCH_HEIGHT / 2;
        self.vertical("pitch, Hz", (PLOT_LEFT - 64, middle))?;
        self.vertical("note", (PLOT_RIGHT + 54, middle))
    }

    fn time_axis(&self, figure: &Figure<'_>) -> Drawn {
        let (start_s, end_s) = (figure.outline.start_s, figure.end_s());
        let axis = time_ticks(start_s, end_s, TIME_TICKS);
        let bottom = self.layout.bottom;
        for (seconds, text) in axis.ticks {
            let share = (seconds - start_s) / (end_s - start_s);
            let x = PLOT_LEFT + whole(share * f64::from(PLOT_WIDTH));
            self.line((x, bottom), (x, bottom + TICK), GREY)?;
            // Where one looks up from the lanes.
            let spectrogram = SPECTROGRAM_TOP + SPECTROGRAM_HEIGHT;
            if bottom > spectrogram {
                self.line((x, spectrogram), (x, spectrogram + TICK), GREY)?;
            }
            self.text(&text, (x, bottom + 14), INK, HPos::Center)?;
        }
        let middle = PLOT_LEFT + PLOT_WIDTH / 2;
        self.text(axis.unit, (middle, bottom + 34), INK, HPos::Center)
    }

    fn text(&self, text: &str, at: (i32, i32), colour: RGBColor, side: HPos) -> Drawn {
        self.area.draw(&Text::new(text.to_owned(), at, letters(colour, side)))
    }

    fn vertical(&self, text: &str, at: (i32, i32)) -> Drawn {
        let style = letters(INK, HPos::Center).transform(FontTransform::Rotate270);
        self.area.draw(&Text::new(text.to_owned(), at, style))
    }

    fn line(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Drawn {
        self.area.draw(&PathElement::new([from, to], colour.stroke_width(1)))
    }

    fn frame(&self, top: i32, height: i32) -> Drawn {
        self.outline((PLOT_LEFT, top), (PLOT_WIDTH, height))
    }

    fn outline(&self, (left, top): (i32, i32), (width, height): (i32, i32)) -> Drawn {
        let corners = [(left, top), (left + width, top + height)];
        self.area.draw(&Rectangle::new(corners, LINE.stroke_width(1)))
    }

    fn left_tick(&self, y: i32, text: &str) -> Drawn {
        self.line((PLOT_LEFT - TICK, y), (PLOT_LEFT, y), GREY)?;
        self.text(text, (PLOT_LEFT - TICK - 4, y), INK, HPos::Right)
    }

    fn right_tick(&self, x: i32, y: i32, text_y: i32, text: &str) -> Drawn {
        self.line((x, y), (x + TICK, y), GREY)?;
        self.text(text, (x + TICK + 4, text_y), INK, HPos::Left)
    }

    fn colour_bar(&self, left: i32, (top, height): (i32, i32), images: &mut Images) -> Drawn {
        let size = (COLOUR_BAR_WIDTH.cast_unsigned() as usize, height.cast_unsigned() as usize);
        images.push((place(left, top), colour_bar(size.0, size.1)));
        self.outline((left, top), (COLOUR_BAR_WIDTH, height))
    }
}

fn letters(colour: RGBColor, side: HPos) -> TextStyle<'static> {
    let style = (FONT, LETTERS * LINE_HEIGHT).into_font().color(&colour);
    style.pos(Pos::new(side, VPos::Center))
}

fn place(left: i32, top: i32) -> (u32, u32) {
    (left.cast_unsigned(), top.cast_unsigned())
}

#[expect(clippy::cast_possible_truncation, reason = "pixels of a picture")]
fn whole(pixels: f64) -> i32 {
    pixels.round() as i32
}

/// A length of time, in the units of people.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "time is positive")]
fn length(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{seconds:.2} s"),
        120..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min {:02} s", whole / 3_600, whole / 60 % 60, whole % 60),
    }
}
