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
use sonoteca::model::{EmbeddingModel, ModelIdentity, identity_of, registry};
use sonoteca::search::require_same_version;
use sonoteca::store::models::StoredModel;

/// The networks that were loaded.
#[derive(Debug, Default)]
pub(super) struct Models {
    /// By what they are: a name can be another model's tomorrow. Each has a lock of its own, since
    /// loading one can take as long as its server lets it wait.
    loaded: Mutex<HashMap<ModelIdentity, Arc<Mutex<Option<EmbeddingModel>>>>>,
    filters: Arc<FilterCache>,
}

impl Models {
    /// The network of `model`, whose installed version must be the library's.
    ///
    /// # Errors
    /// [`Error::OtherVersion`](sonoteca::Error::OtherVersion), and as [`EmbeddingModel::load`].
    pub(super) fn extractor(&self, model: &StoredModel) -> Result<Extractor> {
        let card = registry::find_held(&model.identity.name)?;
        // Of another one nothing is loaded.
        require_same_version(model, &identity_of(card))?;
        let network = self.network(&card.name)?;
        require_same_version(model, network.identity())?;
        Ok(Extractor::new(network, Arc::clone(&self.filters)))
    }

    /// The network that is called `name` now.
    ///
    /// # Errors
    /// As [`EmbeddingModel::load`].
    pub(super) fn network(&self, name: &str) -> Result<EmbeddingModel> {
        let identity = identity_of(registry::find(name)?);
        let place = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            // What had the name before is not asked for any more.
            loaded.retain(|other, _| other.name != name || *other == identity);
            Arc::clone(loaded.entry(identity).or_default())
        };
        // Whoever comes meanwhile needs it too.
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = &*place {
            return Ok(model.share());
        }
        let model = EmbeddingModel::load(name, &ModelStore::of_user()?, Compute::default())?;
        let share = model.share();
        *place = Some(model);
        Ok(share)
    }
}
