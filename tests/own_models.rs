//! Models of the user's own as users meet them: the real binary, a store of their own.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;

use std::fmt::Write;
use std::fs;

use bench::{Answer, Bench};
use serde_json::Value;
use sonoteca::model::registry;
use sonoteca::model::store::ModelStore;
use tch::{CModule, Kind, Tensor};

/// The command with a store of its own.
fn run(bench: &Bench, arguments: &[&str]) -> Answer {
    let mut command = bench.command();
    command.env("SONOTECA_STORE", bench.path("store"));
    Answer::of(&command.args(arguments).output().unwrap())
}

/// A module of a second at 8 kHz: how loud each of eight filters is on average.
fn module(bench: &Bench) -> String {
    module_times(bench, 1.0)
}

/// The same, all its values times `factor`.
fn module_times(bench: &Bench, factor: f64) -> String {
    let numbers: Vec<f32> = (0..8_i16)
        .flat_map(|filter| {
            (0..64_i16).map(move |n| (f32::from(filter + 1) * f32::from(n) * 0.3).sin())
        })
        .collect();
    let weight = Tensor::from_slice(&numbers).view([8, 1, 64]);
    let input = Tensor::zeros([2, 8_000], (Kind::Float, tch::Device::Cpu));
    let module = CModule::create_by_tracing("filters", "forward", &[input], &mut |inputs| {
        let heard = inputs[0].unsqueeze(1).conv1d(&weight, None::<&Tensor>, 32, 0, 1, 1);
        vec![heard.abs().mean_dim(&[2_i64][..], false, Kind::Float) * factor]
    });
    let path = bench.path("filters.pt");
    module.unwrap().save(&path).unwrap();
    path.to_string_lossy().into_owned()
}

/// Puts the weights of YAMNet that the user has into the bench's store.
fn install_yamnet(bench: &Bench) {
    let weights = ModelStore::of_user().unwrap().weights_path(registry::find("yamnet").unwrap());
    fs::create_dir_all(bench.path("store/models/yamnet")).unwrap();
    fs::copy(weights, bench.path("store/models/yamnet/yamnet.safetensors")).unwrap();
}

/// Hits for the first of each kind of sound are of that kind.
fn finds_kinds(bench: &Bench, library: &str, kinds: &[&str]) {
    for kind in kinds {
        let query = format!("sounds/{kind}-0.wav");
        let search = ["search", &query, "-k", "2", "--format", "json", "--library", library];
        let hits = run(bench, &search).expect(0).json();
        assert!(hits[1]["path"].as_str().unwrap().contains(kind), "{hits:?}");
    }
}

