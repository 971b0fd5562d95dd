//! What is no model's weights is refused with its name, what was expected and what was found, and
//! leaves the store as it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use sha2::Digest;
use sonoteca::Error;
use sonoteca::model::card::{ModelCard, Sha256};
use sonoteca::model::store::{Installed, ModelStore};
use sonoteca::model::{pull, registry};

/// The models whose weights are a TensorFlow checkpoint: of TensorFlow 2, and of TensorFlow 1, whose
/// files have no name before their endings.
const MODELS: [&str; 4] = ["yamnet", "crnn-bell", "musicnn-mtt", "musicnn-msd"];

fn hash(bytes: &[u8]) -> String {
    Sha256(sha2::Sha256::digest(bytes).into()).to_string()
}

/// Refuses to install `path`; returns why.
fn refused(card: &ModelCard, folder: &Path, path: &Path) -> Error {
    let store = ModelStore::at(&folder.join("store"));
    let error = pull::install(card, &store, path).unwrap_err();
    assert_eq!(store.installed(card), Installed::Missing);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.hint().is_some(), "{error}");
    error
}

/// The error is of `file`, whose hash was expected to be `expected`, and is that of `bytes`.
fn assert_checksum(error: &Error, file: &Path, expected: &str, bytes: &[u8]) {
    let message = error.to_string();
    let Error::Checksum { path, expected: pinned, found } = error else { panic!("{message}") };
    assert_eq!((path.as_path(), pinned.as_str(), found), (file, expected, &hash(bytes)));
    assert!([pinned, found].iter().all(|hash| message.contains(*hash)), "{message}");
}

#[test]
fn a_wheel_with_another_hash_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in MODELS {
        let card = registry::find(name).unwrap();
        // An archive that holds nothing, and bytes that are none.
        for bytes in [&b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], b"no archive"] {
            let wheel = folder.path().join(format!("{name}.whl"));
            fs::write(&wheel, bytes).unwrap();
            let error = refused(card, folder.path(), &wheel);
            assert_checksum(
                &error,
                &wheel,
                &card.source.as_ref().unwrap().wheel_sha256.to_string(),
                bytes,
            );
        }
    }
}

/// Writes an unpacked package whose checkpoint is `data` with `index` beside it.
fn unpack(card: &ModelCard, folder: &Path, data: &[u8], index: Option<&[u8]>) -> PathBuf {
    let file = folder.join(&card.source.as_ref().unwrap().file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, data).unwrap();
    let (prefix, _) = file.to_str().unwrap().rsplit_once(".data-").unwrap();
    let beside = PathBuf::from(format!("{prefix}.index"));
    match index {
        Some(index) => fs::write(beside, index).unwrap(),
        None => drop(fs::remove_file(beside)),
    }
    file
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    for name in MODELS {
        let card = registry::find(name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let data = unpack(card, folder.path(), b"damaged", Some(b"an index"));
        let parent = data.parent().unwrap();
        // The package's folder, the checkpoint's own, and either of its files.
        let mut index = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
        let index = index.find(|path| *path != data).unwrap();
        for path in [folder.path(), parent, &data, &index] {
            let store = ModelStore::at(&folder.path().join("store"));
            let error = pull::install(card, &store, path).unwrap_err();
            assert_checksum(
                &error,
                &data,
                &card.source.as_ref().unwrap().file_sha256.to_string(),
                b"damaged",
            );
            assert_eq!(store.installed(card), Installed::Missing);
        }
    }
}

#[test]
fn half_a_checkpoint_is_refused_with_the_names_of_both_files() {
    for name in MODELS {
        let card = registry::find(name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        unpack(card, folder.path(), b"data", None);
        let error = refused(card, folder.path(), folder.path());
        let message = error.to_string();
        assert!(matches!(error, Error::NotWeights { .. }), "{message}");
        assert!(
            message.contains(".index") && message.contains(".data-00000-of-00001"),
            "{message}"
        );
    }
}

#[test]
fn weights_of_another_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let card = registry::find("musicnn-mtt").unwrap();
    let other = ModelStore::of_user().unwrap().weights_path(registry::find("musicnn-msd").unwrap());
    let bytes = fs::read(&other).expect("installed: run `make setup` first");
    let error = refused(card, folder.path(), &other);
    assert_checksum(&error, &other, &card.weights.sha256.to_string(), &bytes);
}
