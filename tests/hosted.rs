//! Hosted models, against a server on this machine that answers well and badly.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
#[path = "common/server.rs"]
mod server;

use std::time::{Duration, Instant};

use bench::{Answer, Bench};
use serde_json::{Value, json};
use server::{DIMENSION, RATE, Reply, Server, answer, base64, description, ok, well};
use sonoteca::model::EmbeddingModel;
use sonoteca::model::adding::{self, NewModel, Origin};
use sonoteca::model::card::{Answering, Sending};
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::{AddedProblem, Error, Result};
use tempfile::TempDir;

const KEY: &str = "s3cret-of-the-test";

fn new(server: &Server, retries: u32) -> NewModel {
    NewModel {
        name: "hosted".to_owned(),
        task: None,
        licence: None,
        sample_rate: None,
        window_s: None,
        hop_s: None,
        origin: Origin::Remote(adding::Server {
            url: server.url.clone(),
            key_env: None,
            send: Sending::Wav,
            answer: Answering::Json,
            timeout_s: 10.0,
            retries,
        }),
    }
}

/// The model of `server`, added and opened.
fn opened(server: &Server, retries: u32) -> (TempDir, EmbeddingModel) {
    let folder = tempfile::tempdir().unwrap();
    let store = ModelStore::at(folder.path());
    adding::add(&new(server, retries), &store, Compute::default()).unwrap();
    let model = EmbeddingModel::load("hosted", &store, Compute::default()).unwrap();
    (folder, model)
}

fn windows(count: u16) -> Vec<f32> {
    let samples = usize::from(count) * RATE as usize;
    (0..samples).map(|n| ((n % 400) as f32 * 0.05).sin() * 0.5).collect()
}

