use std::collections::HashMap;

use super::recordings::{FileStamp, KnownFile, NewRecording};
use super::runs::NewRun;
use super::segments::{NewSegment, VectorsOf};
use super::*;
use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::model::{identity_of, registry};
use crate::units::SampleRate;

const STAMP: FileStamp = FileStamp { size_bytes: 1_000, modified_ns: -5 };

pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn add_model(library: &mut Library) -> i64 {
    let card = registry::find("yamnet").unwrap();
    let classes = registry::class_names("yamnet").unwrap();
    let writer = library.begin().unwrap();
    let id = writer.model_id(&identity_of(card), card, &classes).unwrap();
    writer.commit().unwrap();
    id
}

/// Stores a recording of `segments` segments whose vectors are all `value`; returns its id.
pub(super) fn add(
    library: &mut Library,
    path: &Path,
    content: u8,
    segments: usize,
    value: f32,
) -> i64 {
    let model = add_model(library);
    let format = StreamFormat {
        sample_rate: SampleRate::new(44_100).unwrap(),
        channels: 2,
        codec: "flac".to_owned(),
    };
    let vector = vector::encode(&vec![value; 1_024], vector::Precision::Half).unwrap();
    let segment = |index| NewSegment {
        range: TimeRange { start_s: f64::from(index), end_s: f64::from(index) + 1.0 },
        vector: vector.clone(),
        classes: scores::encode(&[(1, 0.5)]),
        health: Health::SOUND,
    };
    let segments: Vec<NewSegment> = (0..10).take(segments).map(segment).collect();
    let writer = library.begin().unwrap();
    let id = writer
        .put_recording(&NewRecording {
            path,
            stamp: STAMP,
            content_hash: [content; 32],
            format: &format,
            duration_s: 10.0,
            integrity: Integrity::Truncated,
        })
        .unwrap();
    let run = writer.begin_run(&NewRun { model, device: "cpu", precision: "f32" }).unwrap();
    let of = VectorsOf { recording: id, model, run };
    writer.put_vectors(of, segments.into_iter().map(Ok), &vector).unwrap();
    writer.put_classes(id, model, &[(3, 0.25), (0, 0.75)]).unwrap();
    writer.commit().unwrap();
    id
}

fn known(library: &Library, model: i64, path: &Path) -> KnownFile {
    worklist::Worklist::new(library, &[model]).unwrap().known(path).unwrap().unwrap()
}

fn count(library: &Library, table: &str) -> i64 {
    library
        .connection
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        .unwrap()
}

#[test]
fn what_is_stored_is_found_after_reopening() {
    let folder = folder();
    let path = folder.path().join("a.db");
    let mut library = Library::open_or_create(&path).unwrap();
    let id = add(&mut library, Path::new("/sounds/a.flac"), 1, 3, 0.5);
    drop(library);

    let library = Library::open(&path).unwrap();
    let recording = library.recording(id).unwrap().unwrap();
    assert_eq!(recording.path, Path::new("/sounds/a.flac"));
    assert_eq!((recording.sample_rate, recording.channels), (44_100, 2));
    assert_eq!((recording.codec.as_str(), recording.status.as_str()), ("flac", "truncated"));
    let model = library.models().unwrap().swap_remove(0);
    assert_eq!((model.recordings, model.segments), (1, 3));
    assert_eq!(library.pooled_vector(id, model.id, 1_024).unwrap().unwrap(), [0.5; 1_024]);
    let classes = library.classes(id, model.id).unwrap();
    assert_eq!(classes[0].name, "Speech");
    assert!((classes[1].score - 0.25).abs() < 1e-9);
    assert!(library.recording(id + 1).unwrap().is_none());
}

