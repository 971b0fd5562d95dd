//! The picture as a file.
//!
//! In: a path, and what is drawn. Out: an SVG or PNG file that is whole when it appears. Refuses
//! other endings, and to overwrite.

use std::io::Write as _;
use std::path::Path;

use sonoteca::describe::plot::Figure;
use sonoteca::describe::{Listening, Outline};
use sonoteca::files::NewFile;
use sonoteca::{Error, Result};

use crate::cli::interrupt;

/// Where a picture goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlotFile<'a> {
    path: &'a Path,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Png,
    Svg,
}

impl<'a> PlotFile<'a> {
    /// Looks whether `path` can be written.
    pub(super) fn new(path: &'a Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let kind = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("png") => Kind::Png,
            Some("svg") => Kind::Svg,
            _ => {
                return Err(Error::Usage {
                    problem: "a plot is a PNG or an SVG file, by the ending of its name",
                    hint: "name it with --plot FILE.png or --plot FILE.svg",
                });
            }
        };
        // Also a link to nowhere is something.
        if path.symlink_metadata().is_ok() {
            let options = "name another file with --plot";
            return Err(Error::Exists { path: path.to_owned(), options });
        }
        // A folder that is not there would show only after everything was listened to.
        NewFile::beside(path).map_err(failed(path))?;
        Ok(Self { path, kind })
    }

    pub(super) fn path(&self) -> &Path {
        self.path
    }

    /// Draws the recording called `title`.
    pub(super) fn write(
        &self,
        title: &str,
        outline: &Outline,
        Listening { hearings, pitches, .. }: &Listening,
        lanes: usize,
    ) -> Result<()> {
        let picture = Figure { title, outline, hearings, pitches, lanes }.draw()?;
        let bytes = match self.kind {
            Kind::Png => picture.to_png()?,
            Kind::Svg => picture.to_svg()?.into_bytes(),
        };
        interrupt::clean_up();
        let mut file = NewFile::beside(self.path).map_err(failed(self.path))?;
        file.write_all(&bytes).map_err(failed(self.path))?;
        file.publish(self.path, false).map_err(failed(self.path))
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    |source| Error::Io { action: "write", path, source }
}
