//! Duplicates: the command with sounds that are made here, and what is found among real copies of
//! real recordings.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;
#[path = "common/copies.rs"]
mod copies;
#[path = "common/retrieval.rs"]
mod retrieval;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bench::Bench;
use copies::{Copy, KINDS};
use serde_json::Value;
use sonoteca::search::duplicates::{
    DuplicateOptions, Group, Member, Phase, Watcher, find_duplicates,
};
use sonoteca::search::{Collection, Level, choose_model};
use sonoteca::store::Library;

struct Nobody;

impl Watcher for Nobody {
    fn progressed(&self, _: Phase, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn find(library: &Library, options: &DuplicateOptions) -> Vec<Group> {
    let model = choose_model(library, None).unwrap();
    let collection = Collection::open(library, &model, Level::Segment).unwrap();
    let found = find_duplicates(library, &model, &collection, options, &Nobody).unwrap();
    assert!(found.unheard.is_empty(), "{:?}", found.unheard);
    found.groups
}

fn name(member: &Member) -> &str {
    member.recording.path.file_name().unwrap().to_str().unwrap()
}

/// Offsets are exact to a sample at 16 kHz, which is 0.06 ms; MP3 shifts phases, and with them
/// the correlation's peak, by up to 1.5 ms in these recordings.
const OFFSET_TOLERANCE_S: f64 = 0.003;

/// Recordings of ESC-10 that have sound in common as they are: neighbouring uploads of one person,
/// some with the clip's beginning moved, some edited. Known by their freesound ids.
const RELATED: [[&str; 2]; 3] = [["28314", "30322"], ["151080", "151085"], ["142601", "142605"]];

fn freesound_id(name: &str) -> &str {
    name.split('-').nth(1).unwrap()
}

/// ESC-10's files in the order of their names: 40 a class.
fn esc_10(folder: &Path) -> Vec<PathBuf> {
    let mut classes: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    classes.retain(|path| path.is_dir());
    classes.sort();
    let mut all = Vec::new();
    for class in classes {
        let mut files: Vec<PathBuf> =
            fs::read_dir(class).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert_eq!(files.len(), 40);
        all.extend(files);
    }
    all
}

/// 40 originals with six altered copies each, among 280 other recordings of the same ten classes.
#[test]
fn altered_copies_are_found_and_other_takes_are_not() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    let folder = tempfile::tempdir().unwrap();
    let sounds = folder.path().join("sounds");
    fs::create_dir(&sounds).unwrap();
    let (mut originals, mut hosts) = (Vec::new(), Vec::new());
    for (index, path) in esc_10(&esc10).into_iter().enumerate() {
        match index % 10 {
            0 => originals.push(path.clone()),
            3 | 6 => hosts.push(path.clone()),
            _ => {}
        }
        // What clips are pasted into is not there itself: it would be a duplicate.
        if ![3, 6].contains(&(index % 10)) {
            fs::copy(&path, sounds.join(path.file_name().unwrap())).unwrap();
        }
    }
    // Hosts of other classes than the clip: 27 and 80 have no common divisor.
    let hosts: Vec<PathBuf> = (0..80).map(|index| hosts[(27 * index + 13) % 80].clone()).collect();
    let copies = copies::make(&originals, &hosts, &sounds);
    assert_eq!(copies.len(), 240);

    let model = common::yamnet();
    let (library, report) = retrieval::index(&sounds, &folder.path().join("a.db"), &model);
    assert_eq!(report.indexed, 560);
    let started = std::time::Instant::now();
    let groups = find(&library, &DuplicateOptions::default());
    eprintln!("560 recordings in {:.1} s", started.elapsed().as_secs_f64());

    let by_name: BTreeMap<&str, &Copy> = copies
        .iter()
        .map(|copy| (copy.path.file_name().unwrap().to_str().unwrap(), copy))
        .collect();
    // Every recording with the original that it is made of, and how much later that is there.
    let source = |member: &Member| {
        let name = name(member);
        by_name
            .get(name)
            .map_or_else(|| (name.to_owned(), 0.0), |copy| (copy.original.clone(), copy.shift_s))
    };
    let mut found: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut wrong = 0;
    for group in &groups {
        let first = &group.members[0];
        for member in &group.members[1..] {
            let ((a, a_shift), (b, b_shift)) = (source(first), source(member));
            let error_s = (member.offset_s - (b_shift - a_shift)).abs();
            let ids = [freesound_id(&a), freesound_id(&b)];
            let is_related = RELATED.iter().any(|pair| ids.iter().all(|id| pair.contains(id)))
                // What a clip was pasted into is the copy's as well.
                || [first, member].iter().any(|member| name(member).starts_with("pasted"));
            if a == b && error_s < OFFSET_TOLERANCE_S {
                continue;
            }
            if !is_related {
                eprintln!("WRONG: {} and {} at {}", name(first), name(member), member.offset_s);
                wrong += 1;
            }
        }
        for member in &group.members {
            let Some(copy) = by_name.get(name(member)) else { continue };
            let original = group.members.iter().find(|other| name(other) == copy.original);
            if let Some(original) = original {
                let error_s = (member.offset_s - original.offset_s - copy.shift_s).abs();
                if error_s < OFFSET_TOLERANCE_S {
                    found.entry(copy.kind).or_default().push(1e3 * error_s);
                }
            }
        }
    }
    for kind in KINDS {
        let errors = &found[kind];
        let worst = errors.iter().copied().fold(0.0, f64::max);
        eprintln!("{kind}: {} of 40, offsets wrong by at most {worst:.2} ms", errors.len());
        // Half a second's vector is that of as much silence behind it: some are too far away.
        let least = if kind == "half" { 38 } else { 40 };
        assert!(errors.len() >= least, "{kind}: {errors:?}");
    }
    assert_eq!(wrong, 0);
}

/// What ESC-10 holds by itself, and an excerpt in a recording of minutes.
#[test]
fn takes_of_one_sound_are_no_duplicates_and_long_recordings_are_searched() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = esc_10(&esc10);
    let mut long = Vec::new();
    let mut places_s = Vec::new();
    for path in files.iter().step_by(5) {
        places_s.push(long.len() as f64 / 44_100.0);
        long.extend(copies::samples(path));
    }
    let sounds = folder.path().join("sounds");
    fs::create_dir(&sounds).unwrap();
    copies::write_wav(&sounds.join("field.wav"), 44_100, &long);
    for path in &files {
        fs::copy(path, sounds.join(path.file_name().unwrap())).unwrap();
    }
    let model = common::yamnet();
    let (library, _) = retrieval::index(&sounds, &folder.path().join("a.db"), &model);
    let groups = find(&library, &DuplicateOptions::default());
    let mut excerpts = 0;
    for group in &groups {
        let field = group.members.iter().find(|member| name(member) == "field.wav");
        for member in &group.members {
            let Some(place) = files.iter().step_by(5).position(|path| path.ends_with(name(member)))
            else {
                continue;
            };
            let Some(field) = field else { continue };
            let offset_s = member.offset_s - field.offset_s;
            excerpts += usize::from((offset_s - places_s[place]).abs() < OFFSET_TOLERANCE_S);
        }
        if field.is_none() {
            let ids: Vec<&str> = group.members.iter().map(|m| freesound_id(name(m))).collect();
            eprintln!("{ids:?}");
            assert!(
                RELATED.iter().any(|pair| ids.iter().all(|id| pair.contains(id))),
                "other takes: {group:?}"
            );
        }
    }
    eprintln!("{excerpts} of 80 excerpts in a recording of {:.0} s", long.len() as f64 / 44_100.0);
    assert_eq!(excerpts, 80);
}

