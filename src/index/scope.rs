//! Which vectors a search may find.
//!
//! In: ids of what passed a filter. Out: whether a vector is among them.

use crate::store::filtering::Passing;
use crate::store::segments::VectorKey;

/// The vectors that a search may find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Which of them.
    pub allowed: Allowed,
    /// Recordings that are left out nevertheless; a few.
    pub except: Vec<i64>,
}

/// What passed a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// Everything: there was no filter.
    #[default]
    All,
    /// These recordings' vectors; row ids, ascending.
    Recordings(Vec<i64>),
    /// These segments' vectors; row ids, ascending. At the level of recordings, a recording passes
    /// by its first segment.
    Segments(Vec<i64>),
    /// All recordings' vectors but these; row ids, ascending. For lists of any length that leave
    /// most vectors: what is left is not counted before a search.
    AllBut(Vec<i64>),
}

impl Scope {
    /// Whether the vector of `key` may be found.
    pub fn contains(&self, key: VectorKey) -> bool {
        let allowed = match &self.allowed {
            Allowed::All => true,
            Allowed::Recordings(ids) => ids.binary_search(&key.recording).is_ok(),
            Allowed::Segments(ids) => ids.binary_search(&key.segment).is_ok(),
            Allowed::AllBut(ids) => ids.binary_search(&key.recording).is_err(),
        };
        allowed && !self.except.contains(&key.recording)
    }
}

impl From<Passing> for Allowed {
    fn from(passing: Passing) -> Self {
        match passing {
            Passing::Recordings(ids) => Self::Recordings(ids),
            Passing::Segments(ids) => Self::Segments(ids),
        }
    }
}
