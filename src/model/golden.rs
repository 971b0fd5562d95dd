//! What the golden tests of several networks share: weights out of the user's store, and reference
//! arrays.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

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
        let (values, rest) = file.tensor(name).unwrap().data().as_chunks::<4>().to_owned();
        assert!(rest.is_empty());
        values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }
}
