use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::*;
use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::dates::{Recorded, WallTime, Witness};
use crate::model::{ModelIdentity, registry};
use crate::store::labels::{Judgement, NewLabel};
use crate::store::metadata::MetadataValue;
use crate::store::recordings::{FileStamp, NewRecording};
use crate::store::runs::NewRun;
use crate::store::scores;
use crate::store::segments::{NewSegment, VectorsOf};
use crate::store::vector::{Precision, encode};
use crate::units::SampleRate;

const RECORDINGS: usize = 10_000;

/// Vorbis, FLAC and PCM.
const CODECS: [&str; 3] = ["vorbis", "flac", "pcm_s16le"];

/// What the test knows of a recording, beside the library.
struct Known {
    id: i64,
    path: PathBuf,
    duration_s: f64,
    rate: u32,
    channels: u16,
    codec: &'static str,
    damaged: bool,
    date: String,
    /// Of the first second only, where it is a stretch.
    label: Option<(&'static str, bool)>,
    site: Option<&'static str>,
    uniform: f64,
    score: f64,
    /// Ids and scores of class 1, of the seconds.
    segments: Vec<(i64, f64)>,
}

impl Known {
    fn name(&self) -> &str {
        self.path.file_name().unwrap().to_str().unwrap_or("not UTF-8")
    }
}

/// A fraction that looks random and is not.
fn fraction(index: usize, salt: usize) -> f64 {
    let mixed = (index * 2_654_435_761 + salt * 40_503 + 12_345) % 1_000_003;
    mixed as f64 / 1_000_003.0
}

fn score_stored(score: f64) -> f64 {
    (score * 65_535.0).round() / 65_535.0
}

/// The same library for every test: it takes longer to make than to ask.
static LIBRARY: LazyLock<(tempfile::TempDir, i64, Vec<Known>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let (model, all) = make(&folder.path().join("a.db"));
    (folder, model, all)
});

fn library() -> (Library, i64, &'static [Known]) {
    let (folder, model, all) = &*LIBRARY;
    (Library::open(&folder.path().join("a.db")).unwrap(), *model, all)
}

#[expect(clippy::too_many_lines, reason = "one library, made step by step")]
fn make(path: &Path) -> (i64, Vec<Known>) {
    let mut library = Library::open_or_create(path).unwrap();
    let card = registry::find("yamnet").unwrap();
    let identity = ModelIdentity {
        name: "yamnet".to_owned(),
        weights_sha256: [7; 32],
        front_end_version: 1,
        dimension: 3,
    };
    let writer = library.begin().unwrap();
    let classes = ["Speech", "Bird", "Dog"].map(str::to_owned);
    let model = writer.model_id(&identity, card, &classes).unwrap();
    let run = writer.begin_run(&NewRun { model, device: "cpu", precision: "f32" }).unwrap();
    let vector = encode(&[1.0, 0.0, 0.5], Precision::Half).unwrap();
    let mut all: Vec<Known> = (0..RECORDINGS)
        .map(|index| {
            let folder = ["birds", "dogs/Big", "rain"][index % 3];
            let mut path = format!("/data/{folder}/take {index:05}.wav").into_bytes();
            if index % 100 == 7 {
                path.extend(b"-\xff\xfe.wav");
            }
            Known {
                id: 0,
                path: PathBuf::from(std::ffi::OsStr::from_bytes(&path)),
                duration_s: 0.5 + 20.0 * fraction(index, 1),
                rate: [16_000, 44_100][index % 2],
                channels: [1, 2][(index / 2) % 2],
                codec: CODECS[index % 3],
                damaged: index % 50 == 3,
                date: format!("20{:02}-{:02}-15T06:30:00", 10 + index % 15, 1 + index % 12),
                label: match index % 10 {
                    1 => Some(("Bird", false)),
                    2 => Some(("bird", true)),
                    3 => Some(("Frog", false)),
                    _ => None,
                },
                site: [Some("north"), Some("South 1"), None][index % 3],
                uniform: fraction(index, 2),
                score: fraction(index, 3),
                segments: vec![(0, fraction(index, 4)), (0, fraction(index, 5))],
            }
        })
        .collect();
    for known in &mut all {
        let format = StreamFormat {
            sample_rate: SampleRate::new(known.rate).unwrap(),
            channels: known.channels,
            codec: known.codec.to_owned(),
        };
        let id = writer
            .put_recording(&NewRecording {
                path: &known.path,
                stamp: FileStamp { size_bytes: 1, modified_ns: 1_700_000_000_000_000_000 },
                content_hash: [1; 32],
                format: &format,
                duration_s: known.duration_s,
                integrity: if known.damaged { Integrity::Damaged } else { Integrity::Ok },
            })
            .unwrap();
        known.id = id;
        let at = WallTime::parse(&known.date).unwrap();
        writer.put_recorded(id, &known.path, Some(Recorded { at, from: Witness::Bext })).unwrap();
        let segments = known.segments.iter().enumerate().map(|(second, (_, score))| {
            #[expect(clippy::cast_possible_truncation, reason = "as the network says it")]
            let classes = scores::encode(&[(1, *score as f32)]);
            Ok(NewSegment {
                range: TimeRange { start_s: second as f64, end_s: second as f64 + 1.0 },
                vector: vector.clone(),
                classes,
                health: Health::SOUND,
            })
        });
        writer.put_vectors(VectorsOf { recording: id, model, run }, segments, &vector).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "as the network says it")]
        writer.put_classes(id, model, &[(1, known.score as f32)]).unwrap();
        if let Some((class, stretch)) = known.label {
            let range = stretch.then_some(TimeRange { start_s: 0.0, end_s: 0.9 });
            let judgement = Judgement::Positive;
            let label = NewLabel {
                recording: id,
                class,
                range,
                judgement,
                source: "test",
                score: None,
                band_hz: None,
            };
            writer.add_label(&label).unwrap();
            // What is not there does not count.
            let judgement = Judgement::Negative;
            let label = NewLabel { class: "Cow", judgement, ..label };
            writer.add_label(&label).unwrap();
        }
        if let Some(site) = known.site {
            writer.put_metadata(id, "Site", &MetadataValue::Text(site.to_owned())).unwrap();
        }
        let value = MetadataValue::Real(known.uniform);
        writer.put_metadata(id, "odd name", &value).unwrap();
    }
    writer.commit().unwrap();
    for known in &mut all {
        let mut ids = library.segment_ids(known.id, model).unwrap();
        ids.sort_unstable();
        for (segment, id) in known.segments.iter_mut().zip(ids) {
            segment.0 = id;
        }
    }
    (model, all)
}

