//! Datasets that are not what was written, or do not belong into a library, are refused with the
//! reason.

use std::fs;
use std::path::{Path, PathBuf};

use sonoteca::dataset::PartReader;
use sonoteca::dataset::folder::DatasetWriter;
use sonoteca::dataset::rows::{RecordingRow, RowWriter as _};

use super::bench::{Answer, Bench};
use super::{manifest, parts, rows};

fn dataset() -> Bench {
    let bench = Bench::with_sounds();
    let list = "sounds/tone-0.wav\nsounds/noise-0.wav\nsounds/clicks-0.wav\n";
    fs::write(bench.path("list"), list).unwrap();
    let arguments = ["extract", "--manifest", "list", "--out", "vectors", "--part-size", "1"];
    bench.run(&arguments).expect(0);
    assert_eq!(parts(&bench.path("vectors")).len(), 3, "a file a recording");
    bench
}

fn import(bench: &Bench, code: i32) -> Answer {
    bench.run(&["import", "--parquet", "vectors"]).expect(code)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_files_are_refused_and_the_rest_is_imported_when_they_are_mended() {
    let bench = dataset();
    let part = parts(&bench.path("vectors")).swap_remove(1);
    let whole = fs::read(&part).unwrap();
    // A bit anywhere, which the manifest's hash finds before anything of the file is stored: in rows, in
    // the schema, and in the metadata, of which some still read.
    for place in 0..24 {
        change(&part, |bytes| {
            let place = (bytes.len() - 1) * place / 23;
            bytes[place] ^= 1;
        });
        let answer = import(&bench, 2);
        let said = answer.err.contains("part-00001") && answer.err.contains("SHA-256");
        assert!(said, "{place}: {}", answer.err);
        fs::write(&part, &whole).unwrap();
    }
    fs::write(&part, &whole[..whole.len() - 1]).unwrap();
    let answer = import(&bench, 2);
    assert!(answer.err.contains("bytes, and the dataset's manifest says"), "{}", answer.err);
    fs::remove_file(&part).unwrap();
    let answer = import(&bench, 2);
    assert!(answer.err.contains("part-00001.parquet is not there"), "{}", answer.err);
    fs::write(&part, &whole).unwrap();
    let answer = import(&bench, 0);
    assert!(answer.out.contains("Imported 2 recordings"), "the first stayed: {}", answer.out);
    // A manifest that says something else than the files.
    let written = fs::read_to_string(bench.path("vectors/_manifest.json")).unwrap();
    for (from, to, expected) in [
        ("\"failures\": 0", "\"failures\": 1", "failures"),
        ("\"yamnet\"", "\"other\"", "it has another model than"),
        ("\"part-00001", "\"../vectors/part-00001", "part-00001.parquet is not there"),
        ("\"part-00001", "\"part-00000", "it lists part-00000.parquet twice"),
    ] {
        let changed = written.replacen(from, to, 1);
        assert_ne!(changed, written, "{from}");
        fs::write(bench.path("vectors/_manifest.json"), changed).unwrap();
        let answer = import(&bench, 2);
        assert!(answer.err.contains(expected), "{}", answer.err);
    }
    fs::write(bench.path("vectors/_manifest.json"), written).unwrap();
    fs::copy(&part, bench.path("vectors/part-9.parquet")).unwrap();
    let answer = import(&bench, 2);
    assert!(answer.err.contains("part-9.parquet is there and not in it"), "{}", answer.err);
}

#[test]
fn without_a_manifest_the_files_own_sums_are_held_against_their_rows() {
    let bench = dataset();
    let folder = bench.path("vectors");
    assert_eq!(manifest(&folder)["files"].as_array().unwrap().len(), 3);
    fs::remove_file(folder.join("_manifest.json")).unwrap();
    for part in parts(&folder) {
        // Text in the file's metadata, which is not compressed.
        change_checksum(&part);
    }
    let answer = import(&bench, 2);
    assert!(answer.err.contains("no _manifest.json"), "{}", answer.err);
    assert!(answer.err.contains("its rows have the checksum"), "{}", answer.err);
}

/// Another digit in the checksum that the file's metadata says its rows have.
fn change_checksum(part: &Path) {
    change(part, |bytes| {
        let key = b"sonoteca.rows_checksum";
        let place = bytes.windows(key.len()).rposition(|window| window == key).unwrap();
        let digit = place + key.len() + 4;
        bytes[digit] = if bytes[digit] == b'0' { b'1' } else { b'0' };
    });
}

#[test]
fn of_a_damaged_file_nothing_is_stored_however_many_commits_it_takes() {
    let bench = dataset();
    let (recordings, _) = rows(&bench.path("vectors"));
    let (recording, segments) = &recordings[0];
    let header = PartReader::open(&parts(&bench.path("vectors"))[0]).unwrap().header().clone();
    let part = bench.path("many.parquet");
    let mut writer = DatasetWriter::to_file(&part, header, false).unwrap();
    // More than are committed at once.
    for number in 0..1_500_u32 {
        let path = PathBuf::from(format!("/nowhere/{number}.wav"));
        let content_hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
        let recording = RecordingRow { path, content_hash, segments: 1, ..recording.clone() };
        let mut segments = segments.iter().take(1).cloned().map(Ok);
        writer.write_recording(&recording, &mut segments).unwrap();
    }
    writer.finish(true).unwrap();
    let whole = fs::read(&part).unwrap();
    change_checksum(&part);
    let answer = bench.run(&["import", "--parquet", "many.parquet"]).expect(2);
    assert!(answer.err.contains("its rows have the checksum"), "{}", answer.err);
    let library = rusqlite::Connection::open(bench.path("sonoteca.db")).unwrap();
    let stored = || -> i64 {
        library.query_row("SELECT count(*) FROM recordings", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(stored(), 0);
    fs::write(&part, whole).unwrap();
    bench.run(&["import", "--parquet", "many.parquet", "-q"]).expect(0);
    assert_eq!(stored(), 1_500);
}

#[test]
fn a_damaged_file_is_not_counted_as_whole_by_another_run() {
    let bench = dataset();
    let folder = bench.path("vectors");
    let extract =
        |code| bench.run(&["extract", "--manifest", "list", "--out", "vectors"]).expect(code);
    let part = parts(&folder).swap_remove(1);
    let whole = fs::read(&part).unwrap();
    let manifest_before = manifest(&folder);
    change(&part, |bytes| {
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
    });
    let answer = extract(2);
    assert!(answer.err.contains("part-00001") && answer.err.contains("SHA-256"), "{}", answer.err);
    assert_eq!(manifest(&folder), manifest_before, "the manifest stays as it was");
    // Nor without a manifest.
    fs::remove_file(folder.join("_manifest.json")).unwrap();
    fs::write(&part, &whole).unwrap();
    change_checksum(&part);
    let answer = extract(2);
    assert!(answer.err.contains("its rows have the checksum"), "{}", answer.err);
    assert!(!folder.join("_manifest.json").exists());
    // What is taken away is extracted again.
    fs::remove_file(&part).unwrap();
    extract(0);
    assert_eq!(manifest(&folder)["rows_checksum"], manifest_before["rows_checksum"]);
    import(&bench, 0);
}

#[test]
fn what_is_no_dataset_or_of_another_model_is_refused() {
    let bench = dataset();
    let import = |what: &str, code| bench.run(&["import", "--parquet", what]).expect(code);
    let answer = import("sounds", 2);
    assert!(answer.err.contains("part-*.parquet"), "{}", answer.err);
    let answer = import("nothing", 2);
    assert!(answer.err.contains("nothing"), "{}", answer.err);
    let answer = import("sounds/tone-0.wav", 2);
    assert!(answer.err.contains("Parquet could not be read"), "{}", answer.err);
    assert!(!bench.path("sonoteca.db").exists(), "nothing was made for nothing");

    // Another version of the model in the library: one digit of its hash.
    bench.run(&["index", "sounds", "-q"]).expect(0);
    let library = rusqlite::Connection::open(bench.path("sonoteca.db")).unwrap();
    library.execute("UPDATE models SET weights_sha256 = zeroblob(32)", []).unwrap();
    drop(library);
    let answer = import("vectors", 2);
    let expected = "yamnet/000000000000";
    assert!(answer.err.contains(expected), "{}", answer.err);
    assert!(answer.err.contains("are not compared"), "{}", answer.err);

    // Segments of another length.
    let arguments = ["index", "sounds", "-q", "--segment", "2", "--library", "long.db"];
    bench.run(&arguments).expect(0);
    let answer = bench.run(&["import", "--parquet", "vectors", "--library", "long.db"]).expect(2);
    assert!(answer.err.contains("2 s long, every 2 s"), "{}", answer.err);

    // Metadata that say another dimension than the vectors have.
    fs::remove_file(bench.path("vectors/_manifest.json")).unwrap();
    for part in parts(&bench.path("vectors")) {
        change(&part, |bytes| {
            let key = b"sonoteca.dimension";
            let place = bytes.windows(key.len()).rposition(|window| window == key).unwrap();
            let digits = place + key.len() + 2;
            assert_eq!(&bytes[digits..digits + 4], b"1024");
            bytes[digits..digits + 4].copy_from_slice(b"1023");
        });
    }
    let answer = bench.run(&["import", "--parquet", "vectors", "--library", "new.db"]).expect(2);
    assert!(answer.err.contains("of 1024 values where its metadata says 1023"), "{}", answer.err);
}
