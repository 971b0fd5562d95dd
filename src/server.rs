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
mod description;
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
use std::sync::{Arc, Weak};
use std::time::Duration;

use connections::{Open, Signals};
use sonoteca::ingest::Decoders;
use sonoteca::milvus::Store;
use sonoteca::{Error, Result};

pub(crate) use collections::{Usual, Why};
pub(crate) use errand::run as errand;
pub(crate) use security::check;
pub(crate) use settings::{Logs, Settings};
use state::Server;

/// The time that what is in flight may take once the process is asked to stop.
const FINISH_WITHIN: Duration = Duration::from_secs(30);
/// How long work that nobody waits for any more keeps the process.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// What is told once the server listens.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    /// Where.
    pub(crate) address: SocketAddr,
    /// What programs send; nothing, where none is asked for.
    pub(crate) token: Option<String>,
    /// The model that is meant where a request names none.
    pub(crate) usual: Option<Usual>,
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
    // Here, where it may be waited for.
    let store = settings.store.as_ref().map(Store::open).transpose()?;
    let served =
        runtime.block_on(async move {
            let bind = settings.bind;
            let listener = tokio::net::TcpListener::bind(bind).await.map_err(|source| {
                Error::Io { action: "listen on", path: bind.to_string().into(), source }
            })?;
            let address = listener.local_addr().map_err(Error::Output)?;
            let server = Arc::new(Server::open(settings, decoders, address)?.with_store(store));
            let mut signals = Signals::listen()?;
            let usual = server.collections.usual(&*server.lend()?)?;
            started(&Listening { address, token: server.security.token(), usual })?;
            tracing::info!(%address, "listening");
            tokio::spawn(tidy(Arc::downgrade(&server)));
            let router = router::router(Arc::clone(&server));
            let open = connections::accept(listener, router, &mut signals).await;
            let end = finish(&server, open, &mut signals).await;
            tracing::info!("stopped");
            Ok(end)
        });
    // What was broken off is not waited for.
    match served {
        Ok(End::AskedTwice) => runtime.shutdown_background(),
        _ => runtime.shutdown_timeout(LAST_WAIT),
    }
    served.map(|_| ())
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// What was in flight was finished, or took too long.
    Waited,
    /// Whoever ends it does not want to wait.
    AskedTwice,
}

/// Asks jobs to stop, and finishes what is in flight.
async fn finish(server: &Server, open: Open, signals: &mut Signals) -> End {
    let jobs = server.jobs.stop();
    let connections = open.count();
    let seconds = FINISH_WITHIN.as_secs();
    tracing::info!(connections, jobs, "stopping: waits for what is in flight, {seconds} s at most");
    let all = async {
        let tell = |connections| tracing::info!(connections, "still waits for connections");
        tokio::join!(open.finish(tell), server.jobs.ended());
    };
    tokio::select! {
        () = all => End::Waited,
        () = tokio::time::sleep(FINISH_WITHIN) => {
            let job = server.jobs.running();
            tracing::warn!(job, "broken off: it took too long; what a job had stored stays");
            End::Waited
        }
        () = signals.next() => {
            tracing::warn!("broken off: asked twice; what a job had stored stays");
            End::AskedTwice
        }
    }
}

/// Removes, now and then, what was kept long enough, as long as there is a server.
async fn tidy(server: Weak<Server>) {
    loop {
        tokio::time::sleep(uploads::TIDY_EVERY).await;
        let Some(server) = server.upgrade() else { return };
        // Removing files waits for the disk.
        if let Err(error) = tokio::task::spawn_blocking(move || server.uploads.tidy()).await {
            tracing::warn!(%error, "old uploads were not removed");
        }
    }
}

#[cfg(test)]
mod tests;
