//! The per-user store: weights that were pulled, and models that the user added, one folder a
//! model.
//!
//! In: a card. Out: its weights, checked against the card's hash. What it writes appears whole
//! and under its final name, or not at all; what it removes is gone at once. `scripts/setup_libtorch.py` puts libtorch beside.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, base_strategy::Xdg};
use sha2::Digest;

use super::card::{ModelCard, Sha256};
use super::weights::Weights;
use super::{published, registry};
use crate::error::{AddedProblem, Error, Result};

/// The card of an added model, in its folder.
const CARD: &str = "card.toml";
/// What an added model answered to the probe when it was added, in its folder.
const PROBE: &str = "probe.bin";
/// Longest card that is read, in bytes.
const MOST_CARD: u64 = 1 << 20;

/// The folder that holds the weights of all models.
#[derive(Clone, Debug)]
pub struct ModelStore {
    folder: PathBuf,
}

/// Whether a model's weights are there and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// No file.
    Missing,
    /// A file; its hash was not computed.
    Present,
}

impl ModelStore {
    /// The store of the current user: `SONOTECA_STORE`, or `sonoteca` in `XDG_DATA_HOME`, or
    /// `~/.local/share/sonoteca`.
    ///
    /// # Errors
    /// [`Error::Io`] when the user has no home folder.
    pub fn of_user() -> Result<Self> {
        if let Some(folder) = std::env::var_os("SONOTECA_STORE").filter(|name| !name.is_empty()) {
            return Ok(Self::at(Path::new(&folder)));
        }
        let user = Xdg::new().map_err(|error| Error::Io {
            action: "find the home folder for",
            path: PathBuf::from("sonoteca"),
            source: io::Error::new(io::ErrorKind::NotFound, error),
        })?;
        Ok(Self::at(&user.data_dir().join("sonoteca")))
    }

