//! What is heard along time, by the real binary and the real weights.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use bench::{Answer, Bench};
use serde_json::Value;

/// Length of YAMNet's segments, and from one to the next, in seconds.
const WINDOW_S: f64 = 0.96;
const HOP_S: f64 = 0.48;

/// Three seconds of a tone, three of silence, three of noise.
fn with_three_parts() -> Bench {
    let bench = Bench::new();
    let mut state = 7_u32;
    let samples = (0..9 * 22_050_u32).map(move |n| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match n / (3 * 22_050) {
            0 => 0.4 * (2.0 * std::f64::consts::PI * 1_000.0 * f64::from(n) / 22_050.0).sin(),
            1 => 0.0,
            _ => f64::from(state) / f64::from(u32::MAX) * 0.6 - 0.3,
        }
    });
    bench.wav("parts.wav", samples);
    bench
}

fn json(bench: &Bench, arguments: &[&str]) -> Vec<Value> {
    bench.run(&[arguments, &["--format", "json"]].concat()).expect(0).json()
}

fn of_kind<'a>(rows: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    rows.iter().filter(move |row| row["kind"] == kind)
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("{key} of {row}"))
}

#[test]
fn events_are_what_the_rule_makes_of_the_segments() {
    let bench = with_three_parts();
    let options = ["describe", "parts.wav", "--threshold", "0.1", "--top", "3"];
    let found = json(&bench, &options);
    let segments = json(&bench, &[&options[..], &["--segments"]].concat());
    // By the documented rule, once more: neighbours of one class that overlap or nearly touch.
    let mut expected: BTreeMap<String, Vec<(f64, f64, u64)>> = BTreeMap::new();
    for segment in of_kind(&segments, "segment") {
        if number(segment, "score") < 0.1 {
            continue;
        }
        let (start, end) = (number(segment, "start_s"), number(segment, "end_s"));
        let of_class = expected.entry(segment["class"].as_str().unwrap().to_owned()).or_default();
        match of_class.last_mut() {
            Some(last) if start - last.1 <= HOP_S / 2.0 => {
                last.1 = end;
                last.2 += 1;
            }
            _ => of_class.push((start, end, 1)),
        }
    }
    let mut events: BTreeMap<String, Vec<(f64, f64, u64)>> = BTreeMap::new();
    for event in of_kind(&found, "event") {
        assert!(number(event, "score") >= number(event, "mean_score") - 1e-6);
        assert!(number(event, "mean_score") >= 0.1);
        let (start, end) = (number(event, "start_s"), number(event, "end_s"));
        let count = event["segments"].as_u64().unwrap();
        let class = event["class"].as_str().unwrap().to_owned();
        events.entry(class).or_default().push((start, end, count));
    }
    assert!(!events.is_empty());
    assert_eq!(events, expected);

    // What is heard where: the tone before the silence, the noise behind it.
    let beep = &events["Beep, bleep"];
    assert!(beep[0].0 < 0.5 && beep.last().unwrap().1 <= 3.0 + WINDOW_S, "{beep:?}");
    let noisy = events.keys().filter(|class| class.to_lowercase().contains("noise"));
    let noisy: Vec<_> = noisy.flat_map(|class| &events[class]).collect();
    assert!(noisy.iter().any(|noise| noise.0 >= 6.0 - WINDOW_S), "{events:?}");

    let summary = of_kind(&found, "recording").next().unwrap();
    assert!((number(summary, "duration_s") - 9.0).abs() < 1e-9, "{summary}");
    // Segments that lie in the silence throughout: of 3 s, four or five.
    assert!((4.0..=5.0).contains(&number(summary, "silent_segments")), "{summary}");
    let heard: f64 = beep.iter().map(|event| event.1 - event.0).sum();
    let classes = summary["classes"].as_array().unwrap();
    assert!(classes.len() == 3);
    let of_beep = classes.iter().find(|class| class["class"] == "Beep, bleep").unwrap();
    assert!((number(of_beep, "heard_s") - heard).abs() < 1e-6, "{of_beep}");
}

