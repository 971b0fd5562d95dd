//! The two stores, asked alike.

use std::path::{Path, PathBuf};

use sonoteca::Result;
use sonoteca::dataset::Observer;
use sonoteca::dataset::folder::{manifest, parts};
use sonoteca::dataset::importing::{self, ImportOptions, Report};
use sonoteca::filter::Filter;
use sonoteca::milvus::{self, Address, Store, StoreSearcher};
use sonoteca::search::{self, Hit, Level, Question, Scope, SearchOptions, Searcher};
use sonoteca::store::Library;
use sonoteca::store::vector::Precision;
use tempfile::TempDir;

/// Nobody watches, and nobody stops it.
pub(crate) struct Unwatched;

impl Observer for Unwatched {
    fn advanced(&self, _rows: u64, _of: u64) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What is asked of both.
pub(crate) trait Tested {
    fn name(&self) -> &'static str;
    /// Brings in the dataset in `folder`.
    fn import(&mut self, folder: &Path) -> Result<Report>;
    /// Ends what is open, and opens it anew.
    fn reopen(&mut self);
    /// Recordings and segments.
    fn counts(&self) -> (u64, u64);
    /// Removes these recordings.
    fn remove(&mut self, paths: &[&Path]);
    fn search(
        &self,
        question: &Question,
        level: Level,
        filter: Option<&Filter>,
        options: &SearchOptions,
    ) -> Result<Vec<Hit>>;
    /// The example that the recording at `path` with the dataset's `id` is.
    fn example(&self, path: &Path, id: i64, level: Level) -> Result<search::Example>;
}

/// One SQLite file.
pub(crate) struct Embedded {
    folder: TempDir,
}

impl Embedded {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("library.db")
    }

    fn library(&self) -> Library {
        Library::open_or_create(&self.path()).unwrap()
    }
}

impl Tested for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn import(&mut self, folder: &Path) -> Result<Report> {
        let parts = parts(folder)?;
        let listed = manifest(folder, &parts)?;
        let listed = listed.map_or_else(Vec::new, |manifest| manifest.files);
        // All that the dataset says, as the other store keeps it.
        let options = ImportOptions { vectors: Precision::Single };
        importing::import(&mut self.library(), &parts, &listed, options, &Unwatched)
    }

    fn reopen(&mut self) {}

    fn counts(&self) -> (u64, u64) {
        let models = self.library().models().unwrap();
        (models[0].recordings, models[0].segments)
    }

    fn remove(&mut self, paths: &[&Path]) {
        let mut library = self.library();
        let ids: Vec<i64> =
            paths.iter().map(|path| library.recording_at(path).unwrap().unwrap().id).collect();
        let writer = library.begin().unwrap();
        for id in ids {
            writer.remove_recording(id).unwrap();
        }
        writer.commit().unwrap();
    }

    fn search(
        &self,
        question: &Question,
        level: Level,
        filter: Option<&Filter>,
        options: &SearchOptions,
    ) -> Result<Vec<Hit>> {
        let library = self.library();
        let model = search::choose_model(&library, None)?;
        let allowed = search::allowed(&library, filter, &model, level)?;
        let options =
            SearchOptions { scope: Scope { allowed, ..Scope::default() }, ..options.clone() };
        Searcher::open(&library, model, level)?.search(question, &options)
    }

    fn example(&self, path: &Path, _id: i64, level: Level) -> Result<search::Example> {
        let library = self.library();
        let model = search::choose_model(&library, None)?;
        let id = library.recording_at(path)?.unwrap().id;
        search::Example::stored(&library, &model, id, None, level)
    }
}

/// A collection on a server.
pub(crate) struct Served {
    address: Address,
    store: Option<Store>,
}

impl Served {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.parse().unwrap(), store: None }
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }
}

impl Tested for Served {
    fn name(&self) -> &'static str {
        "milvus"
    }

    fn import(&mut self, folder: &Path) -> Result<Report> {
        let parts = parts(folder)?;
        let listed = manifest(folder, &parts)?;
        let listed = listed.map_or_else(Vec::new, |manifest| manifest.files);
        let (report, store) =
            milvus::importing::import(&self.address, &parts, &listed, &Unwatched)?;
        self.store = store;
        Ok(report)
    }

    fn reopen(&mut self) {
        self.store = Some(Store::open(&self.address).unwrap());
    }

    fn counts(&self) -> (u64, u64) {
        let counts = self.store().counts().unwrap();
        (counts.recordings, counts.segments)
    }

    fn remove(&mut self, paths: &[&Path]) {
        assert_eq!(self.store().remove(paths).unwrap(), paths.len() as u64);
    }

    fn search(
        &self,
        question: &Question,
        level: Level,
        filter: Option<&Filter>,
        options: &SearchOptions,
    ) -> Result<Vec<Hit>> {
        StoreSearcher::new(self.store(), level, filter)?.search(question, options)
    }

    fn example(&self, _path: &Path, id: i64, level: Level) -> Result<search::Example> {
        self.store().example(id, None, level)
    }
}