#[test]
fn settings_that_no_migration_can_change() {
    let folder = folder();
    let path = folder.path().join("a.db");
    for _ in 0..2 {
        let library = Library::open_or_create(&path).unwrap();
        assert_eq!(library.pragma("page_size").unwrap(), PAGE_BYTES);
        assert_eq!(library.pragma("application_id").unwrap(), APPLICATION_ID);
        assert_eq!(library.pragma("foreign_keys").unwrap(), 1);
        // 2 is FULL: a commit is on the disk when it returns.
        assert_eq!(library.pragma("synchronous").unwrap(), 2);
        let journal: String =
            library.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(journal, "wal");
        let loose: i64 = library
            .connection
            .query_row(
                "SELECT count(*) FROM pragma_table_list
                 WHERE schema = 'main' AND type = 'table' AND NOT strict
                   AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'refinery_%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(loose, 0, "every table of ours is strict");
    }
}

#[test]
fn a_single_segment_s_vector_is_stored_once() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    let id = add(&mut library, Path::new("/a.wav"), 1, 1, 0.25);
    let model = library.models().unwrap()[0].id;
    let stored: i64 = library
        .connection
        .query_row("SELECT count(vector) FROM recording_vectors", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, 0);
    assert_eq!(library.pooled_vector(id, model, 1_024).unwrap().unwrap(), [0.25; 1_024]);
    let mut seen = Vec::new();
    library
        .for_each_recording(model, 1_024, |id, vector| {
            seen.push((id, vector[0]));
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [(id, 0.25)]);
}

#[test]
fn a_changed_file_keeps_its_id_and_loses_its_old_vectors() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    let first = add(&mut library, Path::new("/a.wav"), 1, 4, 0.5);
    let second = add(&mut library, Path::new("/a.wav"), 2, 2, 1.5);
    assert_eq!(first, second);
    assert_eq!(count(&library, "recordings"), 1);
    assert_eq!(count(&library, "segments"), 2);
    let model = library.models().unwrap()[0].id;
    let vector = library.pooled_vector(first, model, 1_024).unwrap().unwrap();
    assert!((vector[0] - 1.5).abs() < 1e-6);
}

#[test]
fn removing_a_recording_removes_all_of_it() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    let id = add(&mut library, Path::new("/a.wav"), 1, 4, 0.5);
    library.connection.execute("DELETE FROM recordings WHERE id = ?1", [id]).unwrap();
    for table in ["segments", "recording_vectors", "recording_classes"] {
        assert_eq!(count(&library, table), 0, "{table}");
    }
    // Ids are not given twice: people write them down.
    assert_ne!(add(&mut library, Path::new("/b.wav"), 1, 1, 0.5), id);
}

#[cfg(unix)]
#[test]
fn paths_are_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    let path = Path::new(std::ffi::OsStr::from_bytes(b"/sounds/caf\xe9 \xff.wav"));
    let id = add(&mut library, path, 1, 1, 0.5);
    assert_eq!(library.recording(id).unwrap().unwrap().path, path);
    let model = library.models().unwrap()[0].id;
    let known = known(&library, model, path);
    assert!(known.indexed.has(0));
    assert_eq!(known.stamp, STAMP);
    assert_eq!(add(&mut library, path, 1, 1, 0.5), id);
}

#[test]
fn nothing_of_a_dropped_transaction_remains() {
    let folder = folder();
    let path = folder.path().join("a.db");
    let mut library = Library::open_or_create(&path).unwrap();
    let id = add(&mut library, Path::new("/a.wav"), 1, 4, 0.5);
    let writer = library.begin().unwrap();
    let of = VectorsOf { recording: id, model: 1, run: 1 };
    writer.put_vectors(of, [], &[]).unwrap_err();
    writer.touch_recording(id, FileStamp { size_bytes: 7, modified_ns: 7 }).unwrap();
    drop(writer);
    assert_eq!(known(&library, 1, Path::new("/a.wav")).stamp, STAMP);
    assert_eq!(count(&library, "segments"), 4);
}

