//! Labels as users meet them: the real binary, a real library, files as people and programs write
//! them. Nothing is heard here, so the recordings are rows without sound.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;
#[path = "labels/reading.rs"]
mod reading;
#[path = "labels/round_trips.rs"]
mod round_trips;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use bench::{Answer, Bench};
use serde_json::Value;
use sonoteca::audio::decode::{Integrity, StreamFormat};
use sonoteca::store::Library;
use sonoteca::store::recordings::{FileStamp, NewRecording};
use sonoteca::units::SampleRate;

/// A library in a folder with these recordings, each of a length in seconds; ids from 1.
fn bench(recordings: &[(&str, f64)]) -> Bench {
    let bench = Bench::new();
    let root = bench.folder.path().canonicalize().unwrap();
    let mut library = Library::open_or_create(&bench.path("sonoteca.db")).unwrap();
    let writer = library.begin().unwrap();
    for (name, duration_s) in recordings {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        writer
            .put_recording(&NewRecording {
                path: &path,
                stamp: FileStamp { size_bytes: 1, modified_ns: 1 },
                content_hash: [1; 32],
                format: &StreamFormat {
                    sample_rate: SampleRate::new(44_100).unwrap(),
                    channels: 1,
                    codec: "pcm_s16le".to_owned(),
                },
                duration_s: *duration_s,
                integrity: Integrity::Ok,
            })
            .unwrap();
    }
    writer.commit().unwrap();
    bench
}

/// Three recordings, two of them of one name.
fn three() -> Bench {
    bench(&[("sounds/bark.wav", 5.0), ("sounds/day.wav", 60.0), ("other/bark.wav", 2.5)])
}

fn label(bench: &Bench, arguments: &[&str]) -> Answer {
    let output =
        bench.command().env("USER", "tester").arg("label").args(arguments).output().unwrap();
    Answer::of(&output)
}

fn import(bench: &Bench, name: &str, text: &str, more: &[&str]) -> Answer {
    fs::write(bench.path(name), text).unwrap();
    label(bench, &[&["import", name, "--format", "json"], more].concat())
}

fn all(bench: &Bench) -> Vec<Value> {
    let answer = label(bench, &["list", "--all", "--format", "json"]);
    assert!([0, 1].contains(&answer.code), "{}", answer.err);
    answer.json()
}

/// Path, start, end and class of each label.
fn short(bench: &Bench) -> Vec<String> {
    let root = bench.folder.path().canonicalize().unwrap();
    let text = |label: &Value| {
        let path = Path::new(label["path"].as_str().unwrap()).strip_prefix(&root).unwrap();
        let class = label["class"].as_str().unwrap();
        format!("{} {} {} {class}", path.display(), label["start_s"], label["end_s"])
    };
    all(bench).iter().map(text).collect()
}

