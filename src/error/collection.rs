//! What can go wrong with a Milvus server, or with what lies there.

use super::Source;

/// Why a collection on a Milvus server cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MilvusProblem {
    /// This program was built without the feature.
    #[error("this sonoteca was built without Milvus")]
    NotBuilt,
    /// An address that does not read.
    #[error("{what}")]
    Address {
        /// What was expected, and what was found.
        what: String,
    },
    /// Nobody answers, or only to say that it is not ready.
    #[error("the server did not answer for {waited_s} s")]
    Silent {
        /// How long it was waited for.
        waited_s: u64,
        /// The last word.
        source: Source,
    },
    /// The server refused.
    #[error("the server could not {action}")]
    Refused {
        /// The verb that failed.
        action: &'static str,
        /// Its word.
        source: Source,
    },
    /// The server's answer is not what was asked for.
    #[error("the server's answer has {found}, expected {expected}")]
    Answer {
        /// What would have been right.
        expected: String,
        /// What came.
        found: String,
    },
    /// There is no such collection.
    #[error("there is no collection of that name")]
    Missing,
    /// A collection that another program made, or another version of this one.
    #[error("the collection was not made by this version of sonoteca: {what}")]
    Foreign {
        /// What does not fit.
        what: String,
    },
    /// Vectors of another model than those that are there.
    #[error(
        "its vectors are by {expected}, and these by {found}: vectors of different models, weights \
         or front ends are not compared"
    )]
    OtherModel {
        /// The model and its version that came.
        found: String,
        /// The collection's.
        expected: String,
    },
    /// Segments of another length than those that are there.
    #[error("its segments are of {expected}, and these of {found}")]
    OtherSegments {
        /// Length and hop of those that came.
        found: String,
        /// The collection's.
        expected: String,
    },
    /// Other counts than were written.
    #[error("it holds {found} of {expected} {what} that were written and acknowledged")]
    Lost {
        /// Of what.
        what: &'static str,
        /// What is there.
        found: u64,
        /// What was written.
        expected: u64,
    },
    /// Something that the server has no way to do.
    #[error("{what} cannot be asked of a Milvus store: {why}")]
    Unable {
        /// An option.
        what: String,
        /// The reason.
        why: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
}

impl MilvusProblem {
    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotBuilt => "build it with Milvus: cargo build --release --features milvus",
            Self::Address { .. } => {
                "give milvus://HOST:PORT/COLLECTION, with settings behind it if need be, such as \
                 ?consistency=strong&ef=200"
            }
            Self::Silent { .. } => {
                "start the server, or name another; what was acknowledged is there, and an import \
                 goes on where it was when it is run again"
            }
            Self::Refused { .. } => {
                "the server's log says more; 2.3.5 is the version that sonoteca is tested with"
            }
            Self::Missing => {
                "make it by bringing a dataset in: sonoteca import --parquet DIR --store ADDRESS"
            }
            Self::Foreign { .. } | Self::OtherModel { .. } | Self::OtherSegments { .. } => {
                "name another collection behind the last / of the address: import makes it"
            }
            Self::Lost { .. } => {
                "run the import again: it writes what is missing; should it come again, the \
                 server loses rows, and its log should say why"
            }
            Self::Unable { hint, .. } => hint,
            Self::Answer { .. } => return None,
        })
    }
}
