//! The protocol of hosted models, with sonoteca at both ends.

use std::fs;

use serde_json::json;
use sonoteca::store::Library;
use tch::{CModule, Kind, Tensor};

use crate::bench::{Answer, Bench};
use crate::served::{Served, indexed};

#[test]
fn another_sonoteca_embeds_with_the_model_that_is_served() {
    let served = Served::new();
    let other = Bench::with_sounds();
    let url = format!("http://{}", served.address);
    let run = |arguments: &[&str]| {
        let output = other
            .command()
            .args(arguments)
            .env("SONOTECA_STORE", other.path("store"))
            .env("SERVED_KEY", &served.token)
            .output()
            .unwrap();
        Answer::of(&output)
    };
    run(&["models", "add", "served", "--remote", &url, "--key-env", "SERVED_KEY"]).expect(0);
    run(&["index", "sounds", "--model", "served"]).expect(0);
    // The same sounds by the same network: only the rounding to 16 bits lies between.
    let vectors = |bench: &Bench| {
        let library = Library::open(&bench.path("sonoteca.db")).unwrap();
        // Which file was done first is left to chance, and so are ids.
        let mut all = Vec::new();
        for recording in library.recordings_after(0, 100).unwrap() {
            let name = recording.path.file_name().unwrap().to_owned();
            let visit = |_, vector: &[f32]| {
                all.push((name.clone(), vector.to_vec()));
                Ok(())
            };
            library.for_each_segment_of(recording.id, 1, 1_024, visit).unwrap();
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let (here, there) = (vectors(&served.bench), vectors(&other));
    assert_eq!(here.len(), there.len());
    for ((name, a), (other_name, b)) in here.iter().zip(&there) {
        assert_eq!(name, other_name);
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
        let (length, cosine) = (dot(a, a), dot(a, b) / (dot(a, a) * dot(b, b)).sqrt());
        // The last segment of a recording is padded to a whole window, which the one here is not.
        assert!(length == 0.0 || cosine > 0.98, "{name:?}: {cosine}");
    }
    served.get("/v1/model").expect(200);
}

/// A module of a second at 8 kHz: how loud each of eight filters is, which `pitch` tells apart.
fn module(bench: &Bench, pitch: f32) -> String {
    let numbers: Vec<f32> = (0..8_i16)
        .flat_map(|filter| {
            (0..64_i16).map(move |n| (f32::from(filter + 1) * f32::from(n) * pitch).sin())
        })
        .collect();
    let weight = Tensor::from_slice(&numbers).view([8, 1, 64]);
    let input = Tensor::zeros([2, 8_000], (Kind::Float, tch::Device::Cpu));
    let module = CModule::create_by_tracing("filters", "forward", &[input], &mut |inputs| {
        let heard = inputs[0].unsqueeze(1).conv1d(&weight, None::<&Tensor>, 32, 0, 1, 1);
        vec![heard.abs().mean_dim(&[2_i64][..], false, Kind::Float)]
    });
    let path = bench.path(&format!("{pitch}.pt"));
    module.unwrap().save(&path).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn a_model_that_is_replaced_under_its_name_is_not_asked_any_more() {
    let bench = Bench::with_sounds();
    let modules = [module(&bench, 0.3), module(&bench, 0.02)];
    let store = bench.path("store");
    let run = |bench: &Bench, arguments: &[&str]| {
        let output = bench.command().args(arguments).env("SONOTECA_STORE", &store).output();
        Answer::of(&output.unwrap())
    };
    let add = |bench: &Bench, module: &str| {
        let add = ["models", "add", "owls", "--torchscript", module, "--rate", "8000"];
        run(bench, &[&add[..], &["--window", "1"]].concat()).expect(0);
        run(bench, &["index", "sounds", "--model", "owls"]).expect(0);
    };
    add(&bench, &modules[0]);
    let sound = fs::read(bench.path("sounds/tone-0.wav")).unwrap();
    let served = Served::start_with(bench, &[], &[("SONOTECA_STORE", &store)]);
    let finds_itself = || {
        let upload = served.upload(&sound).expect(201).json();
        let example = json!({ "upload_id": upload["upload_id"] });
        let found = served.search(&json!({ "like": [example], "by": "recording" }));
        let hit = &found["hits"][0];
        assert!(hit["path"].as_str().unwrap().ends_with("tone-0.wav"), "{found}");
        assert!(hit["score"].as_f64().unwrap() > 0.999_9, "{found}");
    };
    finds_itself();
    // Vectors of as many values, by another module of the same name.
    run(&served.bench, &["models", "drop", "owls"]).expect(0);
    run(&served.bench, &["models", "remove", "owls", "--yes"]).expect(0);
    add(&served.bench, &modules[1]);
    finds_itself();
}

#[test]
fn what_is_no_sound_is_refused() {
    let served = Served::start(indexed(), &[]);
    let bearer = format!("Bearer {}", served.token);
    let embed = |query: &str, kind: &str, body: &[u8]| {
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        served.send("POST", &format!("/v1/embed?{query}"), &headers, body)
    };
    let samples = vec![1_u8; 2 * 15_600];
    let raw = "application/octet-stream";
    let answer = embed("windows=1&window_samples=15600&rate=16000", raw, &samples).expect(200);
    let answer = answer.json();
    assert_eq!(answer["embeddings"][0].as_array().unwrap().len(), 1_024);
    let text = embed("windows=1&window_samples=15600&rate=16000&answer=base64", raw, &samples);
    assert_eq!(text.expect(200).json()["embeddings_base64"].as_str().unwrap().len(), 5_464);
    embed("windows=1&window_samples=15600&rate=8000", raw, &samples).refused(422, "bad_rate");
    embed("windows=1&window_samples=15600", raw, &samples).refused(422, "bad_rate");
    embed("windows=2&window_samples=15600&rate=16000", raw, &samples).refused(422, "bad_windows");
    embed("windows=0&window_samples=15600&rate=16000", raw, &[]).refused(422, "bad_windows");
    embed("windows=1&window_samples=99999999999", raw, &[]).refused(422, "bad_windows");
    embed("windows=x", raw, &[]).refused(400, "bad_request");
    embed("windows=1&window_samples=2", "text/plain", b"abcd").refused(415, "no_samples");
    embed("windows=1&window_samples=2", "audio/wav", b"abcd").refused(422, "no_samples");
    let wav = b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff\x01\0\x01\0";
    embed("windows=1&window_samples=2", "audio/wav", wav).refused(422, "no_samples");
    served.post("/v1/embed?windows=1&window_samples=2", &json!({})).refused(415, "no_samples");
}
