//! Sound, pictures and uploads: what is sent, and what is not.

use std::fs;

use serde_json::json;

use crate::common;
use crate::served::{Served, indexed};

#[test]
fn files_are_sent_as_they_are_and_in_ranges() {
    let served = Served::new();
    let path = format!("/v1/recordings/{}/audio", served.ids("tone-0")[0]);
    let file = fs::read(served.bench.path("sounds/tone-0.wav")).unwrap();
    let all = served.get(&path).expect(200);
    assert_eq!(all.body, file);
    assert_eq!(all.header("content-type"), Some("audio/wav"));
    assert_eq!(all.header("accept-ranges"), Some("bytes"));
    let tag = all.header("etag").unwrap().to_owned();
    let length = file.len();
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=100-199".to_owned(), 100, 199),
        (format!("bytes={}-", length - 5), length - 5, length - 1),
        ("bytes=-7".to_owned(), length - 7, length - 1),
        ("bytes=10-999999999".to_owned(), 10, length - 1),
    ] {
        let part = served.get_with(&path, &[("range", &range)]).expect(206);
        assert_eq!(part.body, file[first..=last], "{range}");
        let expected = format!("bytes {first}-{last}/{length}");
        assert_eq!(part.header("content-range"), Some(expected.as_str()));
    }
    let behind = format!("bytes={length}-");
    served.get_with(&path, &[("range", &behind)]).refused(416, "no_such_range");
    let known = served.get_with(&path, &[("if-none-match", &tag)]).expect(304);
    assert!(known.body.is_empty());
    let other = served.get_with(&path, &[("range", "bytes=0-9"), ("if-range", "\"other\"")]);
    assert_eq!(other.expect(200).body.len(), length);
    let bearer = format!("Bearer {}", served.token);
    let head = served.send("HEAD", &path, &[("authorization", &bearer)], &[]).expect(200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), Some(length.to_string().as_str()));
    served.get("/v1/recordings/999/audio").refused(404, "no_such_recording");
}

#[test]
fn clips_are_the_samples_of_their_stretch() {
    let served = Served::new();
    let id = served.ids("noise-0")[0];
    let path = format!("/v1/recordings/{id}/clip.wav?start_s=0.5&end_s=1.25");
    let clip = served.get(&path).expect(200);
    let samples = |bytes: &[u8]| -> Vec<i16> {
        let reader = hound::WavReader::new(bytes).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (1, 22_050));
        reader.into_samples().map(Result::unwrap).collect()
    };
    let file = fs::read(served.bench.path("sounds/noise-0.wav")).unwrap();
    let (first, last) = (11_025, 27_563);
    assert_eq!(samples(&clip.body), samples(&file)[first..last]);
    let part = served.get_with(&path, &[("range", "bytes=44-143")]).expect(206);
    assert_eq!(part.body, clip.body[44..144]);
    let path = format!("/v1/recordings/{id}/clip.wav");
    assert_eq!(samples(&served.get(&path).expect(200).body), samples(&file));
    served.get(&format!("{path}?start_s=5")).refused(422, "no_such_stretch");
    served.get(&format!("{path}?start_s=2&end_s=1")).refused(400, "bad_request");
    served.get(&format!("{path}?start_s=NaN")).refused(400, "bad_request");
    served.get(&format!("{path}?end_s=-inf")).refused(400, "bad_request");
    served.get(&format!("{path}?start_s=-1")).refused(400, "bad_request");
}

#[test]
fn pictures_are_of_the_size_that_was_asked_for_and_kept() {
    let served = Served::new();
    let id = served.ids("clicks-0")[0];
    for (what, size, stretch) in [
        ("spectrogram.png", (320, 100), ""),
        ("waveform.png", (200, 40), ""),
        ("spectrogram.png", (1, 1), ""),
        ("spectrogram.png", (300, 128), "&start_s=0.5&end_s=0.6"),
    ] {
        let (width, height) = size;
        let path = format!("/v1/recordings/{id}/{what}?width={width}&height={height}{stretch}");
        let picture = served.get(&path).expect(200);
        assert_eq!(picture.header("content-type"), Some("image/png"));
        let png = resvg::tiny_skia::Pixmap::decode_png(&picture.body).unwrap();
        assert_eq!((png.width(), png.height()), size);
        let tag = picture.header("etag").unwrap();
        served.get_with(&path, &[("if-none-match", tag)]).expect(304);
        assert_eq!(served.get(&path).body, picture.body);
    }
    for size in ["width=0", "width=5000", "height=-1", "height=1e3", "width=999999999999999999999"]
    {
        let refused = served.get(&format!("/v1/recordings/{id}/spectrogram.png?{size}"));
        refused.refused(400, "bad_request");
    }
}