#[test]
fn a_library_goes_on_with_all_its_models_and_tells_of_one_that_was_replaced_or_is_gone() {
    let bench = Bench::with_sounds();
    let add = |factor: f64| {
        let path = module_times(&bench, factor);
        let add = ["models", "add", "owls", "--torchscript", &path, "--rate", "8000"];
        run(&bench, &[&add[..], &["--window", "1"]].concat()).expect(0);
    };
    add(1.0);
    install_yamnet(&bench);
    run(&bench, &["index", "sounds", "--model", "yamnet", "--model", "owls", "-q"]).expect(0);

    // Without a word, with both.
    bench.tone("sounds/later.wav", 700.0);
    assert_eq!(
        run(&bench, &["index", "sounds", "--format", "json"]).expect(0).json()[0]["indexed"],
        1
    );
    let counts = |bench: &Bench| -> Vec<(String, u64)> {
        let info = run(bench, &["info", "--format", "json"]).expect(0).json().swap_remove(0);
        let of = |model: &Value| {
            (model["name"].as_str().unwrap().to_owned(), model["recordings"].as_u64().unwrap())
        };
        info["models"].as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!(counts(&bench), [("yamnet".to_owned(), 7), ("owls".to_owned(), 7)]);

    // Another network under the same name: what was not embedded again is told, and only that.
    run(&bench, &["models", "remove", "owls", "--yes"]).expect(0);
    add(2.0);
    fs::rename(bench.path("sounds/later.wav"), bench.path("later.wav")).unwrap();
    run(&bench, &["index", "sounds", "--model", "owls", "-q"]).expect(0);
    let search = ["search", "sounds/tone-0.wav", "--model", "owls"];
    let answer = run(&bench, &search).expect(0);
    assert!(answer.err.contains("1 recording with vectors of another version"), "{}", answer.err);
    assert!(answer.err.contains("sonoteca index FOLDER --model owls"), "{}", answer.err);
    fs::rename(bench.path("later.wav"), bench.path("sounds/later.wav")).unwrap();
    run(&bench, &["index", "sounds", "--model", "owls", "-q"]).expect(0);
    assert_eq!(run(&bench, &search).expect(0).err, "", "nothing is left out any more");
    let info = run(&bench, &["info"]).expect(0).out;
    assert_eq!(info.matches("\nowls (weights ").count(), 2, "{info}");
    assert!(info.contains("\nyamnet: "), "{info}");

    // Gone from here, and not from the library.
    run(&bench, &["models", "remove", "owls", "--yes"]).expect(0);
    for command in [&search[..], &["index", "sounds"], &["sync", "sounds"]] {
        let answer = run(&bench, command).expect(2);
        let said = answer.err.contains("`owls`, which is not installed any more");
        assert!(said && answer.err.contains("models add owls"), "{command:?}: {}", answer.err);
    }
    run(&bench, &["search", "id:1", "--model", "owls"]).expect(0);
    run(&bench, &["index", "sounds", "--model", "yamnet", "-q"]).expect(0);
    let dropped = run(&bench, &["models", "drop", "owls", "--format", "json"]).expect(0).json();
    assert_eq!((&dropped[0]["versions"], &dropped[0]["recordings"]), (&2.into(), &7.into()));

    let mistyped = run(&bench, &["search", "sounds/tone-0.wav", "--model", "yamnett"]).expect(2);
    assert!(mistyped.err.contains("did you mean yamnet?"), "{}", mistyped.err);
    let joined = run(&bench, &["index", "sounds", "--model", "yamnet,owls"]).expect(2);
    assert!(joined.err.contains("once for each"), "{}", joined.err);
}

#[test]
fn a_module_is_added_indexes_searches_and_goes() {
    let bench = Bench::with_sounds();
    let path = module(&bench);
    let add = ["models", "add", "owls", "--torchscript", &path, "--rate", "8000"];
    let added = run(&bench, &[&add[..], &["--window", "1", "--format", "json"]].concat()).expect(0);
    let card = &added.json()[0];
    assert_eq!((&card["embedding_dimension"], &card["hop_s"]), (&8.into(), &0.5.into()));
    assert!(card["audio_s_per_s"].as_f64().unwrap() > 0.0, "{card}");

    let index = ["index", "sounds", "--model", "owls", "--format", "json", "-v"];
    let indexed = run(&bench, &index).expect(0);
    assert_eq!(indexed.json()[0]["indexed"], 6);
    assert!(indexed.err.contains("in processes of their own"), "{}", indexed.err);
    finds_kinds(&bench, "sonoteca.db", &["noise", "tone"]);
    assert_eq!(run(&bench, &index).expect(0).json()[0]["unchanged"], 6);
    let precise = run(&bench, &[&index[..], &["--precision", "bf16"]].concat()).expect(0);
    assert!(precise.err.contains("computes in f32"), "{}", precise.err);

    let listed = run(&bench, &["models", "list"]).expect(0).out;
    assert!(listed.contains("owls") && listed.contains("filters.pt"), "{listed}");
    run(&bench, &["models", "verify", "owls"]).expect(0);
    let pulled = run(&bench, &["models", "pull", "owls", "--from", &path]).expect(2);
    assert!(pulled.err.contains("was added"), "{}", pulled.err);

    // The same name with another window is another model: nothing is mixed.
    run(&bench, &["models", "remove", "owls", "--yes"]).expect(0);
    run(&bench, &["models", "info", "owls"]).expect(2);
    let other = [&add[..], &["--window", "1", "--hop", "0.25"]].concat();
    run(&bench, &other).expect(0);
    let search = run(&bench, &["search", "sounds/tone-0.wav"]).expect(2);
    assert!(search.err.contains("made by another version"), "{}", search.err);

    // A card that does not read costs itself, and can be removed.
    fs::write(bench.path("store/models/owls/card.toml"), "name = 3").unwrap();
    let listed = run(&bench, &["models", "list"]).expect(2);
    assert!(listed.out.contains("yamnet") && listed.err.contains("owls"), "{}", listed.err);
    run(&bench, &["models", "remove", "owls", "--yes"]).expect(0);
    run(&bench, &["models", "list"]).expect(0);
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let bench = Bench::new();
    for arguments in [
        &["x"][..],
        &["x", "--torchscript", "a.pt", "--remote", "http://localhost:1"],
        &["x", "--torchscript", "a.pt", "--key-env", "KEY"],
        &["x", "--remote", "http://localhost:1", "--input", "log-mel"],
        &["x", "--from-head", "h", "--torchscript", "a.pt"],
        &["x", "--from-head", "h", "--rate", "8000"],
    ] {
        let refused = run(&bench, &[&["models", "add"], arguments].concat()).expect(2);
        assert!(refused.err.contains("--help"), "{}", refused.err);
    }
    let path = module(&bench);
    let missing = run(&bench, &["models", "add", "x", "--torchscript", &path]).expect(2);
    assert!(missing.err.contains("the rate is not given"), "{}", missing.err);
}

#[test]
fn the_hidden_layer_of_a_head_indexes_a_library() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("sounds")).unwrap();
    let mut table = String::from("path,start,end,class\n");
    for take in 0..6_u8 {
        bench.tone(&format!("sounds/tone-{take}.wav"), 300.0 + 70.0 * f64::from(take));
        bench.noise(&format!("sounds/noise-{take}.wav"), 7 + u32::from(take));
        bench.clicks(&format!("sounds/clicks-{take}.wav"), 4 + u32::from(take));
        for kind in ["tone", "noise", "clicks"] {
            writeln!(table, "sounds/{kind}-{take}.wav,,,{kind}").unwrap();
        }
    }
    fs::write(bench.path("labels.csv"), table).unwrap();
    // The weights that everybody has, in this store.
    install_yamnet(&bench);
    run(&bench, &["index", "sounds", "-q"]).expect(0);
    run(&bench, &["label", "import", "labels.csv"]).expect(0);
    for (kind, dimension, window_s) in [("mlp", 256, 0.96), ("lstm", 256, 2.88), ("crnn", 128, 1.0)]
    {
        run(&bench, &["train", kind, "--head", kind, "--folds", "2"]).expect(0);
        let name = format!("of-{kind}");
        let add = ["models", "add", &name, "--from-head", kind, "--format", "json"];
        let card = &run(&bench, &add).expect(0).json()[0];
        assert_eq!(card["embedding_dimension"], dimension, "{card}");
        let found_s = card["window_s"].as_f64().unwrap();
        assert!((found_s - window_s).abs() < 1e-9, "{card}");
        let library = format!("{kind}.db");
        let index = ["index", "sounds", "--model", &name, "--library", &library];
        run(&bench, &[&index[..], &["--format", "json"]].concat()).expect(0);
        finds_kinds(&bench, &library, &["noise", "tone", "clicks"]);
    }
    run(&bench, &["train", "plain", "--head", "logistic", "--folds", "2"]).expect(0);
    let refused = run(&bench, &["models", "add", "x", "--from-head", "plain"]).expect(2);
    assert!(refused.err.contains("has no hidden layer"), "{}", refused.err);
    assert!(refused.err.contains("--head mlp"), "{}", refused.err);

    // Without its base it does not work, and says why.
    run(&bench, &["models", "remove", "yamnet", "--yes"]).expect(0);
    let gone = run(&bench, &["index", "sounds", "--model", "of-mlp"]).expect(2);
    assert!(gone.err.contains("models pull yamnet"), "{}", gone.err);
}

