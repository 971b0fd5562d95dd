//! Published wav2vec 2.0 models as users meet them: from a folder, and by the name of a repository
//! of a model hub, which a server of the test's own plays.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bench::{Answer, Bench};

/// The command with a store of its own, and a hub of its own.
fn run(bench: &Bench, hub: &str, arguments: &[&str]) -> Answer {
    let mut command = bench.command();
    command.env("SONOTECA_STORE", bench.path("store")).env("SONOTECA_HUB", hub);
    Answer::of(&command.env_remove("HF_TOKEN").args(arguments).output().unwrap())
}

/// A hub, and the names of the files that it was asked for by GET.
struct Hub {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    /// Forgets what it was asked for, and says it.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// Serves the files of `folder`, whatever the repository and revision, each cut in the middle once.
fn hub_of(folder: PathBuf) -> Hub {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let hub = Hub { address, asked: Arc::clone(&asked) };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines: Vec<String> = BufReader::new(&stream)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let Some((method, path)) = lines.first().and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let name = path.split(' ').next().unwrap().rsplit('/').next().unwrap();
            let Ok(content) = fs::read(folder.join(name)) else {
                write!(stream, "HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n").unwrap();
                continue;
            };
            let first = lines.iter().find_map(|line| {
                let (header, range) = line.split_once(": bytes=")?;
                header.eq_ignore_ascii_case("range").then(|| range.trim_end_matches('-'))
            });
            let first: usize = first.map_or(0, |first| first.parse().unwrap());
            let end = if first == 0 { content.len() / 2 } else { content.len() };
            let (status, whole) = (if first == 0 { 200 } else { 206 }, content.len());
            write!(
                stream,
                "HTTP/1.1 {status} Word\r\nX-Repo-Commit: 0123abc\r\nETag: \"{name}{whole}\"\r\n\
                 Content-Range: bytes {first}-{}/{whole}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                whole - 1,
                whole - first
            )
            .unwrap();
            if method == "GET" {
                asked.lock().unwrap().push(name.to_owned());
                stream.write_all(&content[first..end]).unwrap();
            }
        }
    });
    hub
}

/// A copy of the small published model, with further files or in place of its own; none where that is
/// not there.
fn published(bench: &Bench, files: &[(&str, &str)]) -> Option<PathBuf> {
    let folder = common::shared("golden/wav2vec2")?.join("base");
    let copy = bench.path("published");
    fs::create_dir_all(&copy).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(folder.join(file), copy.join(file)).unwrap();
    }
    for (name, text) in files {
        fs::write(copy.join(name), text).unwrap();
    }
    Some(copy)
}

/// What is left of downloads.
fn left(bench: &Bench) -> usize {
    fs::read_dir(bench.path("store/models/.hub")).map_or(0, Iterator::count)
}

const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn a_folder_and_a_repository_become_the_same_model() {
    let Some(folder) = common::shared("golden/wav2vec2") else { return };
    let folder = folder.join("base");
    let bench = Bench::with_sounds();
    let from = folder.to_string_lossy().into_owned();
    run(&bench, NOWHERE, &["models", "pull", "mine", "--from", &from]).expect(0);
    let hub = hub_of(folder);
    let pulled = run(&bench, &hub.address, &["models", "pull", "some/Small.Model"]).expect(0);
    // What a download comes to is seen without being asked for, and why it was tried again.
    assert!(pulled.err.contains("model.safetensors: "), "{}", pulled.err);
    assert!(pulled.err.contains("is tried again in"), "{}", pulled.err);
    let info = |name| {
        let info = ["models", "info", name, "--format", "json"];
        run(&bench, NOWHERE, &info).expect(0).json()[0].clone()
    };
    let (mine, theirs) = (info("mine"), info("small-model"));
    assert_eq!(mine["embedding_dimension"], 64);
    assert_eq!(mine["sha256"], theirs["sha256"]);
    assert!(theirs["version"].as_str().unwrap().contains("some/Small.Model 0123abc"), "{theirs}");
    let listed = run(&bench, NOWHERE, &["models", "list"]).expect(0).out;
    assert!(listed.contains("mine") && listed.contains("small-model"), "{listed}");
    run(&bench, NOWHERE, &["models", "verify", "mine", "small-model"]).expect(0);
    // Nothing is left of the download, and nothing is fetched twice.
    assert_eq!(left(&bench), 0);
    let again = run(&bench, NOWHERE, &["models", "pull", "some/Small.Model"]).expect(0);
    assert!(again.err.contains("installed already"), "{}", again.err);

    let index = ["index", "sounds", "--model", "small-model", "--format", "json"];
    assert_eq!(run(&bench, NOWHERE, &index).expect(0).json()[0]["indexed"], 6);
    let search = ["search", "sounds/tone-0.wav", "-k", "2", "--format", "json"];
    let hits = run(&bench, NOWHERE, &search).expect(0).json();
    // The weights are random: that a sound finds itself is all that can be asked of them.
    assert!(hits[0]["path"].as_str().unwrap().contains("tone-0"), "{hits:?}");
    assert!(hits[0]["score"].as_f64().unwrap() > 0.999_9, "{hits:?}");
    assert!(hits[1]["score"].as_f64().unwrap() < 0.999_9, "{hits:?}");
}

