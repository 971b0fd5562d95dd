//! Connections, from the first byte to the last, and the end of all.
//!
//! In: a listener. Out: requests to the router. Refuses heads that take too long, and more
//! connections than there is room for: those wait.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// The time that the head of a request may take, and that a connection may be idle.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Connections at once.
const MOST_CONNECTIONS: usize = 512;
/// The time that what is in flight may take once the process is asked to stop.
const FINISH_WITHIN: Duration = Duration::from_secs(30);
/// The wait after a connection that could not be accepted, such as for lack of descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves until the process is asked to stop, and finishes what is in flight.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut stop = std::pin::pin!(asked_to_stop());
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
    drop(listener);
    tracing::info!("stopping: what is in flight is finished");
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(FINISH_WITHIN) => tracing::warn!("requests were broken off"),
        () = asked_to_stop() => tracing::warn!("requests were broken off: asked twice"),
    }
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

/// Waits for SIGINT or SIGTERM.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without handlers the process ends at once, which loses nothing that was acknowledged.
    let _ = tokio::signal::ctrl_c().await;
}
