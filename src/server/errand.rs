//! What is done where files are decoded: in processes of their own.
//!
//! In: [`Asked`], as bytes. Out: a picture, a clip, or an upload as a WAV file. Whatever a file does to
//! its decoder, the server answers on. Refuses what the library's decoders refuse.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sonoteca::audio::encode::WavForm;
use sonoteca::audio::excerpt::{Excerpt, Part, Stretch};
use sonoteca::describe::Outline;
use sonoteca::describe::envelope::{Envelope, Extent};
use sonoteca::describe::plot::colour::Rgb;
use sonoteca::describe::plot::raster::{LevelRange, Raster, spectrogram, spectrogram_within};
use sonoteca::{Error, Result};

/// What a waveform is drawn on, and with: as in `sonoteca describe --plot`.
const WHITE: Rgb = [255; 3];
const LINE: Rgb = [150; 3];
const PEAKS: Rgb = [150, 165, 190];
const RMS: Rgb = [50, 70, 110];

/// Of a longer recording so many stretches of such a length say how loud it is: each is a look into
/// the file, which in some formats means decoding what precedes it.
const LEVEL_STRETCHES: u32 = 8;
const LEVEL_STRETCH_S: f64 = 8.0;
const LEVEL_COLUMNS: usize = 512;
/// Time after which no further stretch is looked at: what is known by then has to do.
const LEVEL_PATIENCE: Duration = Duration::from_secs(2);

/// A kind of picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Picture {
    Spectrogram,
    Waveform,
}

/// Seconds from the beginning; all, where there is none.
pub(super) type Seconds = Option<(f64, Option<f64>)>;

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Asked {
    /// Draw a stretch, a spectrogram in the colours of these levels; a PNG comes back.
    Draw {
        path: PathBytes,
        stretch: Seconds,
        picture: Picture,
        size: (usize, usize),
        levels: Option<Levels>,
    },
    /// Find the levels that colours should stand for in pictures of all of it, which is so long;
    /// [`Levels`] come back.
    Level { path: PathBytes, duration_s: f64 },
    /// Cut a stretch out, mono and of 16 bits; a WAV file comes back.
    Cut { path: PathBytes, stretch: Seconds, most_s: f64 },
    /// Write all of it to `to` as a WAV file, mono; [`Stored`] comes back.
    Store { path: PathBytes, to: PathBytes, most_s: f64 },
}

/// A path, which need not be UTF-8.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PathBytes(Vec<u8>);

/// The levels of the lightest and the darkest colour, in decibels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Levels {
    low_db: f32,
    high_db: f32,
}

/// What became of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) duration_s: f64,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    pub(super) codec: String,
    /// `truncated` or `damaged`.
    pub(super) flaw: Option<String>,
    /// Whether there is more than may be stored.
    pub(super) is_too_long: bool,
}

impl PathBytes {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.as_os_str().as_encoded_bytes().to_vec())
    }

    #[cfg(unix)]
    fn path(self) -> PathBuf {
        use std::os::unix::ffi::OsStringExt as _;
        PathBuf::from(std::ffi::OsString::from_vec(self.0))
    }

    #[cfg(not(unix))]
    fn path(self) -> PathBuf {
        PathBuf::from(String::from_utf8_lossy(&self.0).into_owned())
    }
}

/// Does what `asked` says.
///
/// # Errors
/// [`Error::Io`] and [`Error::Decode`] when the file cannot be used, [`Error::NoStretch`].
pub(crate) fn run(asked: &[u8]) -> Result<Vec<u8>> {
    let asked: Asked =
        serde_json::from_slice(asked).map_err(|error| Error::Output(error.into()))?;
    match asked {
        Asked::Draw { path, stretch, picture, size, levels } => {
            draw(&path.path(), part_of(stretch), picture, size, levels)
        }
        Asked::Level { path, duration_s } => {
            let levels = levels(&path.path(), duration_s)?;
            serde_json::to_vec(&levels).map_err(|error| Error::Output(error.into()))
        }
        Asked::Cut { path, stretch, most_s } => cut(&path.path(), part_of(stretch), most_s),
        Asked::Store { path, to, most_s } => {
            let stored = store(&path.path(), &to.path(), most_s)?;
            serde_json::to_vec(&stored).map_err(|error| Error::Output(error.into()))
        }
    }
}

fn part_of(stretch: Seconds) -> Part {
    let stretch = stretch.map(|(start_s, end_s)| Stretch { start_s, end_s });
    Part { stretch, channel: None }
}

