//! A picture of a recording along time: its waveform, its spectrogram, and the classes that are
//! heard.
//!
//! In: [`Figure`]. Out: [`Picture`], as SVG or as PNG. Refuses nothing.
//!
//! Everything is drawn once, as SVG; what consists of pixels stands beside it and becomes an image
//! in the SVG. PNG is the rendering of the same SVG with a font that is part of the binary. Drawing
//! by the bitmap backend of plotters instead would need that font in a table that is shared with
//! the plots of reports, sets letters on whole pixels, and draws two pictures that differ.

pub mod colour;
pub mod panels;
mod pitch_panel;
mod png;
pub mod raster;
pub mod scales;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE_64;
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;

use super::hearing::Hearing;
use super::outline::Outline;
use super::pitch::PitchTrack;
use crate::error::{Error, Result};
use panels::{Drawing, Layout};
use raster::Raster;

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// What stands above it: the recording's name.
    pub title: &'a str,
    /// The waveform and the spectrogram.
    pub outline: &'a Outline,
    /// What models hear of the same part; a group of lanes each.
    pub hearings: &'a [Hearing],
    /// The pitch that models tell of the same part; a panel each.
    pub pitches: &'a [PitchTrack],
    /// Lanes of a group, at most.
    pub lanes: usize,
}

/// A picture: lines and letters, and images below them.
#[derive(Debug)]
pub struct Picture {
    /// Its size in pixels.
    size: (u32, u32),
    title: String,
    about: String,
    /// SVG without the images.
    vectors: String,
    /// Each with the place of its upper left corner.
    images: Vec<((u32, u32), Raster)>,
}

impl Figure<'_> {
    /// Draws it.
    ///
    /// # Errors
    /// [`Error::Picture`] when the drawing library fails.
    pub fn draw(&self) -> Result<Picture> {
        let layout = Layout::new(self);
        let mut vectors = String::new();
        let images = {
            let area = SVGBackend::with_string(&mut vectors, layout.size).into_drawing_area();
            let failed = |error: panels::DrawingError| Error::Picture(error.to_string().into());
            let images = Drawing { area: &area, layout: &layout }.draw(self).map_err(failed)?;
            area.present().map_err(failed)?;
            images
        };
        let unit = scales::time_ticks(self.outline.start_s, self.end_s(), panels::TIME_TICKS).unit;
        let heard = match (self.hearings.is_empty(), self.pitches.is_empty()) {
            (_, true) => "classes heard",
            (true, false) => "pitch",
            (false, false) => "classes heard, and pitch",
        };
        let about = format!("Waveform, mel spectrogram and {heard}, over {unit} along");
        Ok(Picture { size: layout.size, title: one_line(self.title), about, vectors, images })
    }

    fn end_s(&self) -> f64 {
        self.outline.start_s + self.outline.duration_s
    }
}

impl Picture {
    /// The picture as SVG, images included.
    ///
    /// # Errors
    /// [`Error::Picture`] when an image cannot be encoded.
    pub fn to_svg(&self) -> Result<String> {
        let (title, about) = (escaped(&self.title), escaped(&self.about));
        let mut head = format!(
            " role=\"img\"><title>{title}</title><desc>{about}</desc>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n"
        );
        for ((x, y), raster) in &self.images {
            let (width, height) = (raster.width, raster.height);
            let data = BASE_64.encode(raster.to_png()?);
            // Writing to a string does not fail.
            let _ = writeln!(
                head,
                "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
                 href=\"data:image/png;base64,{data}\"/>"
            );
        }
        // Texts are escaped, so that the first one ends the opening tag.
        Ok(self.vectors.replacen('>', &head, 1))
    }

    /// The picture as PNG, a pixel a unit of the SVG.
    ///
    /// # Errors
    /// [`Error::Picture`] when it cannot be rendered.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        png::render(self.size, &self.images, &self.vectors)
    }
}

/// Text for XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text without what would end a line, or is no character of XML.
fn one_line(text: &str) -> String {
    let is_fit = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if is_fit(c) { c } else { '\u{fffd}' }).collect()
}

/// The first characters of a name that is too long for its place.
fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