fn problem<T: std::fmt::Debug>(result: Result<T>) -> AddedProblem {
    match result {
        Err(Error::Added(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_it_says_is_its_card_and_vectors_come_as_they_were_made() {
    let server = Server::start();
    let (_folder, model) = opened(&server, 0);
    let card = model.card();
    assert_eq!((card.sample_rate, card.embedding_dimension), (RATE, DIMENSION));
    assert_eq!((card.window_s, card.hop_s, &card.weights.licence[..]), (1.0, 0.5, "MIT"));
    let before = model.sent().unwrap();
    let other = model.share();
    let vectors = other.embed(&windows(3)).unwrap().embeddings;
    let asked = server.received().pop().unwrap();
    assert_eq!(vectors, server::vectors(&asked).concat());
    assert_eq!(asked.media_type, "audio/wav");
    assert_eq!(&asked.body[..4], b"RIFF");
    let sent = model.sent().unwrap();
    assert_eq!(sent.requests - before.requests, 1);
    assert_eq!(sent.sent_bytes - before.sent_bytes, 44 + 3 * 2 * u64::from(RATE));
    assert!((sent.audio_s - before.audio_s - 3.0).abs() < 1e-6);
    assert_eq!((sent.retries, sent.to), (0, server.url));
}

#[test]
fn samples_and_base64_give_the_same_vectors() {
    let server = Server::start();
    let (_folder, model) = opened(&server, 0);
    let expected = model.embed(&windows(2)).unwrap().embeddings;
    let folder = tempfile::tempdir().unwrap();
    let store = ModelStore::at(folder.path());
    let mut new = new(&server, 0);
    if let Origin::Remote(server) = &mut new.origin {
        (server.send, server.answer) = (Sending::Samples, Answering::Base64);
    }
    adding::add(&new, &store, Compute::default()).unwrap();
    let model = EmbeddingModel::load("hosted", &store, Compute::default()).unwrap();
    assert_eq!(model.embed(&windows(2)).unwrap().embeddings, expected);
    let asked = server.received().pop().unwrap();
    assert_eq!(asked.media_type, "application/octet-stream");
    assert!(asked.line.contains(&format!("rate={RATE}")), "{}", asked.line);
}

#[test]
fn answers_that_are_none_are_refused_at_once() {
    let server = Server::start();
    let (_folder, model) = opened(&server, 3);
    let changed = |change: fn(&mut Value)| {
        move |_, received: &server::Received| {
            let mut value = answer(received);
            change(&mut value);
            ok(&value)
        }
    };
    let refusal = |words: &str| {
        let found = problem(model.embed(&windows(2)));
        assert!(matches!(found, AddedProblem::Answer { .. }), "{found}");
        assert!(found.to_string().contains(words), "{found}");
        assert_eq!(server.asked(), 1, "it is not asked again");
    };
    server.embeds(changed(|value| value["dimension"] = 9.into()));
    refusal("vectors of 9");
    server.embeds(changed(|value| value["embeddings"][1] = json!([1.0, 2.0])));
    refusal("a vector of 2");
    server.embeds(changed(|value| drop(value["embeddings"].as_array_mut().unwrap().pop())));
    refusal("1 vectors");
    server.embeds(changed(|value| value["embeddings"][0][3] = Value::Null));
    refusal("does not read");
    server.embeds(changed(|value| value["embeddings"][0][3] = json!(1e300)));
    refusal("out of range");
    server.embeds(changed(|value| value["embeddings"] = Value::Null));
    refusal("no vectors");
    server.embeds(|_, received| {
        let text = answer(received).to_string().replacen("0.", "NaN, 0.", 1);
        Reply::Full(200, "", text)
    });
    refusal("does not read");
    server.embeds(changed(|value| {
        let vectors = [f32::NAN; 2 * DIMENSION].map(f32::to_le_bytes).concat();
        value["embeddings"] = Value::Null;
        value["embeddings_base64"] = base64(&vectors).into();
    }));
    refusal("a value of NaN");
    server.embeds(changed(|value| {
        value["embeddings"] = Value::Null;
        value["embeddings_base64"] = base64(&[0; 12]).into();
    }));
    refusal("12 bytes");
    server.embeds(|_, _| Reply::Full(200, "", " ".repeat(300_000)));
    refusal("more bytes");
    server.embeds(|_, _| Reply::Full(200, "", "<html>".to_owned()));
    refusal("does not read");

    server.embeds(changed(|value| value["version"] = "2".into()));
    let found = problem(model.embed(&windows(2)));
    assert!(matches!(found, AddedProblem::Changed { .. }), "{found}");
}

#[test]
fn what_fails_for_now_is_asked_again() {
    let server = Server::start();
    let (_folder, model) = opened(&server, 3);
    let expected = model.embed(&windows(1)).unwrap();

    let started = Instant::now();
    server.embeds(|number, received| match number {
        0 => Reply::Full(429, "Retry-After: 2\r\n", "slower".to_owned()),
        _ => well(received),
    });
    assert_eq!(model.embed(&windows(1)).unwrap(), expected);
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(server.asked(), 2);

    // A date that is past is now.
    server.embeds(|number, received| match number {
        0 => Reply::Full(
            503,
            "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
            "being born".to_owned(),
        ),
        _ => well(received),
    });
    assert_eq!(model.embed(&windows(1)).unwrap(), expected);

    server.embeds(|number, received| match number {
        0 => Reply::Full(500, "", "oops".to_owned()),
        1 => Reply::Cut(answer(received).to_string()),
        2 => Reply::HangUp,
        _ => well(received),
    });
    assert_eq!(model.embed(&windows(1)).unwrap(), expected);
    assert_eq!(server.asked(), 4);
    assert_eq!(model.sent().unwrap().retries, 1 + 1 + 3);
}

#[test]
fn what_does_not_get_better_is_given_up() {
    let server = Server::start();
    let (_folder, model) = opened(&server, 1);
    server.embeds(|_, received| Reply::Cut(answer(received).to_string()));
    let found = problem(model.embed(&windows(1)));
    assert!(matches!(found, AddedProblem::Unreachable { attempts: 2, .. }), "{found}");
    assert_eq!(server.asked(), 2);

    server.embeds(|_, _| Reply::Full(500, "", "{\"error\": \"out of\\nmemory\"}".to_owned()));
    let found = problem(model.embed(&windows(1)));
    assert!(found.to_string().ends_with("status 500: out of memory"), "{found}");

    // Nobody waits for an hour.
    let started = Instant::now();
    server.embeds(|_, _| Reply::Full(429, "Retry-After: 3600\r\n", String::new()));
    let found = problem(model.embed(&windows(1)));
    assert!(found.to_string().contains("asks to wait 3600 s"), "{found}");
    assert!(started.elapsed() < Duration::from_secs(10));

    // Sound goes where the user said, and nowhere else.
    server.embeds(|_, _| Reply::Full(307, "Location: /v1/embed?x\r\n", String::new()));
    let found = problem(model.embed(&windows(1)));
    assert!(found.to_string().contains("redirections are not followed"), "{found}");
    assert_eq!(server.asked(), 1);
}

#[test]
fn a_slow_answer_is_not_waited_for_forever() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let store = ModelStore::at(folder.path());
    let mut new = new(&server, 0);
    if let Origin::Remote(server) = &mut new.origin {
        server.timeout_s = 1.0;
    }
    adding::add(&new, &store, Compute::default()).unwrap();
    let model = EmbeddingModel::load("hosted", &store, Compute::default()).unwrap();
    server.embeds(|_, received| Reply::Slow(Duration::from_secs(8), answer(received).to_string()));
    let started = Instant::now();
    let found = problem(model.embed(&windows(1)));
    assert!(matches!(found, AddedProblem::Unreachable { attempts: 1, .. }), "{found}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn servers_that_are_none_and_addresses_that_are_none_are_not_added() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let store = ModelStore::at(folder.path());
    let add = |change: &dyn Fn(&mut adding::Server)| {
        let mut new = new(&server, 0);
        if let Origin::Remote(server) = &mut new.origin {
            change(server);
        }
        let found = problem(adding::add(&new, &store, Compute::default()));
        assert!(store.added().is_empty());
        found.to_string()
    };
    for (url, words) in [
        ("ftp://example.org", "https://"),
        ("http://someone:word@example.org", "a name or a password"),
        ("https://example.org/?key=1", "a ? or a #"),
        ("example", "https://"),
    ] {
        let found = add(&|server| url.clone_into(&mut server.url));
        assert!(found.contains(words) && !found.contains("word@"), "{found}");
    }
    let found = add(&|server| {
        "http://example.org".clone_into(&mut server.url);
        server.key_env = Some("EMBED_KEY".to_owned());
    });
    assert!(found.contains("in the open"), "{found}");
    // Somebody gave the key itself.
    let found = add(&|server| server.key_env = Some(KEY.to_owned()));
    assert!(found.contains("variable") && !found.contains(KEY), "{found}");

    let mut other = description("1");
    other["protocol"] = 2.into();
    server.says(move |_, _| ok(&other));
    assert!(add(&|_| ()).contains("version 1 of the protocol"));
    server.says(|_, _| Reply::Full(404, "", "no such page".to_owned()));
    assert!(add(&|_| ()).contains("status 404: no such page"));
    server.says(|_, _| ok(&description("1")));
    // A server that is not the same twice.
    server.embeds(|number, received| {
        let mut value = answer(received);
        value["embeddings"][0][0] = json!(number);
        ok(&value)
    });
    assert!(add(&|_| ()).contains("another vector for the same sound"));
}

/// The command with a store of its own and a key.
fn run(bench: &Bench, arguments: &[&str]) -> Answer {
    let mut command = bench.command();
    command.env("SONOTECA_STORE", bench.path("store")).env("EMBED_KEY", KEY);
    Answer::of(&command.args(arguments).output().unwrap())
}

#[test]
fn a_collection_is_indexed_and_searched_with_a_key() {
    let (server, bench) = (Server::start(), Bench::with_sounds());
    let add = ["models", "add", "hosted", "--remote", &server.url, "--key-env", "EMBED_KEY"];
    let added = run(&bench, &add).expect(0);
    assert!(added.err.contains("s of sound"), "{}", added.err);
    let model = ["--model", "hosted"];
    let indexed = run(&bench, &[&["index", "sounds", "--format", "json"], &model[..]].concat());
    let indexed = indexed.expect(0);
    assert_eq!(indexed.json()[0]["indexed"], 6);
    // Six files of two seconds are three windows each, and what opening asks.
    assert!(indexed.err.contains(&format!("sent to {}:", server.url)), "{}", indexed.err);
    let found = run(&bench, &["search", "sounds/noise-0.wav", "-k", "2", "--format", "json"]);
    let hits = found.expect(0).json();
    assert!(hits[1]["path"].as_str().unwrap().ends_with("noise-1.wav"), "{hits:?}");

    let all = server.received();
    assert!(all.iter().all(|one| one.authorization == Some(format!("Bearer {KEY}"))));
    let card = std::fs::read_to_string(bench.path("store/models/hosted/card.toml")).unwrap();
    assert!(card.contains("EMBED_KEY") && !card.contains(KEY), "{card}");
    let library = std::fs::read(bench.path("sonoteca.db")).unwrap();
    assert!(!library.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()));

    let listed = run(&bench, &["models", "list", "--format", "json"]).expect(0).json();
    assert_eq!(
        (&listed.last().unwrap()["name"], listed.last().unwrap()["installed"].as_bool()),
        (&"hosted".into(), Some(true))
    );
    run(&bench, &["models", "verify", "hosted"]).expect(0);

    // A server that throws the key back is not quoted.
    server.says(|_, received| {
        Reply::Full(401, "", format!("bad {}", received.authorization.as_deref().unwrap()))
    });
    let refused = run(&bench, &[&["index", "sounds"], &model[..]].concat()).expect(2);
    assert!(refused.err.contains("401") && !refused.err.contains(KEY), "{}", refused.err);
    assert!(refused.err.contains("check the key in EMBED_KEY"), "{}", refused.err);
    let mut command = bench.command();
    command.env("SONOTECA_STORE", bench.path("store")).env_remove("EMBED_KEY");
    let missing = Answer::of(&command.args(["models", "verify", "hosted"]).output().unwrap());
    assert!(missing.expect(2).err.contains("EMBED_KEY is not set"));

    // Another version is another model.
    server.says(|_, _| ok(&description("2")));
    let changed = run(&bench, &[&["index", "sounds"], &model[..]].concat()).expect(2);
    assert!(changed.err.contains("runs `test-energies` 2 now"), "{}", changed.err);
    // What is stored can be searched without the server.
    run(&bench, &["search", "id:1"]).expect(0);

    run(&bench, &["models", "remove", "hosted"]).expect(2);
    run(&bench, &["models", "remove", "hosted", "--yes"]).expect(0);
    let gone = run(&bench, &[&["index", "sounds"], &model[..]].concat()).expect(2);
    assert!(gone.err.contains("no model called `hosted`"), "{}", gone.err);
}

#[test]
fn a_server_that_goes_ends_the_run_in_order_and_nothing_stored_is_lost() {
    let (server, bench) = (Server::start(), Bench::new());
    std::fs::create_dir(bench.path("sounds")).unwrap();
    for number in 0..40_u32 {
        bench.noise(&format!("sounds/noise-{number:02}.wav"), 3 + number);
    }
    let add = ["models", "add", "hosted", "--remote", &server.url, "--retries", "0"];
    run(&bench, &add).expect(0);
    // A batch a second time is what the writer needs to have something to commit meanwhile.
    server.embeds(|number, received| match number {
        0..=4 => Reply::Slow(Duration::from_millis(700), answer(received).to_string()),
        _ => Reply::HangUp,
    });
    let index = ["index", "sounds", "--model", "hosted", "--jobs", "1", "--format", "json"];
    let broken = run(&bench, &index).expect(2);
    assert!(broken.err.contains("did not answer"), "{}", broken.err);
    assert!(broken.err.contains("sent to"), "{}", broken.err);

    server.embeds(|_, received| well(received));
    let resumed = run(&bench, &index).expect(0).json();
    let (indexed, unchanged) = (&resumed[0]["indexed"], &resumed[0]["unchanged"]);
    let unchanged = unchanged.as_u64().unwrap();
    assert_eq!(indexed.as_u64().unwrap() + unchanged, 40, "{resumed:?}");
    assert!(unchanged > 0, "what was stored before stays: {resumed:?}");
    let hits = run(&bench, &["search", "id:1", "-k", "100", "--format", "json"]).expect(0).json();
    assert_eq!(hits.len(), 39);
}