#[test]
fn an_earlier_layer_is_another_model() {
    let Some(folder) = common::shared("golden/wav2vec2") else { return };
    let bench = Bench::new();
    let from = folder.join("large").to_string_lossy().into_owned();
    let pull = ["models", "pull", "early", "--from", &from, "--layer"];
    run(&bench, NOWHERE, &[&pull[..], &["1"]].concat()).expect(0);
    let card = fs::read_to_string(bench.path("store/models/early/card.toml")).unwrap();
    assert!(card.contains("layer = 1"), "{card}");
    let late = ["models", "pull", "late", "--from", &from, "--layer", "4"];
    let refused = run(&bench, NOWHERE, &late).expect(2);
    assert!(refused.err.contains("hidden layers 0 to 3"), "{}", refused.err);

    // The same name, file and front end; what the library holds is of another layer.
    fs::create_dir(bench.path("sounds")).unwrap();
    bench.wav("sounds/tone.wav", (0..22_050).map(|i| (f64::from(i) * 0.1).sin() * 0.5));
    run(&bench, NOWHERE, &["index", "sounds", "--model", "early"]).expect(0);
    let search = ["search", "sounds/tone.wav", "--model", "early"];
    let instead = |layer: &[&str]| {
        run(&bench, NOWHERE, &["models", "remove", "early", "--yes"]).expect(0);
        run(&bench, NOWHERE, &[&["models", "pull", "early", "--from", &from], layer].concat())
            .expect(0);
        run(&bench, NOWHERE, &search)
    };
    let refused = instead(&["--layer", "2"]).expect(2);
    assert!(refused.err.contains("early") && refused.err.contains("hint:"), "{}", refused.err);
    instead(&["--layer", "1"]).expect(0);
    // The last one is the same, named or not.
    instead(&["--layer", "3"]).expect(2);
    run(&bench, NOWHERE, &["index", "sounds", "--model", "early"]).expect(0);
    instead(&[]).expect(0);
}

#[test]
fn what_is_missing_is_said_with_what_to_try() {
    let bench = Bench::new();
    let hub = hub_of(bench.path("."));
    let missing = run(&bench, &hub.address, &["models", "pull", "no/model"]).expect(2);
    assert!(missing.err.contains("config.json of no/model"), "{}", missing.err);
    assert!(missing.err.contains("404") && missing.err.contains("hint:"), "{}", missing.err);
    assert_eq!(left(&bench), 0);
    let unknown = run(&bench, &hub.address, &["models", "pull", "nothing"]).expect(2);
    assert!(unknown.err.contains("no model called `nothing`"), "{}", unknown.err);
}

#[test]
fn a_name_is_of_one_repository() {
    let bench = Bench::new();
    let Some(folder) = published(&bench, &[]) else { return };
    let hub = hub_of(folder);
    let pull = |arguments: &[&str], code| {
        run(&bench, &hub.address, &[&["models", "pull"], arguments].concat()).expect(code).err
    };
    pull(&["one/model"], 0);
    hub.asked();
    let taken = pull(&["two/model"], 2);
    assert!(taken.contains("`model` is one/model here, and not two/model"), "{taken}");
    assert!(taken.contains("sonoteca models pull two/model --as NAME"), "{taken}");
    // Nor is it one of ours that bears the same name.
    let ours = pull(&["openai/whisper-base"], 2);
    assert!(ours.contains("`whisper-base` is built in here"), "{ours}");
    let other_layer = pull(&["one/model", "--layer", "1"], 2);
    assert!(other_layer.contains("--as NAME"), "{other_layer}");
    // The last one is what it has.
    assert!(pull(&["one/model", "--layer", "3"], 0).contains("installed already"));
    assert!(pull(&["one/model"], 0).contains("installed already"));
    // A name of which none can be made.
    assert!(pull(&["one/_model"], 2).contains("--as NAME"));
    assert!(hub.asked().is_empty(), "nothing is fetched for that");

    pull(&["two/model", "--as", "theirs"], 0);
    pull(&["one/model", "--layer", "1", "--as", "early"], 0);
    pull(&["one/_model", "--as", "odd"], 0);
    let info = run(&bench, NOWHERE, &["models", "info", "theirs", "--format", "json"]).expect(0);
    let info = &info.json()[0];
    assert!(info["version"].as_str().unwrap().starts_with("two/model "), "{info}");
    assert!(pull(&["two/model", "--as", "theirs"], 0).contains("installed already"));
    for refused in [&["a/b", "c/d", "--as", "x"][..], &["yamnet", "--as", "x"]] {
        assert!(pull(refused, 2).contains("--as"));
    }
}