#[test]
fn a_part_has_the_times_of_the_whole() {
    let bench = with_three_parts();
    let found =
        json(&bench, &["describe", "parts.wav", "--start", "6.5", "--end", "8.5", "--top", "2"]);
    let summary = of_kind(&found, "recording").next().unwrap();
    assert!((number(summary, "start_s") - 6.5).abs() < 1e-9);
    assert!((number(summary, "duration_s") - 2.0).abs() < 1e-9);
    for event in of_kind(&found, "event") {
        assert!(number(event, "start_s") >= 6.5 && number(event, "end_s") <= 8.5 + 1e-9, "{event}");
        assert!(event["class"] != "Beep, bleep", "{event}");
    }
}

#[test]
fn the_formats_say_the_same() {
    let bench = with_three_parts();
    let found = json(&bench, &["describe", "parts.wav"]);
    let events: Vec<&Value> = of_kind(&found, "event").collect();
    let csv = bench.run(&["describe", "parts.wav", "--format", "csv"]).expect(0);
    let heading = "model,start_s,end_s,class,score,mean_score,segments";
    assert_eq!(csv.out.lines().next(), Some(heading));
    assert_eq!(csv.out.lines().count(), events.len() + 1);
    let track = bench.run(&["describe", "parts.wav", "--format", "audacity"]).expect(0);
    assert_eq!(track.out.lines().count(), events.len());
    let first = &events[0];
    let line = format!(
        "{:.6}\t{:.6}\t{} {:.3}",
        number(first, "start_s"),
        number(first, "end_s"),
        first["class"].as_str().unwrap(),
        number(first, "score")
    );
    assert_eq!(track.out.lines().next(), Some(line.as_str()));
    let table = bench.run(&["describe", "parts.wav"]).expect(0);
    assert!(table.out.starts_with("parts.wav, 0.00 to 9.00 s: "), "{}", table.out);
    assert!(table.out.contains("Beep, bleep") && table.out.contains("Highest"), "{}", table.out);
    assert!(table.err.contains("left out, being silent"), "{}", table.err);
}

#[test]
fn plots_are_svg_and_png() {
    let bench = with_three_parts();
    bench.run(&["describe", "parts.wav", "--plot", "parts.svg"]).expect(0);
    let svg = fs::read_to_string(bench.path("parts.svg")).unwrap();
    for text in ["parts.wav", "Beep, bleep", "time, s", "frequency, kHz", "level, dB", "amplitude"]
    {
        assert!(svg.contains(text), "{text}");
    }
    bench.run(&["describe", "parts.wav", "--plot", "parts.PNG", "-q"]).expect(0);
    let png = fs::read(bench.path("parts.PNG")).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    // The size in the header is the SVG's.
    let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    let size = format!("width=\"{}\" height=\"{}\"", side(16), side(20));
    assert!(svg.contains(&size), "{size}");
}

