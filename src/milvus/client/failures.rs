//! What a failed call says, and whether the same one may be answered later.

use std::time::Instant;

use milvus::collection::Error as CollectionError;
use milvus::v1::error::Error as SdkError;

use crate::error::{Error, MilvusProblem};
use crate::milvus::address::Address;

/// Why nobody answers who was waited for since `started`.
pub(super) fn silent(address: &Address, started: Instant, error: SdkError) -> Error {
    let (waited_s, source) = (started.elapsed().as_secs(), said(error).into());
    address.failed(MilvusProblem::Silent { waited_s, source })
}

/// What an error of the SDK says, without the names of its types.
pub(super) fn said(error: SdkError) -> String {
    match error {
        SdkError::Server(_, reason) => reason,
        SdkError::Grpc(status) => format!("{}: {}", status.code(), status.message()),
        SdkError::Communication(error) => {
            let mut text = error.to_string();
            let mut next = std::error::Error::source(&error);
            while let Some(cause) = next {
                text = format!("{text}: {cause}");
                next = cause.source();
            }
            text
        }
        SdkError::Collection(CollectionError::IndexBuildFailed) => {
            "the index could not be built".to_owned()
        }
        other => other.to_string(),
    }
}

/// What a server says that is starting, or finding its rows again; by trial with 2.3.5.
const NOT_READY: [&str; 14] = [
    "not ready",
    "not healthy",
    "not available",
    "no available",
    "not loaded",
    "not fully loaded",
    "not found in target",
    "node not found",
    "node offline",
    "service unavailable",
    "channel unsubscribed",
    "rate limit",
    "connection refused",
    "no leader",
];

/// The codes of gRPC that say that a call is wrong, whenever it is made.
const REFUSALS: [&str; 5] =
    ["InvalidArgument", "Unauthenticated", "PermissionDenied", "Unimplemented", "NotFound"];

/// Whether the same call may be answered later.
pub(super) fn passes(error: &SdkError) -> bool {
    match error {
        SdkError::Communication(_) | SdkError::Io(_) => true,
        // All that is no word about what was asked for.
        SdkError::Grpc(status) => !REFUSALS.contains(&format!("{:?}", status.code()).as_str()),
        SdkError::Server(_, reason) => {
            let reason = reason.to_lowercase();
            NOT_READY.iter().any(|known| reason.contains(known))
        }
        _ => false,
    }
}