#[test]
fn what_it_is_shows_before_its_weights_are_fetched() {
    let bench = Bench::new();
    let hubert = [("config.json", r#"{"model_type": "hubert", "hidden_size": 1024}"#)];
    let Some(folder) = published(&bench, &hubert) else { return };
    let hub = hub_of(folder.clone());
    let refused = run(&bench, &hub.address, &["models", "pull", "some/hubert"]).expect(2);
    assert!(refused.err.contains("some/hubert is a `hubert` network"), "{}", refused.err);
    assert!(refused.err.contains("models add NAME --torchscript"), "{}", refused.err);
    assert!(!hub.asked().contains(&"model.safetensors".to_owned()));
    assert_eq!(left(&bench), 0);

    let shared = common::shared("golden/wav2vec2").unwrap().join("base/config.json");
    fs::copy(shared, folder.join("config.json")).unwrap();
    let late = ["models", "pull", "some/model", "--layer", "99"];
    let refused = run(&bench, &hub.address, &late).expect(2);
    assert!(refused.err.contains("hidden layers 0 to 3, and 99"), "{}", refused.err);
    assert!(!hub.asked().contains(&"model.safetensors".to_owned()));
    // What comes down and is no network is not kept, and the hint does not lead there again.
    fs::write(folder.join("model.safetensors"), "these are no weights").unwrap();
    let refused = run(&bench, &hub.address, &["models", "pull", "some/model"]).expect(2);
    assert!(refused.err.contains("damaged"), "{}", refused.err);
    assert_eq!(left(&bench), 0);
}

#[test]
fn a_download_that_was_stopped_can_be_dropped() {
    let bench = Bench::new();
    let folder = bench.path("store/models/.hub/some--model");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".model.safetensors.0123.partial"), "a part").unwrap();
    let removed = run(&bench, NOWHERE, &["models", "remove", "some/model"]).expect(0);
    assert!(removed.err.contains("what a download of some/model had left"), "{}", removed.err);
    assert_eq!(left(&bench), 0);
    run(&bench, NOWHERE, &["models", "remove", "some/model"]).expect(2);
}

#[test]
fn licences_are_those_that_makers_state() {
    let bench = Bench::new();
    let readme = "---\nlanguage: en\nlicense: cc-by-nc-4.0\n---\n# A model\n";
    let Some(folder) = published(&bench, &[("README.md", readme)]) else { return };
    let hub = hub_of(folder.clone());
    let pulled = run(&bench, &hub.address, &["models", "pull", "some/model"]).expect(0);
    assert!(pulled.err.contains("cc-by-nc-4.0, is not for commercial use"), "{}", pulled.err);
    let from = folder.to_string_lossy().into_owned();
    let mine = ["models", "pull", "mine", "--from", &from, "--licence", "MIT", "--task", "owls"];
    run(&bench, NOWHERE, &mine).expect(0);
    let rows = run(&bench, NOWHERE, &["models", "list", "--format", "json"]).expect(0).json();
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(
        (&row("model")["licence"], &row("model")["commercial_use"]),
        (&"cc-by-nc-4.0".into(), &false.into())
    );
    assert_eq!((&row("mine")["licence"], &row("mine")["task"]), (&"MIT".into(), &"owls".into()));
    assert_eq!(
        (&row("mine")["commercial_use"], &row("mine")["segment_s"]),
        (&true.into(), &1.0.into())
    );
    let bytes = fs::metadata(bench.path("store/models/mine/model.safetensors")).unwrap().len();
    assert_eq!(row("mine")["bytes"], bytes);
    let listed = run(&bench, NOWHERE, &["models", "list"]).expect(0).out;
    assert!(listed.contains("(not commercial)"), "{listed}");
    let info = run(&bench, NOWHERE, &["models", "info", "mine"]).expect(0).out;
    assert!(info.contains("64 values for 1 s, every 0.5 s: means of windows of 0.5 s"), "{info}");
}

#[test]
fn what_was_added_and_is_gone_is_told_as_such() {
    let bench = Bench::new();
    let Some(folder) = published(&bench, &[]) else { return };
    let from = folder.to_string_lossy().into_owned();
    run(&bench, NOWHERE, &["models", "pull", "mine", "--from", &from]).expect(0);
    fs::remove_file(bench.path("store/models/mine/model.safetensors")).unwrap();
    for arguments in [
        &["models", "verify"][..],
        &["models", "verify", "mine"],
        &["index", ".", "--model", "mine"],
    ] {
        let gone = run(&bench, NOWHERE, arguments).expect(2);
        assert!(gone.err.contains("the file of `mine` is gone"), "{}", gone.err);
        assert!(gone.err.contains("sonoteca models remove mine"), "{}", gone.err);
    }
}
