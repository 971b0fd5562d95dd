//! Connections, from the first byte to the last, and what ends them.
//!
//! In: a listener, and signals. Out: requests to the router. Refuses heads that take too long, and more
//! connections than there is room for: those wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use sonoteca::{Error, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// The time that the head of a request may take, and that a connection may be idle.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Connections at once.
const MOST_CONNECTIONS: usize = 512;
/// How often is told what the end waits for.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// The wait after a connection that could not be accepted, such as for lack of descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Connections that are open when nobody new is let in any more.
pub(super) struct Open {
    graceful: GracefulShutdown,
    room: Arc<Semaphore>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Open").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// Lets connections in until `stop` is asked for.
pub(super) async fn accept(listener: TcpListener, router: Router, stop: &mut Signals) -> Open {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut stop = std::pin::pin!(stop.next());
    loop {
        let permit = tokio::select! {
            () = &mut stop => break,
            permit = Arc::clone(&room).acquire_owned() => permit,
        };
        // The semaphore is never closed.
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = graceful.watch(connection(stream, router.clone()));
                tokio::spawn(async move {
                    // A client that goes away in the middle is none of our trouble.
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection ended");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
    Open { graceful, room }
}

impl Open {
    /// Ends connections on which nothing is asked, and the others once they are answered; what is told
    /// meanwhile is how many are left.
    pub(super) async fn finish(self, tell: impl Fn(usize)) {
        let Self { graceful, room } = self;
        let mut done = std::pin::pin!(graceful.shutdown());
        loop {
            tokio::select! {
                () = &mut done => return,
                () = tokio::time::sleep(TELL_EVERY) => tell(taken(&room)),
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        taken(&self.room)
    }
}

fn taken(room: &Semaphore) -> usize {
    MOST_CONNECTIONS.saturating_sub(room.available_permits())
}

/// Milliseconds after which a connection ends on which what was sent is not taken.
#[cfg(target_os = "linux")]
const UNREAD_MS: u32 = 30_000;

fn connection(
    stream: TcpStream,
    router: Router,
) -> hyper::server::conn::http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    // Answers are small, and somebody waits for them.
    let _ = stream.set_nodelay(true);
    // Who asks and does not read would otherwise keep a place for ever.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_MS);
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}

/// Signals within this time of the first are of one stop: a supervisor or a shell that is told to stop
/// tells its processes, which a terminal may have told already.
const ONE_STOP: Duration = Duration::from_secs(1);

/// What asks the process to stop: SIGINT and SIGTERM. None that comes is missed, whether or not
/// somebody waits for it at that moment.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    /// When the last one came that counted.
    last: Option<Instant>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// [`Error::Output`] when the system does not let it.
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(Error::Output)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Error::Output)?,
            last: None,
        })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(super) fn listen() -> Result<Self> {
        Ok(Self { last: None })
    }

    /// Waits for the next stop that is asked for.
    pub(super) async fn next(&mut self) {
        loop {
            self.next_signal().await;
            if self.last.is_none_or(|last| last.elapsed() > ONE_STOP) {
                self.last = Some(Instant::now());
                return;
            }
        }
    }

    async fn next_signal(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        // Without a handler the process ends at once, which loses nothing that was acknowledged.
        let _ = tokio::signal::ctrl_c().await;
    }
}
