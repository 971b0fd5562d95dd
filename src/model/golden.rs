//! What the golden tests of several networks share: weights out of the user's store, and reference
//! arrays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use sha2::Digest;

use super::card::Sha256;
use super::registry;
use super::store::{Installed, ModelStore};
use super::weights::Weights;

/// Arrays that a model's original code computed.
pub(super) struct Golden {
    bytes: Vec<u8>,
}

impl Golden {
    /// A file of `golden`, in the folder that `SONOTECA_SHARED` names or beside the project;
    /// `None`, said aloud, where it is not there.
    pub(super) fn open(file: &str) -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
        let shared = std::env::var_os("SONOTECA_SHARED").map_or(beside, PathBuf::from);
        let path = shared.join("golden").join(file);
        if !path.is_file() {
            eprintln!("SKIPPED: there is no {}", path.display());
            return None;
        }
        Some(Self { bytes: std::fs::read(path).unwrap() })
    }

    /// A float32 array, row-major.
    pub(super) fn array(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        let (values, rest) = view.data().as_chunks::<4>();
        assert!(rest.is_empty());
        values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }
}

/// The weights of `model` in the user's store; `None`, said aloud, where they were not pulled.
pub(super) fn installed(model: &str) -> Option<Weights> {
    let (store, card) = (ModelStore::of_user().unwrap(), registry::find(model).unwrap());
    if store.installed(card) == Installed::Missing {
        eprintln!(
            "SKIPPED: {} is missing: `sonoteca models pull {model}`",
            store.weights_path(card).display()
        );
        return None;
    }
    Some(store.read_weights(card).unwrap())
}

/// The weights of `model` in the user's store, where `make test` puts them.
pub(super) fn weights(model: &str) -> Weights {
    let weights = ModelStore::of_user().unwrap().read_weights(registry::find(model).unwrap());
    weights.unwrap_or_else(|error| panic!("{error}: sonoteca models pull {model}"))
}

/// Checks converted weights against the hash in the card of `model`.
pub(super) fn assert_converted(model: &str, weights: &Weights) {
    let bytes = weights.to_safetensors(Path::new(model)).unwrap();
    let found = Sha256(sha2::Sha256::digest(bytes).into());
    assert_eq!(found, registry::find(model).unwrap().weights.sha256, "{model}");
}

/// The arrays of a file of `golden`, by name; `None`, said aloud, where it is not there.
pub(super) fn arrays(file: &str) -> Option<BTreeMap<String, Vec<f32>>> {
    let golden = Golden::open(file)?;
    let names = SafeTensors::deserialize(&golden.bytes).unwrap();
    let names = names.names().into_iter().map(str::to_owned);
    Some(names.map(|name| (name.clone(), golden.array(&name))).collect())
}

/// The largest difference between values of the same places.
pub(super) fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    // Not by `f32::max`, which lets NaN pass.
    differences.fold(0.0, |most, difference| if difference <= most { most } else { difference })
}

/// The largest value less the smallest.
pub(super) fn range(values: &[f32]) -> f32 {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    most - least
}