#[test]
fn files_that_are_no_library_are_refused_and_left_alone() {
    let folder = folder();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, and long enough to be one").unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute("CREATE TABLE t (x)", []).unwrap();
    for path in [&text, &foreign] {
        let before = std::fs::read(path).unwrap();
        for opened in [Library::open(path), Library::open_or_create(path)] {
            assert!(matches!(opened.unwrap_err(), Error::NotALibrary { .. }));
        }
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
    let missing = folder.path().join("missing.db");
    assert!(matches!(Library::open(&missing).unwrap_err(), Error::LibraryMissing { .. }));
    assert!(!missing.exists());
}

#[test]
fn a_newer_library_is_refused() {
    let folder = folder();
    let path = folder.path().join("a.db");
    let library = Library::open_or_create(&path).unwrap();
    library
        .connection
        .execute(
            "INSERT INTO refinery_schema_history VALUES (999, 'later', '2030-01-01T00:00:00Z', '1')",
            [],
        )
        .unwrap();
    drop(library);
    match Library::open(&path).unwrap_err() {
        Error::LibraryTooNew { found: 999, known, .. } => {
            assert_eq!(known, migrate::newest_version());
        }
        other => panic!("{other}"),
    }
}

#[test]
fn damaged_vectors_are_an_error_and_no_neighbour() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    add(&mut library, Path::new("/a.wav"), 1, 2, 0.5);
    library.connection.execute("UPDATE segments SET vector = x'0102'", []).unwrap();
    let model = library.models().unwrap()[0].id;
    let error = library.for_each_segment(model, 1_024, |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// `tests/databases/vN.db` was written by the version that introduced schema N.
#[test]
fn libraries_of_every_old_version_open_and_migrate() {
    let databases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/databases");
    let mut expected: HashMap<i32, PathBuf> = (1..=migrate::newest_version())
        .map(|version| (version, databases.join(format!("v{version}.db"))))
        .collect();
    for (version, path) in expected.drain() {
        let folder = folder();
        let copy = folder.path().join("old.db");
        std::fs::copy(&path, &copy).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let library = Library::open(&copy).unwrap();
        assert_eq!(migrate::version(&library).unwrap(), migrate::newest_version());
        let totals = library.totals().unwrap();
        assert_eq!(totals.recordings, 3, "version {version}");
        let model = library.models().unwrap().swap_remove(0);
        let mut vectors = 0;
        library
            .for_each_segment(model.id, model.identity.dimension, |_, _| {
                vectors += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(vectors, model.segments);
        // What came with the fourth version: dates are worked out, words found at first use.
        for id in 1..=3 {
            assert_eq!(library.date(id).unwrap().unwrap().at.len(), 19);
        }
        assert_eq!(library.catch_up_texts().unwrap(), 0);
        assert_eq!(library.recordings_with_word("chirp").unwrap().len(), 3);
        // And with the fifth: heads.
        assert_eq!(library.heads().unwrap().len(), usize::from(version >= 5));
        let check: String =
            library.connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
}

/// A run that stored a dataset said so behind its version until the sixth version.
#[test]
fn runs_that_imported_are_still_known_as_such() {
    let databases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/databases");
    for (version, folders) in [("0.1.0", vec![PathBuf::from("/sounds")]), ("0.1.0 import", vec![])]
    {
        let folder = folder();
        let copy = folder.path().join("old.db");
        std::fs::copy(databases.join("v5.db"), &copy).unwrap();
        let old = Connection::open(&copy).unwrap();
        old.execute("UPDATE runs SET sonoteca_version = ?1", [version]).unwrap();
        drop(old);
        let library = Library::open(&copy).unwrap();
        assert_eq!(library.folders().unwrap(), folders, "{version}");
        let stored: String = library
            .connection
            .query_row("SELECT sonoteca_version FROM runs", [], |row| row.get(0))
            .unwrap();
        assert_eq!(stored, "0.1.0");
    }
}

/// The recordings that have `word`.
fn with_word(library: &Library, word: &str) -> Vec<i64> {
    assert_eq!(library.catch_up_texts().unwrap(), 0);
    let mut found = library.recordings_with_word(word).unwrap();
    found.sort_by_key(|(id, _)| *id);
    assert!(found.iter().all(|(_, weight)| *weight > 0.0), "{found:?}");
    found.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn words_keep_up_with_everything_that_changes() {
    use super::labels::{Judgement, NewLabel};
    use super::metadata::{Change, MetadataValue};

    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    let first = add(&mut library, Path::new("/sounds/GreatTit_07.wav"), 1, 1, 0.5);
    let second = add(&mut library, Path::new("/sounds/gardens/robin.wav"), 2, 1, 0.5);
    assert_eq!(with_word(&library, "tit"), [first]);
    assert_eq!(with_word(&library, "GARDEN"), [second], "an English ending");
    assert_eq!(with_word(&library, "sounds"), [first, second]);
    assert_eq!(with_word(&library, "gre*"), [first]);
    for odd in ["\"", "NEAR(", "path:tit", "a OR b", "^tit", "-", "*", "", "tit AND", "\0", "{}"] {
        with_word(&library, odd);
    }

    let writer = library.begin().unwrap();
    let text = MetadataValue::Text("Böhmerwald".to_owned());
    assert_eq!(writer.put_metadata(first, "site", &text).unwrap(), Change::Added);
    assert_eq!(writer.put_metadata(first, "SITE", &text).unwrap(), Change::None);
    let label = NewLabel {
        recording: second,
        class: "Erithacus rubecula",
        range: None,
        judgement: Judgement::Positive,
        source: "me",
        score: None,
        band_hz: None,
    };
    let id = writer.add_label(&label).unwrap();
    let negative = NewLabel { class: "Owl", judgement: Judgement::Negative, ..label };
    writer.add_label(&negative).unwrap();
    writer.commit().unwrap();
    assert_eq!(with_word(&library, "bohmerwald"), [first]);
    assert_eq!(with_word(&library, "rubecula"), [second]);
    assert!(with_word(&library, "owl").is_empty());
    assert_eq!(library.labels(second).unwrap()[0].class, "Erithacus rubecula");

    // They stay when the file moves and when its content changes.
    let writer = library.begin().unwrap();
    writer.move_recording(first, Path::new("/elsewhere/20240501_063000.wav"), STAMP).unwrap();
    writer.commit().unwrap();
    add(&mut library, Path::new("/elsewhere/20240501_063000.wav"), 9, 1, 0.25);
    assert!(with_word(&library, "tit").is_empty());
    assert_eq!(with_word(&library, "bohmerwald"), [first]);
    assert_eq!(with_word(&library, "elsewhere"), [first]);
    assert_eq!(library.metadata(first).unwrap(), [("site".to_owned(), text)]);

    let writer = library.begin().unwrap();
    assert_eq!(writer.remove_metadata("Site").unwrap(), 1);
    assert!(writer.remove_label(id).unwrap());
    assert!(writer.remove_recording(first).unwrap());
    writer.commit().unwrap();
    assert!(with_word(&library, "bohmerwald").is_empty());
    assert!(with_word(&library, "rubecula").is_empty());
    assert!(with_word(&library, "elsewhere").is_empty());
    for table in ["metadata", "texts_stale"] {
        assert_eq!(count(&library, table), 0, "{table}");
    }
}

#[test]
fn dates_come_from_the_file_then_its_name_then_its_stamp() {
    use crate::dates::{Recorded, WallTime, Witness};

    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    let path = Path::new("/a/20240501_063000.wav");
    let id = add(&mut library, path, 1, 1, 0.5);
    let date = |library: &Library| {
        let date = library.date(id).unwrap().unwrap();
        (date.at, date.from)
    };
    let named = "2024-05-01T06:30:00".to_owned();
    // As in a library of an older version.
    assert_eq!(date(&library), (named.clone(), None));
    let put = |library: &mut Library, path: &Path, recorded| {
        let writer = library.begin().unwrap();
        writer.put_recorded(id, path, recorded).unwrap();
        writer.commit().unwrap();
    };
    let rename = |library: &mut Library, path: &str| {
        let writer = library.begin().unwrap();
        writer.move_recording(id, Path::new(path), STAMP).unwrap();
        writer.commit().unwrap();
    };
    put(&mut library, path, None);
    assert_eq!(date(&library), (named.clone(), Some("name".to_owned())));
    rename(&mut library, "/a/robin.wav");
    assert_eq!(date(&library), (named, Some("name".to_owned())), "a name takes no date away");
    rename(&mut library, "/a/20230102.wav");
    assert_eq!(date(&library).0, "2023-01-02T00:00:00");
    let at = WallTime::parse("2001-02-03T04:05:06").unwrap();
    put(&mut library, path, Some(Recorded { at, from: Witness::Guano }));
    rename(&mut library, "/a/20220102.wav");
    assert_eq!(date(&library), ("2001-02-03T04:05:06".to_owned(), Some("guano".to_owned())));
    let other = add(&mut library, Path::new("/a/b.wav"), 3, 1, 0.5);
    let stamp = WallTime::of_stamp(STAMP.modified_ns).unwrap().to_string();
    assert_eq!(library.date(other).unwrap().unwrap().at, stamp);
}
