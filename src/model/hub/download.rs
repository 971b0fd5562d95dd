//! One file from a hub to the disk.
//!
//! In: an address and what was announced of it. Out: the file under its name, whole and checked.
//! Until then it is `.NAME.TAG.partial`, which a later call goes on with: the tag is of its content,
//! so that two contents are never joined. One that is whole already, by the hash that was announced, is
//! left as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::Digest;

use super::{Announced, Failure, Fetching, Hub, HubFile};
use crate::error::{Error, HubProblem};
use crate::model::card::Sha256;
use crate::model::http::Method;

/// More than any model of this kind: those of ten gigabytes are read by no network here.
const MAX_BYTES: u64 = 1 << 34;
/// Bytes that are hashed and written at once.
const BLOCK_BYTES: usize = 1 << 18;

/// A download that begins or goes on.
pub(super) struct Download<'a> {
    hub: &'a Hub,
    url: &'a str,
    announced: &'a Announced,
    /// As the repository calls it.
    name: &'a str,
    partial: PathBuf,
    path: PathBuf,
    /// What is there so far.
    received: u64,
    hash: sha2::Sha256,
}

/// Why a download ended.
pub(super) enum Ended {
    Problem(HubProblem),
    Error(Error),
}

impl Ended {
    pub(super) fn into_error(self, failed: impl FnOnce(HubProblem) -> Error) -> Error {
        match self {
            Self::Problem(problem) => failed(problem),
            Self::Error(error) => error,
        }
    }
}

impl From<HubProblem> for Ended {
    fn from(problem: HubProblem) -> Self {
        Self::Problem(problem)
    }
}

impl<'a> Download<'a> {
    pub(super) fn new(
        hub: &'a Hub,
        url: &'a str,
        announced: &'a Announced,
        folder: &Path,
        file: &'a HubFile,
    ) -> Self {
        let name = file.file.rsplit('/').next().unwrap_or(&file.file);
        let tag = |tag: &str| tag.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let tag: String = announced.etag.as_deref().map(tag).unwrap_or_default();
        Self {
            hub,
            url,
            announced,
            name: &file.file,
            partial: folder.join(format!(".{name}.{tag}.partial")),
            path: folder.join(name),
            received: 0,
            hash: sha2::Sha256::default(),
        }
    }