#[test]
fn pictures_of_parts_fit_beside_each_other() {
    let bench = indexed();
    // Quiet for a second, and louder by 54 dB after it.
    let rate = 22_050;
    bench.wav(
        "sounds/rise.wav",
        (0..4 * rate).map(|n| {
            let amplitude = if n < rate { 0.001 } else { 0.5 };
            let turns = f64::from(n) / f64::from(rate) * std::f64::consts::TAU;
            amplitude * ((440.0 * turns).sin() + (1_900.0 * turns).sin()) / 2.0
        }),
    );
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let served = Served::start(bench, &[]);
    let id = served.ids("rise")[0];
    let picture = |query: &str| {
        let path = format!("/v1/recordings/{id}/spectrogram.png?height=128&{query}");
        let body = served.get(&path).expect(200).body;
        resvg::tiny_skia::Pixmap::decode_png(&body).unwrap()
    };
    let whole = picture("width=2000");
    for second in 0..4 {
        let part = picture(&format!("start_s={second}&end_s={}&width=500", second + 1));
        let (mut sum, mut count) = (0.0, 0.0);
        // The 8 columns (16 ms) at each edge are of windows that reach into what is beside: half of one.
        for x in 8..492 {
            for y in 0..128 {
                let own = part.pixel(x, y).unwrap();
                let there = whole.pixel(500 * second + x, y).unwrap();
                sum += f64::from(own.green().abs_diff(there.green()));
                count += 1.0;
            }
        }
        // Columns may be a step of 2 ms apart, in which steady tones change by no more than rounding;
        // colours of its own made the quiet second differ by 60 and more.
        let difference = sum / count;
        assert!(difference < 2.0, "second {second}: {difference}");
    }
}

#[test]
fn a_form_is_told_from_a_file() {
    let served = Served::new();
    let bearer = format!("Bearer {}", served.token);
    let file = fs::read(served.bench.path("sounds/tone-0.wav")).unwrap();
    let form = ("content-type", "multipart/form-data; boundary=x");
    let refused = served.send("POST", "/v1/uploads", &[("authorization", &bearer), form], &file);
    refused.refused(415, "not_a_file");
    assert!(refused.text().contains("--data-binary"), "{}", refused.text());
    // As curl sends it.
    let plain = ("content-type", "application/x-www-form-urlencoded");
    let taken = served.send("POST", "/v1/uploads", &[("authorization", &bearer), plain], &file);
    taken.expect(201);
}

#[test]
fn files_that_are_gone_or_are_links_to_elsewhere_now_are_refused() {
    let served = Served::new();
    let [first, second] = served.ids("tone")[..] else { panic!("two tones") };
    let path = |name: &str| served.bench.path(name);
    let secret = path("secret.wav");
    fs::rename(path("sounds/tone-0.wav"), &secret).unwrap();
    let calls = |id: i64| {
        ["audio", "clip.wav", "spectrogram.png", "waveform.png"]
            .map(|what| served.get(&format!("/v1/recordings/{id}/{what}")))
    };
    for call in calls(first) {
        call.refused(410, "gone");
    }
    let hit = served.search(&json!({"like": [{"recording_id": second}], "by": "recording"}));
    assert_eq!(hit["hits"][0]["missing"], true);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&secret, path("sounds/tone-0.wav")).unwrap();
        for call in calls(first) {
            call.refused(403, "outside");
        }
        // Within the collection a link may lead where it wants.
        fs::remove_file(path("sounds/tone-1.wav")).unwrap();
        std::os::unix::fs::symlink(path("sounds/noise-0.wav"), path("sounds/tone-1.wav")).unwrap();
        served.get(&format!("/v1/recordings/{second}/audio")).expect(200);
        // A folder that became a link to elsewhere is elsewhere too.
        fs::rename(path("sounds"), path("other")).unwrap();
        std::os::unix::fs::symlink(path("other"), path("sounds")).unwrap();
        let id = served.ids("noise-1")[0];
        served.get(&format!("/v1/recordings/{id}/audio")).refused(403, "outside");
    }
}

