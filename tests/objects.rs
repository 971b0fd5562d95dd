//! Recordings on object storage: a server that speaks S3 (`moto` of `PyPI`), and one of our own that
//! says what it was asked for and fails on purpose.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "common/bench.rs"]
mod bench;
mod common;

#[path = "objects/moto.rs"]
mod moto;
#[path = "objects/web.rs"]
mod web;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bench::{Answer, Bench};
use serde_json::Value;

use moto::Moto;
use web::Web;

/// A little more than a range, so that there are two.
const LONG_S: u32 = 200;

/// Sounds of which one is fetched in two ranges, and one that is no sound.
fn sounds() -> Bench {
    let bench = Bench::with_sounds();
    let mut state = 5_u32;
    let long = (0..22_050 * LONG_S).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state) / f64::from(u32::MAX) * 0.6 - 0.3
    });
    bench.wav("sounds/long.wav", long);
    fs::write(bench.path("sounds/broken.wav"), b"RIFF....WAVEnothing").unwrap();
    assert!(fs::metadata(bench.path("sounds/long.wav")).unwrap().len() > 8 << 20);
    bench
}

/// Where copies lie, which other tests have theirs not in.
fn temporary(bench: &Bench) -> PathBuf {
    let folder = bench.path("temporary");
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn extract(bench: &Bench, list: &[String], environment: &[(&str, &str)], code: i32) -> Vec<Value> {
    fs::write(bench.path("list"), list.join("\n")).unwrap();
    let output = bench
        .command()
        .args(["extract", "--manifest", "list", "--out", "-"])
        .env("TMPDIR", temporary(bench))
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Answer::of(&output).expect(code).json()
}

/// What the lines say of each file, by its name, without where it lies.
fn by_name(lines: &[Value]) -> BTreeMap<String, Vec<Value>> {
    let mut found = BTreeMap::<String, Vec<Value>>::new();
    for line in lines {
        let mut line = line.as_object().unwrap().clone();
        let path = line.remove("path").unwrap();
        line.remove("modified_ns");
        let name = path.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        found.entry(name).or_default().push(Value::Object(line));
    }
    found
}

const NAMES: [&str; 3] = ["tone-0.wav", "long.wav", "broken.wav"];

/// What extracting the files themselves says.
fn local(bench: &Bench) -> BTreeMap<String, Vec<Value>> {
    let list: Vec<String> = NAMES.iter().map(|name| format!("sounds/{name}")).collect();
    by_name(&extract(bench, &list, &[], 2))
}

#[test]
fn what_lies_in_a_bucket_is_what_lies_in_a_folder() {
    let bench = sounds();
    let Some(moto) = Moto::start() else { return };
    moto.make_bucket("sounds");
    for name in NAMES {
        moto.put(
            &format!("sounds/deep folder/{name}"),
            &fs::read(bench.path("sounds").join(name)).unwrap(),
        );
    }
    let list: Vec<String> = NAMES
        .iter()
        .chain(&["gone.wav"])
        .map(|name| format!("s3://sounds/deep%20folder/{name}"))
        .collect();
    let address = moto.address();
    let environment = [
        ("AWS_ENDPOINT_URL", address.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
    ];
    let mut found = by_name(&extract(&bench, &list, &environment, 2));
    let gone = found.remove("gone.wav").unwrap();
    assert_eq!(
        (gone[0]["kind"].as_str(), gone[0]["stage"].as_str()),
        (Some("failure"), Some("fetch"))
    );
    assert_eq!(found, local(&bench));
}

fn addresses(web: &Web) -> Vec<String> {
    NAMES.iter().map(|name| format!("http://{}/{name}", web.address)).collect()
}

#[test]
fn ranges_are_asked_for_again_and_are_of_one_version() {
    let bench = sounds();
    let web = Web::start(bench.path("sounds"));
    let list = addresses(&web);
    let found = by_name(&extract(&bench, &list, &[], 2));
    assert_eq!(found, local(&bench));
    let ranges = web.ranges("long.wav");
    let length = fs::metadata(bench.path("sounds/long.wav")).unwrap().len();
    // The first answer was cut off in the middle: what was missing was asked for again, and no more.
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert_eq!(ranges[0], format!("bytes=0-{}", (8 << 20) - 1));
    let rest = ranges[1].strip_suffix(&format!("-{}", (8 << 20) - 1)).unwrap();
    let start: u64 = rest.strip_prefix("bytes=").unwrap().parse().unwrap();
    assert!((1..8 << 20).contains(&start), "{ranges:?}");
    assert_eq!(ranges[2], format!("bytes={}-{}", 8 << 20, length - 1));
    // A file is left behind by none of it.
    let left = fs::read_dir(temporary(&bench)).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")), "{left:?}");

    // The same of a server that tells versions by their time only: of an answer that breaks off,
    // nothing says of which version its beginning was.
    web.take_tag_of("long.wav");
    let untagged = by_name(&extract(&bench, &list[1..2], &[], 0));
    assert_eq!(untagged["long.wav"], found["long.wav"]);
    let asked = web.ranges("long.wav");
    assert_eq!(asked, [&ranges[0], &ranges[0], &ranges[2]].map(String::clone));

    let changed = |web: &Web| {
        web.change_in_the_middle("long.wav");
        let lines = extract(&bench, &addresses(web)[1..2], &[], 2);
        assert_eq!(lines[0]["kind"], "failure");
        let reason = lines[0]["reason"].as_str().unwrap();
        assert!(reason.contains("was changed while"), "{reason}");
    };
    changed(&web);
    changed(&Web::start(bench.path("sounds")));
    // What would be fetched under another's name is refused.
    for (address, reason) in [("get?id=1", "%3F"), ("tone-0.wav#2", "%23")] {
        let lines = extract(&bench, &[format!("http://{}/{address}", web.address)], &[], 2);
        assert!(lines[0]["reason"].as_str().unwrap().contains(reason), "{}", lines[0]);
    }
    let lines = extract(&bench, &[format!("http://a:secret@{}/tone-0.wav", web.address)], &[], 2);
    assert_eq!(lines[0]["path"], format!("http://{}/tone-0.wav", web.address));
    assert!(!lines[0].to_string().contains("secret"), "{}", lines[0]);
    let lines = extract(&bench, &["ftp://host/a.wav".to_owned()], &[], 2);
    let reason = lines[0]["reason"].as_str().unwrap();
    assert!(reason.contains("`ftp` is no store"), "{reason}");
}
