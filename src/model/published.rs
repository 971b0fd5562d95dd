//! Models as their makers publish them: a folder, or a repository of a model hub.
//!
//! In: a folder with `config.json` and `model.safetensors`, or the name of a repository that holds
//! them. Out: [`Published`]: the weights as they are stored here, and what a card must know of them.
//! Refuses architectures that are not built here, and folders in which something is missing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::Digest;

use super::card::Sha256;
use super::checkpoint::{Checkpoint, safetensors};
use super::hub::{self, Hub, HubFile};
use super::wav2vec2::{self, Config};
use crate::error::{Error, HubProblem, Result};

/// What a network is, in words of its maker.
const CONFIG: &str = "config.json";
/// What it wants its input to be; not every maker says.
const PREPROCESSOR: &str = "preprocessor_config.json";
/// Its tensors.
const WEIGHTS: &str = "model.safetensors";
/// No description comes near; tensors are read whole.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;

/// A published model, converted to what is stored here.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The tensors and the settings beside them, as a safetensors file.
    pub weights: Vec<u8>,
    /// SHA-256 of these.
    pub sha256: Sha256,
    /// SHA-256 of the file that was published.
    pub published_sha256: Sha256,
    /// Length of an embedding.
    pub dimension: usize,
    /// The last hidden layer; 0 is what goes into the first block.
    pub layers: usize,
}

/// Whether `name` can only be that of a repository, `OWNER/NAME`.
pub fn is_repository(name: &str) -> bool {
    name.split('/').count() == 2 && hub::is_path(name)
}

/// Whether `path` is a folder that describes a published model.
pub fn is_folder(path: &Path) -> bool {
    path.join(CONFIG).is_file()
}

/// Converts the model in `folder`, to be known here as `name`.
///
/// # Errors
/// [`Error::NotWeights`] without one of the files, [`Error::Checkpoint`] when they are damaged, or
/// of an architecture that is not built here.
pub fn read(name: &str, folder: &Path) -> Result<Published> {
    let path = |file: &str| folder.join(file);
    let required = |file: &str| {
        let path = path(file);
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::NotWeights {
            name: name.to_owned(),
            path: folder.to_owned(),
            expected: format!("{CONFIG} and {WEIGHTS} in it, and there is no {file}"),
        })
    };
    let (config_path, weights_path) = (required(CONFIG)?, required(WEIGHTS)?);
    let config = description(&config_path)?;
    let preprocessor = path(PREPROCESSOR);
    let preprocessor =
        if preprocessor.is_file() { Some(description(&preprocessor)?) } else { None };
    let config = Config::read(&config, preprocessor.as_deref())
        .map_err(|problem| Error::Checkpoint { path: config_path, problem })?;
    let bytes =
        fs::read(&weights_path).map_err(|source| io_error("read", &weights_path, source))?;
    let damaged = |problem| Error::Checkpoint { path: weights_path.clone(), problem };
    let checkpoint = safetensors::Checkpoint::open(&bytes).map_err(damaged)?;
    let checkpoint = Checkpoint::Safetensors(checkpoint);
    let converted = wav2vec2::from_checkpoint(name, &checkpoint, &config).map_err(damaged)?;
    let weights = converted.to_safetensors(&weights_path)?;
    // What is missing, left over or of another shape shows now, and not when it is first used.
    wav2vec2::check(converted, name, &config)?;
    Ok(Published {
        sha256: Sha256(sha2::Sha256::digest(&weights).into()),
        published_sha256: Sha256(sha2::Sha256::digest(&bytes).into()),
        weights,
        dimension: config.dimension(),
        layers: config.layers(),
    })
}

/// Fetches the files of `repository` at `revision` from the user's model hub into `folder`, where
/// [`read`] finds them; gives the commit that the revision stood for, where the hub says so.
/// `progress` is told how many bytes of a file there are, and of how many.
///
/// # Errors
/// [`Error::Hub`] when the hub does not give one, [`Error::Checksum`] when one is not what it
/// announced, [`Error::Io`] when the folder cannot be written.
pub fn fetch(
    repository: &str,
    revision: &str,
    folder: &Path,
    progress: &mut dyn FnMut(&str, u64, Option<u64>),
) -> Result<Option<String>> {
    fetch_from(&Hub::of_user(), repository, revision, folder, progress)
}