fn draw(
    path: &Path,
    part: Part,
    picture: Picture,
    size: (usize, usize),
    levels: Option<Levels>,
) -> Result<Vec<u8>> {
    let outline = Outline::read(path, part)?;
    match (picture, levels) {
        (Picture::Spectrogram, None) => spectrogram(&outline.spectrogram, size).0.to_png(),
        (Picture::Spectrogram, Some(Levels { low_db, high_db })) => {
            let range = LevelRange { low_db, high_db };
            spectrogram_within(&outline.spectrogram, size, range).to_png()
        }
        (Picture::Waveform, _) => waveform(&outline.envelope, size).to_png(),
    }
}

/// The levels of a recording as long as that: of all of it where it is short, else of some stretches
/// of it, which lie in it evenly.
fn levels(path: &Path, duration_s: f64) -> Result<Levels> {
    let mut levels = Vec::new();
    let mut add = |part| -> Result<()> {
        levels.extend(Outline::read(path, part)?.spectrogram.levels(LEVEL_COLUMNS));
        Ok(())
    };
    if duration_s <= f64::from(LEVEL_STRETCHES) * LEVEL_STRETCH_S {
        add(Part::default())?;
    } else {
        let started = Instant::now();
        let step_s = (duration_s - LEVEL_STRETCH_S) / f64::from(LEVEL_STRETCHES - 1);
        for number in 0..LEVEL_STRETCHES {
            let start_s = f64::from(number) * step_s;
            if number > 0 && started.elapsed() > LEVEL_PATIENCE {
                break;
            }
            let stretch = (start_s, Some(start_s + LEVEL_STRETCH_S));
            match add(part_of(Some(stretch))) {
                // Some are shorter than they say.
                Err(Error::NoStretch { .. }) if number > 0 => break,
                added => added?,
            }
        }
    }
    let LevelRange { low_db, high_db } = LevelRange::of(&levels);
    Ok(Levels { low_db, high_db })
}

/// Peaks, and darker the root mean square, as high as the loudest peak.
fn waveform(envelope: &Envelope, (width, height): (usize, usize)) -> Raster {
    let extents = envelope.extents(width);
    let loudest = envelope.peak().max(1e-3);
    let middle = height as f32 / 2.0;
    Raster::new(width, height, |x, y| {
        let at = Extent::default();
        let extent = extents.get(x).unwrap_or(&at);
        // The amplitude at the middle of the pixel.
        let amplitude = (middle - (y as f32 + 0.5)) / middle * loudest;
        if amplitude.abs() <= extent.rms() {
            RMS
        } else if (extent.lowest..=extent.highest).contains(&amplitude) {
            PEAKS
        } else if y == height / 2 {
            LINE
        } else {
            WHITE
        }
    })
}

fn cut(path: &Path, part: Part, most_s: f64) -> Result<Vec<u8>> {
    let mut excerpt = Excerpt::open(path, part)?;
    let sample_rate = excerpt.format().sample_rate;
    let form = WavForm { sample_rate, channels: 1, is_float: false };
    let mut file = vec![0; WavForm::HEADER_BYTES];
    let mut samples = Vec::new();
    while excerpt.next_block(&mut samples)? {
        file.extend(form.bytes(&samples));
        if excerpt.duration_s() > most_s {
            let problem = "the stretch is longer than a clip may be";
            return Err(Error::Usage { problem, hint: "ask for less by start_s and end_s" });
        }
    }
    let bytes = u32::try_from(file.len() - WavForm::HEADER_BYTES).unwrap_or(u32::MAX);
    file[..WavForm::HEADER_BYTES].copy_from_slice(&form.header(bytes));
    Ok(file)
}

fn store(path: &Path, to: &Path, most_s: f64) -> Result<Stored> {
    let mut excerpt = Excerpt::open(path, Part::default())?;
    let format = excerpt.format().clone();
    let form = WavForm { sample_rate: format.sample_rate, channels: 1, is_float: true };
    let failed = |source: io::Error| Error::Io { action: "write", path: to.to_owned(), source };
    let mut file = BufWriter::new(File::create(to).map_err(failed)?);
    file.write_all(&form.header(0)).map_err(failed)?;
    let (mut samples, mut bytes) = (Vec::new(), 0_u64);
    let mut is_too_long = false;
    while !is_too_long && excerpt.next_block(&mut samples)? {
        let block = form.bytes(&samples);
        bytes += block.len() as u64;
        file.write_all(&block).map_err(failed)?;
        is_too_long = excerpt.duration_s() > most_s;
    }
    let header = form.header(u32::try_from(bytes).unwrap_or(u32::MAX));
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.write_all(&header))
        .and_then(|()| file.flush())
        .map_err(failed)?;
    Ok(Stored {
        duration_s: excerpt.duration_s(),
        sample_rate: format.sample_rate.hertz(),
        channels: format.channels,
        codec: format.codec,
        flaw: excerpt.integrity().flaw(),
        is_too_long,
    })
}
