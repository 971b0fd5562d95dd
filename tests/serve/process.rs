//! The process: how it starts, what it does beside others, how it ends.
#![cfg(unix)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sonoteca::store::Library;

use crate::bench::Bench;
use crate::served::{PATIENCE, Served, indexed};

fn signal(served: &Served, signal: Signal) {
    let id = i32::try_from(served.process.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

fn end_of(served: &mut Served) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = served.process.try_wait().unwrap() {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "it goes on");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn signals_end_it_once_what_is_in_flight_is_finished() {
    for which in [Signal::TERM, Signal::INT] {
        let mut served = Served::new();
        // Half of a request is there when the signal comes.
        let id = served.ids("tone")[0];
        let body = json!({"like": [{"recording_id": id}]}).to_string();
        let mut stream = TcpStream::connect(served.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /v1/search HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            served.address,
            served.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body.as_bytes()[..5]).unwrap();
        sleep(Duration::from_millis(300));
        signal(&served, which);
        sleep(Duration::from_millis(300));
        assert!(TcpStream::connect(served.address).is_err(), "nobody new is let in");
        stream.write_all(&body.as_bytes()[5..]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"hits\""), "{answer}");
        assert_eq!(end_of(&mut served).code(), Some(0), "{which:?}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut served = Served::new();
    // Half of a request, the rest of which never comes.
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/search HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        served.address, served.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    sleep(Duration::from_millis(300));
    signal(&served, Signal::TERM);
    sleep(Duration::from_millis(300));
    assert!(served.process.try_wait().unwrap().is_none(), "it waits for what is in flight");
    // A terminal and a supervisor may both tell of one stop.
    signal(&served, Signal::INT);
    sleep(Duration::from_millis(300));
    assert!(served.process.try_wait().unwrap().is_none(), "it was asked once");
    // More than a second after the first.
    sleep(Duration::from_millis(900));
    signal(&served, Signal::INT);
    assert_eq!(end_of(&mut served).code(), Some(0));
    // Not even refused: waiting for the body takes ten seconds, after which it would have been.
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert_eq!(answer, "");
}

#[test]
fn what_a_killed_server_left_is_removed_at_the_next_start() {
    let temporary = Bench::new();
    let folders = || -> Vec<PathBuf> {
        let entries = fs::read_dir(temporary.folder.path()).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.to_string_lossy().contains("sonoteca-uploads-"));
        paths
    };
    let bench = indexed();
    let library = bench.path("sonoteca.db");
    let sound = fs::read(bench.path("sounds/tone-0.wav")).unwrap();
    let named = ["--library", library.to_str().unwrap()];
    let mut killed = Served::start_in(bench, &[], temporary.folder.path());
    killed.upload(&sound).expect(201);
    let left = folders();
    assert_eq!(left.len(), 1);
    killed.process.kill().unwrap();
    killed.process.wait().unwrap();
    assert!(left[0].exists(), "nobody was there to remove it");

    let second = Served::start_in(Bench::new(), &named, temporary.folder.path());
    let own = folders();
    assert!(!left[0].exists() && own.len() == 1, "{own:?}");
    let upload = second.upload(&sound).expect(201).json();
    // What another server that lives has is not touched.
    let mut third = Served::start_in(Bench::new(), &named, temporary.folder.path());
    let id = upload["upload_id"].as_str().unwrap();
    second.get(&format!("/v1/uploads/{id}/clip.wav?end_s=0.1")).expect(200);
    assert_eq!(folders().len(), 2);
    signal(&third, Signal::TERM);
    assert_eq!(end_of(&mut third).code(), Some(0));
    assert_eq!(folders(), own, "whoever ends by itself takes its own along");
}

#[test]
fn an_index_job_is_ended_with_the_process_and_keeps_what_it_stored() {
    let bench = indexed();
    for take in 0..30 {
        bench.noise(&format!("sounds/more-{take}.wav"), 100 + take);
    }
    let mut served = Served::start(bench, &[]);
    served.post("/v1/index", &json!({})).expect(202);
    signal(&served, Signal::TERM);
    assert_eq!(end_of(&mut served).code(), Some(0));
    let library = Library::open(&served.bench.path("sonoteca.db")).unwrap();
    assert!(library.totals().unwrap().recordings >= 6);
}

#[test]
fn searches_do_not_wait_while_another_process_writes() {
    let served = Served::new();
    let id = served.ids("tone")[0];
    let mut library = Library::open(&served.bench.path("sonoteca.db")).unwrap();
    let writer = library.begin().unwrap();
    writer.remove_head("nobody").unwrap();
    let started = Instant::now();
    for _ in 0..20 {
        served.search(&json!({"like": [{"recording_id": id}]}));
        served.search(&json!({"text": "tone"}));
    }
    let elapsed = started.elapsed();
    writer.commit().unwrap();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[test]
fn it_listens_elsewhere_only_when_that_is_meant() {
    let bench = indexed();
    let refused = bench.run(&["serve", "--bind", "0.0.0.0:0"]).expect(2);
    assert!(
        refused.err.contains("--token") && refused.err.contains("--insecure"),
        "{}",
        refused.err
    );
    let short = bench.run(&["serve", "--token", "short"]).expect(2);
    assert!(short.err.contains("16 characters"), "{}", short.err);
    let missing = Bench::new().run(&["serve"]).expect(2);
    assert!(missing.err.contains("there is no library"), "{}", missing.err);

    let token = "a-token-of-enough-letters";
    let mut served = Served::start(bench, &["--bind", "0.0.0.0:0", "--token", token]);
    served.address.set_ip("127.0.0.1".parse().unwrap());
    assert_eq!(served.token, "", "who chose a token knows it");
    served.get("/v1/library").refused(401, "no_token");
    served.send("GET", "/", &[], &[]).refused(401, "no_token");
    served.send("GET", "/healthz", &[], &[]).expect(200);
    let entered = served.send("GET", &format!("/?token={token}"), &[], &[]).expect(303);
    let cookie = entered.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    served.send("GET", "/v1/library", &[("cookie", &cookie)], &[]).expect(200);
    served.token = token.to_owned();
    served.get("/v1/library").expect(200);
    served.send("GET", "/?token=another-token-of-letters", &[], &[]).refused(401, "no_token");

    let open = Served::start(indexed(), &["--insecure"]);
    open.send("GET", "/v1/library", &[], &[]).expect(200);
    // Names of other sites are refused nevertheless.
    open.send("GET", "/v1/library", &[("host", "evil.example")], &[]).refused(421, "wrong_host");
}
