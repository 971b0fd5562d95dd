use std::ops::ControlFlow;
use std::path::Path;

use super::*;
use crate::store::segments::Level;
use crate::store::tests::{add, folder};

fn ids(library: &Library) -> Vec<i64> {
    let mut ids = Vec::new();
    library
        .for_each_segment(1, 1_024, |id, _| {
            ids.push(id);
            Ok(())
        })
        .unwrap();
    ids
}

#[test]
fn segments_never_get_an_id_twice_and_a_recording_s_follow_each_other() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    let first = add(&mut library, Path::new("/a.wav"), 1, 3, 0.5);
    assert_eq!(ids(&library), [1, 2, 3]);
    library.connection.execute("DELETE FROM recordings WHERE id = ?1", [first]).unwrap();
    add(&mut library, Path::new("/b.wav"), 1, 2, 0.5);
    assert_eq!(ids(&library), [4, 5]);
    // The same path with another content: a new key.
    add(&mut library, Path::new("/b.wav"), 2, 1, 0.5);
    assert_eq!(ids(&library), [6]);
    assert_eq!(library.last_segment().unwrap(), 6);
    let mut keys = Vec::new();
    library
        .for_each_searched(1, Level::Recording, 1_024, |key, _| {
            keys.push(key.segment);
            Ok(())
        })
        .unwrap();
    assert_eq!(keys, [6]);
}

#[test]
fn who_breaks_off_reads_no_more() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    add(&mut library, Path::new("/a.wav"), 1, 3, 0.5);
    // What is behind is not even looked at: this is no vector.
    library.connection.execute("UPDATE segments SET vector = x'00' WHERE id = 3", []).unwrap();
    let read = |last: i64| {
        let mut keys = Vec::new();
        let visited = library.for_each_searched_after(0, 1, Level::Segment, 1_024, |key, _| {
            keys.push(key.segment);
            let flow =
                if key.segment < last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
            Ok(flow)
        });
        visited.map(|()| keys)
    };
    assert_eq!(read(2).unwrap(), [1, 2]);
    assert!(read(3).is_err());
}

#[test]
fn every_way_to_remove_is_noted() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    assert_eq!(library.last_change().unwrap(), None);
    for (index, path) in (1..).zip(["/x/a.wav", "/b.wav", "/c.wav", "/d.wav", "/e.wav"]) {
        add(&mut library, Path::new(path), index, 2, 0.5);
    }
    let mark = library.last_change().unwrap().unwrap();
    assert!(library.removed_since(1, 0).unwrap().is_empty());

    let writer = library.begin().unwrap();
    writer.remove_recordings_below(Path::new("/x")).unwrap();
    writer.remove_recording(2).unwrap();
    writer.commit().unwrap();
    library.connection.execute("DELETE FROM recordings WHERE path = '/c.wav'", []).unwrap();
    // Another content, and another path for the same.
    add(&mut library, Path::new("/d.wav"), 9, 1, 0.5);
    let removed = library.removed_since(1, mark.serial).unwrap();
    assert_eq!(removed, [1..=2, 3..=4, 5..=6, 7..=8]);
    assert!(library.removed_since(2, mark.serial).unwrap().is_empty(), "of another model");
    let stamp = crate::store::recordings::FileStamp { size_bytes: 1, modified_ns: 1 };
    let writer = library.begin().unwrap();
    writer.move_recording(4, Path::new("/e.wav"), stamp).unwrap();
    writer.commit().unwrap();
    assert_eq!(library.removed_since(1, mark.serial).unwrap()[4..], [9..=10]);

    assert!(library.has_change(mark).unwrap());
    let other = ChangeMark { nonce: [0; 8], ..mark };
    assert!(!library.has_change(other).unwrap(), "a copy that went another way");
    // The whole model, by hand.
    library.connection.execute("DELETE FROM models", []).unwrap();
    assert_eq!(library.removed_since(1, mark.serial).unwrap()[5..], [11..=11]);
}

#[test]
fn a_change_by_hand_ends_the_history() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    add(&mut library, Path::new("/a.wav"), 1, 3, 0.5);
    for sql in [
        "UPDATE segments SET health = 1 WHERE id = 2",
        "UPDATE segments SET vector = (SELECT vector FROM segments WHERE id = 1)",
        "UPDATE recording_vectors SET vector = (SELECT vector FROM segments WHERE id = 1)",
    ] {
        let mark = library.last_change().unwrap().unwrap();
        library.connection.execute(sql, []).unwrap();
        assert!(!library.has_change(mark).unwrap(), "{sql}");
    }
    // What is no vector ends nothing.
    let mark = library.last_change().unwrap().unwrap();
    library.connection.execute("DELETE FROM runs", []).unwrap();
    library.connection.execute("UPDATE segments SET classes = NULL", []).unwrap();
    assert!(library.has_change(mark).unwrap());
}

#[test]
fn one_moment_is_read_though_others_write() {
    let folder = folder();
    let path = folder.path().join("a.db");
    let mut library = Library::open_or_create(&path).unwrap();
    add(&mut library, Path::new("/a.wav"), 1, 3, 0.5);
    let reader = Library::open(&path).unwrap();
    reader
        .at_one_moment(|| {
            let before = reader.last_change()?;
            add(&mut library, Path::new("/b.wav"), 1, 3, 0.5);
            assert_eq!(reader.last_change()?, before);
            assert_eq!(ids(&reader).len(), 3);
            Ok(())
        })
        .unwrap();
    assert_eq!(ids(&reader).len(), 6);
}

#[test]
fn what_is_forgotten_is_no_longer_known_and_what_is_kept_is_whole() {
    let folder = folder();
    let mut library = Library::open_or_create(&folder.path().join("a.db")).unwrap();
    let mut marks = Vec::new();
    for (index, path) in (1..).zip(["/a.wav", "/b.wav", "/c.wav"]) {
        add(&mut library, Path::new(path), index, 2, 0.5);
        marks.push(library.last_change().unwrap().unwrap());
    }
    library.connection.execute("DELETE FROM recordings WHERE path = '/a.wav'", []).unwrap();
    library.compact(None).unwrap();
    assert!(marks.iter().all(|&mark| library.has_change(mark).unwrap()), "they are few");
    library.forget_changes(2, Some(marks[0].serial)).unwrap();
    assert!(marks.iter().all(|&mark| library.has_change(mark).unwrap()), "all are needed");
    library.forget_changes(2, Some(marks[1].serial)).unwrap();
    let known = marks.iter().map(|&mark| library.has_change(mark).unwrap());
    assert_eq!(known.collect::<Vec<_>>(), [false, true, true], "the first is not needed");
    assert_eq!(library.removed_since(1, marks[1].serial).unwrap(), [1..=2]);
    library.forget_changes(2, None).unwrap();
    let known = marks.iter().map(|&mark| library.has_change(mark).unwrap());
    assert_eq!(known.collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(library.removed_since(1, marks[2].serial).unwrap(), [1..=2]);
}
