//! Heads as users meet them: the real binary, a real library, sounds that are easy to tell apart.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

use std::fmt::Write as _;
use std::fs;

use bench::{Answer, Bench};
use serde_json::Value;

/// A library of eight takes each of three kinds of sound, in a folder a kind.
fn indexed() -> Bench {
    let bench = Bench::new();
    for kind in ["tone", "noise", "clicks"] {
        fs::create_dir_all(bench.path(&format!("sounds/{kind}"))).unwrap();
    }
    for take in 0..8_u8 {
        bench.tone(&format!("sounds/tone/{take}.wav"), 300.0 + 70.0 * f64::from(take));
        bench.noise(&format!("sounds/noise/{take}.wav"), 7 + u32::from(take));
        bench.clicks(&format!("sounds/clicks/{take}.wav"), 4 + u32::from(take));
    }
    let answer = bench.run(&["index", "sounds"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    bench
}

/// The same, with the folders' names as labels.
fn labelled() -> Bench {
    let bench = indexed();
    let answer = bench.run(&["label", "import", "--from-folders", "sounds"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    bench
}

fn train(bench: &Bench, arguments: &[&str]) -> (Value, Answer) {
    let answer = bench.run(&[&["train", "--format", "json"], arguments].concat());
    assert_eq!(answer.code, 0, "{}", answer.err);
    (serde_json::from_str(&answer.out).unwrap(), answer)
}

fn refused(bench: &Bench, arguments: &[&str], expected: &[&str]) {
    let answer = bench.run(arguments);
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{}", answer.err);
    for text in expected {
        assert!(answer.err.contains(text), "{text} in {}", answer.err);
    }
}

#[test]
fn a_head_is_trained_judged_on_what_was_held_out_and_the_same_every_time() {
    let bench = labelled();
    for kind in ["prototype", "logistic"] {
        let (report, _) = train(&bench, &["kinds", "--head", kind, "--report", "kinds.html"]);
        let number = |key: &str| report[key].as_f64().unwrap();
        assert!(number("accuracy") > 0.9, "{report}");
        assert!(number("accuracy_low") <= number("accuracy"));
        assert!(number("accuracy_high") >= number("accuracy"));
        assert_eq!(report["rows"], 24);
        assert_eq!(report["folds"], 5);
    }
    let page = fs::read_to_string(bench.path("kinds.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("clicks") && !page.contains("<script"));

    let numbers = |folder: &str| {
        assert_eq!(bench.run(&["head", "export", "kinds", "--out", folder]).code, 0);
        fs::read(bench.path(&format!("{folder}/kinds.safetensors"))).unwrap()
    };
    let first = numbers("first");
    let (_, answer) = train(&bench, &["KINDS"]);
    assert!(answer.err.contains("replaced"), "{}", answer.err);
    assert_eq!(bench.run(&["head", "export", "kinds", "--out", "again"]).code, 0);
    assert_eq!(first, fs::read(bench.path("again/KINDS.safetensors")).unwrap());
    // Nothing is overwritten.
    refused(&bench, &["head", "export", "kinds", "--out", "again"], &["again", "--out"]);
}

#[test]
fn what_cannot_be_learnt_is_refused_with_a_reason() {
    let bench = indexed();
    refused(&bench, &["train", "x"], &["no labels", "label import"]);
    refused(&bench, &["evaluate", "x"], &["no head called `x`", "there is none yet"]);
    assert_eq!(bench.run(&["head", "list"]).code, 1);
    assert_eq!(bench.run(&["label", "add", "id:1", "Tone"]).code, 0);
    refused(&bench, &["train", "x"], &["nothing says where Tone is not", "--negative"]);
    refused(&bench, &["train", "x", "--classes", "tome"], &["`tome`", "did you mean `Tone`"]);
    refused(&bench, &["train", "x", "--group-by", "site"], &["metadata called `site`"]);
    refused(&bench, &["train", "x", "--task", "regression"], &["--target"]);
    refused(&bench, &["train", "x", "--target", "tempo"], &["metadata called `tempo`"]);
    refused(&bench, &["train", "retrieval"], &["cannot have that name"]);
    refused(&bench, &["train", "x", "--where", "nothing ~ 3"], &["nothing"]);
    assert_eq!(bench.run(&["label", "add", "id:2", "Noise"]).code, 0);
    // One example of each: a head, and no score.
    let (report, _) = train(&bench, &["x", "--head", "prototype"]);
    assert_eq!(report["accuracy"], Value::Null);
    assert!(report["notes"].to_string().contains("nothing could be held out"), "{report}");
    refused(&bench, &["train", "x", "--head", "ridge"], &["ridge", "classes"]);
    refused(&bench, &["train", "x", "--augment", "mixup"], &["logistic", "--head mlp"]);
    refused(&bench, &["predict", "y"], &["no head called `y`", "head list"]);
}

#[test]
fn labels_of_heads_are_not_learnt_from_and_negative_ones_are() {
    let bench = indexed();
    let mut table = String::from("path,start,end,class,judgement,source\n");
    for take in 0..8 {
        writeln!(table, "sounds/tone/{take}.wav,,,Tone,positive,me").unwrap();
        writeln!(table, "sounds/noise/{take}.wav,,,Tone,negative,me").unwrap();
        writeln!(table, "sounds/clicks/{take}.wav,,,Tone,positive,head:other").unwrap();
    }
    fs::write(bench.path("labels.csv"), table).unwrap();
    let answer = bench.run(&["label", "import", "labels.csv"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let (report, _) = train(&bench, &["tones"]);
    assert_eq!(report["rows"], 16, "{report}");
    assert_eq!(report["task"], "multi");
    assert!(report["accuracy"].as_f64().unwrap() > 0.9, "{report}");
    // By segment, each has its recording's label.
    let (report, _) = train(&bench, &["tones", "--by", "segment"]);
    assert!(report["rows"].as_u64().unwrap() > 16, "{report}");
    assert_eq!(report["groups"], 16);
}

/// A few labels of something else do not become classes that nobody can be told by, and cost no other class
/// its recordings.
#[test]
fn classes_of_which_nothing_is_left_are_not_learnt() {
    let bench = labelled();
    let (before, _) = train(&bench, &["kinds"]);
    let first = before["learnt_from"]["recordings"].as_u64().unwrap();
    for (place, class) in
        [("tone/0.wav", "Ping"), ("tone/1.wav@0-0.5", "beep"), ("noise/2.wav", "noize")]
    {
        bench.run(&["label", "add", &format!("sounds/{place}"), class]).expect(0);
    }
    let answer =
        bench.run(&["train", "kinds", "--format", "json", "--report", "kinds.html"]).expect(0);
    let report: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(report["learnt_from"]["recordings"], first, "{report}");
    for class in ["Ping", "beep", "noize"] {
        assert!(answer.err.contains(&format!("warning: `{class}` was left out")), "{}", answer.err);
        assert!(answer.err.contains(&format!("label list --class {class}")), "{}", answer.err);
    }
    let shown = bench.run(&["head", "show", "kinds", "--format", "json"]).expect(0);
    let card: Value = serde_json::from_str(&shown.out).unwrap();
    assert!(!shown.out.contains("\"beep\""), "{card}");
    // Asked for by name, they are what was asked for.
    refused(
        &bench,
        &["train", "one", "--classes", "noise", "--task", "single"],
        &["all that there is to learn"],
    );
    let alone = bench.run(&["train", "one", "--classes", "noise"]).expect(2);
    assert!(
        alone.err.contains("--exhaustive") && !alone.err.contains("--task single"),
        "{}",
        alone.err
    );

    // A report of another head is not written over, and mistakes name recordings.
    refused(
        &bench,
        &["train", "other", "--report", "kinds.html"],
        &["kinds.html", "--report FILE"],
    );
    bench.run(&["train", "kinds", "--report", "kinds.html"]).expect(0);
    let mixed = ["label", "add", "sounds/clicks/3.wav", "tone"];
    bench.run(&["label", "remove", "--recording", "sounds/clicks/3.wav"]);
    bench.run(&mixed).expect(0);
    let (report, _) = train(&bench, &["kinds"]);
    let mistakes = report["mistakes"].as_array().unwrap();
    let paths: Vec<&str> = mistakes.iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert!(paths.iter().any(|path| path.ends_with("sounds/clicks/3.wav")), "{report}");
}

#[test]
fn numbers_that_are_text_or_fields_are_told() {
    let bench = labelled();
    fs::write(bench.path("site.csv"), "path,site\nsounds/tone/0.wav,\"3,5\"\n").unwrap();
    let answer = bench.run(&["metadata", "import", "site.csv"]).expect(0);
    assert!(answer.err.contains("`site` has numbers with a decimal comma"), "{}", answer.err);
    refused(
        &bench,
        &["train", "x", "--target", "site"],
        &["`site` is text, such as `3,5`", "decimal point"],
    );
    refused(&bench, &["train", "x", "--target", "duration"], &["a field of filters"]);
    // A spreadsheet's table of half of the world: semicolons, and commas before decimals.
    let rows = "path;weight;code\nsounds/tone/0.wav;3,5;007,5\nsounds/tone/1.wav;-0,25;a\n";
    fs::write(bench.path("weights.csv"), rows).unwrap();
    let answer = bench.run(&["metadata", "import", "weights.csv"]).expect(0);
    assert!(answer.err.contains("`code`") && !answer.err.contains("`weight`"), "{}", answer.err);
    let passing = ["label", "list", "--where", "weight = -0.25", "--format", "json"];
    let found = bench.run(&passing).expect(0).json();
    let path = found[0]["path"].as_str().unwrap();
    assert!(found.len() == 1 && path.ends_with("tone/1.wav"), "{found:?}");
}

#[test]
fn numbers_are_learnt_from_metadata() {
    let bench = indexed();
    let mut table = String::from("path,pitch,site\n");
    for take in 0..8 {
        writeln!(table, "sounds/tone/{take}.wav,{},s{}", 300 + 70 * take, take % 4).unwrap();
    }
    fs::write(bench.path("pitch.csv"), table).unwrap();
    assert_eq!(bench.run(&["metadata", "import", "pitch.csv"]).code, 0);
    let (report, _) = train(&bench, &["pitch", "--target", "pitch", "--group-by", "site"]);
    assert_eq!((&report["task"], &report["groups"]), (&Value::from("regression"), &Value::from(4)));
    assert!(report["numbers"]["mean_absolute_error"].as_f64().unwrap() < 300.0, "{report}");
    refused(&bench, &["train", "x", "--target", "pitch", "--head", "logistic"], &["a number"]);
}

#[test]
fn a_head_is_asked_about_what_it_has_not_learnt_from() {
    let bench = labelled();
    train(&bench, &["kinds", "--where", "not path ~ '*/7.wav'"]);
    let answer =
        bench.run(&["evaluate", "kinds", "--where", "path ~ '*/[67].wav'", "--format", "json"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let report: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(report["rows"], 3, "{report}");
    assert!(answer.err.contains("3 recordings"), "{}", answer.err);
    refused(&bench, &["evaluate", "kinds", "--where", "path ~ '*/6.wav'"], &["has learnt from"]);
    // A copy of what it learnt from is no news.
    fs::copy(bench.path("sounds/tone/1.wav"), bench.path("copy.wav")).unwrap();
    assert_eq!(bench.run(&["index", "copy.wav"]).code, 0);
    assert_eq!(bench.run(&["label", "add", "copy.wav", "tone"]).code, 0);
    refused(&bench, &["evaluate", "kinds", "--where", "name = 'copy.wav'"], &["has learnt from"]);
    let answer = bench.run(&["evaluate", "retrieval", "--format", "json"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
}

#[test]
fn heads_travel_as_files_and_damaged_or_foreign_ones_are_refused() {
    let bench = labelled();
    train(&bench, &["kinds"]);
    assert_eq!(bench.run(&["head", "export", "kinds", "--out", "heads"]).code, 0);
    refused(&bench, &["head", "import", "heads/kinds.json"], &["of that name", "--replace"]);
    let answer = bench.run(&["head", "import", "heads/kinds.safetensors", "--name", "second"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert_eq!(bench.run(&["head", "show", "second"]).code, 0);
    assert_eq!(bench.run(&["head", "remove", "second"]).code, 0);
    refused(&bench, &["head", "remove", "second"], &["no head called `second`"]);

    // Plain weights say the same as the head's file: as many numbers as classes and dimensions.
    let answer = bench.run(&["head", "export", "kinds", "--weights"]);
    let weights: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(weights["weights"].as_array().unwrap().len(), 3);
    assert_eq!(weights["weights"][0].as_array().unwrap().len(), 1_024);

    let card = fs::read_to_string(bench.path("heads/kinds.json")).unwrap();
    let tensors = fs::read(bench.path("heads/kinds.safetensors")).unwrap();
    let import = |card: &str, tensors: &[u8], expected: &[&str]| {
        fs::write(bench.path("heads/bad.json"), card).unwrap();
        fs::write(bench.path("heads/bad.safetensors"), tensors).unwrap();
        refused(&bench, &["head", "import", "heads/bad.json", "--name", "bad"], expected);
    };
    import("{", &tensors, &["damaged", "no JSON"]);
    import(&card.replace("\"format\": 1", "\"format\": 99"), &tensors, &["format 99"]);
    import(&card, &tensors[..tensors.len() / 2], &["damaged"]);
    import(&card.replace("\"noise\"", "\"noise\", \"more\""), &tensors, &["damaged"]);
    // Of other weights: it comes in with a warning, and speaks of nothing here.
    let mut foreign: Value = serde_json::from_str(&card).unwrap();
    foreign["model"]["weights_sha256"] = "0".repeat(64).into();
    fs::write(bench.path("heads/foreign.json"), foreign.to_string()).unwrap();
    fs::write(bench.path("heads/foreign.safetensors"), &tensors).unwrap();
    let answer = bench.run(&["head", "import", "heads/foreign.json", "--name", "foreign"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert!(answer.err.contains("warning"), "{}", answer.err);
    refused(&bench, &["evaluate", "foreign"], &["foreign", "yamnet (000000000000"]);
}

#[test]
fn heads_that_read_sequences_are_trained_and_say_which_files_they_could_not_read() {
    let bench = labelled();
    let (report, _) = train(&bench, &["kinds", "--head", "lstm", "--folds", "2"]);
    assert!(report["accuracy"].as_f64().unwrap() > 0.9, "{report}");
    // Segments are in the library; frames are not.
    fs::remove_file(bench.path("sounds/tone/0.wav")).unwrap();
    bench.noise("sounds/noise/0.wav", 99);
    let (report, _) = train(&bench, &["frames", "--head", "crnn", "--folds", "2"]);
    assert_eq!(report["rows"], 22, "{report}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("1 recordings were left out: their files are not there"), "{notes}");
    assert!(notes.contains("have changed since"), "{notes}");
    assert!(report["accuracy"].as_f64().unwrap() > 0.7, "{report}");
    for (name, input) in [("kinds", "segments"), ("frames", "log-mel")] {
        let card = bench.run(&["head", "show", name, "--format", "json"]);
        let card: Value = serde_json::from_str(&card.out).unwrap();
        assert_eq!(card["input"], input, "{card}");
        // What was learnt is known again in a file that the library has never seen.
        bench.clicks("new.wav", 9);
        let answer = bench.run(&["predict", name, "new.wav", "--format", "json"]);
        assert_eq!(answer.code, 0, "{}", answer.err);
        assert!(answer.out.contains("\"clicks\""), "{}", answer.out);
    }
}

/// Where each take was recorded: takes 0 and 4 in s0, 1 and 5 in s1, and so on.
fn with_sites(bench: &Bench, library: &[&str]) {
    let mut table = String::from("path,site\n");
    for take in 0..8 {
        for kind in ["tone", "noise", "clicks"] {
            writeln!(table, "sounds/{kind}/{take}.wav,s{}", take % 4).unwrap();
        }
    }
    fs::write(bench.path("sites.csv"), table).unwrap();
    // Lines of recordings that a library lacks are told, and cost themselves only.
    bench.run(&[&["metadata", "import", "sites.csv"], library].concat());
}

#[test]
fn a_head_knows_its_groups_wherever_it_is() {
    let bench = labelled();
    with_sites(&bench, &[]);
    // Takes 2 and 6 are of site s2, which stays new.
    let learns = "not (path ~ '*/7.wav' or path ~ '*/[26].wav')";
    train(&bench, &["kinds", "--group-by", "site", "--where", learns]);
    let of_s3 = ["evaluate", "kinds", "--where", "path ~ '*/7.wav'"];
    refused(&bench, &of_s3, &["has learnt from"]);
    let evaluated = |arguments: &[&str]| {
        let answer = bench.run(&[arguments, &["--format", "json"]].concat());
        assert_eq!(answer.code, 0, "{}", answer.err);
        let report: Value = serde_json::from_str(&answer.out).unwrap();
        (report["rows"].as_u64().unwrap(), answer.err)
    };
    assert_eq!(evaluated(&["evaluate", "kinds", "--where", "path ~ '*/[67].wav'"]).0, 3);
    // What it learnt from is gone, and its word of it stays.
    for kind in ["tone", "noise", "clicks"] {
        bench.run(&["remove", &format!("sounds/{kind}/3.wav")]).expect(0);
    }
    refused(&bench, &of_s3, &["has learnt from"]);
    assert_eq!(evaluated(&["evaluate", "kinds", "--where", "path ~ '*/[67].wav'"]).0, 3);

    // In another library, which has never seen what it learnt from.
    bench.run(&["head", "export", "kinds", "--out", "heads"]).expect(0);
    let other = ["--library", "other.db"];
    let there = |arguments: &[&str]| bench.run(&[arguments, &other].concat());
    for kind in ["tone", "noise", "clicks"] {
        for take in [6, 7] {
            there(&["index", &format!("sounds/{kind}/{take}.wav"), "-q"]).expect(0);
            there(&["label", "add", &format!("{kind}/{take}.wav"), kind]).expect(0);
        }
    }
    with_sites(&bench, &other);
    there(&["head", "import", "heads/kinds.json"]).expect(0);
    let answer = there(&of_s3).expect(2);
    assert!(answer.err.contains("has learnt from"), "{}", answer.err);
    let all = ["evaluate", "kinds", "--where", "duration > 0", "--library", "other.db"];
    let (rows, said) = evaluated(&all);
    assert_eq!(rows, 3, "{said}");
    assert!(said.contains("3 recordings"), "{said}");
}

#[test]
fn a_head_is_judged_by_its_own_temperature_and_thresholds() {
    let bench = labelled();
    train(&bench, &["kinds", "--head", "prototype", "--where", "not path ~ '*/[67].wav'"]);
    let card: Value =
        serde_json::from_str(&bench.run(&["head", "show", "kinds", "--format", "json"]).out)
            .unwrap();
    let given = ["evaluate", "kinds", "--where", "path ~ '*/[67].wav'", "--format", "json"];
    let report: Value = serde_json::from_str(&bench.run(&given).expect(0).out).unwrap();
    assert_eq!(report["calibration"]["temperature"], card["temperature"]);
    for (number, class) in report["classes"].as_array().unwrap().iter().enumerate() {
        let threshold = &class["thresholds"]["for_precision"];
        assert_eq!(threshold["probability"], card["thresholds"][number], "{class}");
        // These rows chose nothing.
        assert_eq!(threshold["precision"], Value::Null);
        assert_eq!(class["thresholds"]["for_f1"], Value::Null);
    }
    bench.run(&[&given[..4], &["--report", "kinds.html"]].concat()).expect(0);
    assert!(fs::read_to_string(bench.path("kinds.html")).unwrap().contains("<svg"));
}

#[test]
fn a_filter_chooses_classes_and_task_too() {
    let bench = labelled();
    // Beside what is learnt: two classes in one recording, and a denial.
    bench.run(&["label", "add", "clicks/0.wav", "Tone"]).expect(0);
    bench.run(&["label", "add", "clicks/1.wav", "Noise", "--negative"]).expect(0);
    let (report, _) = train(&bench, &["two", "--where", "not path ~ '*/clicks/*'"]);
    assert_eq!((&report["task"], &report["rows"]), (&"single".into(), &16.into()), "{report}");
    let classes = report["classes"].as_array().unwrap();
    let names: Vec<&str> = classes.iter().map(|of| of["class"].as_str().unwrap()).collect();
    assert_eq!(names, ["noise", "tone"]);
    let filtered = ["train", "x", "--where", "not path ~ '*/clicks/*'", "--classes", "clicks"];
    refused(&bench, &filtered, &["lets nothing pass", "`clicks`"]);
    refused(&bench, &["train", "x", "--where", "duration > 1000"], &["no vector", "--where"]);
    let by_segment = ["two", "--where", "not path ~ '*/clicks/*'", "--by", "segment"];
    let (report, _) = train(&bench, &by_segment);
    assert_eq!((&report["task"], &report["groups"]), (&"single".into(), &16.into()), "{report}");
}

#[test]
fn as_much_is_held_out_as_was_said() {
    let bench = labelled();
    let (report, _) = train(&bench, &["kinds", "--hold-out", "0.25", "--head", "prototype"]);
    assert_eq!(report["rows"], 6);
    // Few groups are said once.
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("of only 6 groups") && !notes.contains("fewer than 10 groups"),
        "{notes}"
    );
    let (report, _) = train(&bench, &["kinds", "--hold-out", "0.01", "--head", "prototype"]);
    assert_eq!(report["rows"], 1, "{report}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("1.0 % of 24 recordings were to be held out; 1 is 4.2 %"), "{notes}");
}

#[test]
fn cards_that_contradict_themselves_are_refused() {
    let bench = labelled();
    train(&bench, &["kinds", "--head", "prototype"]);
    bench.run(&["head", "export", "kinds", "--out", "heads"]).expect(0);
    let card: Value =
        serde_json::from_str(&fs::read_to_string(bench.path("heads/kinds.json")).unwrap()).unwrap();
    fs::copy(bench.path("heads/kinds.safetensors"), bench.path("heads/bad.safetensors")).unwrap();
    let import = |change: &dyn Fn(&mut Value), more: &[&str], expected: &[&str]| {
        let mut card = card.clone();
        card["name"] = "bad".into();
        change(&mut card);
        fs::write(bench.path("heads/bad.json"), card.to_string()).unwrap();
        refused(&bench, &[&["head", "import", "heads/bad.json"], more].concat(), expected);
    };
    import(&|card| card["classes"][1] = "CLICKS".into(), &[], &["damaged", "`CLICKS` twice"]);
    import(&|card| card["thresholds"][0] = 1.5.into(), &[], &["damaged", "threshold of 1.5"]);
    import(&|card| card["thresholds"][2] = (-0.1).into(), &[], &["damaged", "threshold of -0.1"]);
    import(&|card| card["name"] = "Retrieval".into(), &[], &["cannot have that name"]);
    import(&|_| {}, &["--name", "retrieval"], &["cannot have that name", "choose one of letters"]);
}

#[test]
fn classes_are_the_same_in_either_case_in_every_alphabet() {
    let bench = indexed();
    for take in 0..8 {
        let class = if take % 2 == 0 { "Öl" } else { "öl" };
        bench.run(&["label", "add", &format!("tone/{take}.wav"), class]).expect(0);
        let class = if take % 2 == 0 { "Uhu" } else { "UHU" };
        bench.run(&["label", "add", &format!("noise/{take}.wav"), class]).expect(0);
    }
    // Said and taken back: nothing that searches are judged by.
    bench.run(&["label", "add", "noise/0.wav@0.5-1.5", "öl"]).expect(0);
    bench.run(&["label", "add", "noise/0.wav@0.5-1.5", "Öl", "--negative"]).expect(0);
    let answer = bench.run(&["evaluate", "retrieval", "--format", "json"]).expect(0);
    let retrieval: Value = serde_json::from_str(&answer.out).unwrap();
    let counts: Vec<&Value> =
        retrieval["classes"].as_array().unwrap().iter().map(|class| &class["recordings"]).collect();
    assert_eq!(counts, [&Value::from(8), &8.into()], "{retrieval}");
    let (report, _) = train(&bench, &["oil", "--classes", "ÖL,uhu", "--task", "single"]);
    assert_eq!((&report["rows"], &report["classes"][0]["class"]), (&16.into(), &"UHU".into()));
    bench.run(&["search", "--head", "oil", "--class", "öL"]).expect(0);
}