fn recordings(library: &Library, model: i64, text: &str) -> Vec<i64> {
    let filter = Filter::parse(text).unwrap();
    match library.passing(&filter, model, Level::Recording) {
        Ok(Passing::Recordings(ids)) => ids,
        other => panic!("{text}: {other:?}"),
    }
}

fn error(library: &Library, model: i64, text: &str) -> String {
    let filter = Filter::parse(text).unwrap();
    let error = library.passing(&filter, model, Level::Recording).unwrap_err();
    format!("{error}\nhint: {}", error.hint().unwrap_or_default())
}

type Test = (&'static str, fn(&Known) -> bool);
/// Of a segment: its recording, its second, its score.
type SegmentTest = (&'static str, fn(&Known, usize, f64) -> bool);

#[test]
fn every_field_passes_what_it_should() {
    let (library, model, all) = library();
    let tests: Vec<Test> = vec![
        ("path ~ \"*/birds/*\"", |r| r.path.starts_with("/data/birds")),
        ("path ~ '/data/*/take*'", |_| true),
        ("path !~ '*birds*'", |r| !r.path.starts_with("/data/birds")),
        ("path = '/data/birds/take 00003.wav'", |r| {
            r.path == Path::new("/data/birds/take 00003.wav")
        }),
        ("name ~ 'take 0000?.wav'", |r| r.name().starts_with("take 0000") && r.name().len() == 14),
        ("name ~ '*[0-4].wav'", |r| {
            r.name()
                .strip_suffix(".wav")
                .is_some_and(|name| name.ends_with(['0', '1', '2', '3', '4']))
        }),
        ("name ~ '*[!0-9].wav'", |r| r.path.as_os_str().as_bytes().ends_with(b"\xfe.wav")),
        ("name in ('take 00000.wav', 'take 00001.wav')", |r| {
            ["take 00000.wav", "take 00001.wav"].contains(&r.name())
        }),
        ("name ~ 'TAKE*'", |_| false),
        ("folder = '/data/dogs/Big'", |r| r.path.starts_with("/data/dogs/Big")),
        ("folder = '/data'", |_| false),
        ("folder ~ '*/rain'", |r| r.path.starts_with("/data/rain")),
        ("duration < 5", |r| r.duration_s < 5.0),
        ("duration >= 10s and duration <= 15s", |r| (10.0..=15.0).contains(&r.duration_s)),
        ("not duration > 5", |r| r.duration_s <= 5.0),
        ("rate = 44.1kHz", |r| r.rate == 44_100),
        ("channels != 2", |r| r.channels == 1),
        ("codec = FLAC", |r| r.codec == "flac"),
        ("codec ~ 'pcm_*' or codec in (vorbis)", |r| r.codec != "flac"),
        ("status = damaged", |r| r.damaged),
        ("status != ok", |r| r.damaged),
        ("id in (3, 7, 10000, 10001)", |r| [3, 7, 10_000].contains(&r.id)),
        ("date = 2015-06", |r| r.date.starts_with("2015-06")),
        ("date < 2012", |r| r.date.as_str() < "2012"),
        ("date > 2012", |r| r.date.as_str() >= "2013"),
        ("date >= 2012-06-15 and date <= 2012-06-15T06:30", |r| r.date.starts_with("2012-06-15")),
        ("date in (2011, 2013-02)", |r| {
            r.date.starts_with("2011") || r.date.starts_with("2013-02")
        }),
        ("date != 2011", |r| !r.date.starts_with("2011")),
        ("label = \"BIRD\"", |r| r.label.is_some_and(|(label, _)| label != "Frog")),
        ("label != 'Bird'", |r| r.label.is_none_or(|(label, _)| label == "Frog")),
        ("label ~ 'F*'", |r| r.label.is_some_and(|(label, _)| label == "Frog")),
        ("label = 'Cow'", |_| false),
        ("exists label", |r| r.label.is_some()),
        ("label in (frog, cow)", |r| r.label.is_some_and(|(label, _)| label == "Frog")),
        ("class(\"bird\") > 0.3", |r| r.score > 0.3),
        ("class(\"Dog\") = 0", |_| true),
        ("class(\"Dog\") > 0", |_| false),
        ("site = 'north'", |r| r.site == Some("north")),
        ("site != 'north'", |r| r.site != Some("north")),
        ("SITE ~ 'S*1'", |r| r.site == Some("South 1")),
        ("site !~ 'S*1'", |r| r.site != Some("South 1")),
        ("exists site", |r| r.site.is_some()),
        ("not exists(site)", |r| r.site.is_none()),
        ("site in ('north', x)", |r| r.site == Some("north")),
        ("site > 3 or site <= 3", |_| false),
        ("site >= 'o'", |_| false),
        ("site < 'o'", |r| r.site.is_some()),
        ("meta('odd name') < 0.25", |r| r.uniform < 0.25),
        ("site = north and (duration < 3 or class(Bird) > 0.9) and not status = damaged", |r| {
            r.site == Some("north") && (r.duration_s < 3.0 || r.score > 0.9) && !r.damaged
        }),
    ];
    for (text, wanted) in tests {
        let expected: Vec<i64> = all.iter().filter(|known| wanted(known)).map(|r| r.id).collect();
        assert_eq!(recordings(&library, model, text), expected, "{text}");
        // The same recordings among segments, where nothing differs between those.
        let filter = Filter::parse(text).unwrap();
        if !text.contains("class(") && !text.contains("label") {
            let passing = library.passing(&filter, model, Level::Segment).unwrap();
            assert_eq!(passing, Passing::Recordings(expected), "{text}");
        }
    }
}

/// As many values as a filter may have: SQLite takes expressions 1,000 deep.
#[test]
fn lists_may_be_long() {
    let (library, model, all) = library();
    let passing = |wanted: &dyn Fn(&Known) -> bool| -> Vec<i64> {
        all.iter().filter(|known| wanted(known)).map(|known| known.id).collect()
    };
    let list = |value: &dyn Fn(usize) -> String| -> String {
        (0..9_990).map(value).collect::<Vec<_>>().join(", ")
    };
    let found = |text: String| recordings(&library, model, &text);
    let texts = list(&|n| format!("'x{n}'"));
    assert_eq!(
        found(format!("site in ({texts}, north)")),
        passing(&|known| known.site == Some("north"))
    );
    let numbers = list(&|n| format!("{}", n + 2));
    let first = all[0].uniform;
    assert_eq!(
        found(format!("meta('odd name') in ({numbers}, {first})")),
        passing(&|known| known.uniform.to_bits() == first.to_bits())
    );
    // Of all three kinds, and negated.
    assert_eq!(
        found(format!("site not in ({numbers}, north, 2024-05-01)")),
        passing(&|known| known.site != Some("north"))
    );
    // Every other minute of two weeks.
    let minutes =
        list(&|n| format!("2012-06-{:02}T{:02}:{:02}", 10 + n / 720, n / 30 % 24, n % 30 * 2));
    let expected = passing(&|known| known.date == "2012-06-15T06:30:00");
    assert!(!expected.is_empty());
    assert_eq!(found(format!("date in ({minutes})")), expected);
    assert_eq!(found(format!("site in ({minutes})")), Vec::<i64>::new());
}

#[test]
fn segments_pass_by_their_own_scores_and_labels() {
    let (library, model, all) = library();
    let tests: Vec<SegmentTest> = vec![
        ("class(Bird) > 0.5", |_, _, score| score > 0.5),
        ("class(Bird) >= 0.999", |_, _, score| score >= 0.999),
        ("class(Bird) < 0.1 and path ~ '*/birds/*'", |r, _, score| {
            score < 0.1 && r.path.starts_with("/data/birds")
        }),
        ("class(Bird) < 0.1 or site = north", |r, _, score| score < 0.1 || r.site == Some("north")),
        ("not (class(Bird) < 0.5 or duration > 5)", |r, _, score| {
            score >= 0.5 && r.duration_s <= 5.0
        }),
        ("label = bird", |r, second, _| {
            r.label.is_some_and(|(label, stretch)| label != "Frog" && (!stretch || second == 0))
        }),
        ("label != bird and class(Bird) > 0.9", |r, second, score| {
            score > 0.9
                && r.label.is_none_or(|(label, stretch)| label == "Frog" || stretch && second == 1)
        }),
    ];
    for (text, wanted) in tests {
        let filter = Filter::parse(text).unwrap();
        let mut expected: Vec<i64> = Vec::new();
        for known in all {
            for (second, (id, score)) in known.segments.iter().enumerate() {
                expected.extend(wanted(known, second, score_stored(*score)).then_some(*id));
            }
        }
        expected.sort_unstable();
        let passing = library.passing(&filter, model, Level::Segment).unwrap();
        assert_eq!(passing, Passing::Segments(expected), "{text}");
    }
}

#[test]
fn filters_of_any_selectivity_pass_exactly_what_they_should() {
    let (library, model, all) = library();
    for share in [0.5, 0.1, 0.01, 0.001, 0.000_1] {
        let text = format!("meta(\"odd name\") < {share}");
        let expected: Vec<i64> =
            all.iter().filter(|known| known.uniform < share).map(|known| known.id).collect();
        assert_eq!(recordings(&library, model, &text), expected);
        let least = 1.0 - share;
        let filter = Filter::parse(&format!("class(Bird) >= {least}")).unwrap();
        let mut expected: Vec<i64> = all
            .iter()
            .flat_map(|known| &known.segments)
            .filter(|(_, score)| score_stored(*score) >= least)
            .map(|(id, _)| *id)
            .collect();
        expected.sort_unstable();
        let passing = library.passing(&filter, model, Level::Segment).unwrap();
        assert_eq!(passing, Passing::Segments(expected), "{least}");
    }
}

#[test]
fn unknown_names_are_errors_with_the_nearest_ones() {
    let (library, model, _) = library();
    for (text, shown) in [
        (
            "class(\"Brid\") > 0.3",
            "the filter, character 7: the model knows no class called `Brid`
  class(\"Brid\") > 0.3
        ^^^^^^
hint: did you mean Bird?",
        ),
        (
            "duration < 5 and stie = north",
            "the filter, character 18: no field is called `stie`, and no recording has such metadata
  duration < 5 and stie = north
                   ^^^^
hint: did you mean Site?",
        ),
        (
            "length < 5",
            "the filter, character 1: no field is called `length`, and no recording has such metadata
  length < 5
  ^^^^^^
hint: did you mean duration?",
        ),
        (
            "meta('nothing like it') = 1",
            "the filter, character 6: no field is called `nothing like it`, and no recording has such metadata
  meta('nothing like it') = 1
       ^^^^^^^^^^^^^^^^^
hint: sonoteca metadata list",
        ),
    ] {
        assert_eq!(error(&library, model, text), shown);
    }
}

#[test]
fn what_people_write_is_never_sql() {
    let (library, model, _) = library();
    for text in [
        "name = \"x' OR 1=1 --\"",
        "site ~ \"'; DROP TABLE recordings; *\"",
        "label in (\"a\\\" OR 1\", 'b)')",
    ] {
        assert!(recordings(&library, model, text).is_empty(), "{text}");
    }
    let many: Vec<String> = (1..=9_999).map(|id| id.to_string()).collect();
    let text = format!("id in ({})", many.join(","));
    assert_eq!(recordings(&library, model, &text).len(), 9_999);
    let deep = format!("{}id = 1{}", "not (".repeat(45), ")".repeat(45));
    assert_eq!(recordings(&library, model, &deep).len(), RECORDINGS - 1);
    let long = vec!["exists site"; 400].join(" and ");
    assert_eq!(recordings(&library, model, &long).len(), 6_667);
}
