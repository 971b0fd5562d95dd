//! Audio on standard input into a file, because decoders want to look around in it.
//!
//! In: standard input. Out: a temporary file, named by what it holds. Refuses a terminal, and more
//! than a query needs.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use sonoteca::audio::sniff::extension_of;
use sonoteca::files::remove_if_interrupted;
use sonoteca::{Error, ReportedError, Result};
use tempfile::TempDir;

use crate::cli::interrupt;

/// Bytes that are taken at most: an hour and a half of stereo on CD.
const LIMIT_BYTES: u64 = 1_000_000_000;

/// What it is called where its path would stand.
pub(super) const NAME: &str = "standard input";

/// What came in, until it is dropped.
#[derive(Debug)]
pub(super) struct Spooled {
    path: PathBuf,
    _folder: TempDir,
}

impl Spooled {
    /// Takes everything on standard input.
    pub(super) fn read() -> Result<Self> {
        let input = io::stdin();
        if input.is_terminal() {
            return Err(Error::Usage {
                problem: "standard input is a terminal, not audio",
                hint: "send audio there: sonoteca search - < FILE, or sonoteca describe - < FILE",
            });
        }
        interrupt::clean_up();
        Self::of(input.lock(), LIMIT_BYTES)
    }

    fn of(input: impl Read, limit: u64) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(failed(&std::env::temp_dir()))?;
        remove_if_interrupted(folder.path());
        let path = folder.path().join(NAME);
        let mut file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed(&path))?;
        let taken = io::copy(&mut input.take(limit + 1), &mut file).map_err(failed(&path))?;
        if taken > limit {
            return Err(Error::TooMuchInput { limit_mb: limit / 1_000_000 });
        }
        // Formats that have no mark of their own are told by their names.
        let path = match extension_of(&mut file).map_err(failed(&path))? {
            Some(extension) => {
                let named = path.with_extension(extension);
                fs::rename(&path, &named).map_err(failed(&path))?;
                named
            }
            None => path,
        };
        Ok(Self { path, _folder: folder })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `error` without the name of the temporary file, which nobody has chosen.
    pub(super) fn named(&self, error: Error) -> Error {
        let path = self.path.display().to_string();
        if !error.to_string().contains(&path) {
            return error;
        }
        ReportedError::new(&error).renamed(&path, NAME).into()
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    |source| Error::Io { action: "write", path, source }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use sonoteca::DecodeProblem;

    use super::*;

    #[test]
    fn what_has_no_mark_gets_a_name_and_what_is_too_long_is_refused() {
        let name = |bytes: &[u8]| {
            let spooled = Spooled::of(bytes, 100).unwrap();
            spooled.path().extension().map(|name| name.to_string_lossy().into_owned())
        };
        assert_eq!(name(b"RIFF....WAVEfmt ").as_deref(), None);
        assert_eq!(name(&[0xff, 0xfb, 0x90, 0x64]).as_deref(), Some("mp3"));
        assert_eq!(name(&[0xff, 0xf1, 0x50, 0x80]).as_deref(), Some("aac"));
        assert_eq!(name(b"ID3\x04\0\0\0\0\0\x02..fLaC").as_deref(), Some("flac"));
        assert_eq!(name(b"ID3\x04\0\0\0\0\0\x02..\xff\xfb").as_deref(), Some("mp3"));
        assert_eq!(name(b"").as_deref(), None);
        assert!(matches!(Spooled::of(&[0; 101][..], 100), Err(Error::TooMuchInput { .. })));
    }

    #[test]
    fn errors_say_where_it_came_from() {
        let spooled = Spooled::of(&b"fLaC and then nothing"[..], 100).unwrap();
        let path = spooled.path().to_owned();
        let error = Error::Decode { path: path.clone(), problem: DecodeProblem::EmptyFile };
        let (stage, hint) = (error.stage().to_owned(), error.hint().map(Cow::into_owned));
        let named = spooled.named(error);
        assert!(named.to_string().contains("standard input"), "{named}");
        assert!(!named.to_string().contains(path.parent().unwrap().to_str().unwrap()), "{named}");
        assert_eq!((named.stage(), named.hint().map(Cow::into_owned)), (&*stage, hint));
        let other = spooled.named(Error::UnknownRecording { id: 1 });
        assert!(matches!(other, Error::UnknownRecording { .. }));
    }
}
