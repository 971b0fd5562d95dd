//! Filters, metadata, dates and words as users meet them: the real binary, real weights, a real
//! library made from real files.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

use std::fs;
use std::path::Path;

use bench::{Answer, Bench};
use serde_json::Value;

/// Sounds in two folders; one with a date in its name, one with a chunk that says when.
fn collection() -> Bench {
    let bench = Bench::with_sounds();
    fs::create_dir(bench.path("sounds/NorthWood")).unwrap();
    bench.tone("sounds/NorthWood/20240501_063000.wav", 880.0);
    bench.noise("sounds/NorthWood/bat.wav", 3);
    let mut bytes = fs::read(bench.path("sounds/NorthWood/bat.wav")).unwrap();
    let guano = b"GUANO|Version: 1.0\nTimestamp: 2017-04-22T22:15:00+02:00\n";
    bytes.extend(b"guan");
    bytes.extend(u32::try_from(guano.len()).unwrap().to_le_bytes());
    bytes.extend(guano);
    fs::write(bench.path("sounds/NorthWood/bat.wav"), bytes).unwrap();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    // A question from outside, so that nothing is left out for being the question.
    bench.tone("question.wav", 450.0);
    bench
}

/// The names of the files that are found, in alphabetical order.
fn names(answer: &Answer) -> Vec<String> {
    let mut names: Vec<String> = answer
        .json()
        .iter()
        .map(|hit| Path::new(hit["path"].as_str().unwrap()).file_name().unwrap().to_owned())
        .map(|name| name.into_string().unwrap())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn found(bench: &Bench, filter: &str) -> Vec<String> {
    let arguments = ["search", "question.wav", "-k", "100", "--where", filter, "--format", "json"];
    let answer = bench.run(&arguments);
    assert!([0, 1].contains(&answer.code), "{filter}: {}", answer.err);
    names(&answer)
}

#[test]
fn every_field_filters_a_real_library() {
    let bench = collection();
    let arguments = ["search", "question.wav", "-k", "100", "--format", "json"];
    let first = bench.run(&arguments).expect(0);
    assert_eq!(first.json().len(), 8);
    let all = names(&first);
    let is = |filter: &str, wanted: &dyn Fn(&str) -> bool| {
        let wanted: Vec<String> = all.iter().filter(|name| wanted(name)).cloned().collect();
        assert_eq!(found(&bench, filter), wanted, "{filter}");
    };
    let in_wood = |name: &str| ["bat.wav", "20240501_063000.wav"].contains(&name);
    is("path ~ \"*/NorthWood/*\"", &in_wood);
    is("path ~ \"*/northwood/*\"", &|_| false);
    is("not folder ~ \"*/NorthWood\"", &|name| !in_wood(name));
    is("name ~ \"tone-?.wav\" or name = bat.wav", &|name| {
        name.starts_with("tone") || name == "bat.wav"
    });
    is("duration = 2 and rate = 22.05kHz and channels = 1 and status = ok", &|_| true);
    is("codec = pcm_s16le", &|_| true);
    is("duration > 2s or rate != 22050", &|_| false);
    is("id <= 3", &|name| {
        let hits = first.json();
        let hit = hits.iter().find(|hit| hit["path"].as_str().unwrap().ends_with(name)).unwrap();
        hit["recording_id"].as_i64().unwrap() <= 3
    });
    is("date = 2024-05", &|name| name.starts_with("2024"));
    is("date = 2017-04-22T22:15", &|name| name == "bat.wav");
    is("date < 2024-06 and date >= 2017-04-22", &in_wood);
    is("exists label", &|_| false);
}

#[test]
fn classes_filter_both_levels_by_their_stored_scores() {
    let bench = collection();
    for level in ["recording", "segment"] {
        // Single segments: an event has the classes of its best one only.
        let single: &[&str] = if level == "segment" { &["--raw"] } else { &[] };
        let run = |filter: &str| {
            let arguments = ["search", "id:1", "-k", "1000", "--by", level, "--where", filter];
            bench.run(&[&arguments[..], &["--format", "json"], single].concat())
        };
        let all = run("duration > 0").expect(0).json();
        let class = all[0]["classes"][0]["name"].as_str().unwrap().to_owned();
        let score = |hit: &Value| {
            let classes = hit["classes"].as_array().unwrap();
            classes
                .iter()
                .find(|found| found["name"] == class)
                .map(|found| found["score"].as_f64().unwrap())
        };
        let least = score(&all[0]).unwrap() - 1e-9;
        let hits = run(&format!("class(\"{class}\") >= {least}")).expect(0).json();
        assert!(!hits.is_empty());
        // Only three classes are printed, so what is not among them is not told.
        assert!(hits.iter().all(|hit| score(hit).is_some_and(|score| score >= least)), "{hits:?}");
        let expected = all.iter().filter(|hit| score(hit).is_some_and(|score| score >= least));
        assert_eq!(hits.len(), expected.count(), "{level}");
        run(&format!("class(\"{class}\") > 0.999999")).expect(1);
    }
}

#[test]
fn mistakes_point_at_the_character_and_exit_with_2() {
    let bench = collection();
    for (filter, err) in [
        (
            "duration ~ \"x\"",
            "error: the filter, character 10: `duration` is a number: it is compared by = != < <= > >= \
             and `in`
  duration ~ \"x\"
           ^
hint: the language of filters: sonoteca search --help
",
        ),
        (
            "name = bat.wav and class(\"Brid\") > 0.3",
            "error: the filter, character 26: the model knows no class called `Brid`
  name = bat.wav and class(\"Brid\") > 0.3
                           ^^^^^^
hint: did you mean Bird?
",
        ),
        (
            "durtion < 3",
            "error: the filter, character 1: no field is called `durtion`, and no recording has such \
             metadata
  durtion < 3
  ^^^^^^^
hint: did you mean duration?
",
        ),
    ] {
        let answer = bench.run(&["search", "id:1", "--where", filter]).expect(2);
        assert_eq!(answer.err, err);
        assert_eq!(answer.out, "");
    }
}

#[test]
fn metadata_comes_in_filters_goes_out_and_comes_in_again() {
    let bench = collection();
    let wood = bench.path("sounds/NorthWood").canonicalize().unwrap();
    fs::write(
        bench.path("sites.csv"),
        format!(
            "\u{feff}file,Site,depth m,code,date\n\
             {}/bat.wav,\"north, high\",1.5,007,2020-01-02\n\
             sounds/tone-0.wav,south,12,,\n\
             NorthWood/20240501_063000.wav, north ,3,x,\n\
             nothing.wav,south,1,x,\n\
             sounds/tone-1.wav,too,many,cells,in,this\n",
            wood.display()
        ),
    )
    .unwrap();
    let answer = bench.run(&["metadata", "import", "sites.csv", "--format", "json"]).expect(2);
    let report = &answer.json()[0];
    assert_eq!(
        (&report["lines"], &report["recordings"], &report["added"]),
        (&5.into(), &3.into(), &9.into())
    );
    let lines: Vec<&Value> =
        report["unmatched"].as_array().unwrap().iter().map(|line| &line["line"]).collect();
    assert_eq!(lines, [5, 6]);
    assert!(
        answer.err.contains("line 5: `nothing.wav` is no recording of the library"),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("meta(\"date\")"), "{}", answer.err);

    assert_eq!(found(&bench, "site ~ \"north*\""), ["20240501_063000.wav", "bat.wav"]);
    assert_eq!(found(&bench, "site = \"north, high\""), ["bat.wav"]);
    assert_eq!(found(&bench, "meta(\"depth m\") > 2.5"), ["20240501_063000.wav", "tone-0.wav"]);
    assert_eq!(found(&bench, "code = \"007\""), ["bat.wav"]);
    assert_eq!(found(&bench, "meta(\"date\") < 2020-06"), ["bat.wav"]);
    assert_eq!(found(&bench, "exists code and exists site").len(), 2);

    // The same again changes nothing; neither does what was exported.
    let again = bench.run(&["metadata", "import", "sites.csv", "--format", "json"]).expect(2);
    let report = &again.json()[0];
    assert_eq!(
        (&report["added"], &report["changed"], &report["unchanged"]),
        (&0.into(), &0.into(), &9.into())
    );
    let exported = bench.run(&["metadata", "export"]).expect(0).out;
    fs::write(bench.path("out.csv"), &exported).unwrap();
    let report = bench.run(&["metadata", "import", "out.csv", "--format", "json"]).expect(0).json();
    assert_eq!((&report[0]["added"], &report[0]["unchanged"]), (&0.into(), &9.into()));
    bench.run(&["metadata", "remove", "CODE"]).expect(0);
    bench.run(&["metadata", "remove", "code"]).expect(1);
    bench.run(&["metadata", "import", "out.csv", "-q"]).expect(0);
    assert_eq!(bench.run(&["metadata", "export"]).expect(0).out, exported);
    let objects = bench.run(&["metadata", "export", "--format", "json"]).expect(0).json();
    assert_eq!(objects.len(), 3);
    assert_eq!(objects[0]["metadata"]["depth m"], 3);

    // It stays with a file that moves, and goes with one that is removed.
    fs::rename(bench.path("sounds/NorthWood"), bench.path("sounds/South")).unwrap();
    bench.run(&["sync", "sounds", "-q", "--prune"]).expect(0);
    assert_eq!(found(&bench, "path ~ \"*/South/*\" and exists site").len(), 2);
    let list =
        bench.run(&["metadata", "list", "South/bat.wav", "--format", "json"]).expect(0).json();
    assert_eq!(list.len(), 4);
    bench.run(&["remove", "sounds/South", "-q"]).expect(0);
    let keys = bench.run(&["metadata", "list", "--format", "json"]).expect(0).json();
    assert!(keys.iter().all(|key| key["recordings"] == 1), "{keys:?}");
}

#[test]
fn tables_of_other_kinds_are_read_and_bad_ones_refused() {
    let bench = collection();
    fs::write(bench.path("a.tsv"), "id\trecording\tsite\n7\ttone-0.wav\tnorth\n").unwrap();
    bench.run(&["metadata", "import", "a.tsv", "--key", "Recording", "-q"]).expect(0);
    fs::write(bench.path("a.txt"), "filename;height\nid:1;3\n").unwrap();
    bench.run(&["metadata", "import", "a.txt", "--delimiter", ";", "-q"]).expect(0);
    assert_eq!(
        bench.run(&["metadata", "list", "id:1", "--format", "csv"]).out,
        "key,value\nheight,3\n"
    );

    let answer = bench.run(&["metadata", "import", "a.tsv"]).expect(2);
    assert!(
        answer.err.contains(
            "expected a column called path or file or filename, found id, recording, site"
        )
    );
    assert!(answer.err.contains("--key COLUMN"), "{}", answer.err);
    fs::write(bench.path("twice.csv"), "path,a,A\n").unwrap();
    assert!(bench.run(&["metadata", "import", "twice.csv"]).expect(2).err.contains("two columns"));
    fs::write(bench.path("none.csv"), "path,a\n").unwrap();
    bench.run(&["metadata", "import", "none.csv"]).expect(1);
    bench.run(&["metadata", "import", "missing.csv"]).expect(2);
    // Several recordings end so.
    fs::create_dir(bench.path("sounds/b")).unwrap();
    bench.tone("sounds/b/tone-0.wav", 300.0);
    bench.run(&["index", "sounds", "-q"]).expect(0);
    fs::write(bench.path("b.csv"), "path,a\ntone-0.wav,1\nb/tone-0.wav,2\n").unwrap();
    let answer = bench.run(&["metadata", "import", "b.csv"]).expect(2);
    assert!(answer.err.contains("the paths of 2 recordings end"), "{}", answer.err);
    assert!(answer.out.contains("1 piece of 1 recording"), "{}", answer.out);
}

#[test]
fn sounds_are_found_by_class_and_by_words() {
    let bench = collection();
    let tone = bench.run(&["search", "sounds/tone-0.wav", "-k", "1", "--format", "json"]).expect(0);
    let class = tone.json()[0]["classes"][0]["name"].as_str().unwrap().to_owned();
    for level in ["recording", "segment"] {
        let arguments = ["search", "--class", &class, "--by", level, "--format", "json"];
        let hits = bench.run(&arguments).expect(0).json();
        let scores: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores[0] > 0.0, "{scores:?}");
        assert!(hits[0]["path"].as_str().unwrap().contains("tone") || scores[0] > 0.5);
    }
    let wrong = bench.run(&["search", "--class", "Brid"]).expect(2);
    assert!(wrong.err.contains("hint: did you mean Bird?"), "{}", wrong.err);

    let text = |words: &str| bench.run(&["search", "--text", words, "--format", "json"]);
    assert_eq!(names(&text("north wood").expect(0)), ["20240501_063000.wav", "bat.wav"]);
    assert_eq!(names(&text("bat").expect(0)), ["bat.wav"]);
    // By its name first, though other recordings may sound so too.
    assert!(text("clicks").expect(0).json()[0]["path"].as_str().unwrap().contains("clicks"));
    assert!(text("\"").expect(2).err.contains("no word"));
    for odd in ["AND", "path:", "* OR (", "'; DROP TABLE", "NEAR(a b)", "xyzzy"] {
        assert!([0, 1].contains(&text(odd).code), "{odd}");
    }
    let class_word = class.split(|c: char| !c.is_alphanumeric()).next().unwrap();
    let hits = text(class_word).expect(0).json();
    assert!(hits.iter().any(|hit| hit["path"].as_str().unwrap().contains("tone")), "{hits:?}");
    let among = ["search", "--text", "wav", "--where", "name ~ \"tone*\"", "--format", "json"];
    assert_eq!(names(&bench.run(&among).expect(0)), ["tone-0.wav", "tone-1.wav"]);
    let segments = ["search", "--text", "bat", "--by", "segment", "--format", "json", "--raw"];
    let single = bench.run(&segments).expect(0).json();
    let events = bench.run(&segments[..7]).expect(0).json();
    assert!(single.len() > 1 && events.len() < single.len(), "{} {}", single.len(), events.len());
    let joined: u64 = events.iter().map(|event| event["segments"].as_u64().unwrap()).sum();
    assert_eq!(joined, single.len() as u64, "every segment is in one event");
    // Its file is called so, and it sounds like no class of that name.
    let least = ["search", "--text", "bat", "--min-score", "0.9", "--format", "json"];
    bench.run(&least).expect(1);

    // What was imported is found, too.
    fs::write(bench.path("a.csv"), "path,note\ntone-1.wav,A quiet meadow\n").unwrap();
    bench.run(&["metadata", "import", "a.csv", "-q"]).expect(0);
    assert_eq!(names(&text("meadows").expect(0)), ["tone-1.wav"]);
}

/// A value that nothing has is told, with those that may have been meant; what merely leaves nothing
/// together is not.
#[test]
fn values_that_nothing_has_are_told() {
    let bench = collection();
    let table = "path,site,depth\nsounds/tone-0.wav,North,3\nsounds/tone-1.wav,South,4\n";
    fs::write(bench.path("sites.csv"), table).unwrap();
    bench.run(&["metadata", "import", "sites.csv", "-q"]).expect(0);
    bench.run(&["label", "add", "id:1", "Tone"]).expect(0);
    for (filter, told) in [
        ("site = \"Nrth\"", &["No recording has site = \"Nrth\"; there is North."][..]),
        ("site = \"north\"", &["there is North."]),
        ("site = elsewhere and depth > 9", &["there is North, South.", "has depth > 9."]),
        ("site in (Suth, Nrth)", &["there is South, North."]),
        ("label = tune", &["there is Tone."]),
        ("codec = wav", &["No recording has codec = \"wav\"; there is pcm_s16le."]),
        ("name = \"tone-0.wva\"", &["there is tone-0.wav"]),
        ("name ~ \"*.mp3\" or duration > 1h", &["has name ~ \"*.mp3\".", "has duration > 3600."]),
        ("site = North and site = South", &[]),
        ("not site = Nrth and depth = 3 and site = South", &[]),
        ("class(\"Speech\") > 0.999", &[]),
    ] {
        let answer = bench.run(&["search", "question.wav", "--where", filter]).expect(1);
        let lines = answer.err.lines().filter(|line| line.contains("No recording has"));
        assert_eq!(lines.count(), told.len(), "{filter}: {}", answer.err);
        for told in told {
            assert!(answer.err.contains(told), "{filter}: {}", answer.err);
        }
    }
    let exported = bench.run(&["export", "--csv", "-", "--where", "site = Suth"]).expect(1);
    assert!(exported.err.contains("there is South."), "{}", exported.err);
}
