//! What several test programs share: where the weights, the reference arrays and the data are.

#![allow(
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

use std::path::PathBuf;

use sonoteca::model::EmbeddingModel;
use sonoteca::model::compute::Compute;
use sonoteca::model::store::ModelStore;

/// The project's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder that may lie beside the project and holds what is too large for it; `None`, said
/// aloud, where it does not.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let shared =
        std::env::var_os("SONOTECA_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let path = shared.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: there is no {} (SONOTECA_SHARED names another place)", path.display());
    None
}

/// YAMNet with its real weights.
pub fn yamnet() -> EmbeddingModel {
    let store = ModelStore::of_user().expect("a home folder");
    EmbeddingModel::load("yamnet", &store, Compute::default())
        .expect("YAMNet is installed: run `make setup` first")
}
