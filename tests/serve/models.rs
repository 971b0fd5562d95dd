//! A library of several models: which is meant where none is named, and that it can be chosen.

use serde_json::json;

use crate::bench::Bench;
use crate::served::Served;

fn of_two() -> Bench {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q", "--model", "crnn-bell", "--model", "yamnet"]).expect(0);
    bench
}

#[test]
fn where_none_is_named_the_one_with_words_is_meant() {
    let served = Served::start(of_two(), &[]);
    let library = served.get("/v1/library").json();
    assert_eq!(library["default_model"], "yamnet");
    assert_eq!(library["models"].as_array().unwrap().len(), 2);
    let id = served.ids("noise-0")[0];
    let like = json!({"like": [{"recording_id": id}], "by": "recording"});
    assert_eq!(served.search(&like)["model"], "yamnet");
    assert_eq!(served.get("/v1/map").expect(200).json()["model"], "yamnet");
    assert_eq!(served.get("/v1/model").expect(200).json()["model"], "yamnet");
    let segments = |query: &str| {
        let address = format!("/v1/recordings/{id}/segments{query}");
        served.get(&address).expect(200).json()["segments"].as_array().unwrap().len()
    };
    assert_eq!(segments(""), segments("?model=yamnet"));
    assert_ne!(segments(""), segments("?model=crnn-bell"), "they have windows of their own");
    let classes = |query: &str| {
        let detail = served.get(&format!("/v1/recordings/{id}{query}")).expect(200).json();
        detail["classes"].as_array().unwrap().clone()
    };
    assert_eq!(classes(""), classes("?model=yamnet"));
    // A filter that names a class is about a model too.
    served.get("/v1/recordings?where=class(%22Noise%22)%20%3E=%200").expect(200);

    // The other one is had by its name.
    let other = json!({"like": [{"recording_id": id}], "model": "crnn-bell", "by": "recording"});
    assert_eq!(served.search(&other)["model"], "crnn-bell");
    assert_eq!(served.get("/v1/map?model=crnn-bell").expect(200).json()["model"], "crnn-bell");
    for (place, recording) in served.ids("").into_iter().enumerate() {
        let class = ["a", "b"][place % 2];
        served.post("/v1/labels", &json!({"recording_id": recording, "class": class})).expect(201);
    }
    let result = served.done(served.post("/v1/heads", &json!({"name": "ab", "folds": 2})));
    assert_eq!(result["head"]["model"], "yamnet");
    let head = json!({"name": "ba", "folds": 2, "model": "crnn-bell"});
    assert_eq!(served.done(served.post("/v1/heads", &head))["head"]["model"], "crnn-bell");
    let wrong = json!({"like": [{"recording_id": id}], "model": "yamnett"});
    let refused = served.post("/v1/search", &wrong);
    refused.refused(422, "no_such_model");
    assert!(!refused.text().contains("--model"), "{}", refused.text());
}

#[test]
fn the_model_that_was_chosen_is_meant_and_one_that_is_not_there_is_refused_at_once() {
    let served = Served::start(of_two(), &["--model", "crnn-bell"]);
    assert_eq!(served.get("/v1/library").json()["default_model"], "crnn-bell");
    let id = served.ids("noise-0")[0];
    let like = json!({"like": [{"recording_id": id}], "by": "recording"});
    assert_eq!(served.search(&like)["model"], "crnn-bell");
    // Neither would ever end, if it were not refused.
    let typo = served.bench.run(&["serve", "--bind", "127.0.0.1:0", "--model", "yamnett"]);
    let typo = typo.expect(2);
    assert!(typo.err.contains("yamnett") && typo.err.contains("yamnet,"), "{}", typo.err);
    let absent = served.bench.run(&["serve", "--bind", "127.0.0.1:0", "--model", "resemblyzer"]);
    assert!(absent.expect(2).err.contains("resemblyzer"));
}

#[test]
fn an_address_that_is_none_or_is_taken_says_what_to_try() {
    let served = Served::new();
    for written in ["7399", ":99999", "localhost"] {
        let refused = served.bench.run(&["serve", "--bind", written]).expect(2);
        assert!(refused.err.contains("such as 127.0.0.1:"), "{}", refused.err);
    }
    let taken = served.bench.run(&["serve", "--bind", &served.address.to_string()]).expect(2);
    assert!(taken.err.contains("--bind 127.0.0.1:0"), "{}", taken.err);
}