fn fetch_from(
    hub: &Hub,
    repository: &str,
    revision: &str,
    folder: &Path,
    progress: &mut dyn FnMut(&str, u64, Option<u64>),
) -> Result<Option<String>> {
    let mut commit: Option<String> = None;
    for file in [CONFIG, PREPROCESSOR, WEIGHTS] {
        // The first file's commit for all: a branch may move between two requests.
        let revision = commit.as_deref().unwrap_or(revision).to_owned();
        let wanted = HubFile { repository: repository.to_owned(), revision, file: file.to_owned() };
        let fetched = hub.fetch(&wanted, folder, &mut |received, whole| {
            progress(file, received, whole);
        });
        match fetched {
            Ok(fetched) => commit = commit.or(fetched.commit),
            Err(Error::Hub { problem: HubProblem::Missing, .. }) if file == PREPROCESSOR => {}
            Err(error) => return Err(error),
        }
    }
    Ok(commit)
}

fn description(path: &Path) -> Result<String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_DESCRIPTION_BYTES).read_to_string(&mut text))
        .map_err(|source| io_error("read", path, source))?;
    Ok(text)
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: PathBuf::from(path), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hub::{HASTY, Reply, Server};

    /// The shared folder of the two small models; none, said aloud, where it is not there.
    fn shared() -> Option<PathBuf> {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
        let folder = std::env::var_os("SONOTECA_SHARED").map_or_else(beside, PathBuf::from);
        let folder = folder.join("golden/wav2vec2");
        if folder.is_dir() {
            return Some(folder);
        }
        eprintln!(
            "SKIPPED: there is no {} (SONOTECA_SHARED names another place)",
            folder.display()
        );
        None
    }

    #[test]
    fn a_repository_gives_what_its_folder_does() {
        let Some(folder) = shared() else { return };
        let folder = folder.join("base");
        let expected = read("mine", &folder).unwrap();
        assert_eq!((expected.dimension, expected.layers), (64, 3));
        let hub = Server::new(move |request, _| {
            let name = request.path.rsplit('/').next().unwrap();
            match fs::read(folder.join(name)) {
                Ok(content) => Reply::of(&content).with("X-Repo-Commit", "0123abc"),
                Err(_) => Reply::status(404),
            }
        });
        let target = tempfile::tempdir().unwrap();
        let asked = Hub::at(&hub.address(), None, HASTY);
        let commit =
            fetch_from(&asked, "some/model", "main", target.path(), &mut |_, _, _| ()).unwrap();
        assert_eq!(commit.as_deref(), Some("0123abc"));
        assert_eq!(read("mine", target.path()).unwrap(), expected);
        let last = hub.requests().last().unwrap().path.clone();
        assert_eq!(last, "/some/model/resolve/0123abc/model.safetensors");
    }

    #[test]
    fn a_folder_without_one_of_the_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let found = read("mine", folder.path()).unwrap_err();
        assert!(matches!(&found, Error::NotWeights { .. }), "{found}");
        fs::write(folder.path().join(CONFIG), r#"{"model_type": "hubert"}"#).unwrap();
        let found = read("mine", folder.path()).unwrap_err().to_string();
        assert!(found.contains("no model.safetensors"), "{found}");
        fs::write(folder.path().join(WEIGHTS), "no weights").unwrap();
        let found = read("mine", folder.path()).unwrap_err().to_string();
        assert!(found.contains("hubert"), "{found}");
        fs::write(folder.path().join(CONFIG), r#"{"model_type": "wav2vec2"}"#).unwrap();
        let found = read("mine", folder.path()).unwrap_err();
        assert!(matches!(&found, Error::Checkpoint { .. }), "{found}");
    }

    #[test]
    fn repositories_have_an_owner() {
        assert!(is_repository("facebook/wav2vec2-base"));
        assert!(!is_repository("yamnet") && !is_repository("a/b/c"));
        assert!(!is_repository("../name"));
    }
}