/// A second of noise that no other seed has.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| 0.3 * next()).collect()
}

/// A recording, its file again, a quieter cut from 0.7 s on, and another recording.
fn bench_with_copies() -> Bench {
    let bench = Bench::new();
    fs::create_dir(bench.path("sounds")).unwrap();
    let sound = noise(64_000, 7);
    let quiet: Vec<f32> = sound[11_200..].iter().map(|sample| 0.3 * sample).collect();
    copies::write_wav(&bench.path("sounds/a.wav"), 16_000, &sound);
    fs::copy(bench.path("sounds/a.wav"), bench.path("sounds/b.wav")).unwrap();
    copies::write_wav(&bench.path("sounds/cut.wav"), 16_000, &quiet);
    copies::write_wav(&bench.path("sounds/other.wav"), 16_000, &noise(64_000, 8));
    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench
}

fn file_name(row: &Value) -> &str {
    row["path"].as_str().unwrap().rsplit('/').next().unwrap()
}

#[test]
fn the_command_says_what_is_the_same_where_and_how_it_knows() {
    let bench = bench_with_copies();
    let rows = bench.run(&["duplicates", "--format", "json"]).expect(0).json();
    let names: Vec<&str> = rows.iter().map(file_name).collect();
    assert_eq!(names, ["a.wav", "b.wav", "cut.wav"]);
    assert!(rows.iter().all(|row| row["group"] == 1));
    assert_eq!(rows[0]["likely_original"], true);
    assert_eq!((&rows[0]["start_s"], &rows[0]["end_s"]), (&0.0.into(), &4.0.into()));
    assert_eq!((&rows[1]["evidence"], &rows[1]["similarity"]), (&"same-file".into(), &1.0.into()));
    assert_eq!(
        (&rows[2]["evidence"], &rows[2]["likely_original"]),
        (&"heard".into(), &false.into())
    );
    assert!((rows[2]["offset_s"].as_f64().unwrap() - 0.7).abs() < 1e-4, "{}", rows[2]);
    assert!(rows[2]["similarity"].as_f64().unwrap() > 0.99);
    assert_eq!((&rows[2]["start_s"], &rows[2]["end_s"]), (&0.0.into(), &3.3.into()));

    let table = bench.run(&["duplicates"]).expect(0);
    assert!(table.out.contains("likely original") && table.out.contains("+0.700"), "{}", table.out);
    let csv = bench.run(&["duplicates", "--format", "csv"]).expect(0);
    assert!(csv.out.starts_with("group,likely_original,recording_id,path,start_s"), "{}", csv.out);
    assert_eq!(csv.out.lines().count(), 4);
}

