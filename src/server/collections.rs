//! What searches compare, opened once for all of them.
//!
//! In: a library. Out: its models, and the [`Collection`] of one at a level, shared by all threads and
//! opened anew when the vectors have changed. While somebody does that, others search what there
//! was: a search waits for nobody but whoever opens the same collection for the first time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sonoteca::Result;
use sonoteca::model::registry;
use sonoteca::search::collection::CollectionOptions;
use sonoteca::search::{Collection, Level, choose_among, first_model};
use sonoteca::store::Library;
use sonoteca::store::changes::ChangeMark;
use sonoteca::store::models::StoredModel;

/// While vectors keep changing, opening takes no more than this share of the time.
const SHARE_OF_TIME: u32 = 10;
/// What is searched is at most so much behind.
const LONGEST_BEHIND: Duration = Duration::from_secs(5);
/// Vectors that were read into memory, from which on it is worth looking for a new generation that
/// another process may have built meanwhile, and how often.
const MANY_FRESH: usize = 5_000;
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Which vectors.
type Key = (i64, Level, bool);

/// A collection, and when it was opened.
#[derive(Debug)]
struct Held {
    opened: Opened,
    since: Instant,
    took: Duration,
    /// Whether there may be something better to open, whatever the library's last change is.
    is_due: bool,
}

/// A collection, and the last change of the library that is surely in it.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) collection: Arc<Collection>,
    pub(super) mark: Option<ChangeMark>,
}

/// Where one collection is held; locked while it is opened for the first time.
type Place = Arc<Mutex<Option<Held>>>;

/// The models of the library at some change.
type Models = (Option<ChangeMark>, Arc<Vec<StoredModel>>);

/// The model that is meant where none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usual {
    pub(crate) name: String,
    pub(crate) why: Why,
    /// What else the library has vectors of, by name.
    pub(crate) others: Vec<String>,
}

/// Why a model is the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The server was told so.
    Chosen,
    /// It has words for what it hears, of the most kinds.
    HasWords,
    /// No other one has vectors of more recordings.
    HasMost,
}

/// What searches compare.
#[derive(Debug, Default)]
pub(super) struct Collections {
    places: Mutex<HashMap<Key, Place>>,
    models: Mutex<Option<Models>>,
    /// The model that is meant where none is named.
    usual: Option<String>,
}

impl Collections {
    pub(super) fn new(usual: Option<String>) -> Self {
        Self { usual, ..Self::default() }
    }