#[test]
fn labels_are_added_listed_and_removed() {
    let bench = three();
    label(&bench, &["list"]).expect(1);
    label(&bench, &["add", "id:1@3.5-4.2", "day.wav", "Dog"]).expect(0);
    label(&bench, &["add", "sounds/bark.wav@1-", "id:2", "--class", "Cat", "--negative"]).expect(0);
    let again = label(&bench, &["add", "id:2", "dog"]).expect(0);
    assert!(again.err.contains("Already there: 1 label"), "{}", again.err);
    label(&bench, &["add", "id:3", "Dog", "--unsure", "--source", "jane"]).expect(0);
    assert_eq!(
        short(&bench),
        [
            "sounds/bark.wav 3.5 4.2 Dog",
            "sounds/day.wav null null Dog",
            "sounds/bark.wav 1.0 5.0 Cat",
            "sounds/day.wav null null Cat",
            "other/bark.wav null null Dog",
        ]
    );
    let classes = label(&bench, &["list", "--format", "json"]).expect(0).json();
    assert_eq!(classes[0]["class"], "Cat");
    assert_eq!((&classes[0]["negative"], &classes[0]["by_people"]), (&2.into(), &2.into()));
    let dog = &classes[1];
    assert_eq!(
        (&dog["positive"], &dog["unsure"], &dog["recordings"]),
        (&2.into(), &1.into(), &3.into())
    );
    assert_eq!(dog["by_machines"], 0);
    for (options, count) in [
        (&["id:1"][..], 2),
        (&["--class", "dog"], 3),
        (&["--class", "dog", "--class", "cat"], 5),
        (&["--source", "jane"], 1),
        (&["--judgement", "negative", "--judgement", "unsure"], 3),
        (&["--where", "duration > 10"], 2),
        (&["--where", "label = Dog and duration < 10"], 2),
        (&["id:3", "--where", "duration > 10"], 0),
    ] {
        let arguments = [&["list", "--format", "json"], options].concat();
        let answer = label(&bench, &arguments).expect(i32::from(count == 0));
        assert_eq!(answer.json().len(), count, "{options:?}");
    }
    let csv = label(&bench, &["list", "--all", "--format", "csv"]).expect(0).out;
    assert_eq!(csv.lines().count(), 6);
    assert!(csv.starts_with("id,recording_id,path,start_s,end_s,class,"), "{csv}");
    let table = label(&bench, &["list", "id:1"]).expect(0).out;
    assert!(table.contains("sounds/bark.wav") && table.contains("3.50–4.20"), "{table}");

    let dry = label(&bench, &["remove", "--class", "Dog", "--dry-run"]).expect(0);
    assert_eq!(dry.out, "Would be removed: 3 labels.\n");
    assert_eq!(all(&bench).len(), 5);
    let removed = label(&bench, &["remove", "1", "2", "99", "--format", "json"]).expect(0).json();
    assert_eq!(removed[0]["removed"], 2);
    label(&bench, &["remove", "--recording", "id:1", "--class", "Dog"]).expect(1);
    label(&bench, &["remove", "--source", "jane"]).expect(0);
    label(&bench, &["remove"]).expect(2);
    assert_eq!(all(&bench).len(), 2);
    label(&bench, &["remove", "--recording", "id:1", "--recording", "id:2"]).expect(0);
    label(&bench, &["export"]).expect(1);
}

#[test]
fn what_cannot_be_a_label_is_refused_whole() {
    let bench = three();
    for (arguments, text) in [
        (&["add", "id:1", "id:9", "Dog"][..], "no recording id:9"),
        (&["add", "id:1"], "the last word is one"),
        (&["add", "id:1", "id:2"], "the last word is one"),
        (&["add", "id:1", " "], "no class"),
        (&["add", "id:1@4-5.2", "Dog"], "there is no stretch"),
        (&["add", "id:1@6-", "Dog"], "there is no stretch"),
        (&["add", "id:1@4-3", "Dog"], "there is no stretch"),
        (&["add", "id:1@1-nan", "Dog"], "neither a stretch nor a time"),
        (&["add", "id:1@inf-", "Dog"], "neither a stretch nor a time"),
        (&["add", "id:1@abc", "Dog"], "neither a stretch nor a time"),
        (&["add", "id:1@3-99", "Dog"], "hint: times count from the recording's beginning"),
        (&["add", "id:1@5.2", "Dog"], "there is no stretch"),
        (&["add", "id:1@-2", "Dog"], "there is no stretch"),
        (&["add", "dya.wav", "Dog"], "no recording of the library is called `dya.wav`"),
        (&["add", "dya.wav", "Dog"], "hint: did you mean day.wav?"),
        (&["add", "dya.wav@1-2", "Dog"], "hint: did you mean day.wav?"),
        (&["add", "bark.wav", "Dog"], "several recordings"),
        (&["add", "nowhere.wav", "Dog"], "nowhere.wav"),
        (&["add", "id:1", "Dog", "--source", "head:birds"], "those of heads"),
        (&["add", "id:1", "Dog", "--negative", "--unsure"], "cannot be used"),
        (&["list", "--where", "durtion < 3"], "did you mean duration"),
        (&["import", "nowhere.csv"], "nowhere.csv"),
        (&["import"], "required"),
        (&["list", "--format", "raven"], "label export"),
    ] {
        let answer = label(&bench, arguments).expect(2);
        assert!(answer.err.contains(text), "{arguments:?}: {}", answer.err);
    }
    assert!(all(&bench).is_empty());
}

#[test]
fn hints_name_a_library_that_was_named() {
    let bench = three();
    fs::rename(bench.path("sonoteca.db"), bench.path("my sounds.db")).unwrap();
    let answer = bench.run(&["train", "x", "--library", "my sounds.db"]).expect(2);
    assert!(
        answer.err.contains("--model yamnet (with --library 'my sounds.db')"),
        "{}",
        answer.err
    );
    let answer =
        bench.run(&["label", "add", "id:99", "Dog", "--library", "my sounds.db"]).expect(2);
    assert!(!answer.err.contains("with --library"), "{}", answer.err);
}

