//! Models of the user's own that fail at some of what they hear, or have to be waited for: what the
//! run makes of it, by the real binary.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
#[path = "common/server.rs"]
mod server;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench::{Answer, Bench};
use serde_json::{Value, json};
use server::{Received, Reply, Server, answer, ok, well};
use tch::{CModule, Kind, Tensor};

/// A sample beyond this is what the models here do not stand.
const TOO_LOUD: f64 = 0.85;

/// The command with a store of its own.
fn command(bench: &Bench) -> Command {
    let mut command = bench.command();
    command.env("SONOTECA_STORE", bench.path("store"));
    command
}

fn run(bench: &Bench, arguments: &[&str]) -> Answer {
    Answer::of(&command(bench).args(arguments).output().unwrap())
}

/// Three tones and three noises, and so many files that are too loud.
fn sounds(loud: u8) -> Bench {
    let bench = Bench::new();
    fs::create_dir(bench.path("sounds")).unwrap();
    for take in 0..3_u8 {
        bench.tone(&format!("sounds/tone-{take}.wav"), 440.0 + 20.0 * f64::from(take));
        bench.noise(&format!("sounds/noise-{take}.wav"), 7 + u32::from(take));
    }
    for take in 0..loud {
        let turn = 2.0 * std::f64::consts::PI * (300.0 + f64::from(take)) / 22_050.0;
        let samples = (0..44_100).map(move |n| 0.99 * (turn * f64::from(n)).sin());
        bench.wav(&format!("sounds/loud-{take}.wav"), samples);
    }
    bench
}

/// Adds a module of a second at 8 kHz that looks a window's loudness up in a table of one row, and
/// throws where that is not enough.
fn add_module(bench: &Bench) {
    let numbers: Vec<f32> = (0..8 * 64_i16).map(|n| (f32::from(n) * 0.37).sin()).collect();
    let weight = Tensor::from_slice(&numbers).view([8, 1, 64]);
    let table = Tensor::zeros([1, 8], (Kind::Float, tch::Device::Cpu));
    let input = Tensor::zeros([2, 8_000], (Kind::Float, tch::Device::Cpu));
    let module = CModule::create_by_tracing("shy", "forward", &[input], &mut |inputs| {
        let heard = inputs[0].unsqueeze(1).conv1d(&weight, None::<&Tensor>, 32, 0, 1, 1);
        let heard = heard.abs().mean_dim(&[2_i64][..], false, Kind::Float);
        let loudness = inputs[0].abs().amax([1], false) / TOO_LOUD;
        vec![heard + table.index_select(0, &loudness.floor().to_kind(Kind::Int64))]
    });
    let path = bench.path("shy.pt");
    module.unwrap().save(&path).unwrap();
    let add = ["models", "add", "shy", "--torchscript", &path.to_string_lossy(), "--rate", "8000"];
    run(bench, &[&add[..], &["--window", "1"]].concat()).expect(0);
}

fn add_server(bench: &Bench, server: &Server, retries: &str) {
    let add = ["models", "add", "shy", "--remote", &server.url, "--retries", retries];
    run(bench, &add).expect(0);
}

/// Whether a WAV file holds what is too loud.
fn is_too_loud(received: &Received) -> bool {
    let (samples, _) = received.body[44..].as_chunks::<2>();
    samples.iter().any(|&pair| f64::from(i16::from_le_bytes(pair)).abs() > TOO_LOUD * 32_768.0)
}

const INDEX: [&str; 8] = ["index", "sounds", "--model", "shy", "--format", "json", "--jobs", "1"];

