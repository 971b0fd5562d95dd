//! What the server is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use sonoteca::milvus::Address;

/// How much is logged, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logs {
    /// One JSON object a line.
    pub(crate) json: bool,
    /// The least level that is written.
    pub(crate) level: tracing::Level,
}

/// What the server is told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The library.
    pub(crate) library: PathBuf,
    /// Where to listen.
    pub(crate) bind: SocketAddr,
    /// The token that was chosen; a random one, where none was.
    pub(crate) token: Option<String>,
    /// Whether everybody may do everything.
    pub(crate) insecure: bool,
    /// Names under which browsers reach it, besides addresses and `localhost`.
    pub(crate) hosts: Vec<String>,
    /// Folders that are looked at for new recordings; those that recordings lie in, where none is
    /// named.
    pub(crate) folders: Vec<PathBuf>,
    /// The model that is meant where a request names none.
    pub(crate) model: Option<String>,
    /// Where the vectors lie that are searched, where that is not the library.
    pub(crate) store: Option<Address>,
    /// What is logged.
    pub(crate) logs: Logs,
}