#[test]
fn a_table_without_rows_or_in_another_encoding_is_told() {
    let bench = three();
    for (name, text) in [("nothing.csv", ""), ("headings.csv", "path,class\n")] {
        let answer = import(&bench, name, text, &[]).expect(1);
        let told = format!("warning: {name}: there is no label in it");
        assert!(answer.err.contains(&told), "{}", answer.err);
    }
    fs::write(bench.path("latin1.csv"), b"path,class\nday.wav,B\xe4r\n").unwrap();
    let answer = label(&bench, &["import", "latin1.csv"]).expect(2);
    assert!(answer.err.contains("line 2: it is not UTF-8: save the file as"), "{}", answer.err);
}

#[test]
fn rows_that_fit_nothing_are_listed_and_the_rest_goes_in() {
    let bench = three();
    let table = "path,start,end,class\n\
        sounds/bark.wav,1,2,Dog\n\
        nowhere.wav,1,2,Dog\n\
        bark.wav,1,2,Dog\n\
        ,1,2,Dog\n\
        sounds/bark.wav,2,1,Dog\n\
        sounds/bark.wav,4,5.2,Dog\n\
        sounds/bark.wav,4,5.05,Dog\n\
        sounds/bark.wav,1,2,\n\
        sounds/bark.wav,x,2,Dog\n\
        sounds/bark.wav,\"1,5\",2,Dog\n\
        sounds/bark.wav,-1,2,Dog\n\
        sounds/bark.wav,1,NaN,Dog\n\
        \"sounds/bark.wav\",2,3,\"a\nb\"\n\
        sounds/bark.wav,1,2,Dog,more\n\
        sounds/day.wav,,,Dog,,,\n\
        ,,,\n\
        \n";
    let answer = import(&bench, "a.csv", table, &[]).expect(2);
    let report = &answer.json()[0];
    assert_eq!(
        (&report["rows"], &report["added"], &report["refused"]),
        (&15.into(), &4.into(), &11.into())
    );
    let problems: Vec<(u64, &str)> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["line"].as_u64().unwrap(), problem["reason"].as_str().unwrap()))
        .collect();
    let expected = [
        (3, "`nowhere.wav` is no recording"),
        (4, "the paths of 2 recordings end"),
        (5, "it names no recording"),
        (6, "it ends before it begins: from 2 to 1 s"),
        (7, "it ends at 5.2 s, and its recording at 5.000 s"),
        (9, "it has no class"),
        (10, "start: `x` is no number"),
        (11, "decimal comma"),
        (12, "start: -1 is less than 0"),
        (13, "end: `NaN` is no number"),
        // The record before it has two lines.
        (16, "it has 5 cells, expected 4"),
    ];
    assert_eq!(problems.len(), expected.len());
    for ((line, reason), (expected_line, text)) in problems.iter().zip(expected) {
        assert_eq!(*line, expected_line, "{reason}");
        assert!(reason.contains(text), "{reason}");
    }
    assert!(answer.err.contains("a.csv, line 3: `nowhere.wav`"), "{}", answer.err);
    let labels = short(&bench);
    assert_eq!(labels[2], "sounds/bark.wav 2.0 3.0 a\nb");
    assert_eq!(labels[3], "sounds/day.wav null null Dog");

    let again = import(&bench, "a.csv", table, &[]).expect(2).json();
    assert_eq!((&again[0]["added"], &again[0]["already_there"]), (&0.into(), &4.into()));
    let dry = import(&bench, "b.csv", "file,label\nid:1,New\n", &["--dry-run"]).expect(0).json();
    assert_eq!((&dry[0]["added"], &dry[0]["dry_run"]), (&1.into(), &true.into()));
    assert_eq!(all(&bench).len(), 4);
}

#[test]
fn folders_are_classes() {
    let bench = bench(&[
        ("data/Dog/a.wav", 1.0),
        ("data/Dog/deep/b.wav", 1.0),
        ("data/Cat/c.wav", 1.0),
        ("data/lost.wav", 1.0),
        ("elsewhere/d.wav", 1.0),
    ]);
    fs::create_dir(bench.path("data/Empty")).unwrap();
    let answer = label(&bench, &["import", "--from-folders", "data"]).expect(2);
    assert_eq!(answer.out, "Brought in: 3 labels, 2 left out.\nClasses: Cat 1, Dog 2.\n");
    assert!(answer.err.contains("`lost.wav` lies in no sub-folder"), "{}", answer.err);
    assert!(answer.err.contains("`Empty`"), "{}", answer.err);
    assert_eq!(
        short(&bench),
        [
            "data/Cat/c.wav null null Cat",
            "data/Dog/a.wav null null Dog",
            "data/Dog/deep/b.wav null null Dog"
        ]
    );
    label(&bench, &["import", "--from-folders", "nowhere"]).expect(2);
}

