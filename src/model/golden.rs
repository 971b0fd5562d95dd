//! Reference arrays for the tests of networks.
//!
//! In: the name of a file beside the project. Out: its float32 arrays by name; `None`, said aloud,
//! where there is no such file.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::registry;
use super::store::ModelStore;
use super::weights::Weights;

/// The arrays of `golden/FILE` in the folder that `SONOTECA_SHARED` names, or in `../shared`.
pub(super) fn arrays(file: &str) -> Option<BTreeMap<String, Vec<f32>>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SONOTECA_SHARED").map_or_else(beside, PathBuf::from);
    let path = shared.join("golden").join(file);
    if !path.is_file() {
        eprintln!("SKIPPED: there is no {} (SONOTECA_SHARED names another place)", path.display());
        return None;
    }
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| -> Vec<f32> {
        data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    };
    Some(file.tensors().into_iter().map(|(name, view)| (name, values(view.data()))).collect())
}

/// The weights of `model` from the user's store.
pub(super) fn weights(model: &str) -> Weights {
    let card = registry::find(model).unwrap();
    let weights = ModelStore::of_user().unwrap().read_weights(card);
    weights.unwrap_or_else(|error| panic!("{error}: run `make setup` first"))
}

/// The largest difference between values of the same places.
pub(super) fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    // Not by `f32::max`, which lets NaN pass.
    differences.fold(0.0, |most, difference| if difference <= most { most } else { difference })
}
