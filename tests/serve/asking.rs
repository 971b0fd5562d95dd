//! What the library holds, searches, labels, and the map.

use serde_json::{Value, json};

use crate::served::Served;

fn names(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_library_and_its_recordings_are_listed_in_pages() {
    let served = Served::new();
    let library = served.get("/v1/library").expect(200).json();
    assert_eq!(library["recordings"], 6);
    assert_eq!(library["models"][0]["name"], "yamnet");
    assert_eq!(library["models"][0]["class_count"], 521);
    let mut seen = Vec::new();
    let mut path = "/v1/recordings?limit=4".to_owned();
    loop {
        let page = served.get(&path).expect(200).json();
        for recording in page["recordings"].as_array().unwrap() {
            // From the folder on that all lie in: no more of the disk is told than is of use.
            assert_eq!(recording["path"], recording["name"]);
            seen.push(recording["id"].as_i64().unwrap());
        }
        let Some(next) = page["next"].as_i64() else { break };
        path = format!("/v1/recordings?limit=4&after={next}");
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by(|a, b| a < b));
    let tones = served.get("/v1/recordings?where=name%20~%20%22tone*%22").expect(200).json();
    assert_eq!(tones["recordings"].as_array().unwrap().len(), 2);
    // A digit would do as a word, too, but for folders of tests, whose names are drawn by chance.
    let words = served.get("/v1/recordings?text=tone").expect(200).json();
    let words = words["recordings"].as_array().unwrap();
    assert_eq!(words.len(), 2);
    assert!(words.iter().all(|one| one["name"].as_str().unwrap().starts_with("tone-")));

    let id = served.ids("tone-0")[0];
    let one = served.get(&format!("/v1/recordings/{id}")).expect(200).json();
    assert_eq!(one["sample_rate"], 22_050);
    assert!(one["classes"][0]["score"].as_f64().unwrap() > 0.1, "{one}");
    let all = served.get(&format!("/v1/recordings/{id}/segments")).expect(200).json();
    let all = all["segments"].as_array().unwrap().clone();
    let some = served.get(&format!("/v1/recordings/{id}/segments?start_s=1.5&limit=1"));
    let some = some.expect(200).json();
    assert!(all.len() > 2 && some["more"] == true);
    assert!(some["segments"][0]["end_s"].as_f64().unwrap() > 1.5);
    let classes = served.get("/v1/classes?text=whist").expect(200).json();
    assert!(classes["classes"].as_array().unwrap().contains(&json!("Whistle")), "{classes}");
}

#[test]
fn what_sounds_alike_is_found_by_every_kind_of_example() {
    let served = Served::new();
    let [first, second] = served.ids("tone")[..] else { panic!("two tones") };
    for by in ["event", "segment", "recording"] {
        let found =
            served.search(&json!({"like": [{"recording_id": first}], "by": by, "limit": 1}));
        assert_eq!(names(&found), ["tone-1.wav"], "{by}: {found}");
        let hit = &found["hits"][0];
        assert!(hit["score"].as_f64().unwrap() > 0.8);
        assert_eq!(hit["segment_id"].is_null(), by == "recording");
        assert_eq!(hit["missing"], false);
    }
    let stretch = json!({"recording_id": first, "start_s": 0.5, "end_s": 1.5});
    let found = served.search(&json!({"like": [stretch], "limit": 2, "explain": true}));
    assert_eq!(names(&found)[0], "tone-1.wav", "{found}");
    assert!(found["hits"][0]["explain"]["spread"]["best"].as_f64().unwrap() > 0.5);
    let segments = served.get(&format!("/v1/recordings/{second}/segments")).json();
    let segment = segments["segments"][1]["id"].as_i64().unwrap();
    let found = served.search(&json!({"like": [{"segment_id": segment}], "by": "recording"}));
    assert_eq!(names(&found)[0], "tone-0.wav");

    let file = std::fs::read(served.bench.path("sounds/tone-0.wav")).unwrap();
    let upload = served.upload(&file).expect(201).json();
    assert!((upload["duration_s"].as_f64().unwrap() - 2.0).abs() < 1e-6);
    let id = upload["upload_id"].as_str().unwrap();
    let found = served.search(&json!({"like": [{"upload_id": id}], "by": "recording"}));
    // A single file is not left out: whether the library has it is part of the answer.
    assert_eq!(names(&found)[0], "tone-0.wav");
    assert!(found["hits"][0]["score"].as_f64().unwrap() > 0.999, "{found}");
    let noise = served.ids("noise")[0];
    let found = served.search(&json!({
        "like": [{"upload_id": id}, {"recording_id": second}],
        "unlike": [{"recording_id": noise}],
        "by": "recording",
    }));
    // Of several, none is an answer; the file that was sent is known by its content.
    assert!(!names(&found).iter().any(|name| name.starts_with("tone")), "{found}");

    let found = served.search(&json!({"text": "clicks", "by": "recording"}));
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
    let found = served.search(&json!({"class": "White noise", "by": "recording", "limit": 1}));
    assert!(names(&found)[0].starts_with("noise"), "{found}");
    let found = served.search(&json!({
        "like": [{"recording_id": first}], "where": "name ~ \"noise*\"", "by": "recording",
    }));
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
    served.delete(&format!("/v1/uploads/{id}")).expect(204);
    let gone = served.post("/v1/search", &json!({"like": [{"upload_id": id}]}));
    gone.refused(404, "no_such_upload");
}

#[test]
fn labels_are_given_listed_and_taken_back() {
    let served = Served::new();
    let id = served.ids("clicks")[0];
    let label = json!({"recording_id": id, "class": "Klick", "start_s": 0.5, "end_s": 99.0});
    let label = served.post("/v1/labels", &label).expect(201).json();
    // The end is the recording's.
    assert_eq!((&label["end_s"], &label["kind"]), (&json!(2.0), &json!("positive")));
    let whole = json!({"recording_id": id, "class": "Uhr", "kind": "negative"});
    let whole = served.post("/v1/labels", &whole).expect(201).json();
    assert!(whole["start_s"].is_null());
    let listed = served.get(&format!("/v1/labels?recording_id={id}")).json();
    assert_eq!(listed["labels"], json!([label, whole]));
    let of_class = served.get("/v1/labels?class=klick&limit=1").json();
    assert_eq!(of_class["labels"][0]["id"], label["id"]);
    let page = served.get("/v1/labels?limit=1").json();
    let rest = served.get(&format!("/v1/labels?limit=1&after={}", page["next"])).json();
    assert_eq!((&rest["labels"][0]["id"], &rest["next"]), (&whole["id"], &Value::Null));
    let hits = served.search(&json!({"text": "Klick"}));
    assert_eq!(hits["hits"][0]["labels"][0]["class"], "Klick", "{hits}");
    let path = format!("/v1/labels/{}", label["id"]);
    served.delete(&path).expect(204);
    served.delete(&path).refused(404, "no_such_label");
    let counts = served.get("/v1/library").json();
    assert_eq!(counts["labels"], 1);
    assert_eq!(counts["label_classes"][0]["negative"], 1);

    for (body, code) in [
        (json!({"recording_id": id, "class": " "}), "bad_class"),
        (json!({"recording_id": id, "class": "x\ny"}), "bad_class"),
        (
            json!({"recording_id": id, "class": "x", "start_s": 2.0, "end_s": 1.0}),
            "no_such_stretch",
        ),
        (json!({"recording_id": id, "class": "x", "start_s": 50.0}), "no_such_stretch"),
        (json!({"recording_id": id, "class": "x", "start_s": -1.0}), "no_such_stretch"),
        (json!({"recording_id": id, "class": "x", "kind": "perhaps"}), "wrong_body"),
        (json!({"recording_id": id}), "wrong_body"),
        (json!({"recording_id": id, "class": "x", "path": "/etc/passwd"}), "wrong_body"),
    ] {
        served.post("/v1/labels", &body).refused(422, code);
    }
    let nobody = json!({"recording_id": 999, "class": "x"});
    served.post("/v1/labels", &nobody).refused(404, "no_such_recording");
}

#[test]
fn the_map_shows_every_segment_once_and_knows_labels() {
    let served = Served::new();
    let id = served.ids("tone")[0];
    served.post("/v1/labels", &json!({"recording_id": id, "class": "Ton"})).expect(201);
    let map = served.get("/v1/map").expect(200).json();
    let points = &map["points"];
    let count = points["x"].as_array().unwrap().len();
    assert_eq!(map["total"], count);
    for column in ["segment_id", "recording_id", "y", "start_s", "end_s", "class", "label"] {
        assert_eq!(points[column].as_array().unwrap().len(), count, "{column}");
    }
    let explained: f64 =
        map["explained"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).sum();
    assert!(
        (0.3..=1.0).contains(&explained),
        "three kinds of sound are nearly a plane: {explained}"
    );
    let label = |place: usize| points["label"][place].as_i64().unwrap();
    for place in 0..count {
        let is_labelled = points["recording_id"][place] == id;
        assert_eq!(label(place) >= 0, is_labelled);
        if is_labelled {
            assert_eq!(map["classes"][usize::try_from(label(place)).unwrap()], "Ton");
        }
    }
    let again = served.get("/v1/map").json();
    assert_eq!(again["points"]["x"], points["x"]);
    let few = served.get("/v1/map?limit=5").json();
    assert_eq!(few["points"]["x"].as_array().unwrap().len(), 5);
}

#[test]
fn what_can_be_asked_is_described() {
    let served = Served::new();
    let described = served.get("/openapi.json").expect(200).json();
    assert!(described["openapi"].as_str().unwrap().starts_with("3."));
    for path in [
        "/healthz",
        "/v1/library",
        "/v1/recordings",
        "/v1/recordings/{id}",
        "/v1/recordings/{id}/segments",
        "/v1/recordings/{id}/audio",
        "/v1/recordings/{id}/clip.wav",
        "/v1/recordings/{id}/spectrogram.png",
        "/v1/recordings/{id}/waveform.png",
        "/v1/uploads",
        "/v1/uploads/{id}/spectrogram.png",
        "/v1/search",
        "/v1/labels",
        "/v1/labels/{id}",
        "/v1/heads",
        "/v1/heads/{name}",
        "/v1/heads/{name}/report.html",
        "/v1/heads/{name}/predict",
        "/v1/heads/{name}/suggest",
        "/v1/duplicates",
        "/v1/index",
        "/v1/jobs",
        "/v1/jobs/{id}",
        "/v1/classes",
        "/v1/map",
        "/v1/model",
        "/v1/embed",
    ] {
        assert!(described["paths"][path].is_object(), "{path}");
    }
    // The schema of bodies is what is checked.
    let search = &described["components"]["schemas"]["SearchBody"]["properties"];
    assert!(search["like"].is_object() && search["where"].is_object(), "{search}");
}
