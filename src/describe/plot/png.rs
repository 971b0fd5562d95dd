//! Pictures into PNG: the only place that imports resvg.
//!
//! In: SVG and images. Out: the bytes of a PNG file. Letters are those of `DejaVu` Sans, of which the
//! binary has the Latin, Greek and Cyrillic ones; others are left out of PNG and are in the SVG.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Color, Pixmap, PremultipliedColorU8, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::raster::Raster;
use crate::error::{Error, Result, Source};

/// `DejaVu` Sans 2.37, a part of its letters.
const FONT: &[u8] = include_bytes!("sans.ttf");
const FAMILY: &str = "DejaVu Sans";

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

fn failed(error: impl Into<Source>) -> Error {
    Error::Picture(error.into())
}

/// Draws `images` on white, and `vectors`, which is SVG, over them.
pub(super) fn render(
    size: (u32, u32),
    images: &[((u32, u32), Raster)],
    vectors: &str,
) -> Result<Vec<u8>> {
    let mut pixmap = Pixmap::new(size.0, size.1).ok_or_else(|| failed("it has no size"))?;
    pixmap.fill(Color::WHITE);
    for (place, raster) in images {
        copy(raster, *place, &mut pixmap);
    }
    let options = Options { fontdb: Arc::clone(&FONTS), ..Options::default() };
    let tree = Tree::from_str(vectors, &options).map_err(failed)?;
    resvg::render(&tree, Transform::identity(), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(failed)
}

fn copy(raster: &Raster, (left, top): (u32, u32), to: &mut Pixmap) {
    let width = to.width() as usize;
    let (left, top) = (left as usize, top as usize);
    let pixels = to.pixels_mut();
    for (y, row) in raster.pixels.chunks_exact(raster.width.max(1)).enumerate() {
        let start = (top + y) * width + left;
        let Some(places) = pixels.get_mut(start..start + row.len()) else { return };
        for (place, &[red, green, blue]) in places.iter_mut().zip(row) {
            // Of what is opaque, every colour is there.
            if let Some(pixel) = PremultipliedColorU8::from_rgba(red, green, blue, u8::MAX) {
                *place = pixel;
            }
        }
    }
}

impl Raster {
    /// The pixels as PNG.
    ///
    /// # Errors
    /// [`Error::Picture`] when there are none.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let side = |pixels: usize| u32::try_from(pixels).map_err(failed);
        let mut pixmap = Pixmap::new(side(self.width)?, side(self.height)?)
            .ok_or_else(|| failed("it has no size"))?;
        copy(self, (0, 0), &mut pixmap);
        pixmap.encode_png().map_err(failed)
    }
}
