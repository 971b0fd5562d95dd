//! From labels to a head, to what it says, and on: the loop that the page goes through. And the jobs
//! that do it.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::Bench;
use crate::common;
use crate::served::{PATIENCE, Served, indexed};

#[test]
fn a_head_is_trained_asked_corrected_and_removed() {
    let Some(esc10) = common::shared("data/esc10") else { return };
    let bench = Bench::new();
    for class in ["rain", "rooster", "dog_bark"] {
        fs::create_dir_all(bench.path(&format!("sounds/{class}"))).unwrap();
        let mut files: Vec<_> =
            fs::read_dir(esc10.join(class)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.iter().take(32) {
            let name = file.file_name().unwrap().to_str().unwrap();
            fs::copy(file, bench.path(&format!("sounds/{class}/{name}"))).unwrap();
        }
    }
    bench.run(&["index", "sounds"]).expect(0);
    let served = Served::start(bench, &[]);
    let all = served.get("/v1/recordings?limit=100").json();
    let mut unlabelled = 0;
    for (place, recording) in all["recordings"].as_array().unwrap().iter().enumerate() {
        let class = recording["path"].as_str().unwrap().split('/').next().unwrap();
        if place % 4 == 3 {
            unlabelled += 1;
            continue;
        }
        let label = json!({"recording_id": recording["id"], "class": class});
        served.post("/v1/labels", &label).expect(201);
    }
    let head = json!({"name": "sorts", "folds": 3, "seed": 1});
    let result = served.done(served.post("/v1/heads", &head));
    assert_eq!(result["replaced"], false);
    assert!(result["head"]["accuracy"].as_f64().unwrap() > 0.8, "{result}");

    let card = served.get("/v1/heads/sorts").expect(200).json();
    assert_eq!(card["classes"].as_array().unwrap().len(), 3);
    assert_eq!(card["accuracy"], result["head"]["accuracy"]);
    assert!(
        card["scores"]["confusion"].is_object() || card["scores"]["confusion"].is_array(),
        "{card}"
    );
    let report = served.get("/v1/heads/sorts/report.html").expect(200);
    assert!(report.text().starts_with("<!DOCTYPE html>"));
    let suggested = served.get("/v1/heads/sorts/suggest?n=4").expect(200).json();
    let hits = suggested["hits"].as_array().unwrap().clone();
    assert_eq!(hits.len(), 4.min(unlabelled));
    assert!(hits.iter().all(|hit| hit["why"].is_string() && hit["class"].is_string()));

    let predicted = served.post("/v1/heads/sorts/predict", &json!({}));
    let said = served.done(predicted);
    assert!(said["labels"].as_u64().unwrap() > 10, "{said}");
    // People's labels and the head's are told apart.
    let by = |who: &str| {
        let address = format!("/v1/labels?class=rain&limit=1000&by={who}");
        served.get(&address).json()["labels"].as_array().unwrap().clone()
    };
    let (people, heads) = (by("people"), by("heads"));
    assert!(!people.is_empty() && people.iter().all(|label| label["source"] == "page"));
    assert!(!heads.is_empty() && heads.iter().all(|label| label["source"] == "head:sorts"));
    let library = served.get("/v1/library").json();
    let classes = library["label_classes"].as_array().unwrap();
    let rain = classes.iter().find(|one| one["class"] == "rain").unwrap();
    assert_eq!(rain["by_people"], people.len());
    let again = served.done(served.post("/v1/heads/sorts/predict", &json!({})));
    assert_eq!((&again["added"], &again["removed"]), (&json!(0), &json!(0)));
    let by_head =
        json!({"head": {"name": "sorts", "class": "rain"}, "by": "recording", "limit": 3});
    let found = served.search(&by_head);
    let paths = found["hits"].as_array().unwrap().iter().map(|hit| hit["path"].as_str().unwrap());
    assert!(paths.clone().all(|path| path.starts_with("rain/")), "{found}");

    // One is judged, and the head learns again.
    let judged = &hits[0];
    let label = json!({
        "recording_id": judged["recording_id"], "class": judged["class"], "kind": "unsure",
    });
    served.post("/v1/labels", &label).expect(201);
    let refused = served.post("/v1/heads", &head);
    refused.refused(409, "head_exists");
    assert!(refused.text().contains("replace"), "{}", refused.text());
    let head = json!({"name": "sorts", "folds": 3, "seed": 1, "replace": true});
    let result = served.done(served.post("/v1/heads", &head));
    assert_eq!(result["replaced"], true);
    assert_eq!(served.get("/v1/heads").json()["heads"].as_array().unwrap().len(), 1);
    served.delete("/v1/heads/sorts").expect(204);
    served.delete("/v1/heads/sorts").refused(404, "no_such_head");
    served.get("/v1/heads/sorts").refused(404, "no_such_head");
    served.post("/v1/heads/sorts/predict", &json!({})).refused(404, "no_such_head");
}

#[test]
fn a_job_that_cannot_be_done_says_why() {
    let served = Served::new();
    let job = served.finish(served.post("/v1/heads", &json!({"name": "x"})));
    assert_eq!(job["state"], "failed");
    assert!(job["error"]["message"].as_str().unwrap().contains("no labels"), "{job}");
    assert!(job["error"]["hint"].is_string());
    served.post("/v1/heads", &json!({"name": "retrieval"})).refused(422, "training");
    served.post("/v1/heads", &json!({"name": "x", "folds": 1})).refused(400, "bad_request");
    let filtered = json!({"name": "x", "where": "duration <"});
    served.post("/v1/heads", &filtered).refused(422, "bad_filter");
    served.get("/v1/jobs/99").refused(404, "no_such_job");
    served.delete("/v1/jobs/99").refused(404, "no_such_job");
}

#[test]
fn indexing_finds_what_is_new_where_the_library_is_and_nowhere_else() {
    let served = Served::new();
    let path = |name: &str| served.bench.path(name);
    fs::create_dir(path("sounds/deeper")).unwrap();
    fs::copy(path("sounds/tone-0.wav"), path("sounds/deeper/copy.wav")).unwrap();
    fs::write(path("sounds/broken.wav"), b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0").unwrap();
    fs::create_dir(path("elsewhere")).unwrap();
    fs::copy(path("sounds/tone-0.wav"), path("elsewhere/other.wav")).unwrap();
    served.post("/v1/index", &json!({"paths": ["/etc"]})).refused(422, "wrong_body");
    let result = served.done(served.post("/v1/index", &json!({})));
    assert_eq!((&result["indexed"], &result["unchanged"]), (&json!(1), &json!(6)), "{result}");
    assert_eq!(result["failed"][0]["path"], "broken.wav");
    // It is found at once.
    let id = served.ids("copy")[0];
    let found = served.search(&json!({"like": [{"recording_id": id}], "by": "recording"}));
    assert_eq!(found["hits"][0]["name"], "tone-0.wav");
    assert!(found["hits"][0]["score"].as_f64().unwrap() > 0.999);
    let result = served.done(served.post("/v1/duplicates", &json!({})));
    let groups = result["groups"].as_array().unwrap();
    let has_copy = |group: &&serde_json::Value| group.to_string().contains("deeper/copy.wav");
    let group = groups.iter().find(has_copy).expect("a group with the copy");
    assert_eq!(group["members"].as_array().unwrap().len(), 2);
    assert_eq!(group["members"][0]["name"], "tone-0.wav");
    served.post("/v1/duplicates", &json!({"threshold": 2})).refused(422, "bad_threshold");
}

#[test]
fn a_folder_that_was_named_is_looked_at_too() {
    let bench = indexed();
    fs::create_dir(bench.path("more")).unwrap();
    fs::copy(bench.path("sounds/tone-0.wav"), bench.path("more/new.wav")).unwrap();
    let folder = bench.path("more").to_str().unwrap().to_owned();
    let served = Served::start(bench, &["--folder", &folder]);
    let result = served.done(served.post("/v1/index", &json!({})));
    assert_eq!(result["indexed"], 1, "{result}");
    let id = served.ids("new")[0];
    served.get(&format!("/v1/recordings/{id}/audio")).expect(200);
}

#[test]
fn jobs_wait_for_one_another_and_are_cancelled() {
    let bench = indexed();
    // Enough that it takes a while: twenty minutes of noise in many files.
    for take in 0..40_u32 {
        let mut state = 17 + take;
        bench.wav(
            &format!("sounds/long-{take}.wav"),
            (0..22_050 * 30).map(move |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(state) / f64::from(u32::MAX) * 0.6 - 0.3
            }),
        );
    }
    let served = Served::start(bench, &[]);
    let running = served.post("/v1/index", &json!({})).expect(202).json()["id"].clone();
    let waiting = served.post("/v1/duplicates", &json!({})).expect(202).json()["id"].clone();
    let started = Instant::now();
    let state = |id: &serde_json::Value| {
        let job = served.get(&format!("/v1/jobs/{id}")).expect(200).json();
        (job["state"].as_str().unwrap().to_owned(), job["progress"].as_f64())
    };
    // Some of it is done.
    while state(&running).1.is_none_or(|share| share <= 0.0) {
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20));
    }
    assert_eq!(state(&waiting).0, "queued");
    // Others are answered meanwhile.
    let id = served.ids("tone")[0];
    served.search(&json!({"like": [{"recording_id": id}]}));
    served.delete(&format!("/v1/jobs/{waiting}")).expect(202);
    assert_eq!(state(&waiting).0, "cancelled");
    served.delete(&format!("/v1/jobs/{running}")).expect(202);
    while state(&running).0 == "running" {
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20));
    }
    assert_eq!(state(&running).0, "cancelled");
    let listed = served.get("/v1/jobs").json();
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 2);
    // What came of one is told where it is asked for by itself.
    assert!(listed["jobs"].as_array().unwrap().iter().all(|job| job.get("result").is_none()));
    let alone = served.get(&format!("/v1/jobs/{running}")).json();
    assert!(alone.get("result").is_some() && alone["kind"] == "index", "{alone}");
    // What was stored stays, and the rest follows.
    let result = served.done(served.post("/v1/index", &json!({})));
    assert!(result["unchanged"].as_u64().unwrap() > 6, "{result}");
    assert_eq!(served.get("/v1/library").json()["recordings"], 46);
}