#[test]
fn a_folder_that_is_not_the_right_one_is_told() {
    let bench =
        bench(&[("birds/wren/a.wav", 1.0), ("birds/tit/b.wav", 1.0), ("birds/tit/c.wav", 1.0)]);
    let high = label(&bench, &["import", "--from-folders", ".", "--dry-run"]).expect(0);
    assert!(high.err.contains("--from-folders ./birds"), "{}", high.err);
    assert!(high.out.contains("Classes: birds 3."), "{}", high.out);
    let right = label(&bench, &["import", "--from-folders", "birds"]).expect(0);
    assert!(right.out.contains("Classes: tit 2, wren 1."), "{}", right.out);
    assert!(!right.err.contains("--from-folders"), "{}", right.err);
    fs::create_dir_all(bench.path("new/robin")).unwrap();
    let unknown = label(&bench, &["import", "--from-folders", "new"]);
    assert!(unknown.err.contains("no recording below new"), "{}", unknown.err);
    // A folder stands for what lies below it, where labels are listed and removed; a file that was not
    // indexed is told apart from a name that nothing has.
    let listed = label(&bench, &["list", "birds/tit", "--format", "json"]).expect(0).json();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let added = label(&bench, &["add", "birds/tit", "Tit"]).expect(2);
    assert!(added.err.contains("a folder is no recording"), "{}", added.err);
    fs::write(bench.path("later.wav"), "").unwrap();
    let later = label(&bench, &["add", "later.wav", "Tit"]).expect(2);
    assert!(later.err.contains("sonoteca index 'later.wav'"), "{}", later.err);
    label(&bench, &["remove", "--recording", "birds/tit"]).expect(0);
    assert_eq!(all(&bench).len(), 1);
    let folder = label(&bench, &["import", "birds"]).expect(2);
    assert!(folder.err.contains("--from-folders FOLDER"), "{}", folder.err);
}

