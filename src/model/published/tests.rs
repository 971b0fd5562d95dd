//! Folders, and repositories of a hub that a server of our own plays.

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
    eprintln!("SKIPPED: there is no {} (SONOTECA_SHARED names another place)", folder.display());
    None
}

fn whole(folder: &Path) -> Result<Published> {
    read("mine", folder, &describe("mine", folder)?)
}

fn repository<'a>(server: &Server, folder: &'a Path) -> Repository<'a> {
    let hub = Hub::at(&server.address(), None, HASTY);
    Repository { hub, name: "some/model", revision: "main".to_owned(), folder }
}

/// A hub whose repositories all hold what `folder` holds.
fn hub_of(folder: PathBuf) -> Server {
    Server::new(move |request, _| {
        let name = request.path.rsplit('/').next().unwrap();
        match fs::read(folder.join(name)) {
            Ok(content) => Reply::of(&content).with("X-Repo-Commit", "0123abc"),
            Err(_) => Reply::status(404),
        }
    })
}

#[test]
fn a_repository_gives_what_its_folder_does() {
    let Some(folder) = shared() else { return };
    let folder = folder.join("base");
    let expected = whole(&folder).unwrap();
    assert_eq!(expected.dimension, 64);
    let described = describe("mine", &folder).unwrap();
    described.require_layer("mine", Some(3)).unwrap();
    let refused = described.require_layer("mine", Some(4)).unwrap_err();
    assert!(refused.to_string().contains("hidden layers 0 to 3"), "{refused}");
    let hub = hub_of(folder);
    let target = tempfile::tempdir().unwrap();
    let commit = repository(&hub, target.path()).description(&mut |_| ()).unwrap();
    assert_eq!(commit.as_deref(), Some("0123abc"));
    let asked = Repository { revision: "0123abc".to_owned(), ..repository(&hub, target.path()) };
    asked.weights(&mut |_| ()).unwrap();
    assert_eq!(whole(target.path()).unwrap(), expected);
    let last = hub.requests().last().unwrap().path.clone();
    assert_eq!(last, "/some/model/resolve/0123abc/model.safetensors");
}

/// Writes the model of `folder` to `target` as a repository of large ones has it: in files, with an
/// index of them; every second tensor goes into the second file.
fn split(folder: &Path, target: &Path) {
    use ::safetensors::{SafeTensors, serialize};
    let bytes = fs::read(folder.join(WEIGHTS)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file.tensors();
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut map = serde_json::Map::new();
    for part in 0..2 {
        let name = format!("model-0000{}-of-00002.safetensors", part + 1);
        let mine: Vec<_> = tensors.iter().skip(part).step_by(2).cloned().collect();
        for (tensor, _) in &mine {
            map.insert(tensor.clone(), name.clone().into());
        }
        fs::write(target.join(&name), serialize(mine, None).unwrap()).unwrap();
    }
    let index = serde_json::json!({ "metadata": { "total_size": 1 }, "weight_map": map });
    fs::write(target.join(INDEX), index.to_string()).unwrap();
    for file in [CONFIG, PREPROCESSOR] {
        if folder.join(file).is_file() {
            fs::copy(folder.join(file), target.join(file)).unwrap();
        }
    }
}

#[test]
fn weights_in_several_files_are_those_of_one() {
    let Some(folder) = shared() else { return };
    let folder = folder.join("large");
    let expected = whole(&folder).unwrap();
    let parts = tempfile::tempdir().unwrap();
    split(&folder, parts.path());
    assert_eq!(whole(parts.path()).unwrap().sha256, expected.sha256);

    let hub = hub_of(parts.path().to_owned());
    let target = tempfile::tempdir().unwrap();
    repository(&hub, target.path()).description(&mut |_| ()).unwrap();
    repository(&hub, target.path()).weights(&mut |_| ()).unwrap();
    let fetched = whole(target.path()).unwrap();
    assert_eq!(fetched.sha256, expected.sha256);
    assert_eq!(fetched.published_sha256, whole(parts.path()).unwrap().published_sha256);

    let second = parts.path().join("model-00002-of-00002.safetensors");
    fs::remove_file(second).unwrap();
    let found = whole(parts.path()).unwrap_err().to_string();
    assert!(found.contains("no model-00002-of-00002"), "{found}");
    for (map, words) in [
        (r#"{"a": "../elsewhere.safetensors"}"#, "../elsewhere"),
        ("{}", "names 0 files"),
        ("[]", "does not read"),
    ] {
        fs::write(parts.path().join(INDEX), format!(r#"{{"weight_map": {map}}}"#)).unwrap();
        let found = whole(parts.path()).unwrap_err().to_string();
        assert!(found.contains(words), "{found}");
    }
}

#[test]
fn a_folder_without_one_of_the_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let found = whole(folder.path()).unwrap_err();
    assert!(matches!(&found, Error::NotWeights { .. }), "{found}");
    fs::write(folder.path().join(CONFIG), r#"{"model_type": "wav2vec2"}"#).unwrap();
    let found = whole(folder.path()).unwrap_err().to_string();
    assert!(found.contains("no model.safetensors"), "{found}");
    fs::write(folder.path().join(WEIGHTS), "no weights").unwrap();
    let found = whole(folder.path()).unwrap_err();
    assert!(matches!(&found, Error::Checkpoint { .. }), "{found}");
}

#[test]
fn another_architecture_is_told_by_its_description_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(CONFIG), r#"{"model_type": "hubert"}"#).unwrap();
    let found = describe("some/hubert", folder.path()).unwrap_err();
    assert!(matches!(&found, Error::Added(AddedProblem::Architecture { .. })), "{found}");
    assert!(found.to_string().contains("some/hubert is a `hubert`"), "{found}");
    assert!(found.hint().unwrap().contains("--torchscript"));
    let text = r#"{"model_type": "wav2vec2", "adapter_attn_dim": 16}"#;
    fs::write(folder.path().join(CONFIG), text).unwrap();
    let found = describe("some/mms", folder.path()).unwrap_err();
    assert!(matches!(&found, Error::Added(AddedProblem::Form { .. })), "{found}");
}

#[test]
fn repositories_have_an_owner() {
    assert!(is_repository("facebook/wav2vec2-base"));
    assert!(!is_repository("yamnet") && !is_repository("a/b/c"));
    assert!(!is_repository("../name"));
}
