//! Stores on a server, in the library's place.
//!
//! In: what `--store` says. Out: the store. Warns of servers that nobody has tried.

use sonoteca::Result;
use sonoteca::milvus::{Address, Store, TESTED};

use crate::cli::printer::Printer;

/// The store at `address`, which is there.
pub(super) fn open(address: &str, printer: &Printer) -> Result<Store> {
    let store = Store::open(&address.parse::<Address>()?)?;
    warn_of_version(&store, printer)?;
    Ok(store)
}

/// Warns when the server of `store` is of a version that was not tested.
pub(super) fn warn_of_version(store: &Store, printer: &Printer) -> Result<()> {
    if let Some(version) = store.untested_version()? {
        printer.warning(&format!(
            "the Milvus server says that it is {version}, and sonoteca was tested with {TESTED}x only"
        ));
    }
    Ok(())
}
