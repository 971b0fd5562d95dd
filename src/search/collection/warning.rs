//! What is wrong with a cache, for people.

use std::fmt;

use crate::index::file::Unusable;
use crate::search::generation::level_name;
use crate::store::models::StoredModel;
use crate::store::segments::Level;

/// A cache that could not be used: its [`Display`](fmt::Display) says why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheWarning {
    /// The model whose vectors are searched.
    pub model: String,
    /// The level at which they are.
    pub level: Level,
    /// Why the cache is of no use.
    pub problem: String,
    /// Vectors that are read from the library instead.
    pub vectors: usize,
}

impl CacheWarning {
    pub(super) fn new(
        model: &StoredModel,
        level: Level,
        problem: &Unusable,
        vectors: usize,
    ) -> Self {
        let model = model.identity.name.clone();
        Self { model, level, problem: problem.to_string(), vectors }
    }
}

impl fmt::Display for CacheWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the index of {} by {} is not used: {}; {} vectors were read from the library instead, \
             which is as right and slower; to mend it: sonoteca reindex",
            self.model,
            level_name(self.level),
            self.problem,
            self.vectors
        )
    }
}
