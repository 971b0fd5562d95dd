//! The per-user store: weights that were pulled, one folder a model.
//!
//! In: a card. Out: its weights, checked against the card's hash. What it writes appears whole
//! and under its final name, or not at all. `scripts/setup_libtorch.py` puts libtorch beside.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, base_strategy::Xdg};
use sha2::Digest;

use super::card::{ModelCard, Sha256};
use super::weights::Weights;
use crate::error::{Error, Result};

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
    /// [`Error::ModelMissing`], [`Error::Io`], or [`Error::Checksum`] when they are others.
    pub fn verify(&self, card: &ModelCard) -> Result<()> {
        self.read_checked(card).map(drop)
    }

    pub(super) fn read_weights(&self, card: &ModelCard) -> Result<Weights> {
        let bytes = self.read_checked(card)?;
        Weights::from_safetensors(&card.name, &self.weights_path(card), &bytes)
    }

    fn read_checked(&self, card: &ModelCard) -> Result<Vec<u8>> {
        let path = self.weights_path(card);
        if !path.is_file() {
            return Err(Error::ModelMissing { name: card.name.clone(), path });
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

    fn model_folder(&self, card: &ModelCard) -> PathBuf {
        self.folder.join(&card.name)
    }
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
