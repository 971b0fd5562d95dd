//! Answers in files: labels for sound editors, and the sound itself.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::bench::Bench;
use crate::{RATE, noise, number, search, stereo, tone, tone_then_noise};

/// The lines of a label track: start and end in seconds, and a label.
fn label_track(text: &str) -> Vec<(f64, f64, String)> {
    let line = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [start, end, label] = cells[..] else { panic!("{line:?} has no three cells") };
        (start.parse().unwrap(), end.parse().unwrap(), label.to_owned())
    };
    assert!(text.ends_with('\n'));
    text.lines().map(line).collect()
}

/// The rows of a selection table, by column.
fn selection_table(text: &str) -> Vec<HashMap<String, String>> {
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let columns: Vec<String> = lines.next().unwrap().collect();
    lines
        .map(|cells| {
            let cells: Vec<String> = cells.collect();
            assert_eq!(cells.len(), columns.len());
            columns.iter().cloned().zip(cells).collect()
        })
        .collect()
}

/// Tone and noise in turn, two seconds each: five of either.
fn long(n: u32) -> f64 {
    if (n / RATE / 2).is_multiple_of(2) { tone(n) } else { noise(n) }
}

fn bench() -> Bench {
    let bench = Bench::new();
    fs::create_dir(bench.path("a\tb")).unwrap();
    bench.wav("a\tb/long.wav", (0..20 * RATE).map(long));
    bench.wav("both.wav", (0..4 * RATE).map(tone_then_noise));
    bench.wav("query.wav", (0..2 * RATE).map(tone));
    bench.run(&["index", "a\tb", "both.wav", "-q"]).expect(0);
    bench
}

const ASK: [&str; 6] = ["search", "query.wav", "--by", "segment", "-k", "4"];

fn labels(bench: &Bench, format: &str, more: &[&str]) -> crate::bench::Answer {
    bench.run(&[&ASK[..], &["--format", format], more].concat())
}

#[test]
fn label_tracks_are_as_audacity_reads_them() {
    let bench = bench();
    let answer = labels(&bench, "audacity", &[]).expect(2);
    assert!(answer.err.contains("one label track is of one"), "{}", answer.err);
    assert!(answer.err.contains("--out DIR"), "{}", answer.err);

    labels(&bench, "audacity", &["--out", "labels"]).expect(0);
    let hits = search(&bench, &ASK[1..]);
    let mut found = 0;
    for entry in fs::read_dir(bench.path("labels")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(Path::new(&name).extension().unwrap(), "txt");
        let track = label_track(&fs::read_to_string(entry.path()).unwrap());
        assert!(track.is_sorted_by(|a, b| a.0 <= b.0), "in the order of time");
        found += track.len();
        for (start_s, end_s, label) in track {
            let hit = hits.iter().find(|hit| {
                (number(hit, "start_s") - start_s).abs() < 1e-6
                    && name.contains(&format!("id{}", hit["recording_id"]))
            });
            let hit = hit.unwrap();
            assert!((number(hit, "end_s") - end_s).abs() < 1e-6);
            assert!(label.starts_with(&format!("{:.3}", number(hit, "score"))), "{label}");
        }
    }
    assert_eq!(found, 4);
    let again = labels(&bench, "audacity", &["--out", "labels"]).expect(2);
    assert!(again.err.contains("is there already"), "{}", again.err);

    // Of one recording, standard output is place enough.
    let one = ["--like", "id:1@0-1", "--by", "segment", "-k", "1", "--format", "audacity"];
    let track = bench.run(&[&["search"], &one[..]].concat()).expect(0);
    assert_eq!(label_track(&track.out).len(), 1);
}

#[test]
fn selection_tables_are_as_raven_reads_them() {
    let bench = bench();
    let rows = selection_table(&labels(&bench, "raven", &[]).expect(0).out);
    assert_eq!(rows.len(), 4);
    let mut paths: Vec<&str> = Vec::new();
    let mut offsets: HashMap<&str, f64> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let value = |column: &str| row[column].parse::<f64>().unwrap();
        assert_eq!(row["Selection"], (index + 1).to_string());
        assert_eq!((row["View"].as_str(), row["Channel"].as_str()), ("Spectrogram 1", "1"));
        assert!(value("Begin Time (s)") < value("End Time (s)"));
        assert!(value("Low Freq (Hz)").abs() < 1e-9);
        assert!((value("High Freq (Hz)") - f64::from(RATE) / 2.0).abs() < 1e-9);
        // One offset a file: those before it, one after another.
        let path = row["Begin Path"].as_str();
        let offset = value("Begin Time (s)") - value("File Offset (s)");
        assert!((offsets.entry(path).or_insert(offset).to_owned() - offset).abs() < 1e-5);
        if paths.last() != Some(&path) {
            paths.push(path);
        }
    }
    assert_eq!(paths.len(), offsets.len(), "files do not mix");
    assert!(offsets[paths[0]].abs() < 1e-9);
    let seconds = if paths[0].ends_with("both.wav") { 4.0 } else { 20.0 };
    assert!(paths.len() < 2 || (offsets[paths[1]] - seconds).abs() < 1e-5);

    labels(&bench, "raven", &["--out", "tables"]).expect(0);
    for entry in fs::read_dir(bench.path("tables")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.to_str().unwrap().ends_with(".Table.1.selections.txt"));
        for row in selection_table(&fs::read_to_string(path).unwrap()) {
            assert_eq!(row["Begin Time (s)"], row["File Offset (s)"]);
        }
    }
}

