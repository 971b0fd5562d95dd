//! Schema versions: `migrations/V*.sql`, applied forward, each in its own transaction.
//!
//! In: an open library. Out: the same at the newest version. Refuses versions that are not known
//! here. A published migration never changes; a test opens a library of every old version.

use std::time::{Duration, Instant};

use super::{Library, store_error};
use crate::error::{Error, Result};

/// How long another process may take to migrate the same library.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(5);

/// The migrations that this binary carries.
mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The schema version that this binary reads and writes.
pub fn newest_version() -> i32 {
    let runner = embedded::migrations::runner();
    runner.get_migrations().iter().map(refinery::Migration::version).max().unwrap_or(0)
}

/// Brings `library` to the newest version.
pub(super) fn run(library: &mut Library) -> Result<()> {
    let (found, known) = (version(library)?, newest_version());
    if found == known {
        return Ok(());
    }
    if found > known {
        return Err(Error::LibraryTooNew { path: library.path.clone(), found, known });
    }
    let Err(error) = embedded::migrations::runner().run(&mut library.connection) else {
        return Ok(());
    };
    // Another process may have begun the same: then one of the two fails, and soon both are done.
    let deadline = Instant::now() + OTHERS_TIMEOUT;
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        if version(library).is_ok_and(|found| found == known) {
            return Ok(());
        }
    }
    Err(Error::Store {
        action: "migrate",
        path: library.path.clone(),
        source: error.to_string().into(),
    })
}

/// The schema version of `library`; 0 before the first migration.
pub(super) fn version(library: &Library) -> Result<i32> {
    let error = |error| store_error("read", &library.path, error);
    let has_history =
        library.connection.table_exists(None, "refinery_schema_history").map_err(error)?;
    if !has_history {
        return Ok(0);
    }
    library
        .connection
        .query_row("SELECT coalesce(max(version), 0) FROM refinery_schema_history", [], |row| {
            row.get(0)
        })
        .map_err(error)
}
