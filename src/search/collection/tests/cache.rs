//! The files that a collection is opened from: what is damaged, half published, not writable, or of
//! another time.

use super::*;
use crate::index::file::tests::{FOLDER, STEPS, killed_at};
use crate::store::changes::KEPT;

impl Bench {
    /// Writes `whole` to `path`, but for one bit of it.
    fn flip_a_bit(&mut self, path: &Path, whole: &[u8]) {
        let bit = self.random.below(8 * whole.len());
        let mut damaged = whole.to_owned();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // As damage comes: the file's content, not another file.
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, &damaged).unwrap();
    }
}

#[test]
fn compacting_forgets_nothing_that_a_generation_needs() {
    let level = Level::Segment;
    let mut bench = Bench::with(2_000);
    bench.build(level);
    let oldest = |bench: &Bench| {
        let lock = BuilderLock::try_take(&bench.library, "test").unwrap().unwrap();
        oldest_change(&bench.library, &lock).unwrap()
    };
    let needed = oldest(&bench);
    assert_eq!(needed, bench.library.last_change().unwrap().map(|mark| mark.serial));
    // Each recording that is indexed again is a change.
    for _ in 0..=KEPT / 2_000 {
        bench.add(0..2_000);
    }
    assert_eq!(oldest(&bench), needed);
    bench.library.compact(needed).unwrap();
    let collection = bench.open(level);
    assert_eq!(collection.warning(), None);
    bench.check(&collection, level);
    bench.library.compact(None).unwrap();
    let warning = bench.open(level).warning().unwrap().to_string();
    assert!(warning.contains("out of date"), "{warning}");
    assert_eq!(oldest(&bench), None, "it is of no use any more");
}

#[test]
fn a_graph_is_not_believed_when_damaged() {
    let level = Level::Segment;
    let mut bench = Bench::with(300);
    let lock = BuilderLock::try_take(&bench.library, "test").unwrap().unwrap();
    let built = builder(&lock, 1).build(&bench.library, &bench.model(), level).unwrap().unwrap();
    assert!(built.recall.is_some(), "there is a graph");
    let path = bench.path(level);
    let whole = std::fs::read(&path).unwrap();
    for _ in 0..500 {
        bench.flip_a_bit(&path, &whole);
        let collection = bench.open(level);
        // By the graph as before, or all of it right; and none that is not there.
        bench.ask(&collection, level);
        assert!(collection.warning().is_none() || collection.is_exact());
    }
}

#[test]
fn no_flipped_bit_makes_a_wrong_answer() {
    for level in LEVELS {
        let mut bench = Bench::with(120);
        bench.build(level);
        bench.add(500..510);
        let path = bench.path(level);
        let whole = std::fs::read(&path).unwrap();
        let mut warned = 0;
        for _ in 0..500 {
            bench.flip_a_bit(&path, &whole);
            let collection = bench.open(level);
            bench.check(&collection, level);
            bench.check(&collection, level);
            let is_whole = CacheState::is_whole(&bench.library, &bench.model(), level).unwrap();
            assert_eq!(collection.warning().is_none(), is_whole);
            warned += usize::from(!is_whole);
        }
        // Most of these small files are gaps between sections.
        assert!(warned > 50, "{warned}");
        bench.build(level);
        assert_eq!(bench.open(level).warning(), None);
    }
}

/// Not a test of its own: what the next one kills.
#[test]
#[ignore = "run by the test below in a process of its own"]
fn build_in_a_folder_that_is_given() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    build(&Library::open(&Path::new(&folder).join("a.db")).unwrap(), Level::Segment);
}

#[test]
fn killed_at_any_step_of_publication_the_next_start_works() {
    const NAME: &str = "search::collection::tests::cache::build_in_a_folder_that_is_given";
    let mut bench = Bench::with(60);
    let level = Level::Segment;
    for has_earlier in [false, true] {
        for step in STEPS {
            let _ = std::fs::remove_dir_all(bench.library.cache_folder());
            if has_earlier {
                bench.build(level);
            }
            bench.add(100..105);
            killed_at(step, NAME, bench.folder.path());
            let collection = bench.open(level);
            assert_eq!(collection.warning(), None, "{step}");
            bench.check(&collection, level);
            let is_published = ["renamed", "published"].contains(&step);
            assert_eq!(collection.generation.is_some(), has_earlier || is_published, "{step}");
            assert_eq!(collection.fresh.keys.is_empty(), is_published, "{step}");
            // The next builder finds the lock free, and clears up.
            bench.build(level);
            let names: Vec<_> = bench.library.cache_folder().read_dir().unwrap().collect();
            assert_eq!(names.len(), 2, "{names:?}");
            let collection = bench.open(level);
            assert!(collection.fresh.keys.is_empty());
            bench.check(&collection, level);
        }
    }
}

#[test]
fn where_nothing_can_be_written_only_speed_is_lost() {
    let mut bench = Bench::with(50);
    let folder = bench.library.cache_folder();
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::write(&folder, "in the way").unwrap();
    assert!(BuilderLock::try_take(&bench.library, "test").is_err());
    let collection = bench.open(Level::Segment);
    bench.check(&collection, Level::Segment);
}

#[test]
fn a_builder_that_is_told_to_stop_leaves_nothing() {
    struct Impatient;
    impl Watcher for Impatient {
        fn at(&self, _: BuildStage, _: usize, _: usize) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let bench = Bench::with(30);
    let lock = BuilderLock::try_take(&bench.library, "test").unwrap().unwrap();
    assert!(BuilderLock::try_take(&bench.library, "other").unwrap().is_err(), "one at a time");
    let builder = Builder { watcher: &Impatient, ..builder(&lock, 1) };
    let built = builder.build(&bench.library, &bench.model(), Level::Segment).unwrap();
    assert_eq!(built, None);
    assert!(!bench.path(Level::Segment).exists());
}

#[test]
fn models_of_like_names_have_files_of_their_own() {
    let bench = Bench::with(1);
    let named = |name: &str| {
        let mut model = bench.model();
        name.clone_into(&mut model.identity.name);
        path_of(&bench.library, &model, Level::Segment)
    };
    let long = "x".repeat(60);
    let names = ["my-model", "my_model", "mymodel", "MyModel", "é", "ü", &long, &long[1..]];
    let mut files: Vec<String> = names
        .iter()
        .map(|name| named(name).file_name().unwrap().to_str().unwrap().to_lowercase())
        .collect();
    files.sort();
    files.dedup();
    assert_eq!(files.len(), names.len(), "{files:?}");
    assert_eq!(named("yamnet"), bench.path(Level::Segment));
}

#[test]
fn generations_of_models_that_are_gone_are_removed() {
    let mut bench = Bench::with(4);
    for level in LEVELS {
        bench.build(level);
    }
    let folder = bench.library.cache_folder();
    std::fs::write(folder.join("earlier-0123456789ab-1-segment.index"), "").unwrap();
    std::fs::write(folder.join("notes.txt"), "").unwrap();
    let files = || {
        let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != "index.lock").count()
    };
    assert_eq!(files(), 4);
    drop(BuilderLock::try_take(&bench.library, "test").unwrap().unwrap());
    assert_eq!(files(), 3, "an earlier model's");
    (0..4).for_each(|number| bench.remove(number));
    drop(BuilderLock::try_take(&bench.library, "test").unwrap().unwrap());
    assert_eq!(files(), 1, "what is none of ours stays");
}