    /// A store in `folder`.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.join("models") }
    }

    /// Where the weights of `card` belong.
    pub fn weights_path(&self, card: &ModelCard) -> PathBuf {
        self.model_folder(card).join(&card.weights.file)
    }

    /// Whether the weights of `card` are there.
    pub fn installed(&self, card: &ModelCard) -> Installed {
        if self.weights_path(card).is_file() { Installed::Present } else { Installed::Missing }
    }

    /// Checks the weights of `card` against its hash.
    ///
    /// # Errors
    /// [`Error::ModelMissing`], or [`Error::Added`] of a model that the user added; [`Error::Io`], or
    /// [`Error::Checksum`] when they are others.
    pub fn verify(&self, card: &ModelCard) -> Result<()> {
        self.read_checked(card).map(drop)
    }

    pub(super) fn read_weights(&self, card: &ModelCard) -> Result<Weights> {
        let bytes = self.read_checked(card)?;
        Weights::from_safetensors(&card.name, &self.weights_path(card), &bytes)
    }

    /// The names of the models that the user added, in the order of the alphabet.
    pub fn added(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                let is_one = is_name(&name) && !registry::is_built_in(&name);
                (is_one && entry.path().join(CARD).is_file()).then_some(name)
            })
            .collect();
        names.sort();
        names
    }

    /// The file and text of the card of `name`, which was added; `None`, where there is none.
    pub(super) fn read_card(&self, name: &str) -> Result<Option<(PathBuf, String)>> {
        // A name of another kind could be one of a folder that is not ours.
        if !is_name(name) {
            return Ok(None);
        }
        let path = self.folder.join(name).join(CARD);
        let mut text = String::new();
        let read =
            File::open(&path).and_then(|file| file.take(MOST_CARD).read_to_string(&mut text));
        match read {
            Ok(_) => Ok(Some((path, text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { action: "read", path, source }),
        }
    }

    /// What the model of `card`, which was added, must answer to the probe.
    pub(super) fn read_probe(&self, card: &ModelCard) -> Result<Vec<u8>> {
        self.read_added(card, &self.model_folder(card).join(PROBE))
    }

    /// The file of the model of `card`, which was added, checked against the card's hash.
    pub(super) fn read_module(&self, card: &ModelCard) -> Result<Vec<u8>> {
        let path = self.weights_path(card);
        let bytes = self.read_added(card, &path)?;
        check(&path, &bytes, card.weights.sha256)?;
        Ok(bytes)
    }

    #[expect(clippy::unused_self, reason = "what is in the store is read by it")]
    fn read_added(&self, card: &ModelCard, path: &Path) -> Result<Vec<u8>> {
        fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                AddedProblem::FileMissing { name: card.name.clone(), path: path.to_owned() }.into()
            }
            _ => Error::Io { action: "read", path: path.to_owned(), source },
        })
    }

    /// Adds a model: its card, what it answers to the probe, and its file, if it has one. All of
    /// it appears at once.
    pub(super) fn add(
        &self,
        card: &ModelCard,
        text: &str,
        probe: &[u8],
        module: Option<&[u8]>,
    ) -> Result<()> {
        let folder = self.model_folder(card);
        let failed = |source| Error::Io { action: "write", path: folder.clone(), source };
        // Removes itself on every way out but the last.
        let scratch = self.scratch()?;
        let write = |name: &str, bytes: &[u8]| {
            write_atomically(scratch.path(), &scratch.path().join(name), bytes).map_err(failed)
        };
        if let Some(module) = module {
            write(&card.weights.file, module)?;
        }
        write(PROBE, probe)?;
        write(CARD, text.as_bytes())?;
        // What a temporary folder keeps for itself, others may read.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))
                .map_err(failed)?;
        }
        // Refused when somebody was faster: a folder takes the place of an empty one only.
        fs::rename(scratch.path(), &folder)
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(failed)
    }

    /// Whether anything is here that belongs to a model called `name`, usable or not.
    pub fn holds(&self, name: &str) -> bool {
        is_name(name) && self.folder.join(name).is_dir()
    }

    /// Removes what belongs to the model called `name`: weights that can be pulled again, or an
    /// added model with its card. `false`, when there was nothing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self, name: &str) -> Result<bool> {
        let folder = self.folder.join(name);
        let failed = |source| Error::Io { action: "remove", path: folder.clone(), source };
        if !self.holds(name) {
            return Ok(false);
        }
        let scratch = self.scratch()?;
        fs::rename(&folder, scratch.path().join(name))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .and_then(|()| scratch.close())
            .map_err(failed)?;
        Ok(true)
    }

    fn read_checked(&self, card: &ModelCard) -> Result<Vec<u8>> {
        let path = self.weights_path(card);
        if !path.is_file() {
            let name = card.name.clone();
            if card.is_added() {
                // There is nothing to pull.
                return Err(AddedProblem::FileMissing { name, path }.into());
            }
            return Err(Error::ModelMissing { name, path });
        }
        let bytes = fs::read(&path).map_err(|source| Error::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        check(&path, &bytes, card.weights.sha256)?;
        Ok(bytes)
    }

    /// Writes the weights of `card`, whose hash was checked, under their final name.
    pub(super) fn publish(&self, card: &ModelCard, bytes: &[u8]) -> Result<PathBuf> {
        let folder = self.model_folder(card);
        let path = self.weights_path(card);
        write_atomically(&folder, &path, bytes).map_err(|source| Error::Io {
            action: "write",
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    /// A folder for what a pull needs for a while; removed when dropped.
    pub(super) fn scratch(&self) -> Result<tempfile::TempDir> {
        fs::create_dir_all(&self.folder)
            .and_then(|()| tempfile::Builder::new().prefix(".pull-").tempdir_in(&self.folder))
            .map_err(|source| Error::Io {
                action: "make a folder in",
                path: self.folder.clone(),
                source,
            })
    }

    /// A folder for the files of a hub's `repository`, which stays until the model is there: the
    /// next pull goes on with what it holds.
    pub(super) fn downloads(&self, repository: &str) -> Result<PathBuf> {
        let folder = self.download_folder(repository);
        fs::create_dir_all(&folder).map_err(|source| Error::Io {
            action: "make",
            path: folder.clone(),
            source,
        })?;
        Ok(folder)
    }

    /// Removes what a download of `repository` that was stopped has left. `false`, when there was
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn forget_download(&self, repository: &str) -> Result<bool> {
        if !published::is_repository(repository) {
            return Ok(false);
        }
        let folder = self.download_folder(repository);
        match fs::remove_dir_all(&folder) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::Io { action: "remove", path: folder, source }),
        }
    }

    fn download_folder(&self, repository: &str) -> PathBuf {
        self.folder.join(".hub").join(repository.replace('/', "--"))
    }

    fn model_folder(&self, card: &ModelCard) -> PathBuf {
        self.folder.join(&card.name)
    }
}

/// Whether a model may be called `name`: what every file system tells apart, and no option of a
/// command.
pub(super) fn is_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 64
        && name.starts_with(is_inner)
        && name.chars().all(|c| is_inner(c) || c == '-' || c == '_')
}

fn write_atomically(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // Removes itself on every way out but the last.
    let mut file = tempfile::NamedTempFile::with_prefix_in(".partial-", folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    // A temporary file is private; the weights may be read by whoever may read the folder.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Compares the hash of `bytes`, which `path` held, with the one that was pinned.
pub(super) fn check(path: &Path, bytes: &[u8], expected: Sha256) -> Result<()> {
    let found = Sha256(sha2::Sha256::digest(bytes).into());
    if found == expected {
        return Ok(());
    }
    Err(Error::Checksum {
        path: path.to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}