#[test]
fn copies_are_the_sound_itself() {
    let bench = Bench::new();
    let left = |n: u32| long(n) * 0.5;
    stereo(&bench.path("stereo.wav"), 20 * RATE, left, long);
    bench.wav("query.wav", (0..2 * RATE).map(tone));
    bench.run(&["index", "stereo.wav", "-q"]).expect(0);
    let ask = [&ASK[..], &["--copy-to", "clips", "--padding", "0.2"]].concat();
    let answer = bench.run(&ask).expect(0);
    assert!(answer.err.contains("Copied to clips: 4 stretches"), "{}", answer.err);
    let hits = search(&bench, &ASK[1..]);
    let source: Vec<i16> = hound::WavReader::open(bench.path("stereo.wav"))
        .unwrap()
        .into_samples()
        .map(Result::unwrap)
        .collect();
    let mut names: Vec<String> = fs::read_dir(bench.path("clips"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 4);
    for (hit, name) in hits.iter().zip(&names) {
        let start_s = (number(hit, "start_s") - 0.2).max(0.0);
        let end_s = (number(hit, "end_s") + 0.2).min(20.0);
        assert_eq!(*name, format!("{}_stereo_{start_s:.2}-{end_s:.2}.wav", hit["rank"]));
        let reader = hound::WavReader::open(bench.path("clips").join(name)).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, RATE, 16));
        let copied: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times within twenty seconds"
        )]
        let frame = |seconds: f64| (seconds * f64::from(RATE)).round() as usize;
        // A whole number of frames each; what differs is too much to print.
        assert!(copied == source[2 * frame(start_s)..2 * frame(end_s)], "{name}");
    }
    // Nothing is overwritten, and nothing is written when something would be.
    fs::remove_file(bench.path("clips").join(&names[0])).unwrap();
    let again = bench.run(&ask).expect(2);
    assert!(again.err.contains("is there already"), "{}", again.err);
    assert_eq!(fs::read_dir(bench.path("clips")).unwrap().count(), 3);
}

#[test]
fn copies_keep_the_depth_of_the_source() {
    let bench = Bench::new();
    for (name, bits, format) in
        [("deep.wav", 24, hound::SampleFormat::Int), ("float.wav", 32, hound::SampleFormat::Float)]
    {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut writer = hound::WavWriter::create(bench.path(name), spec).unwrap();
        for n in 0..2 * RATE {
            #[expect(clippy::cast_possible_truncation, reason = "as exact as the form")]
            match format {
                hound::SampleFormat::Int => writer.write_sample((tone(n) * 8e6) as i32).unwrap(),
                hound::SampleFormat::Float => writer.write_sample((tone(n) * 3.0) as f32).unwrap(),
            }
        }
        writer.finalize().unwrap();
    }
    bench.run(&["index", "deep.wav", "float.wav", "-q"]).expect(0);
    bench.run(&["search", "deep.wav", "-q", "--copy-to", "clips"]).expect(0);
    for entry in fs::read_dir(bench.path("clips")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let source = if name.contains("deep") { "deep.wav" } else { "float.wav" };
        let copy = hound::WavReader::open(&path).unwrap();
        let source = hound::WavReader::open(bench.path(source)).unwrap();
        assert_eq!(copy.spec(), source.spec());
        if copy.spec().sample_format == hound::SampleFormat::Int {
            let all = |reader: hound::WavReader<_>| -> Vec<i32> {
                reader.into_samples().map(Result::unwrap).collect()
            };
            assert!(all(copy) == all(source), "{name}");
        } else {
            let all = |reader: hound::WavReader<_>| -> Vec<f32> {
                reader.into_samples().map(Result::unwrap).collect()
            };
            assert!(all(copy) == all(source), "{name}");
        }
    }
}

#[test]
fn what_is_gone_is_said_and_the_rest_is_copied() {
    let bench = bench();
    fs::remove_file(bench.path("both.wav")).unwrap();
    let ask = ["search", "query.wav", "--by", "segment", "-k", "20"];
    let hits = search(&bench, &ask[1..]);
    for hit in &hits {
        let is_gone = hit["path"].as_str().unwrap().ends_with("both.wav");
        assert_eq!(hit["missing"], is_gone);
    }
    let table = bench.run(&ask).expect(0).out;
    assert!(table.contains("both.wav (gone)"), "{table}");
    let answer = bench.run(&[&ask[..], &["--copy-to", "clips"]].concat()).expect(2);
    assert!(answer.err.contains("both.wav is gone"), "{}", answer.err);
    assert!(answer.err.contains("sonoteca sync"), "{}", answer.err);
    let there = hits.iter().filter(|hit| hit["missing"] == false).count();
    assert_eq!(fs::read_dir(bench.path("clips")).unwrap().count(), there);
}

/// A stretch of another sound under the name of what was found would be a lie.
#[test]
fn what_changed_since_it_was_indexed_is_not_copied() {
    let bench = bench();
    let ask = [&ASK[..], &["--per-recording", "1", "--padding", "0.1", "-q"]].concat();
    // Another date alone is no other content.
    let content = fs::read(bench.path("both.wav")).unwrap();
    fs::write(bench.path("both.wav"), content).unwrap();
    bench.run(&[&ask[..], &["--copy-to", "same"]].concat()).expect(0);
    assert_eq!(fs::read_dir(bench.path("same")).unwrap().count(), 2);
    // As long as before, and something else.
    bench.wav("both.wav", (0..4 * RATE).map(noise));
    let answer = bench.run(&[&ask[..], &["--copy-to", "other"]].concat()).expect(2);
    assert!(answer.err.contains("both.wav has changed since it was indexed"), "{}", answer.err);
    assert!(answer.err.contains("hint: have the library know it"), "{}", answer.err);
    let copies = fs::read_dir(bench.path("other")).unwrap();
    let names: Vec<_> = copies.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1);
    assert!(names[0].to_string_lossy().contains("long"), "{names:?}");
}