    /// Fetches what is missing, checks the whole and gives it its name.
    pub(super) fn run(mut self, progress: &mut dyn FnMut(Fetching<'_>)) -> Result<PathBuf, Ended> {
        let limit = |found| HubProblem::TooLarge { found, limit: MAX_BYTES };
        if let Some(size) = self.announced.size.filter(|&size| size > MAX_BYTES) {
            return Err(limit(size).into());
        }
        if self.is_here()? {
            let (file, whole) = (self.name, self.announced.size);
            progress(Fetching::Received { file, received: whole.unwrap_or(0), whole });
            return Ok(self.path);
        }
        let mut file = self.open()?;
        let mut failures = 0;
        while self.received == 0 || self.announced.size.is_none_or(|size| self.received < size) {
            let before = self.received;
            match self.receive(&mut file, progress)? {
                Ok(()) => break,
                Err(failure) => {
                    // Only what gains nothing tries patience.
                    failures = if self.received > before { 1 } else { failures + 1 };
                    self.hub.wait(failures, failure, self.name, progress)?;
                }
            }
        }
        self.finish(&file)
    }

    /// Whether an earlier call has fetched all of it, as the hash says that was announced.
    fn is_here(&self) -> Result<bool, Ended> {
        let (Some(size), Some(expected)) =
            (self.announced.size, self.announced.etag.as_deref().and_then(sha256))
        else {
            return Ok(false);
        };
        let failed =
            |source| Ended::Error(Error::Io { action: "read", path: self.path.clone(), source });
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        if file.metadata().map_err(failed)?.len() != size {
            return Ok(false);
        }
        let mut hash = sha2::Sha256::default();
        hash_rest(&mut file, &mut hash).map_err(failed)?;
        Ok(Sha256(hash.finalize().into()).to_string() == expected)
    }

    /// Opens the partial file, and hashes what an earlier call left in it.
    fn open(&mut self) -> Result<File, Ended> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&self.partial).map_err(|error| self.failed("write", error))?;
        // Without a tag nobody knows of which content the rest is.
        if self.announced.etag.is_none() {
            self.begin_anew(&mut file).map_err(|error| self.failed("write", error))?;
        }
        let read = hash_rest(&mut file, &mut self.hash);
        self.received = read.map_err(|error| self.failed("read", error))?;
        Ok(file)
    }

    fn begin_anew(&mut self, file: &mut File) -> io::Result<()> {
        use std::io::Seek;
        file.set_len(0)?;
        file.rewind()?;
        (self.received, self.hash) = (0, sha2::Sha256::default());
        Ok(())
    }

    /// One request, from where the file ends on.
    fn receive(
        &mut self,
        file: &mut File,
        progress: &mut dyn FnMut(Fetching<'_>),
    ) -> Result<Result<(), Failure>, Ended> {
        let first = Some(self.received).filter(|&received| received > 0);
        let mut answer = match self.hub.follow(Method::Get, self.url, first, |_| true) {
            Ok(answer) => answer,
            Err(failure) => return Ok(Err(failure)),
        };
        let goes_on = answer.status() == 206
            && answer
                .header("content-range")
                .is_some_and(|range| range.starts_with(&format!("bytes {}-", self.received)));
        if !goes_on {
            self.begin_anew(file).map_err(|error| self.failed("write", error))?;
        }
        if !goes_on && answer.status() != 200 {
            let why = format!("the hub gave another part than was asked for ({})", answer.status());
            return Ok(Err(Failure::Passing { why, after: None }));
        }
        let length = answer.number("content-length");
        let end = length.map(|length| self.received.saturating_add(length));
        let mut body = answer.body();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let count = match body.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => {
                    let why = format!("the connection was cut: {error}");
                    return Ok(Err(Failure::Passing { why, after: None }));
                }
            };
            file.write_all(&block[..count]).map_err(|error| self.failed("write", error))?;
            self.hash.update(&block[..count]);
            self.received += count as u64;
            if self.received > self.announced.size.unwrap_or(MAX_BYTES) {
                return Err(self.wrong_size()?);
            }
            let (received, whole) = (self.received, self.announced.size.or(end));
            progress(Fetching::Received { file: self.name, received, whole });
        }
        let whole = self.announced.size.or(end);
        if whole.is_some_and(|whole| self.received < whole) {
            let why = format!("the connection ended after {} bytes", self.received);
            return Ok(Err(Failure::Passing { why, after: None }));
        }
        Ok(Ok(()))
    }

    /// Checks the whole and gives it its name.
    fn finish(self, file: &File) -> Result<PathBuf, Ended> {
        if self.announced.size.is_some_and(|size| size != self.received) {
            return Err(self.wrong_size()?);
        }
        if let Some(expected) = self.announced.etag.as_deref().and_then(sha256) {
            let found = Sha256(self.hash.clone().finalize().into()).to_string();
            if found != expected {
                self.remove()?;
                return Err(Ended::Error(Error::Checksum {
                    path: PathBuf::from(self.url),
                    expected,
                    found,
                }));
            }
        }
        file.sync_all().map_err(|error| self.failed("write", error))?;
        fs::rename(&self.partial, &self.path).map_err(|error| self.failed("rename", error))?;
        Ok(self.path)
    }

    /// The file is of no use: there is nothing to go on with.
    fn wrong_size(&self) -> Result<Ended, Ended> {
        self.remove()?;
        let found = self.received;
        Ok(Ended::Problem(match self.announced.size {
            Some(expected) => HubProblem::Size { expected, found },
            None => HubProblem::TooLarge { found, limit: MAX_BYTES },
        }))
    }

    fn remove(&self) -> Result<(), Ended> {
        fs::remove_file(&self.partial).map_err(|error| self.failed("remove", error))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Ended {
        Ended::Error(Error::Io { action, path: self.partial.clone(), source })
    }
}

/// Hashes what is left of `file`; returns its bytes.
fn hash_rest(file: &mut File, hash: &mut sha2::Sha256) -> io::Result<u64> {
    let (mut block, mut bytes) = (vec![0; BLOCK_BYTES], 0);
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(bytes),
            Ok(count) => {
                hash.update(&block[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The SHA-256 that an entity tag is; none, where it is something else.
fn sha256(tag: &str) -> Option<String> {
    let is_hash = tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| tag.to_ascii_lowercase())
}
