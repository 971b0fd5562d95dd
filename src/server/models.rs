//! Networks, loaded when they are first needed, once for all requests.
//!
//! In: a model of the library. Out: an extractor for one thread; weights are shared. Refuses models
//! whose installed version is another one than the library's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sonoteca::Result;
use sonoteca::audio::resample::FilterCache;
use sonoteca::extract::Extractor;
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;
use sonoteca::model::{EmbeddingModel, identity_of, registry};
use sonoteca::search::require_same_version;
use sonoteca::store::models::StoredModel;

/// The networks that were loaded.
#[derive(Debug, Default)]
pub(super) struct Models {
    loaded: Mutex<HashMap<String, EmbeddingModel>>,
    filters: Arc<FilterCache>,
}

impl Models {
    /// The network of `model`, whose installed version must be the library's.
    ///
    /// # Errors
    /// [`Error::OtherVersion`](sonoteca::Error::OtherVersion), and as [`EmbeddingModel::load`].
    pub(super) fn extractor(&self, model: &StoredModel) -> Result<Extractor> {
        let card = registry::find(&model.identity.name)?;
        require_same_version(model, &identity_of(card))?;
        Ok(Extractor::new(self.network(&card.name)?, Arc::clone(&self.filters)))
    }

    /// The network called `name`.
    ///
    /// # Errors
    /// As [`EmbeddingModel::load`].
    pub(super) fn network(&self, name: &str) -> Result<EmbeddingModel> {
        // Whoever comes meanwhile needs it too.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = loaded.get(name) {
            return Ok(model.share());
        }
        let model = EmbeddingModel::load(name, &ModelStore::of_user()?, Compute::default())?;
        let share = model.share();
        loaded.insert(name.to_owned(), model);
        Ok(share)
    }
}