/// The ledger: names of files, and why.
fn failures(bench: &Bench) -> Vec<(String, String)> {
    let mut command = command(bench);
    let listed = Answer::of(&command.args(["failures", "--format", "json"]).output().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let name = |row: &Value| text(&row["path"]).rsplit('/').next().unwrap().to_owned();
    listed.json().iter().map(|row| (name(row), text(&row["reason"]))).collect()
}

#[test]
fn a_window_at_which_a_module_throws_costs_its_recording() {
    let bench = sounds(1);
    add_module(&bench);
    let indexed = run(&bench, &INDEX).expect(2);
    let report = &indexed.json()[0];
    assert_eq!((&report["indexed"], &report["failures"]), (&6.into(), &1.into()), "{report}");
    assert!(indexed.err.contains("loud-0.wav"), "{}", indexed.err);
    let [(name, reason)] = &failures(&bench)[..] else { panic!("{:?}", failures(&bench)) };
    assert_eq!(name, "loud-0.wav");
    assert!(reason.contains("out of range"), "{reason}");
    assert!(!reason.contains("Traceback"), "its last line says why: {reason}");
    // The same command does not stop there: a server may do better another time, so it is tried again.
    let report = &run(&bench, &INDEX).expect(2).json()[0];
    assert_eq!((&report["unchanged"], &report["failures"]), (&6.into(), &1.into()), "{report}");
    let retried = run(&bench, &["failures", "--retry", "--format", "json"]).expect(2);
    assert!(retried.err.contains("loud-0.wav"), "{}", retried.err);
    let hits = run(&bench, &["search", "id:1", "-k", "9", "--format", "json"]).expect(0).json();
    assert_eq!(hits.len(), 5);
}

#[test]
fn a_module_that_throws_at_one_after_the_other_ends_the_run() {
    let bench = sounds(7);
    add_module(&bench);
    let broken = run(&bench, &INDEX).expect(2);
    assert!(broken.err.contains("`shy` failed on 5 recordings in a row"), "{}", broken.err);
    assert!(broken.err.contains("sonoteca failures --retry"), "{}", broken.err);
    assert_eq!(failures(&bench).len(), 5, "{:?}", failures(&bench));
    // Nobody is kept from what lies behind them: what failed comes last the next time.
    run(&bench, &INDEX).expect(2);
    let hits = run(&bench, &["search", "id:1", "-k", "9", "--format", "json"]).expect(0).json();
    assert_eq!(hits.len(), 5, "{hits:?}");
    assert_eq!(failures(&bench).len(), 7);
}

#[test]
fn a_window_that_a_server_refuses_or_answers_badly_costs_its_recording() {
    let (server, bench) = (Server::start(), sounds(1));
    add_server(&bench, &server, "1");
    let refusals: [fn(&Received) -> Reply; 3] = [
        |_| Reply::Full(422, "", "{\"error\": \"it clips\"}".to_owned()),
        |_| Reply::Full(500, "", "it clips".to_owned()),
        |received| {
            let mut value = answer(received);
            value["embeddings"][0][0] = json!("it clips");
            ok(&value)
        },
    ];
    for (turn, refuse) in refusals.into_iter().enumerate() {
        server.embeds(move |_, received| match received {
            received if is_too_loud(received) => refuse(received),
            received => well(received),
        });
        let library = format!("{turn}.db");
        let index = [&INDEX[..], &["--library", &library]].concat();
        let indexed = run(&bench, &index).expect(2);
        let report = &indexed.json()[0];
        assert_eq!((&report["indexed"], &report["failures"]), (&6.into(), &1.into()), "{report}");
        let failed = &report["failed"][0];
        assert!(failed["path"].as_str().unwrap().ends_with("loud-0.wav"), "{report}");
        assert!(indexed.err.contains("loud-0.wav"), "{}", indexed.err);
        let again = run(&bench, &index).expect(2).json();
        assert_eq!(again[0]["unchanged"], 6, "{again:?}");
    }
}

#[test]
fn a_server_that_lets_nobody_in_ends_the_run_and_is_no_file_s_fault() {
    let (server, bench) = (Server::start(), sounds(0));
    add_server(&bench, &server, "0");
    for (status, words) in [(401, "status 401"), (503, "status 503"), (404, "status 404")] {
        server.embeds(move |number, received| match number {
            // What opening asks.
            0 => well(received),
            _ => Reply::Full(status, "", String::new()),
        });
        let broken = run(&bench, &INDEX).expect(2);
        assert!(broken.err.contains(words), "{}", broken.err);
        assert!(failures(&bench).is_empty(), "{:?}", failures(&bench));
    }
    server.embeds(|_, received| well(received));
    assert_eq!(run(&bench, &INDEX).expect(0).json()[0]["indexed"], 6);
}

/// Starts indexing against a server that has opened well and then behaves so.
fn start(
    bench: &Bench,
    server: &Server,
    then: impl Fn(&Received) -> Reply + Send + Sync + 'static,
) -> Child {
    server
        .embeds(move |number, received| if number == 0 { well(received) } else { then(received) });
    let mut command = command(bench);
    command.args(INDEX).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Presses Ctrl-C.
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_wait_that_a_server_asks_for_is_told_and_ends_with_ctrl_c() {
    let (server, bench) = (Server::start(), sounds(0));
    add_server(&bench, &server, "5");
    let mut child = start(&bench, &server, |_| {
        Reply::Full(429, "Retry-After: 100\r\n", "{\"error\": \"quota\"}".to_owned())
    });
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = lines.find(|line| line.as_ref().unwrap().contains("asks to wait")).unwrap().unwrap();
    assert!(told.contains(&server.url) && told.contains("100 s"), "{told}");
    assert!(told.contains("429") && told.contains("quota"), "{told}");
    interrupt(&child);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let rest = rest.join("\n");
    assert_eq!(child.wait().unwrap().code(), Some(2), "{rest}");
    assert!(rest.contains("stopping"), "{rest}");
    // The account of what was sent is given all the same, and nothing failed.
    assert!(rest.contains(&format!("sent to {}:", server.url)), "{rest}");
    assert_eq!(server.asked(), 2, "opening, and one; nothing is asked again");
    assert!(failures(&bench).is_empty(), "{:?}", failures(&bench));
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_after_ctrl_c() {
    let (server, bench) = (Server::start(), sounds(0));
    add_server(&bench, &server, "5");
    let mut child = start(&bench, &server, |received| {
        Reply::Slow(Duration::from_mins(5), answer(received).to_string())
    });
    while server.asked() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it is at work");
        std::thread::sleep(Duration::from_millis(20));
    }
    interrupt(&child);
    let code = child.wait().unwrap().code();
    let mut rest = String::new();
    child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(code, Some(2), "{rest}");
    assert!(rest.contains(&format!("sent to {}:", server.url)), "{rest}");
    assert_eq!(server.asked(), 2);
    // What was not done follows.
    server.embeds(|_, received| well(received));
    assert_eq!(run(&bench, &INDEX).expect(0).json()[0]["indexed"], 6);
}