#[test]
fn uploads_of_any_format_are_decoded_and_kept_by_the_server_alone() {
    let served = Served::new();
    let fixtures = common::root().join("tests/fixtures");
    for name in ["chirp.mp3", "chirp.ogg", "chirp.flac", "chirp.m4a", "chirp.opus", "chirp.aif"] {
        let upload = served.upload(&fs::read(fixtures.join(name)).unwrap()).expect(201).json();
        let id = upload["upload_id"].as_str().unwrap().to_owned();
        assert!(upload["duration_s"].as_f64().unwrap() > 0.5, "{name}: {upload}");
        let clip = served.get(&format!("/v1/uploads/{id}/clip.wav?end_s=0.25")).expect(200);
        let reader = hound::WavReader::new(&clip.body[..]).unwrap();
        let seconds = f64::from(reader.duration()) / f64::from(reader.spec().sample_rate);
        assert!((seconds - 0.25).abs() < 1e-3, "{name}: {seconds}");
        served.get(&format!("/v1/uploads/{id}/spectrogram.png?width=50&height=20")).expect(200);
        served.get(&format!("/v1/uploads/{id}/waveform.png")).expect(200);
    }
    let count = served.get("/v1/library").json()["recordings"].clone();
    assert_eq!(count, 6, "nothing becomes part of the library");
    for (bytes, code) in [
        (&b"this is no sound, however long one looks at it"[..], "undecodable"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0data", "undecodable"),
        (b"", "undecodable"),
        (b"OggS\0\0\0\0\0\0\0\0\0", "undecodable"),
        (b"fLaC\0\0\0\x22", "undecodable"),
    ] {
        let refused = served.upload(bytes);
        refused.refused(422, code);
        // Where it was kept meanwhile is nobody's business.
        assert!(!refused.text().contains("sonoteca-uploads"), "{}", refused.text());
    }
    // Half of every file is half of a sound, or a refusal; the server is there afterwards.
    for entry in fs::read_dir(&fixtures).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(bytes.len() / 2);
            let half = served.upload(&bytes).status;
            assert!([201, 422].contains(&half), "{}: {half}", path.display());
        }
    }
    served.get("/healthz").expect(200);
    for path in ["/v1/uploads/x/clip.wav", "/v1/uploads/..%2f..%2fetc/spectrogram.png"] {
        served.get(path).refused(404, "no_such_upload");
    }
}

#[test]
fn uploads_are_forgotten_when_there_are_too_many_and_when_the_server_ends() {
    let bench = indexed();
    // Where temporary files go is told to the server by the environment of this test's command.
    let served = Served::start(bench, &[]);
    let file = fs::read(served.bench.path("sounds/clicks-0.wav")).unwrap();
    let ids: Vec<String> = (0..34)
        .map(|_| served.upload(&file).expect(201).json()["upload_id"].as_str().unwrap().to_owned())
        .collect();
    let is_there =
        |id: &String| served.get(&format!("/v1/uploads/{id}/clip.wav?end_s=0.1")).status == 200;
    assert!(!is_there(&ids[0]) && !is_there(&ids[1]), "the oldest make room");
    assert!(ids[2..].iter().all(is_there));
}

#[test]
fn files_that_cannot_be_read_are_told_by_the_name_that_people_know() {
    let served = Served::new();
    let path = |name: &str| served.bench.path(name);
    let folder = served.bench.folder.path().to_string_lossy().into_owned();
    let calls = |name: &str, whats: &[&str], code: &str| {
        let id = served.ids(name)[0];
        for what in whats {
            let refused = served.get(&format!("/v1/recordings/{id}/{what}"));
            refused.refused(422, code);
            let text = refused.text();
            assert!(text.contains(&format!("{name}.wav")) && !text.contains(&folder), "{text}");
        }
    };
    fs::remove_file(path("sounds/tone-0.wav")).unwrap();
    fs::create_dir(path("sounds/tone-0.wav")).unwrap();
    calls("tone-0", &["audio", "clip.wav", "spectrogram.png", "waveform.png"], "unreadable");
    fs::write(path("sounds/noise-0.wav"), b"this was a sound once").unwrap();
    calls("noise-0", &["clip.wav", "spectrogram.png", "waveform.png"], "undecodable");
    calls("clicks-0", &["clip.wav?start_s=50", "spectrogram.png?start_s=50"], "no_such_stretch");

    let bearer = format!("Bearer {}", served.token);
    let headers = [("authorization", bearer.as_str()), ("x-file-name", "rain%20drop.ogg")];
    let refused = served.send("POST", "/v1/uploads", &headers, b"this is no sound");
    refused.refused(422, "undecodable");
    assert!(refused.text().contains("rain drop.ogg"), "{}", refused.text());
    let sound = fs::read(path("sounds/clicks-0.wav")).unwrap();
    let upload = served.send("POST", "/v1/uploads", &headers, &sound).expect(201).json();
    let id = upload["upload_id"].as_str().unwrap();
    let example = json!({"upload_id": id, "start_s": 50.0});
    for refused in [
        served.get(&format!("/v1/uploads/{id}/clip.wav?start_s=50")),
        served.post("/v1/search", &json!({"like": [example]})),
    ] {
        refused.refused(422, "no_such_stretch");
        let text = refused.text();
        assert!(text.contains("rain drop.ogg") && !text.contains("sonoteca-uploads"), "{text}");
    }
}
