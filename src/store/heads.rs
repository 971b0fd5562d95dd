//! Table `heads`: small models that were trained on embeddings.
//!
//! In: a card as JSON, and tensors. Out: the same. What they mean is the business of
//! `src/train/head.rs`.

use rusqlite::{OptionalExtension, Row, params};

use super::{Library, NOW, Writer};
use crate::error::Result;
use crate::model::ModelIdentity;
use crate::units::signed;

/// A head as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredHead {
    /// Its name, the same in upper and lower case.
    pub name: String,
    /// The model whose embeddings it reads.
    pub model: ModelIdentity,
    /// Its card, JSON.
    pub card: String,
    /// Its numbers, safetensors.
    pub tensors: Vec<u8>,
    /// When it was stored: RFC 3339, UTC.
    pub created_at: String,
}

impl Writer<'_> {
    /// Stores a head, in place of one of its name; whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn put_head(
        &self,
        name: &str,
        model: &ModelIdentity,
        card: &str,
        tensors: &[u8],
    ) -> Result<bool> {
        let put = || -> rusqlite::Result<bool> {
            let removed = self.transaction.execute("DELETE FROM heads WHERE name = ?1", [name])?;
            self.transaction.execute(
                &format!(
                    "INSERT INTO heads (name, model_name, weights_sha256, front_end_version,
                         dimension, card, tensors, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, {NOW})"
                ),
                params![
                    name,
                    model.name,
                    model.weights_sha256,
                    model.front_end_version,
                    signed(model.dimension),
                    card,
                    tensors
                ],
            )?;
            Ok(removed > 0)
        };
        put().map_err(|error| self.error(error))
    }

    /// Removes a head; whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn remove_head(&self, name: &str) -> Result<bool> {
        self.transaction
            .execute("DELETE FROM heads WHERE name = ?1", [name])
            .map(|removed| removed > 0)
            .map_err(|error| self.error(error))
    }
}

const HEADS: &str = "SELECT name, model_name, weights_sha256, front_end_version, dimension, card,
                            tensors, created_at FROM heads";

impl Library {
    /// The head called `name`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn head(&self, name: &str) -> Result<Option<StoredHead>> {
        self.connection
            .prepare_cached(&format!("{HEADS} WHERE name = ?1"))
            .and_then(|mut query| query.query_row([name], read).optional())
            .map_err(|error| self.error("read", error))
    }

    /// All heads, by name.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn heads(&self) -> Result<Vec<StoredHead>> {
        let list = || -> rusqlite::Result<Vec<StoredHead>> {
            self.connection
                .prepare_cached(&format!("{HEADS} ORDER BY name"))?
                .query_map([], read)?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredHead> {
    let dimension: i64 = row.get(4)?;
    Ok(StoredHead {
        name: row.get(0)?,
        model: ModelIdentity {
            name: row.get(1)?,
            weights_sha256: row.get(2)?,
            front_end_version: row.get(3)?,
            // The column is above zero.
            dimension: usize::try_from(dimension).unwrap_or(0),
        },
        card: row.get(5)?,
        tensors: row.get(6)?,
        created_at: row.get(7)?,
    })
}
