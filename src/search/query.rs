//! Questions into the vector that is searched with.
//!
//! In: stored recordings. Out: one vector, `[dimension]`. Refuses what is not in the library.

use crate::error::{Error, Result};
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::Level;

/// The vector of stored recording `id` by `model`, to search `level` with: the mean over all of
/// it, or, among segments, over its segments that are fit to be searched. Silence, which is not
/// among the segments, should not be in the question either.
///
/// # Errors
/// [`Error::UnknownRecording`], [`Error::NotIndexed`], [`Error::Store`].
pub fn stored_query(
    library: &Library,
    model: &StoredModel,
    id: i64,
    level: Level,
) -> Result<Vec<f32>> {
    if library.recording(id)?.is_none() {
        return Err(Error::UnknownRecording { id });
    }
    let dimension = model.identity.dimension;
    if level == Level::Segment
        && let Some(vector) = library.sound_vector(id, model.id, dimension)?
    {
        return Ok(vector);
    }
    library
        .pooled_vector(id, model.id, dimension)?
        .ok_or_else(|| Error::NotIndexed { id, model: model.identity.name.clone() })
}