    /// The models of `library`: counting their recordings takes longer than a search.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) fn models(&self, library: &Library) -> Result<Arc<Vec<StoredModel>>> {
        let mark = library.last_change()?;
        if let Some((known, models)) = &*lock(&self.models)
            && *known == mark
        {
            return Ok(Arc::clone(models));
        }
        let models = Arc::new(library.models()?);
        *lock(&self.models) = Some((mark, Arc::clone(&models)));
        Ok(models)
    }

    /// The model called `name`, or the one that is meant where none is named.
    ///
    /// # Errors
    /// As [`choose_among`].
    pub(super) fn model(&self, library: &Library, name: Option<&str>) -> Result<StoredModel> {
        let models = self.models(library)?;
        let usual = match name {
            None => self.usual_among(&models).map(|usual| usual.name),
            Some(_) => None,
        };
        choose_among(models.as_ref().clone(), name.or(usual.as_deref()))
    }

    /// The model that is meant in `library` where none is named; none, while it holds nothing.
    ///
    /// # Errors
    /// [`Error::Store`](sonoteca::Error::Store).
    pub(super) fn usual(&self, library: &Library) -> Result<Option<Usual>> {
        Ok(self.usual_among(&self.models(library)?))
    }

    /// What was chosen when the server was started; else the first of our models, which has words for
    /// what it hears; else the one with most recordings, of several the first by name.
    fn usual_among(&self, models: &[StoredModel]) -> Option<Usual> {
        let mut recordings = BTreeMap::<&str, u64>::new();
        for model in models.iter().filter(|model| model.recordings > 0) {
            *recordings.entry(&model.identity.name).or_default() += model.recordings;
        }
        let chosen = self.usual.as_deref().filter(|name| recordings.contains_key(name));
        let first = recordings.contains_key(first_model()).then(first_model);
        // Of equals the last is taken: the first by name.
        let largest =
            recordings.iter().rev().max_by_key(|&(_, count)| count).map(|(name, _)| *name);
        let (name, why) = match (chosen, first, largest) {
            (Some(name), _, _) => (name, Why::Chosen),
            (None, Some(name), _) => (name, Why::HasWords),
            (None, None, Some(name)) => (name, Why::HasMost),
            (None, None, None) => return None,
        };
        let others = recordings.keys().filter(|other| **other != name);
        Some(Usual {
            name: name.to_owned(),
            why,
            others: others.map(|other| (*other).to_owned()).collect(),
        })
    }

    /// Refuses a model that was chosen when the server was started and that nothing is known of.
    ///
    /// # Errors
    /// [`Error::UnknownModel`](sonoteca::Error::UnknownModel), and where the library holds vectors, of
    /// others alone, [`Error::NoVectors`](sonoteca::Error::NoVectors).
    pub(super) fn check(&self, library: &Library) -> Result<()> {
        let Some(name) = self.usual.as_deref() else { return Ok(()) };
        let models = self.models(library)?;
        if models.iter().any(|model| model.recordings > 0) {
            return choose_among(models.as_ref().clone(), Some(name)).map(|_| ());
        }
        registry::find(name).map(|_| ())
    }

    /// The vectors of `model` at `level`, to be searched exactly or by the graph.
    ///
    /// # Errors
    /// As [`Collection::open`].
    pub(super) fn open(
        &self,
        library: &Library,
        model: &StoredModel,
        level: Level,
        exact: bool,
    ) -> Result<Opened> {
        let mark = library.last_change()?;
        let options = CollectionOptions { exact };
        let open = || -> Result<Held> {
            let started = Instant::now();
            let collection = Arc::new(Collection::open_with(library, model, level, options)?);
            let since = Instant::now();
            let opened = Opened { collection, mark };
            Ok(Held { opened, since, took: since - started, is_due: false })
        };
        let place = Arc::clone(lock(&self.places).entry((model.id, level, exact)).or_default());
        {
            let mut held = lock(&place);
            match held.as_mut().filter(|held| held.is_of(model)) {
                // The first one: who wants the same waits for it.
                None => return Ok(held.insert(open()?).opened.clone()),
                Some(known) if !known.is_due(mark) => return Ok(known.opened.clone()),
                // This thread opens it anew; others go on with what there is.
                Some(known) => (known.since, known.is_due) = (Instant::now(), false),
            }
        }
        let anew = open()?;
        let opened = anew.opened.clone();
        *lock(&place) = Some(anew);
        Ok(opened)
    }

    /// There may be new generations: everything is opened anew by who asks for it next, while others
    /// search what there is.
    pub(super) fn renew(&self) {
        let places: Vec<Place> = lock(&self.places).values().map(Arc::clone).collect();
        for place in places {
            if let Some(held) = lock(&place).as_mut() {
                held.is_due = true;
            }
        }
    }
}

impl Held {
    fn is_of(&self, model: &StoredModel) -> bool {
        let own = self.opened.collection.model();
        own.identity == model.identity && own.segmentation == model.segmentation
    }

    fn is_due(&self, mark: Option<ChangeMark>) -> bool {
        let age = self.since.elapsed();
        if self.is_due {
            return true;
        }
        if self.opened.mark == mark {
            return self.opened.collection.fresh_len() >= MANY_FRESH && age >= LOOK_EVERY;
        }
        age >= (SHARE_OF_TIME * self.took).min(LONGEST_BEHIND)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
