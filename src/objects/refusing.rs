//! What stands for object storage where sonoteca was built without it.
//!
//! In: an address. Out: the reason why it is not fetched.

use std::path::Path;

use super::Fetched;
use crate::error::{Error, Result};

/// Fetches nothing.
#[derive(Debug)]
pub struct Objects(());

impl Objects {
    /// What refuses every address.
    ///
    /// # Errors
    /// None; what fetches may fail to start.
    pub fn new() -> Result<Self> {
        Ok(Self(()))
    }

    /// Refuses `address`.
    ///
    /// # Errors
    /// [`Error::NoObjects`].
    pub fn fetch(
        &self,
        address: &Path,
        _folder: &Path,
        _is_stopped: impl Fn() -> bool,
    ) -> Result<Fetched> {
        Err(Error::NoObjects { address: address.to_owned() })
    }
}