/// What was acknowledged is there, and what was not is not there at all.
#[test]
fn an_import_that_is_killed_leaves_nothing_behind() {
    let bench = bench(&[("day.wav", 1e6)]);
    let mut table = String::from("path,start,end,class\n");
    for n in 0..200_000 {
        writeln!(table, "day.wav,{n},{},Dog", n + 1).unwrap();
    }
    fs::write(bench.path("many.csv"), &table).unwrap();
    let mut child = bench
        .command()
        .args(["label", "import", "many.csv"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(150));
    child.kill().unwrap();
    child.wait().unwrap();
    let count = all(&bench).len();
    assert!([0, 200_000].contains(&count), "{count}");
    let answer = label(&bench, &["import", "many.csv"]).expect(0);
    let there = if count == 0 { "" } else { ", 200,000 already there" };
    let added = if count == 0 { "200,000" } else { "0" };
    assert_eq!(answer.out, format!("Brought in: {added} labels{there}.\n"));
}

#[test]
fn the_newest_word_counts_also_when_it_was_said_before() {
    let bench = three();
    let say = |arguments: &[&str]| {
        let answer = label(&bench, &[&["add", "--format", "json"], arguments].concat()).expect(0);
        !answer.json()[0]["label_id"].is_null()
    };
    assert!(say(&["id:1", "Dog"]));
    assert!(!say(&["id:1", "Dog"]), "nothing was said since");
    assert!(say(&["id:1", "dog", "--negative"]));
    assert!(say(&["id:1", "Dog"]), "it was denied since");
    assert!(!say(&["id:1", "DOG"]));
    // Whoever denied it, and if only of a part; what is of another time is no answer.
    assert!(say(&["id:1@1-2", "Dog", "--negative", "--source", "jane"]));
    assert!(say(&["id:1", "Dog"]));
    assert!(say(&["id:1@3-4", "Dog"]));
    assert!(say(&["id:1@1-2", "Dog", "--unsure"]));
    assert!(!say(&["id:1@3-4", "Dog"]));

    // A file is read twice without a change, also where it has both words of one source.
    let table = "path,class,judgement,source\nid:2,Owl,positive,a\nid:2,Owl,negative,b\n\
                 id:2,Owl,negative,a\n";
    let count = |name: &str, table: &str| {
        let answer = import(&bench, name, table, &[]).expect(0).json();
        (answer[0]["added"].as_u64().unwrap(), answer[0]["already_there"].as_u64().unwrap())
    };
    assert_eq!(count("owls.csv", table), (3, 0));
    assert_eq!(count("owls.csv", table), (0, 3));
    // Its last word is another one: it counts.
    let first = "path,class,judgement,source\nid:2,Owl,positive,a\n";
    assert_eq!(count("first.csv", first), (1, 0));
    assert_eq!(count("first.csv", first), (0, 1));
    let labels = all(&bench);
    let last = labels.iter().max_by_key(|label| label["id"].as_u64()).unwrap();
    assert_eq!((&last["class"], &last["judgement"]), (&"Owl".into(), &"positive".into()));
}

/// A point that is typed is one that a label track has.
#[test]
fn points_and_times_are_typed_as_they_are_imported() {
    let bench = three();
    label(&bench, &["add", "day.wav@3.5", "day.wav@4-4", "Dog"]).expect(0);
    label(&bench, &["add", "day.wav@0:10-0:12.5", "day.wav@20s-", "Dog"]).expect(0);
    // As far behind the end as an imported one may be.
    label(&bench, &["add", "other/bark.wav@2.55", "Dog"]).expect(0);
    let listed = label(&bench, &["list", "--class", "Dog"]).expect(0).out;
    for stretch in ["at 3.50", "at 4.00", "at 2.55", "10.00–12.50", "20.00–60.00"] {
        assert!(listed.contains(stretch), "{listed}");
    }
    let track = "3.5\t3.5\tDog\n4\t4\tDog\n10\t12.5\tDog\n";
    let again = import(&bench, "day.txt", track, &[]).expect(0).json();
    assert_eq!((&again[0]["added"], &again[0]["already_there"]), (&0.into(), &3.into()));
}

#[test]
fn a_class_that_is_nearly_another_is_told() {
    let bench = three();
    let first = label(&bench, &["add", "id:1", "Great tit"]).expect(0);
    assert!(!first.err.contains("was called"), "{}", first.err);
    let mistyped = label(&bench, &["add", "id:2", "Graet tit"]).expect(0);
    assert!(mistyped.err.contains("there is Great tit"), "{}", mistyped.err);
    assert!(mistyped.err.contains("sonoteca label remove 2"), "{}", mistyped.err);
    for (recording, class) in [("id:3", "graet TIT"), ("id:3", "Owl")] {
        let quiet = label(&bench, &["add", recording, class]).expect(0);
        assert!(!quiet.err.contains("was called"), "{}", quiet.err);
    }
}

#[test]
fn letters_of_every_alphabet_have_two_cases() {
    let bench = three();
    label(&bench, &["add", "id:1", "Öl"]).expect(0);
    label(&bench, &["add", "id:2", "öl"]).expect(0);
    label(&bench, &["add", "id:3", "Uhu"]).expect(0);
    let again = label(&bench, &["add", "id:2", "ÖL"]).expect(0);
    assert!(again.err.contains("Already there: 1 label"), "{}", again.err);
    let classes = label(&bench, &["list", "--format", "json"]).expect(0).json();
    assert_eq!(classes.len(), 2, "{classes:?}");
    let oil = classes.iter().find(|class| class["class"] == "Öl").unwrap();
    assert_eq!((&oil["positive"], &oil["recordings"]), (&2.into(), &2.into()));
    for options in [
        &["--class", "öL"][..],
        &["--where", "label = 'öL'"],
        &["--where", "label in ('ÖL', 'none')"],
        &["--where", "label ~ 'Ö*'"],
    ] {
        let arguments = [&["list", "--all", "--format", "json"], options].concat();
        assert_eq!(label(&bench, &arguments).expect(0).json().len(), 2, "{options:?}");
    }
    label(&bench, &["list", "--where", "label != 'ÖL'", "--format", "json"]).expect(0);
    let removed = label(&bench, &["remove", "--class", "ÖL", "--format", "json"]).expect(0).json();
    assert_eq!(removed[0]["removed"], 2);
}
