//! A file that makes its decoder crash or spin costs only itself, and Ctrl-C ends a run in order.
//!
//! The decoders here are real; what goes wrong with them is done to their processes from outside,
//! by signals, because no file is known that does it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

#[path = "common/bench.rs"]
mod bench;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bench::{Answer, Bench};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// Long enough that nothing here runs into it on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a process is: its id, its parent, and whether it runs.
#[derive(Debug)]
struct Process {
    id: i32,
    parent: i32,
}

fn processes() -> Vec<Process> {
    let ids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok());
    ids.filter_map(|id| {
        // It may have ended meanwhile. Its name, in brackets, may hold anything.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let rest = stat.rsplit_once(')')?.1;
        Some(Process { id, parent: rest.split_whitespace().nth(1)?.parse().ok()? })
    })
    .collect()
}

/// The processes that decode for `run`: its children's children.
fn decoders(run: &Child) -> Vec<i32> {
    let all = processes();
    let children_of = |parent: i32| {
        all.iter().filter(move |process| process.parent == parent).map(|process| process.id)
    };
    children_of(i32::try_from(run.id()).unwrap()).flat_map(children_of).collect()
}

/// The process that has the file at `path` open, among `candidates`.
fn reader_of(path: &Path, candidates: &[i32]) -> Option<i32> {
    candidates.iter().copied().find(|id| {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{id}/fd")) else { return false };
        descriptors
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .any(|target| target == path)
    })
}

fn signal(process: i32, signal: Signal) {
    kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
}

/// A collection in which one recording, `a.wav`, takes long to decode: an hour, and many channels.
fn with_a_long_one() -> Bench {
    let bench = Bench::new();
    fs::create_dir(bench.path("sounds")).unwrap();
    let spec = hound::WavSpec {
        channels: 16,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(bench.path("sounds/a.wav"), spec).unwrap();
    for n in 0..8_000_u32 * 900 * 16 {
        writer.write_sample((n.wrapping_mul(2_654_435_761) >> 18) as i16).unwrap();
    }
    writer.finalize().unwrap();
    for n in 0..20 {
        bench.tone(&format!("sounds/tone-{n}.wav"), 300.0 + 20.0 * f64::from(n));
    }
    bench
}

fn start(bench: &Bench, options: &[&str]) -> Child {
    bench
        .command()
        .args(["index", "sounds", "-j2"])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The decoder that is at work on the long recording.
fn decoder_of_the_long_one(bench: &Bench, run: &Child) -> i32 {
    let path = bench.path("sounds/a.wav").canonicalize().unwrap();
    let started = Instant::now();
    loop {
        if let Some(process) = reader_of(&path, &decoders(run)) {
            return process;
        }
        assert!(started.elapsed() < PATIENCE, "nobody opened {}", path.display());
        sleep(Duration::from_millis(2));
    }
}

fn finish(run: Child) -> Answer {
    Answer::of(&run.wait_with_output().unwrap())
}

#[test]
fn a_decoder_that_dies_costs_its_file() {
    let bench = with_a_long_one();
    let run = start(&bench, &["--format", "json"]);
    signal(decoder_of_the_long_one(&bench, &run), Signal::KILL);
    let answer = finish(run).expect(2);
    let report = &answer.json()[0];
    assert_eq!((&report["indexed"], &report["failures"]), (&20.into(), &1.into()));
    assert!(answer.err.contains("a.wav: the process that was decoding"), "{}", answer.err);
    assert!(answer.err.contains("was ended by signal 9"), "{}", answer.err);
    // Nothing is wrong with it, so a second try takes it in.
    let retried = bench.run(&["failures", "--retry", "--format", "json"]).expect(0).json();
    assert_eq!(retried[0]["indexed"], 1);
}

/// The bound is set by the run itself; the test only narrows it.
#[test]
fn a_decoder_that_wants_too_much_memory_costs_its_file() {
    let bench = with_a_long_one();
    let run = start(&bench, &["--format", "json", "--max-memory", "600MB"]);
    let decoder = decoder_of_the_long_one(&bench, &run);
    let limits = fs::read_to_string(format!("/proc/{decoder}/limits")).unwrap();
    let bound = limits.lines().find(|line| line.starts_with("Max data size")).unwrap();
    let bound: u64 = bound.split_whitespace().nth(3).unwrap().parse().expect("a number of bytes");
    // Half of what is allowed, beyond what a process has of libtorch's data.
    assert!((300_000_000..900_000_000).contains(&bound), "{bound}");
    let none = Rlimit { current: Some(1), maximum: Some(1) };
    prlimit(Pid::from_raw(decoder), Resource::Data, none).unwrap();
    let answer = finish(run).expect(2);
    let report = &answer.json()[0];
    assert_eq!((&report["indexed"], &report["failures"]), (&20.into(), &1.into()));
    assert!(answer.err.contains("MB of memory"), "{}", answer.err);
}

#[test]
fn a_decoder_that_hangs_is_given_up() {
    let bench = with_a_long_one();
    let run = start(&bench, &["--format", "json", "--time-limit", "2"]);
    signal(decoder_of_the_long_one(&bench, &run), Signal::STOP);
    let answer = finish(run).expect(2);
    let report = &answer.json()[0];
    assert_eq!((&report["indexed"], &report["failures"]), (&20.into(), &1.into()));
    assert!(answer.err.contains("took more than 2 s"), "{}", answer.err);
    assert!(answer.err.contains("--time-limit"), "{}", answer.err);
}

#[test]
fn the_end_of_a_run_is_the_end_of_its_decoders() {
    let bench = with_a_long_one();
    let mut run = start(&bench, &[]);
    decoder_of_the_long_one(&bench, &run);
    let all = decoders(&run);
    assert!((1..=2).contains(&all.len()), "at most one a job: {all:?}");
    // Even one that hangs.
    signal(all[0], Signal::STOP);
    run.kill().unwrap();
    run.wait().unwrap();
    let started = Instant::now();
    while processes().iter().any(|process| all.contains(&process.id)) {
        assert!(started.elapsed() < PATIENCE, "left behind: {all:?}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn ctrl_c_stores_what_is_done_and_says_how_to_go_on() {
    let bench = with_a_long_one();
    let mut run = start(&bench, &["-v"]);
    // Until some are acknowledged; the long one goes on for a while.
    let mut log = BufReader::new(run.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("tone-3.wav: indexed") {
        assert!(log.read_line(&mut said).unwrap() > 0, "it ended early: {said}");
    }
    signal(i32::try_from(run.id()).unwrap(), Signal::INT);
    log.read_to_string(&mut said).unwrap();
    let answer = finish(run).expect(2);
    assert!(said.contains("stopping; files that are not done begin anew"), "{said}");
    assert!(answer.out.contains("the same command goes on from here"), "{}", answer.out);
    assert!(!said.contains("a.wav: indexed"), "{said}");
    let acknowledged = said.matches(": indexed").count() as u64;
    let info = bench.run(&["info", "--format", "json"]).expect(0).json();
    assert_eq!(info[0]["recordings"], acknowledged);
    let rest = bench.run(&["index", "sounds", "--format", "json"]).expect(0).json();
    assert_eq!(rest[0]["indexed"].as_u64().unwrap() + acknowledged, 21);
}
