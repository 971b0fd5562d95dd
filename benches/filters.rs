//! Filters and words over 100,000 recordings of one segment each, with vectors like YAMNet's
//! (1,024 values, three quarters of them zeros), made here from fixed seeds; ids
//! `filters/case/100000`. Measured is what a search does before it compares vectors: from a
//! filter's text to ids, and from words to hits. Not measured: opening the library.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::path::Path;
use std::sync::LazyLock;

use divan::Bencher;
use sonoteca::audio::decode::{Integrity, StreamFormat};
use sonoteca::audio::health::Health;
use sonoteca::audio::segment::TimeRange;
use sonoteca::filter::Filter;

use sonoteca::model::{identity_of, registry};
use sonoteca::search::{Among, Level, SearchOptions, choose_model};
use sonoteca::store::metadata::MetadataValue;
use sonoteca::store::recordings::{FileStamp, NewRecording};
use sonoteca::store::runs::NewRun;
use sonoteca::store::segments::{NewSegment, VectorsOf};
use sonoteca::store::vector::{Precision, encode};
use sonoteca::store::{Library, scores};
use sonoteca::units::SampleRate;

const RECORDINGS: u32 = 100_000;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    build(&folder.path().join("a.db"));
    folder
});

fn main() {
    divan::main();
    // A static is not dropped.
    std::fs::remove_dir_all(FOLDER.path()).unwrap();
}

/// A number that looks random and is not.
fn mixed(index: u32, salt: u32) -> u32 {
    let mixed = (index ^ salt.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35) ^ (mixed >> 16)
}

fn fraction(index: u32, salt: u32) -> f32 {
    (mixed(index, salt) >> 8) as f32 / 16_777_216.0
}

fn build(path: &Path) {
    let mut library = Library::open_or_create(path).unwrap();
    let card = registry::find("yamnet").unwrap();
    let classes = registry::class_names("yamnet").unwrap();
    let format = StreamFormat {
        sample_rate: SampleRate::new(44_100).unwrap(),
        channels: 1,
        codec: "vorbis".to_owned(),
    };
    let writer = library.begin().unwrap();
    let model = writer.model_id(&identity_of(card), card, &classes).unwrap();
    let run = writer.begin_run(&NewRun { model, device: "cpu", precision: "f32" }).unwrap();
    writer.commit().unwrap();
    for batch in 0..RECORDINGS / 1_000 {
        let writer = library.begin().unwrap();
        for index in batch * 1_000..(batch + 1) * 1_000 {
            let place = ["birds", "dogs", "rain", "street"][index as usize % 4];
            let path = format!("/archive/recordings/{place}/take_{index:06}.ogg");
            let id = writer
                .put_recording(&NewRecording {
                    path: Path::new(&path),
                    stamp: FileStamp { size_bytes: 1, modified_ns: i64::from(index) << 44 },
                    content_hash: [0; 32],
                    format: &format,
                    duration_s: 0.5 + 10.0 * f64::from(fraction(index, 1)),
                    integrity: Integrity::Ok,
                })
                .unwrap();
            let values: Vec<f32> = (0..1_024)
                .map(|value| fraction(index * 1_024 + value, 2))
                .map(|value| if value < 0.25 { value + 0.01 } else { 0.0 })
                .collect();
            let vector = encode(&values, Precision::Half).unwrap();
            let class = |rank: u32| (mixed(index, rank) % 521) as usize;
            let scored: Vec<(usize, f32)> =
                (3..13).map(|rank| (class(rank), fraction(index, rank + 20))).collect();
            let segment = NewSegment {
                range: TimeRange { start_s: 0.0, end_s: 0.5 },
                vector: vector.clone(),
                classes: scores::encode(&scored[..5]),
                health: Health::SOUND,
            };
            let of = VectorsOf { recording: id, model, run };
            writer.put_vectors(of, [Ok(segment)], &vector).unwrap();
            let mut stored = scored.clone();
            stored.sort_by_key(|(class, _)| *class);
            stored.dedup_by_key(|(class, _)| *class);
            writer.put_classes(id, model, &stored).unwrap();
            let site = MetadataValue::Text(["north", "south"][index as usize % 2].to_owned());
            writer.put_metadata(id, "site", &site).unwrap();
            let uniform = MetadataValue::Real(f64::from(fraction(index, 50)));
            writer.put_metadata(id, "u", &uniform).unwrap();
        }
        writer.commit().unwrap();
    }
    library.catch_up_texts().unwrap();
    library.checkpoint().unwrap();
}

fn open() -> (Library, i64) {
    let library = Library::open(&FOLDER.path().join("a.db")).unwrap();
    let model = choose_model(&library, None).unwrap().id;
    (library, model)
}

const FILTERS: [&str; 12] = [
    "id > 0",
    "path ~ \"*/birds/*\"",
    "name ~ \"*7.ogg\"",
    "duration < 5",
    "date >= 2000",
    "site = north",
    "u < 0.5",
    "u < 0.01",
    "u < 0.0001",
    "class(\"Bird\") > 0.3",
    "path ~ \"*/birds/*\" and duration < 5 and class(\"Bird\") > 0.3",
    "not (site = north or class(\"Dog\") > 0.5)",
];

#[divan::bench(args = FILTERS, sample_count = 20)]
fn recordings(bencher: Bencher<'_, '_>, text: &str) {
    let (library, model) = open();
    let filter = Filter::parse(text).unwrap();
    bencher.bench_local(|| library.passing(&filter, model, Level::Recording).unwrap());
}

#[divan::bench(args = &FILTERS[9..], sample_count = 20)]
fn segments(bencher: Bencher<'_, '_>, text: &str) {
    let (library, model) = open();
    let filter = Filter::parse(text).unwrap();
    bencher.bench_local(|| library.passing(&filter, model, Level::Segment).unwrap());
}

#[divan::bench(args = ["dog", "birds", "take ogg", "north 004211"], sample_count = 10)]
fn words(bencher: Bencher<'_, '_>, text: &str) {
    let (library, _) = open();
    let model = choose_model(&library, None).unwrap();
    let level = Level::Recording;
    let options = SearchOptions::default();
    let among = Among { library: &library, model: &model, level, options };
    bencher.bench_local(|| among.by_text(text).unwrap());
}

#[divan::bench(args = ["recording", "segment"], sample_count = 10)]
fn class(bencher: Bencher<'_, '_>, level: &str) {
    let (library, _) = open();
    let model = choose_model(&library, None).unwrap();
    let level = if level == "segment" { Level::Segment } else { Level::Recording };
    let options = SearchOptions::default();
    let among = Among { library: &library, model: &model, level, options };
    bencher.bench_local(|| among.by_class("Dog").unwrap());
}
