//! Accepts connections, within bounds, and ends them in good order.

use std::convert::Infallible;
use std::error::Error;
use std::future::{poll_fn, ready};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use system_environment::SystemEnvironment;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::stream::Stream;

/// How long a client has for the head of a request, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long requests in flight have once the program is asked to end: more than the API gives any of them.
const GRACE_TIME: Duration = Duration::from_secs(35);
/// How long to wait before accepting again where accepting failed: the usual cause, too many open files, does not go at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How many connections beyond the limit are told so at once; more than these are closed without a word.
const MAX_TURNED_AWAY: usize = 64;
/// How long a connection beyond the limit has to take its answer.
const TURN_AWAY_TIME: Duration = Duration::from_secs(1);

/// Serves until `shutdown` completes; then accepts no more, and returns once what is in flight has been answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: NonZeroUsize,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(max_connections.get().min(Semaphore::MAX_PERMITS)));
    let turned_away = Arc::new(Semaphore::new(MAX_TURNED_AWAY));
    let connections = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            // Answers are written whole: waiting for more to send would only delay them.
            let _ = stream.set_nodelay(true);
            tokio::spawn(converse(stream, router.clone(), connections.watcher(), place));
        } else if let Ok(place) = Arc::clone(&turned_away).try_acquire_owned() {
            tokio::spawn(turn_away(stream, place));
        }
    }
    drop(listener);
    tracing::info!(connections = connections.count(), "shutting down");
    if tokio::time::timeout(GRACE_TIME, connections.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    router: Router,
    watcher: Watcher,
    place: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(Stream::new(stream)), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(place);
}

async fn turn_away(stream: TcpStream, place: OwnedSemaphorePermit) {
    let answer = async {
        let service = service_fn(|request: Request<Incoming>| {
            let answer = service_http::too_many_connections(request.headers(), &SystemEnvironment);
            ready(Ok::<_, Infallible>(answer))
        });
        let mut connection =
            http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
        poll_fn(|context| connection.poll_without_shutdown(context)).await?;
        let mut stream = connection.into_parts().io.into_inner();
        stream.shutdown().await?;
        // A socket closed with unread bytes is reset, which may take the answer with it: let the client close first.
        let mut discarded = [0; 1024];
        while stream.read(&mut discarded).await? > 0 {}
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let _ = tokio::time::timeout(TURN_AWAY_TIME, answer).await;
    drop(place);
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::duplex;
    use tokio::time::timeout;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn place() -> OwnedSemaphorePermit {
        Arc::new(Semaphore::new(1)).acquire_owned().await.expect("a place")
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_no_answer_loses_the_connection() {
        let router = Router::new().route("/", get(async || "x".repeat(100_000)));
        let (server, mut client) = duplex(4096);
        client.write_all(&REQUEST.repeat(100)).await.expect("sent");
        let connections = GracefulShutdown::new();
        let connection = converse(server, router, connections.watcher(), place().await);
        timeout(2 * HEAD_TIME, connection).await.expect("the place is free again");
        drop(client);
    }
}
