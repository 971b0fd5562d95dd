use super::*;

/// Names the step at which a test wants its process to be killed.
const KILL_AT: &str = "SONOTECA_TEST_KILL_AT";

/// Kills the process as `kill -9` would, where a test asks for it.
pub(crate) fn step(name: &str) {
    if std::env::var(KILL_AT).is_ok_and(|wanted| wanted == name) {
        std::process::abort();
    }
}

/// All steps, in order.
pub(crate) const STEPS: [&str; 6] =
    ["begun", "sections written", "header written", "synced", "renamed", "published"];

/// A process that runs the test `name` up to `step`, in `folder`, which the test finds in
/// [`FOLDER`].
pub(crate) fn killed_at(step: &str, name: &str, folder: &Path) {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--quiet"])
        .env(KILL_AT, step)
        .env(FOLDER, folder)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success() && status.code().is_none(), "killed at {step}: {status}");
}

/// Where a process that is to be killed works.
pub(crate) const FOLDER: &str = "SONOTECA_TEST_FOLDER";

fn write(folder: &Path, rows: &[u8]) -> std::path::PathBuf {
    let path = folder.join("a.index");
    let mut file = CacheWriter::create(folder).unwrap();
    file.begin(ROWS).unwrap();
    for part in rows.chunks(100_000) {
        file.write(part).unwrap();
    }
    file.section("numbers", bytemuck::cast_slice(&[1_u32, 2, 3])).unwrap();
    let before = file.fingerprint();
    assert_eq!(file.fingerprint(), before);
    file.section("empty", &[]).unwrap();
    file.finish("what it is").unwrap().publish(&path).unwrap();
    path
}

fn rows() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n * 7 % 251) as u8).collect()
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows();
    let path = write(folder.path(), &rows);
    let file: CacheFile<String> = CacheFile::open(&path).unwrap();
    assert_eq!(file.about(), "what it is");
    assert_eq!(file.numbers::<u32>("numbers"), [1, 2, 3]);
    assert!(file.numbers::<u64>("numbers").is_empty(), "no whole count of those");
    assert!(file.section("empty").is_empty());
    assert!(file.section("nothing").is_empty());
    for range in [0..1, 65_535..65_537, 131_072..200_000, 299_999..300_000, 0..300_000] {
        assert_eq!(file.bytes(range.clone()), Ok(&rows[range]));
    }
    assert_eq!(file.bytes(299_999..300_001), Err(Damaged));
    assert_eq!(Blob::len(&file), rows.len());
    assert!(file.check_rows());
    // A reader keeps what it has though there is a new file in its place.
    write(folder.path(), &[0; 10]);
    assert_eq!(file.bytes(0..300_000), Ok(&rows[..]));
    let names: Vec<_> = folder.path().read_dir().unwrap().collect();
    assert_eq!(names.len(), 1, "nothing temporary is left: {names:?}");
}

#[test]
fn no_flipped_bit_and_no_cut_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let original = rows();
    let path = write(folder.path(), &original);
    let whole = std::fs::read(&path).unwrap();
    let mut state = 1_u64;
    for _ in 0..500 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = usize::try_from(state >> 11).unwrap() % (8 * whole.len());
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).unwrap();
        // Either it shows, or what is read is what was written: between sections nothing is.
        if let Ok(file) = CacheFile::<String>::open(&path) {
            assert_eq!(file.about(), "what it is");
            assert_eq!(file.numbers::<u32>("numbers"), [1, 2, 3]);
            for (start, part) in (0..).step_by(10_000).zip(original.chunks(10_000)) {
                let found = file.bytes(start..start + part.len());
                assert!(found == Ok(part) || found == Err(Damaged), "bit {bit}");
            }
        }
    }
    for length in (0..whole.len()).step_by(997).chain([whole.len() - 1]) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(CacheFile::<String>::open(&path).is_err(), "{length} bytes");
    }
    std::fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
    assert!(CacheFile::<String>::open(&path).is_ok(), "what is behind the end does not matter");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(CacheFile::<String>::open(&path), Err(Unusable::Missing)));
}

#[test]
fn another_version_is_told_from_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &[1; 100]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] += 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(CacheFile::<String>::open(&path), Err(Unusable::OtherVersion)));
    bytes[8] -= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(CacheFile::<String>::open(&path).is_ok());
    // Of another meaning.
    assert!(matches!(CacheFile::<Vec<i32>>::open(&path), Err(Unusable::OtherVersion)));
}

#[test]
fn leftovers_are_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &[1; 100]);
    for name in ["index-a1.tmp", "index-b2.tmp", "writer.lock", "notes.tmp"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    remove_leftovers(folder.path());
    let mut names: Vec<_> =
        folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.index", "notes.tmp", "writer.lock"]);
    assert!(path.exists());
}
