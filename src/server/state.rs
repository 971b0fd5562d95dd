//! What all requests share.
//!
//! In: settings. Out: [`Server`]: open libraries, what searches compare, networks, uploads, jobs, and room
//! for so much work at once. Refuses work when too much waits already.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sonoteca::Result;
use sonoteca::ingest::{Decoders, DecodingLimits};
use sonoteca::milvus::Store;
use sonoteca::search::{Level, Searcher};
use sonoteca::store::Library;
use sonoteca::store::models::StoredModel;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::collections::Collections;
use super::errand::{self, Asked};
use super::error::{Answer, Refusal};
use super::handlers::map::Maps;
use super::images::Pictures;
use super::jobs::Jobs;
use super::models::Models;
use super::pool::{Lent, Pool};
use super::roots::Roots;
use super::security::Security;
use super::settings::Settings;
use super::uploads::Uploads;

/// Threads that wait for disks and processors.
pub(super) const MOST_WORKERS: usize = 64;
/// Requests that wait for a worker; more are turned away.
const MOST_WAITING: usize = 256;
/// Uploads that are received at once: as many times the bytes that one may have lie on the disk beside
/// those that are kept.
const MOST_RECEIVED: usize = 8;
/// How long one waits.
const WAIT: Duration = Duration::from_secs(30);
/// How long a write waits for another process's, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);
/// What decoding for a request may take.
const DECODING: DecodingLimits =
    DecodingLimits { memory_bytes: 512_000_000, time: Some(Duration::from_mins(2)) };

/// What all requests share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) settings: Settings,
    pub(super) security: Security,
    pub(super) collections: Collections,
    pub(super) models: Models,
    pub(super) decoders: Decoders,
    pub(super) uploads: Uploads,
    pub(super) pictures: Pictures,
    pub(super) roots: Roots,
    pub(super) jobs: Jobs,
    pub(super) maps: Maps,
    /// What is searched instead of the library.
    pub(super) store: Option<Store>,
    libraries: Pool,
    reading: Room,
    writing: Room,
    decoding: Room,
    receiving: Room,
}

/// Room for so much work at once.
#[derive(Debug)]
struct Room {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Which room work takes place in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Reading the library.
    Reading,
    /// Writing to it, one after another: SQLite has one writer, and who waits for it should keep no
    /// reader from its place.
    Writing,
    /// Decoding and embedding.
    Decoding,
}

impl Server {
    /// Opens what `settings` name, for a server on `address`.
    ///
    /// # Errors
    /// As [`Library::open`] and [`Security::new`].
    pub(super) fn open(
        settings: Settings,
        decoders: Decoders,
        address: SocketAddr,
    ) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let collections = Collections::new(settings.model.clone());
        let libraries = Pool::open(settings.library.clone())?;
        // What a store holds, it says itself.
        if settings.store.is_none() {
            collections.check(&*libraries.lend()?)?;
        }
        Ok(Self {
            security: Security::new(&settings, address)?,
            collections,
            models: Models::default(),
            decoders,
            uploads: Uploads::new()?,
            pictures: Pictures::default(),
            roots: Roots::new(&settings.folders)?,
            jobs: Jobs::default(),
            maps: Maps::default(),
            store: None,
            libraries,
            // Some wait for the disk while others compute.
            reading: Room::new(2 * cores),
            decoding: Room::new(cores),
            writing: Room::new(1),
            receiving: Room::new(MOST_RECEIVED),
            settings,
        })
    }

    /// The same, which searches `store`, where there is one, instead of the library.
    pub(super) fn with_store(self, store: Option<Store>) -> Self {
        Self { store, ..self }
    }

    /// Does `work` with a library on a thread that may wait.
    pub(super) async fn with_library<T: Send + 'static>(
        self: &Arc<Self>,
        room: Work,
        work: impl FnOnce(&Self, &mut Library) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        self.aside(room, move |server| work(server, &mut *server.lend()?)).await
    }

    /// Does `work` on a thread that may wait, once there is room.
    pub(super) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        room: Work,
        work: impl FnOnce(&Self) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let room = match room {
            Work::Reading => &self.reading,
            Work::Writing => &self.writing,
            Work::Decoding => &self.decoding,
        };
        let place = room.enter().await?;
        let (server, span) = (Arc::clone(self), tracing::Span::current());
        let done = tokio::task::spawn_blocking(move || {
            // Held to the end, whether or not somebody still waits for it.
            let _place = place;
            span.in_scope(|| work(&server))
        });
        done.await.unwrap_or_else(|error| Err(Refusal::internal(&error)))
    }

    /// A place among those whose uploads are received, which is held until it is dropped.
    pub(super) async fn place_to_receive(&self) -> Answer<OwnedSemaphorePermit> {
        self.receiving.enter().await
    }

    /// A library of its own for a while.
    pub(super) fn lend(&self) -> Result<Lent<'_>> {
        self.libraries.lend()
    }

    /// Has the file at `path`, which whoever asks knows as `name`, decoded in a process of its own.
    pub(super) fn decode(&self, asked: &Asked, path: &Path, name: &str) -> Answer<Vec<u8>> {
        let asked = serde_json::to_vec(asked).map_err(|error| Refusal::internal(&error))?;
        let done = self.decoders.run(errand::run, &asked, path, DECODING);
        done.map_err(|error| Refusal::of_file(error, path, name))
    }

    /// Does `work` with a library that does not wait for other writers: what may be written on the way,
    /// such as words that were not looked at yet, is left for later then.
    pub(super) fn unwaiting<T>(
        library: &Library,
        work: impl FnOnce(&Library) -> Result<T>,
    ) -> Result<T> {
        library.wait_for_others(Duration::ZERO)?;
        let done = work(library);
        library.wait_for_others(PATIENCE)?;
        done
    }

    /// What searches the vectors of a model.
    pub(super) fn searcher<'a>(
        &self,
        library: &'a Library,
        model: &StoredModel,
        level: Level,
        exact: bool,
    ) -> Result<Searcher<'a>> {
        let opened = self.collections.open(library, model, level, exact)?;
        Ok(Searcher::over(library, opened.collection))
    }
}

impl Room {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }

    async fn enter(&self) -> Answer<OwnedSemaphorePermit> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= MOST_WAITING {
            return Err(Refusal::overloaded());
        }
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(WAIT, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Refusal::overloaded()),
        }
    }
}
