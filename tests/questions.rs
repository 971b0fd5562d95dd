//! The questions that people ask, and the answers that they get: the real binary, real weights,
//! real sounds where they are at hand.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;
#[path = "questions/esc10.rs"]
mod esc10;
#[path = "questions/exporting.rs"]
mod exporting;
#[path = "questions/moments.rs"]
mod moments;
#[path = "questions/writing.rs"]
mod writing;

use std::f64::consts::PI;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use bench::{Answer, Bench};
use serde_json::Value;

/// Frames per second of what these tests synthesise.
const RATE: u32 = 22_050;

fn tone(n: u32) -> f64 {
    0.4 * (2.0 * PI * 440.0 * f64::from(n) / f64::from(RATE)).sin()
}

fn noise(n: u32) -> f64 {
    let mut state = n.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    state = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    f64::from((state >> 22) ^ state) / f64::from(u32::MAX) * 0.6 - 0.3
}

/// Two seconds of a tone, then two of noise.
fn tone_then_noise(n: u32) -> f64 {
    if n < 2 * RATE { tone(n) } else { noise(n) }
}

/// A stereo file of 16 bits.
fn stereo(path: &Path, frames: u32, left: impl Fn(u32) -> f64, right: impl Fn(u32) -> f64) {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..frames {
        for sample in [left(n), right(n)] {
            #[expect(clippy::cast_possible_truncation, reason = "16 bits are what is written")]
            writer.write_sample((sample * 32_000.0) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
}

/// A library of three kinds of sound, and `both.wav`, which is none of it.
fn bench() -> Bench {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench.wav("both.wav", (0..4 * RATE).map(tone_then_noise));
    bench
}

fn search(bench: &Bench, arguments: &[&str]) -> Vec<Value> {
    let all = [&["search", "--format", "json"], arguments].concat();
    bench.run(&all).expect(0).json()
}

/// Silence is no part of a question for moments, and of what is heard in it neither.
#[test]
fn silence_is_left_out_of_explanations() {
    let bench = bench();
    let quiet = |n: u32| if n < 2 * RATE { tone(n) } else { 0.0 };
    bench.wav("quiet.wav", (0..16 * RATE).map(quiet));
    let heard = |what: &str, level: &str| {
        let hits =
            search(&bench, &[what, "--by", level, "--explain", "--where", "name ~ \"tone*\""]);
        number(&hits[0]["explain"]["shared"][0], "query")
    };
    let alone = heard("quiet.wav@0-1.9", "segment");
    bench.run(&["index", "quiet.wav", "-q"]).expect(0);
    let stored =
        bench.run(&["search", "quiet.wav", "-k", "1", "--format", "json"]).expect(0).json();
    let stored = format!("id:{}", stored[0]["recording_id"]);
    for what in ["quiet.wav", &stored] {
        let score = heard(what, "segment");
        // The segment at the tone's end has some silence in it; the whole is silent for seven eighths.
        assert!(score > 0.5 * alone, "{what}: {score}, alone {alone}");
    }
}

fn file_name(hit: &Value) -> &str {
    hit["path"].as_str().unwrap().rsplit('/').next().unwrap()
}

fn number(hit: &Value, field: &str) -> f64 {
    hit[field].as_f64().unwrap()
}

#[test]
fn only_the_stretch_counts() {
    let bench = bench();
    let first = |arguments: &[&str]| file_name(&search(&bench, arguments)[0]).to_owned();
    assert!(first(&["both.wav", "--end", "2"]).starts_with("tone"));
    assert!(first(&["both.wav", "--start", "2"]).starts_with("noise"));
    assert!(first(&["both.wav@2.1-3.9"]).starts_with("noise"));
    // Shorter than a patch: padded, as a short recording is.
    assert!(first(&["both.wav", "--start", "2.5", "--end", "2.9"]).starts_with("noise"));

    // A stretch is exactly what a file with only those samples is.
    bench.wav("part.wav", (RATE / 2..3 * RATE).map(tone_then_noise));
    let stretch = search(&bench, &["both.wav", "--start", "0.5", "--end", "3"]);
    assert_eq!(stretch, search(&bench, &["part.wav"]));
    // An end behind the end is the end.
    let [behind, none] = [&["both.wav@1-99"][..], &["both.wav@1-"]].map(|s| search(&bench, s));
    assert_eq!(behind, none);
}

#[test]
fn a_file_whose_name_looks_like_a_stretch_is_a_file() {
    let bench = bench();
    fs::copy(bench.path("sounds/clicks-0.wav"), bench.path("both.wav@0-1")).unwrap();
    // Without the extension it is the content that tells.
    assert!(file_name(&search(&bench, &["both.wav@0-1"])[0]).starts_with("clicks"));
    assert!(file_name(&search(&bench, &["both.wav@0-1.5"])[0]).starts_with("tone"));
}

#[test]
fn only_the_channel_counts() {
    let bench = bench();
    stereo(&bench.path("stereo.wav"), 2 * RATE, tone, noise);
    let first = |channel: &str| {
        let hits = search(&bench, &["stereo.wav", "--channel", channel]);
        file_name(&hits[0]).to_owned()
    };
    assert!(first("1").starts_with("tone"));
    assert!(first("2").starts_with("noise"));
    let answer = bench.run(&["search", "stereo.wav", "--channel", "3"]).expect(2);
    assert!(answer.err.contains("no channel 3: it has 2"), "{}", answer.err);
    assert!(answer.err.contains("hint: give --channel from 1 to 2"), "{}", answer.err);
    bench.run(&["search", "stereo.wav", "--channel", "0"]).expect(2);
    let stored = bench.run(&["search", "id:1", "--channel", "1"]).expect(2);
    assert!(stored.err.contains("all its channels"), "{}", stored.err);
}

#[test]
fn a_stretch_of_a_stored_recording_needs_no_file() {
    let bench = bench();
    bench.run(&["index", "both.wav", "-q"]).expect(0);
    let both = search(&bench, &["both.wav", "-k", "1"])[0]["recording_id"].clone();
    fs::remove_file(bench.path("both.wav")).unwrap();
    let id = format!("id:{both}");

    // Among recordings, all of it is left out; among segments, what overlaps the stretch.
    let hits = search(&bench, &[&id, "--start", "2.5", "--end", "4"]);
    assert!(file_name(&hits[0]).starts_with("noise"), "{hits:?}");
    assert!(hits.iter().all(|hit| hit["recording_id"] != both));
    let example = format!("{id}@0-1.5");
    let raw = ["--by", "segment", "--raw", "-k", "1000"];
    let hits = search(&bench, &[&[example.as_str()], &raw[..]].concat());
    let own: Vec<&Value> = hits.iter().filter(|hit| hit["recording_id"] == both).collect();
    assert!(!own.is_empty());
    assert!(own.iter().all(|hit| number(hit, "start_s") >= 1.5), "{own:?}");
    assert!(own.iter().all(|hit| hit["missing"] == true));
    let whole = search(&bench, &[&[id.as_str()], &raw[..]].concat());
    assert!(whole.iter().all(|hit| hit["recording_id"] != both));

    // Weighed by overlap: nearly all of it lies in the noise.
    let hits = search(&bench, &[&format!("{id}@1.99-4")]);
    assert!(file_name(&hits[0]).starts_with("noise"));
}

#[test]
fn stretches_that_are_not_there_are_refused_with_the_length() {
    let bench = bench();
    for (query, options, text) in [
        ("both.wav", &["--start", "4"][..], "which is 4.00 s long"),
        ("both.wav", &["--start", "7", "--end", "9"], "from 7 to 9 s"),
        ("both.wav", &["--start", "3", "--end", "1"], "which is 4.00 s long"),
        ("both.wav", &["--start", "-1"], "which is 4.00 s long"),
        ("both.wav", &["--end", "-1"], "which is 4.00 s long"),
        ("both.wav@3-1", &[], "which is 4.00 s long"),
        ("id:1", &["--start", "2"], "in id:1, which is 2.00 s long"),
        ("id:1@1-0.5", &[], "in id:1, which is 2.00 s long"),
        ("id:99@1-2", &[], "no recording id:99"),
        ("both.wav@1-2", &["--start", "1"], "given twice"),
        ("nothing.wav@1-2", &[], "is no file"),
        ("id:1@one-two", &[], "is no file"),
        (".", &[], "a folder"),
    ] {
        let answer = bench.run(&[&["search", query], options].concat()).expect(2);
        assert!(answer.err.contains(text), "{query} {options:?}: {}", answer.err);
        assert!(answer.err.contains("hint:"), "{query} {options:?}: {}", answer.err);
        assert_eq!(answer.out, "");
    }
}

#[test]
fn silence_is_no_question() {
    let bench = bench();
    bench.wav("silent.wav", (0..2 * RATE).map(|_| 0.0));
    bench.wav("half.wav", (0..4 * RATE).map(|n| if n < 2 * RATE { 0.0 } else { tone(n) }));
    bench.wav("clipped.wav", (0..2 * RATE).map(|n| tone(n).signum() * 1.1));
    bench.run(&["index", "silent.wav", "half.wav", "clipped.wav", "-q"]).expect(0);
    let id_of = |name: &str| search(&bench, &[name, "-k", "1"])[0]["recording_id"].to_string();
    let (half, clipped) = (id_of("half.wav"), id_of("clipped.wav"));
    for query in ["silent.wav", "half.wav@0-1.5", &format!("id:{half}@0-1")] {
        for level in ["recording", "segment"] {
            let answer = bench.run(&["search", query, "--by", level]).expect(2);
            assert!(answer.err.contains("silent: there is nothing in it"), "{}", answer.err);
        }
    }
    bench.run(&["search", "half.wav"]).expect(0);
    let answer = bench.run(&["search", &format!("id:{clipped}@0-1")]).expect(2);
    assert!(answer.err.contains("is fit to be searched"), "{}", answer.err);
    assert!(answer.err.contains("another stretch"), "{}", answer.err);
}

#[test]
fn standard_input_is_as_good_as_a_file() {
    let bench = bench();
    let piped = |file: &str, arguments: &[&str]| {
        let input = fs::File::open(bench.path(file)).unwrap();
        let mut command = bench.command();
        command.args(["search", "--format", "json"]).args(arguments).stdin(Stdio::from(input));
        Answer::of(&command.output().unwrap())
    };
    let file = search(&bench, &["both.wav"]);
    assert_eq!(piped("both.wav", &["-"]).expect(0).json(), file);
    let stretch = search(&bench, &["both.wav@2-4"]);
    assert_eq!(piped("both.wav", &["-", "--start", "2"]).expect(0).json(), stretch);
    assert_eq!(piped("both.wav", &["--like=-@2-4"]).expect(0).json(), stretch);
    let twice = piped("both.wav", &["-", "--unlike", "-"]).expect(2);
    assert!(twice.err.contains("read only once"), "{}", twice.err);
    let text = piped("sounds/notes.txt", &["-"]).expect(2);
    assert!(text.err.contains("no audio stream"), "{}", text.err);
}

#[test]
fn examples_are_combined_and_no_answers() {
    let bench = bench();
    // One file is compared with itself; several examples are not, by path or by content.
    assert_eq!(search(&bench, &["sounds/tone-0.wav"]).len(), 6);
    assert_eq!(search(&bench, &["--like", "sounds/tone-0.wav"]).len(), 6);
    fs::copy(bench.path("sounds/noise-0.wav"), bench.path("copy.wav")).unwrap();
    let hits = search(&bench, &["sounds/tone-0.wav", "--like", "copy.wav"]);
    let mut left: Vec<&str> = hits.iter().map(file_name).collect();
    assert!(left[0].ends_with("-1.wav") && left[1].ends_with("-1.wav"), "{left:?}");
    left.sort_unstable();
    assert_eq!(left, ["clicks-0.wav", "clicks-1.wav", "noise-1.wav", "tone-1.wav"]);

    let plain = search(&bench, &["both.wav"]);
    let score = |hits: &[Value], name: &str| {
        number(hits.iter().find(|hit| file_name(hit) == name).unwrap(), "score")
    };
    for (unwanted, wanted) in [("tone", "noise"), ("noise", "tone")] {
        let unlike = format!("sounds/{unwanted}-0.wav");
        let against = search(&bench, &["both.wav", "--unlike", &unlike]);
        assert_eq!(against.len(), plain.len() - 1, "the unlike itself is left out");
        let lead = |hits: &[Value]| {
            score(hits, &format!("{wanted}-1.wav")) - score(hits, &format!("{unwanted}-1.wav"))
        };
        assert!(lead(&against) > lead(&plain) + 0.1, "{} {}", lead(&against), lead(&plain));
    }
    for arguments in [&["search", "--unlike", "both.wav"][..], &["search"]] {
        let answer = bench.run(arguments).expect(2);
        assert!(answer.err.contains("--like") && answer.err.contains("--text"), "{}", answer.err);
    }
    // Options for a part of the query need one.
    let answer = bench.run(&["search", "--like", "id:1", "--start", "1"]).expect(2);
    assert!(answer.err.contains("QUERY"), "{}", answer.err);
}

#[test]
fn options_that_do_nothing_are_refused() {
    let bench = bench();
    for (options, text) in [
        (&["--raw"][..], "--by segment"),
        (&["--per-recording", "2"], "--by segment"),
        (&["--out", "labels"], "--format audacity"),
        (&["--padding", "1"], "--copy-to"),
        (&["--min-score", "2"], "from -1 to 1"),
        (&["--copy-to", "x", "--padding", "-1"], "padding"),
    ] {
        let answer = bench.run(&[&["search", "id:1"], options].concat()).expect(2);
        assert!(answer.err.contains(text), "{options:?}: {}", answer.err);
    }
    let answer = bench.run(&["info", "--format", "raven"]).expect(2);
    assert!(answer.err.contains("`label export` only"), "{}", answer.err);
}
