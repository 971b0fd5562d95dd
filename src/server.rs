//! `sonoteca serve`: the library over HTTP, as JSON for programs and as a page for people.
//!
//! In: [`Settings`], and the processes that decode. Out: answers, until the process is asked to
//! stop. Refuses requests of other sites and of whoever does not know the token
//! ([`security`]), and what asks for more than one request may take. Sees only the library's public interface.
//!
//! ```text
//! connection ──▶ security ──▶ handler ──▶ worker thread ──▶ library, collection, model
//! limits on      Host,        JSON,       a bounded number  shared, opened once
//! time           token        checked
//! ```

mod audio;
mod collections;
mod connections;
mod errand;
mod error;
mod extract;
mod handlers;
mod images;
mod jobs;
mod logs;
mod models;
mod page;
mod pool;
mod roots;
mod router;
mod security;
mod settings;
mod state;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sonoteca::ingest::Decoders;
use sonoteca::{Error, Result};

pub(crate) use errand::run as errand;
pub(crate) use security::check;
pub(crate) use settings::{Logs, Settings};
use state::Server;

/// How long work that nobody waits for any more keeps the process.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// What is told once the server listens.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    /// Where.
    pub(crate) address: SocketAddr,
    /// What programs send; nothing, where none is asked for.
    pub(crate) token: Option<String>,
}

/// Serves until the process is asked to stop; tells `started` where.
///
/// # Errors
/// What opening the library fails with, and [`Error::Output`] when the address is not to be had.
pub(crate) fn run(
    settings: Settings,
    decoders: Decoders,
    started: impl FnOnce(&Listening) -> Result<()>,
) -> Result<()> {
    logs::start(settings.logs);
    // Requests run side by side: one operation split among threads would only get in their way.
    sonoteca::model::set_threads_per_operation(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(state::MOST_WORKERS)
        .build()
        .map_err(Error::Output)?;
    let served =
        runtime.block_on(async move {
            let bind = settings.bind;
            let listener = tokio::net::TcpListener::bind(bind).await.map_err(|source| {
                Error::Io { action: "listen on", path: bind.to_string().into(), source }
            })?;
            let address = listener.local_addr().map_err(Error::Output)?;
            let server = Arc::new(Server::open(settings, decoders, address)?);
            started(&Listening { address, token: server.security.token() })?;
            tracing::info!(%address, "listening");
            connections::serve(listener, router::router(Arc::clone(&server))).await;
            server.jobs.stop();
            tracing::info!("stopped");
            Ok(())
        });
    // What was broken off is not waited for.
    runtime.shutdown_timeout(LAST_WAIT);
    served
}