#[test]
fn vectors_too_large_for_16_bits_are_told_and_stored_in_32() {
    let bench = Bench::with_sounds();
    let path = module_times(&bench, 1e7);
    let add = ["models", "add", "big", "--torchscript", &path, "--rate", "8000", "--window", "1"];
    let added = run(&bench, &add).expect(0);
    assert!(added.err.contains("65,504") && added.err.contains("--vectors f32"), "{}", added.err);
    let index = ["index", "sounds", "--model", "big"];
    let failed = run(&bench, &index).expect(2);
    assert!(failed.err.contains("beyond 65,504"), "{}", failed.err);
    assert!(failed.err.contains("--vectors f32"), "{}", failed.err);
    let retry = [&index[..], &["--vectors", "f32", "--library", "wide.db"]].concat();
    run(&bench, &retry).expect(0);
    finds_kinds(&bench, "wide.db", &["noise", "tone"]);
}

#[test]
fn a_model_whose_base_is_gone_costs_itself() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("sounds")).unwrap();
    let mut table = String::from("path,start,end,class\n");
    for take in 0..6_u8 {
        bench.tone(&format!("sounds/tone-{take}.wav"), 300.0 + 70.0 * f64::from(take));
        bench.noise(&format!("sounds/noise-{take}.wav"), 7 + u32::from(take));
        for kind in ["tone", "noise"] {
            writeln!(table, "sounds/{kind}-{take}.wav,,,{kind}").unwrap();
        }
    }
    fs::write(bench.path("labels.csv"), table).unwrap();
    let path = module(&bench);
    let add = ["models", "add", "owls", "--torchscript", &path, "--rate", "8000", "--window", "1"];
    run(&bench, &add).expect(0);
    run(&bench, &["index", "sounds", "--model", "owls", "-q"]).expect(0);
    run(&bench, &["label", "import", "labels.csv"]).expect(0);
    run(&bench, &["train", "kinds", "--head", "mlp", "--folds", "2"]).expect(0);
    run(&bench, &["models", "add", "bells", "--from-head", "kinds"]).expect(0);
    run(&bench, &["index", "sounds", "--model", "bells", "--library", "bells.db"]).expect(0);

    let removed = run(&bench, &["models", "remove", "owls", "--yes"]).expect(0);
    assert!(removed.err.contains("cannot be used: bells"), "{}", removed.err);
    let gone = "`bells` reads the embeddings of `owls`, which is not there any more";
    for arguments in [&["models", "info", "bells"][..], &["index", "sounds", "--model", "bells"]] {
        let refused = run(&bench, arguments).expect(2);
        assert!(refused.err.contains(gone), "{}", refused.err);
        assert!(refused.err.contains("sonoteca models remove bells"), "{}", refused.err);
    }
    // Others are listed and checked as ever.
    let listed = run(&bench, &["models", "list"]).expect(0);
    assert!(listed.out.contains("yamnet") && listed.err.contains(gone), "{}", listed.err);
    run(&bench, &[&add[..2], &["after"], &add[3..]].concat()).expect(0);
    let verified = run(&bench, &["models", "verify", "--format", "json"]).expect(2);
    let right: Vec<_> =
        verified.json().iter().map(|row| (row["name"].clone(), row["right"].clone())).collect();
    assert_eq!(right, [("after".into(), true.into()), ("bells".into(), false.into())]);
    run(&bench, &["search", "id:1", "--library", "bells.db"]).expect(0);

    // It works again with the base as it was, and goes if that does not come back.
    run(&bench, &add).expect(0);
    run(&bench, &["models", "verify", "bells"]).expect(0);
    run(&bench, &["models", "remove", "owls", "--yes"]).expect(0);
    run(&bench, &["models", "remove", "bells", "--yes"]).expect(0);
    let listed = run(&bench, &["models", "list", "--format", "json"]).expect(0).json();
    assert!(listed.iter().all(|row| row["name"] != "bells"), "{listed:?}");
    run(&bench, &["models", "remove", "bells", "--yes"]).expect(2);
}
