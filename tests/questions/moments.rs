//! Moments in long recordings: events, caps, least scores, and explanations.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sonoteca::audio::decode::Decoder;

use crate::bench::Bench;
use crate::common;
use crate::{file_name, number, search};

/// Frames per second of ESC-10.
const RATE: usize = 44_100;

fn decode(path: &Path) -> Vec<f64> {
    let mut decoder = Decoder::open(path).unwrap();
    let (mut all, mut block) = (Vec::new(), Vec::new());
    while decoder.next_block(&mut block).unwrap() {
        all.extend(block.iter().map(|&sample| f64::from(sample)));
    }
    all
}

/// The first `count` recordings of a class of ESC-10.
fn clips(esc10: &Path, class: &str, count: usize) -> Vec<Vec<f64>> {
    let mut paths: Vec<_> =
        fs::read_dir(esc10.join(class)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().take(count).map(|path| decode(path)).collect()
}

/// Scaled to a root mean square of `level`.
fn at_level(samples: Vec<f64>, level: f64) -> Vec<f64> {
    let squares: f64 = samples.iter().map(|x| x * x).sum();
    let scale = level / (squares / samples.len() as f64).sqrt().max(1e-9);
    samples.into_iter().map(|x| x * scale).collect()
}

/// A second from where a clip is loudest.
fn loudest_second(clip: &[f64]) -> Vec<f64> {
    let energy = |start: usize| clip[start..start + RATE].iter().map(|x| x * x).sum::<f64>();
    let starts = (0..clip.len() - RATE).step_by(RATE / 10);
    let start = starts.max_by(|&a, &b| energy(a).total_cmp(&energy(b))).unwrap();
    clip[start..start + RATE].to_vec()
}

/// Two recordings of two minutes: rain with a dog's bark every ten seconds, and sea with a rooster.
fn bench() -> Option<Bench> {
    let esc10 = common::shared("data/esc10")?;
    let bench = Bench::new();
    for (name, background, call) in
        [("rain.wav", "rain", "dog_bark"), ("sea.wav", "sea_waves", "rooster")]
    {
        let clips_behind = clips(&esc10, background, 24);
        let mut samples: Vec<f64> =
            clips_behind.into_iter().flat_map(|clip| at_level(clip, 0.02)).collect();
        samples.truncate(120 * RATE);
        for (index, clip) in clips(&esc10, call, 11).iter().enumerate() {
            let start = (index + 1) * 10 * RATE;
            let call = at_level(loudest_second(clip), 0.2);
            for (sample, added) in samples[start..].iter_mut().zip(call) {
                *sample += added;
            }
        }
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 44_100,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(bench.path(name), spec).unwrap();
        for sample in samples {
            #[expect(clippy::cast_possible_truncation, reason = "16 bits are what is written")]
            writer.write_sample((sample.clamp(-1.0, 1.0) * 32_000.0) as i16).unwrap();
        }
        writer.finalize().unwrap();
    }
    bench.run(&["index", "rain.wav", "sea.wav", "-q"]).expect(0);
    Some(bench)
}

#[test]
fn events_are_stretches_of_one_sound() {
    let Some(bench) = bench() else { return };
    let esc10 = common::shared("data/esc10").unwrap();
    let mut barks: Vec<_> = fs::read_dir(esc10.join("dog_bark")).unwrap().collect();
    barks.sort_by_key(|entry| entry.as_ref().unwrap().path());
    // A bark that is none of those in the recording.
    let query = barks[30].as_ref().unwrap().path();
    let query = query.to_str().unwrap();

    let events = search(&bench, &[query, "--by", "segment", "-k", "8"]);
    assert_eq!(events.len(), 8);
    let mut barks_found = 0;
    for event in &events {
        let (start_s, end_s) = (number(event, "start_s"), number(event, "end_s"));
        let (best_start_s, best_end_s) =
            (number(event, "best_start_s"), number(event, "best_end_s"));
        assert!(start_s <= best_start_s && best_end_s <= end_s);
        // A bark of a second every ten: in it is where an event lies, no longer than the patches
        // that hold some of it.
        let nearest = (start_s / 10.0).round() * 10.0;
        barks_found += usize::from(
            file_name(event) == "rain.wav" && start_s < nearest + 1.0 && end_s > nearest,
        );
        assert!(end_s - start_s < 5.0, "{event}");
    }
    assert!(barks_found >= 7, "{events:?}");
    // No event is told twice.
    let mut places: Vec<String> = events
        .iter()
        .map(|event| format!("{} {:.0}", file_name(event), number(event, "start_s") / 10.0))
        .collect();
    places.sort();
    places.dedup();
    assert!(places.len() >= 7, "{places:?}");

    // Single segments name the same bark several times.
    let raw = search(&bench, &[query, "--by", "segment", "--raw", "-k", "8"]);
    assert!(raw.iter().all(|hit| hit["segments"] == 1));
    assert!((number(&raw[0], "score") - number(&events[0], "score")).abs() < 1e-6);
}

#[test]
fn there_are_as_many_events_as_are_asked_for_and_they_do_not_depend_on_it() {
    let Some(bench) = bench() else { return };
    let events = |count: &str, more: &[&str]| {
        let all = ["rain.wav@10-11", "--by", "segment", "-k", count];
        search(&bench, &[&all, more].concat())
    };
    let all = events("1000", &[]);
    let single = events("1000", &["--raw"]);
    let counted: u64 = all.iter().map(|event| event["segments"].as_u64().unwrap()).sum();
    assert_eq!(counted, single.len() as u64, "events part the segments");
    assert!(all.len() > 30 && all.len() < single.len());
    assert!(all.is_sorted_by(|a, b| number(a, "score") >= number(b, "score")));
    for count in [1, 3, 10, 30] {
        let some = events(&count.to_string(), &[]);
        assert_eq!(some[..], all[..count], "the first {count} are the first of all");
    }

    let capped = events("1000", &["--per-recording", "3"]);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for event in &capped {
        *counts.entry(file_name(event)).or_default() += 1;
    }
    assert_eq!(counts, HashMap::from([("rain.wav", 3), ("sea.wav", 3)]));
    let without_rank = |event: &Value| {
        let mut event = event.clone();
        event["rank"] = 0.into();
        event
    };
    let best: Vec<Value> = all
        .iter()
        .filter(|event| file_name(event) == "sea.wav")
        .take(3)
        .map(without_rank)
        .collect();
    let capped: Vec<Value> =
        capped.iter().filter(|event| file_name(event) == "sea.wav").map(without_rank).collect();
    assert_eq!(capped, best, "a cap leaves out, and changes nothing");

    let least = number(&all[4], "score");
    let above = events("1000", &["--min-score", &format!("{least:.6}")]);
    assert!((4..=5).contains(&above.len()), "{}", above.len());
    let none = bench.run(&["search", "rain.wav@10-11", "--min-score", "1"]).expect(1);
    assert!(none.err.contains("Nothing was found"), "{}", none.err);
}

#[test]
fn explanations_say_what_is_shared_and_how_the_rest_fares() {
    let Some(bench) = bench() else { return };
    let ask = ["rain.wav@10-11", "--by", "segment", "-k", "3", "--explain"];
    for hit in search(&bench, &ask) {
        let explanation = &hit["explain"];
        let classes: Vec<&str> = hit["classes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["name"].as_str().unwrap())
            .collect();
        for shared in explanation["shared"].as_array().unwrap() {
            assert!(number(shared, "query") > 0.0 && number(shared, "hit") > 0.0);
        }
        let first = explanation["shared"][0]["name"].as_str().unwrap();
        assert!(classes.contains(&first), "{first} {classes:?}");
        let spread = &explanation["spread"];
        let [least, median, best] = ["least", "median", "best"].map(|field| number(spread, field));
        assert!(least <= median && median <= best);
        assert!(best >= number(&hit, "score") - 1e-5);
        assert!((0.0..1.0).contains(&number(spread, "near_share")));
        assert!((number(spread, "near") - 0.6).abs() < 1e-6);
        assert!(spread["segments"].as_u64().unwrap() > 200);
    }
    let table = bench.run(&[&["search"], &ask[..]].concat()).expect(0).out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 7, "{table}");
    assert!(lines[2].starts_with("      both: "), "{table}");
    assert!(!table.contains('█'), "bars are for terminals");
    let sheet = bench.run(&[&["search", "--format", "csv"], &ask[..]].concat()).expect(0).out;
    let mut reader = csv::Reader::from_reader(sheet.as_bytes());
    assert_eq!(reader.headers().unwrap().iter().next_back(), Some("spread_near_share"));
    assert_eq!(reader.records().map(Result::unwrap).count(), 3);
}
