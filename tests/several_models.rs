//! Several networks over one collection, with the real weights: each file is decoded once, and what
//! comes of it is the same as one network after another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

use std::fs;

use bench::Bench;

const MODELS: [&str; 3] = ["yamnet", "resemblyzer", "crnn-bell"];

/// A row a segment: times and values, by path; ids differ with the order in which files are done.
fn vectors(bench: &Bench, library: &str, model: &str) -> Vec<String> {
    let arguments = ["export", "--csv", "-", "--model", model, "--library", library];
    let table = bench.run(&arguments).expect(0).out;
    let mut rows: Vec<String> =
        table.lines().skip(1).map(|line| line.splitn(3, ',').nth(2).unwrap().to_owned()).collect();
    rows.sort();
    assert!(!rows.is_empty(), "{model}");
    rows
}

#[test]
fn models_at_once_hear_what_they_hear_one_by_one() {
    let bench = Bench::with_sounds();
    // Longer than a batch of any, and an odd length.
    bench.wav("sounds/long.wav", (0..22_050 * 37 + 11).map(|n| (f64::from(n) * 0.01).sin() * 0.2));
    let at_once: Vec<&str> = MODELS.iter().flat_map(|model| ["--model", model]).collect();
    let arguments = [&["index", "sounds", "-q", "--library", "once.db"], &at_once[..]].concat();
    bench.run(&arguments).expect(0);
    for model in MODELS {
        bench.run(&["index", "sounds", "-q", "--library", "each.db", "--model", model]).expect(0);
    }
    for model in MODELS {
        assert_eq!(vectors(&bench, "once.db", model), vectors(&bench, "each.db", model), "{model}");
    }

    // Nothing is left to do, in any order.
    let again = ["index", "sounds", "--library", "once.db", "--format", "json"];
    let rest = ["--model", "crnn-bell", "--model", "yamnet", "--model", "yamnet"];
    let report = &bench.run(&[&again[..], &rest].concat()).expect(0).json()[0];
    assert_eq!((&report["indexed"], &report["unchanged"]), (&0.into(), &7.into()), "{report}");

    // A question that two networks hear.
    let found = ["search", "sounds/noise-0.wav", "--library", "once.db", "--format", "json"];
    let hits = bench.run(&[&found[..], &at_once[..4]].concat()).expect(0).json();
    assert!(hits[0]["path"].as_str().unwrap().ends_with("noise-0.wav"), "{}", hits[0]);
    for model in &MODELS[..2] {
        let score = hits[0]["scores"][model].as_f64().unwrap();
        assert!(score > 0.9999, "{model}: {score}");
    }
}

#[test]
fn only_the_models_that_miss_a_file_embed_it_and_a_broken_one_costs_itself() {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let before = vectors(&bench, "sonoteca.db", "yamnet");
    bench.tone("sounds/late.wav", 333.0);
    fs::write(bench.path("sounds/broken.wav"), b"RIFF\x10\0\0\0WAVEfmt nothing").unwrap();
    let both = ["--model", "yamnet", "--model", "crnn-bell", "--format", "json"];
    let run = bench.run(&[&["index", "sounds"], &both[..]].concat()).expect(2);
    let report = &run.json()[0];
    assert_eq!((&report["indexed"], &report["failures"]), (&7.into(), &1.into()), "{report}");
    let after = vectors(&bench, "sonoteca.db", "yamnet");
    assert!(before.iter().all(|row| after.contains(row)), "what YAMNet had heard is as it was");
    let (new, bells) = (after.len() - before.len(), vectors(&bench, "sonoteca.db", "crnn-bell"));
    assert!(new > 0 && bells.iter().any(|row| row.contains("late.wav")));

    // Changed content is heard anew by those that are asked, and forgotten by the others.
    bench.noise("sounds/late.wav", 99);
    bench.run(&["index", "sounds", "-q", "--model", "yamnet"]).expect(2);
    let bells = vectors(&bench, "sonoteca.db", "crnn-bell");
    assert!(!bells.iter().any(|row| row.contains("late.wav")), "that was another sound");
}