#[test]
fn what_cannot_be_described_is_refused_with_a_hint() {
    let bench = with_three_parts();
    fs::create_dir(bench.path("folder")).unwrap();
    fs::write(bench.path("there.png"), "mine").unwrap();
    fs::write(bench.path("notes.txt"), "not a sound").unwrap();
    let refused = |arguments: &[&str], words: &[&str]| {
        let answer = bench.run(&[&["describe"], arguments].concat()).expect(2);
        assert!(answer.out.is_empty(), "{}", answer.out);
        for word in words.iter().chain(&["error:"]) {
            assert!(answer.err.contains(word), "{arguments:?}: {word}: {}", answer.err);
        }
        assert!(!answer.err.contains("panic"), "{}", answer.err);
    };
    refused(&["folder"], &["a folder", "hint:"]);
    refused(&["gone.wav"], &["gone.wav", "hint:"]);
    refused(&["notes.txt"], &["notes.txt"]);
    refused(&["parts.wav", "--plot", "there.png"], &["there already", "hint:"]);
    refused(&["parts.wav", "--plot", "parts.jpg"], &["PNG", "--plot FILE.png"]);
    refused(&["parts.wav", "--plot", "no/such/parts.png"], &["no/such/parts.png"]);
    refused(&["parts.wav", "--format", "raven"], &["--format audacity"]);
    refused(&["parts.wav", "--segments", "--format", "audacity"], &["--segments"]);
    refused(&["parts.wav", "--start", "20"], &["9.00 s long", "hint:"]);
    refused(&["parts.wav", "--channel", "2"], &["no channel 2", "hint:"]);
    refused(&["parts.wav", "--model", "nothing"], &["nothing", "yamnet"]);
    refused(&["parts.wav", "--threshold", "2"], &["0 to 1"]);
    refused(&["id:1"], &["sonoteca.db", "hint:"]);
    assert_eq!(fs::read(bench.path("there.png")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 4, "nothing was left behind");
}

#[test]
fn recordings_of_the_library_are_described_while_they_are_there() {
    let bench = with_three_parts();
    bench.run(&["index", "parts.wav", "-q"]).expect(0);
    let (by_id, by_path) =
        (json(&bench, &["describe", "id:1"]), json(&bench, &["describe", "parts.wav"]));
    assert_eq!(by_id, by_path);
    let unknown = bench.run(&["describe", "id:7"]).expect(2);
    assert!(unknown.err.contains('7') && unknown.err.contains("hint:"), "{}", unknown.err);
    fs::rename(bench.path("parts.wav"), bench.path("moved.wav")).unwrap();
    let gone = bench.run(&["describe", "id:1"]).expect(2);
    assert!(gone.err.contains("is gone") && gone.err.contains("hint:"), "{}", gone.err);
}

#[test]
fn silence_is_said_and_drawn() {
    let bench = Bench::new();
    bench.wav("silent.wav", (0..44_100).map(|_| 0.0));
    let answer = bench.run(&["describe", "silent.wav", "--plot", "silent.svg"]).expect(1);
    assert!(answer.err.contains("which is all"), "{}", answer.err);
    let svg = fs::read_to_string(bench.path("silent.svg")).unwrap();
    assert!(svg.contains("silent") && !svg.contains("NaN"));
}

#[test]
fn a_truncated_file_is_described_as_far_as_it_goes() {
    let bench = with_three_parts();
    let bytes = fs::read(bench.path("parts.wav")).unwrap();
    fs::write(bench.path("cut.wav"), &bytes[..44 + 2 * 2 * 22_050]).unwrap();
    let answer = bench.run(&["describe", "cut.wav", "--plot", "cut.svg"]).expect(0);
    assert!(answer.err.contains("cut.wav is truncated"), "{}", answer.err);
    assert!(answer.out.starts_with("cut.wav, 0.00 to 2.00 s"), "{}", answer.out);
    assert!(fs::read_to_string(bench.path("cut.svg")).unwrap().contains("truncated"));
}

#[test]
fn standard_input_is_described_and_drawn_when_it_is_audio() {
    let bench = with_three_parts();
    let send = |bytes: &[u8], plot: &str| {
        let mut child = bench
            .command()
            .args(["describe", "-", "--plot", plot])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        Answer::of(&child.wait_with_output().unwrap())
    };
    let answer = send(&fs::read(bench.path("parts.wav")).unwrap(), "heard.png").expect(0);
    assert!(answer.out.starts_with("standard input, 0.00 to 9.00 s"), "{}", answer.out);
    assert!(bench.path("heard.png").is_file());
    let refused = send(b"no sound at all", "none.png").expect(2);
    assert!(refused.err.contains("no audio stream"), "{}", refused.err);
    assert!(!bench.path("none.png").exists());
}

/// Half a second of silence, two notes of half a second, silence, and a glide of an octave in 1.5 s.
fn with_a_tune() -> Bench {
    let bench = Bench::new();
    let mut phase = 0.0_f64;
    let samples = (0..9 * 11_025_u32).map(move |n| {
        let seconds = f64::from(n) / 22_050.0;
        let hertz = match seconds {
            0.5..1.0 => 261.63,
            1.0..1.5 => 392.0,
            2.5..4.0 => 220.0 * ((seconds - 2.5) / 1.5).exp2(),
            _ => return 0.0,
        };
        phase += 2.0 * std::f64::consts::PI * hertz / 22_050.0;
        0.3 * (phase.sin() + 0.4 * (2.0 * phase).sin() + 0.2 * (3.0 * phase).sin())
    });
    bench.wav("tune.wav", samples);
    bench
}

#[test]
fn the_pitch_of_a_tune_is_told_as_its_notes_and_drawn() {
    let bench = with_a_tune();
    let options = ["describe", "tune.wav", "--model", "crepe-tiny"];
    let found = json(&bench, &[&options[..], &["--plot", "tune.svg"]].concat());
    let stretches: Vec<&Value> = of_kind(&found, "pitch").collect();
    let notes: Vec<&str> = stretches.iter().map(|row| row["note"].as_str().unwrap()).collect();
    // The glide's middle lies half-way between D#4 and E4.
    assert_eq!(notes[..2], ["C4", "G4"], "{stretches:?}");
    assert_eq!(notes.len(), 3, "{stretches:?}");
    // A frame of 64 ms hears both sides of a border.
    for (row, (start_s, end_s)) in stretches.iter().zip([(0.5, 1.0), (1.0, 1.5), (2.5, 4.0)]) {
        assert!((number(row, "start_s") - start_s).abs() <= 0.04, "{row}");
        assert!((number(row, "end_s") - end_s).abs() <= 0.04, "{row}");
    }
    // CREPE is right within a quarter of a semitone, as its authors count.
    let glide = stretches[2];
    for (key, hertz) in [("lowest_hz", 220.0), ("highest_hz", 440.0)] {
        let cents = 1200.0 * (number(glide, key) / hertz).log2();
        assert!(cents.abs() < 25.0, "{glide}");
    }
    let summary = of_kind(&found, "recording").next().unwrap();
    // 2.5 s of it sound, and the last half second does not.
    assert!((240.0..=260.0).contains(&number(summary, "pitched_frames")), "{summary}");
    assert!((number(summary, "frames") - 450.0).abs() < 1e-9, "{summary}");
    let svg = fs::read_to_string(bench.path("tune.svg")).unwrap();
    assert!(svg.contains("crepe-tiny: pitch") && svg.contains("pitch, Hz") && svg.contains("C4"));

    let frames = json(&bench, &[&options[..], &["--segments"]].concat());
    let heard = of_kind(&frames, "frame").filter(|row| number(row, "confidence") >= 0.5).count();
    assert_eq!(summary["pitched_frames"], heard);
    let part = json(&bench, &[&options[..], &["--start", "1.1", "--end", "1.4"]].concat());
    let only = of_kind(&part, "pitch").next().unwrap();
    assert!(number(only, "start_s") >= 1.1 && number(only, "end_s") <= 1.4, "{only}");
    assert_eq!(only["note"], "G4");
}

#[test]
fn classes_and_pitch_are_told_together_where_the_format_has_room_for_both() {
    let bench = with_a_tune();
    let both = ["describe", "tune.wav", "--model", "crepe-tiny", "--model", "yamnet"];
    let found = json(&bench, &both);
    assert!(of_kind(&found, "event").count() > 0 && of_kind(&found, "pitch").count() == 3);
    // As each of them alone.
    for model in ["crepe-tiny", "yamnet"] {
        let alone = json(&bench, &["describe", "tune.wav", "--model", model]);
        assert!(alone.iter().all(|row| found.contains(row)), "{model}");
    }
    let track = bench.run(&[&both[..], &["--format", "audacity"]].concat()).expect(0).out;
    // A pitch has a band, as a line of its own.
    assert!(track.contains("C4 26") && track.contains("\n\\\t2"), "{track}");
    let csv = bench.run(&[&both[..], &["--format", "csv"]].concat()).expect(2);
    assert!(csv.err.contains("one of the models at a time"), "{}", csv.err);
    let deaf = bench.run(&["describe", "tune.wav", "--model", "resemblyzer"]).expect(2);
    assert!(deaf.err.contains("pitch: crepe-tiny, crepe"), "{}", deaf.err);
    let none = ["describe", "tune.wav", "--model", "crepe-tiny", "--pitch-confidence", "1"];
    assert!(bench.run(&none).expect(1).err.contains("--pitch-confidence sets another"));
}
