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

use bench::{Answer, Bench};

/// The command with a store of its own, and a hub of its own.
fn run(bench: &Bench, hub: &str, arguments: &[&str]) -> Answer {
    let mut command = bench.command();
    command.env("SONOTECA_STORE", bench.path("store")).env("SONOTECA_HUB", hub);
    Answer::of(&command.env_remove("HF_TOKEN").args(arguments).output().unwrap())
}

/// Serves the files of `folder`, whatever the repository and revision, each cut in the middle once.
fn hub_of(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
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
                stream.write_all(&content[first..end]).unwrap();
            }
        }
    });
    address
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
    run(&bench, &hub, &["models", "pull", "some/Small.Model"]).expect(0);
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
    let left = fs::read_dir(bench.path("store/models/.hub")).unwrap().count();
    assert_eq!(left, 0);
    run(&bench, NOWHERE, &["models", "pull", "some/Small.Model"]).expect(0);

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
    bench.wav("sounds/tone.wav", (0..22_050).map(|i| (f64::from(i) * 0.1).sin() * 0.5));
    run(&bench, NOWHERE, &["index", "sounds", "--model", "early"]).expect(0);
    let search = ["search", "sounds/tone.wav", "--model", "early"];
    let instead = |layer: &[&str]| {
        run(&bench, NOWHERE, &["models", "remove", "early"]).expect(0);
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
    let missing = run(&bench, &hub, &["models", "pull", "no/model"]).expect(2);
    assert!(missing.err.contains("config.json of no/model"), "{}", missing.err);
    assert!(missing.err.contains("404") && missing.err.contains("hint:"), "{}", missing.err);
    let unknown = run(&bench, &hub, &["models", "pull", "nothing"]).expect(2);
    assert!(unknown.err.contains("no model called `nothing`"), "{}", unknown.err);
}