#[test]
fn without_duplicates_the_status_is_one_and_nonsense_is_an_error() {
    let bench = Bench::new();
    copies::write_wav(&bench.path("a.wav"), 16_000, &noise(64_000, 1));
    copies::write_wav(&bench.path("b.wav"), 16_000, &noise(64_000, 2));
    bench.run(&["index", "a.wav", "b.wav", "-q"]).expect(0);
    let answer = bench.run(&["duplicates"]).expect(1);
    assert!(answer.out.is_empty() && answer.err.contains("No duplicates"), "{}", answer.err);
    for arguments in [["--threshold", "1.5"], ["--min-duration", "-1"], ["--threshold", "x"]] {
        bench.run(&["duplicates", arguments[0], arguments[1]]).expect(2);
    }
    // Copies that are shorter than asked for do not count.
    let bench = bench_with_copies();
    let rows = bench.run(&["duplicates", "--min-duration", "3.5", "--format", "json"]);
    assert_eq!(rows.expect(0).json().len(), 2);
}

#[test]
fn recordings_whose_files_are_gone_are_compared_by_vectors_and_marked() {
    let bench = bench_with_copies();
    // The vector of the same sound, a little quieter, is nearly the same; and a tone is not lost
    // in the crowd, as noise among noises is.
    let tone = |gain: f32| -> Vec<f32> {
        (0..64_000_u16).map(|n| gain * (f32::from(n % 16_000) * 0.2).sin()).collect()
    };
    copies::write_wav(&bench.path("sounds/tone.wav"), 16_000, &tone(0.5));
    copies::write_wav(&bench.path("sounds/tone-quieter.wav"), 16_000, &tone(0.498));
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let of = |answer: &bench::Answer, evidence: &str| {
        let rows = answer.json();
        let rows = rows.iter().filter(|row| row["evidence"] == evidence);
        rows.map(|row| file_name(row).to_owned()).collect::<Vec<_>>()
    };
    let heard = bench.run(&["duplicates", "--format", "json"]).expect(0);
    // A tone fits at every period: what it is by the waveform is not the question here.
    assert!(of(&heard, "heard").contains(&"cut.wav".to_owned()), "{}", heard.out);
    let unheard = bench.run(&["duplicates", "--no-verify", "--format", "json"]).expect(0);
    assert!(of(&unheard, "vectors").contains(&"tone.wav".to_owned()), "{}", unheard.out);
    fs::remove_file(bench.path("sounds/tone.wav")).unwrap();
    let gone = bench.run(&["duplicates", "--format", "json"]).expect(0);
    assert!(gone.err.contains("tone.wav could not be listened to"), "{}", gone.err);
    assert!(of(&gone, "vectors").contains(&"tone.wav".to_owned()), "{}", gone.out);
    assert!(of(&gone, "heard").contains(&"cut.wav".to_owned()), "{}", gone.out);
}

#[test]
fn what_recurs_within_a_recording_counts_when_asked_for() {
    let bench = Bench::new();
    let (sound, other) = (noise(32_000, 3), noise(40_000, 4));
    let loops = [&sound[..], &other, &sound].concat();
    copies::write_wav(&bench.path("loop.wav"), 16_000, &loops);
    bench.run(&["index", "loop.wav", "-q"]).expect(0);
    bench.run(&["duplicates"]).expect(1);
    let rows = bench.run(&["duplicates", "--within", "--format", "json"]).expect(0).json();
    assert_eq!(rows.len(), 2, "{rows:?}");
    // The second time is 72,000 samples later.
    assert!((rows[1]["offset_s"].as_f64().unwrap().abs() - 4.5).abs() < 1e-4, "{rows:?}");
    // Stretches that are shorter than a print: the recording is not its own duplicate.
    let arguments = ["duplicates", "--within", "--min-duration", "0.005", "--format", "json"];
    let short = bench.run(&arguments).expect(0).json();
    assert!(short.iter().any(|row| row["offset_s"] == rows[1]["offset_s"]), "{short:?}");
}

#[test]
fn an_index_of_no_use_is_told_and_changes_nothing() {
    let bench = bench_with_copies();
    let expected = bench.run(&["duplicates", "--format", "json"]).expect(0);
    assert_eq!(expected.err, "");
    for entry in fs::read_dir(bench.path("sonoteca.db.cache")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "index") {
            let mut bytes = fs::read(&path).unwrap();
            // The first row's first value: found when it is searched, not when it is opened.
            bytes[8_192] ^= 1;
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }
    let answer = bench.run(&["duplicates", "--format", "json"]).expect(0);
    assert_eq!(answer.out, expected.out);
    assert!(
        answer.err.contains("damaged") && answer.err.contains("sonoteca reindex"),
        "{}",
        answer.err
    );
}
