//! Accepts connections, within bounds, and ends them in good order.

use std::convert::Infallible;
use std::error::Error;
use std::future::{poll_fn, ready};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use system_environment::SystemEnvironment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::conversation::converse;
use crate::framing::unambiguous;

/// How long requests in flight have once the program is asked to end: more than the API gives any of them.
pub(crate) const GRACE_TIME: Duration = Duration::from_secs(35);
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
    let router = router.layer(from_fn(unambiguous));
    let places = Arc::new(Semaphore::new(max_connections.get().min(Semaphore::MAX_PERMITS)));
    let turned_away = Arc::new(Semaphore::new(MAX_TURNED_AWAY));
    let (end, _) = watch::channel(());
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
            let conversation = converse(stream, router.clone(), end.subscribe());
            tokio::spawn(async move {
                conversation.await;
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&turned_away).try_acquire_owned() {
            tokio::spawn(turn_away(stream, place));
        }
    }
    drop(listener);
    tracing::info!(connections = end.receiver_count(), "shutting down");
    end.send_replace(());
    if tokio::time::timeout(GRACE_TIME, end.closed()).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
    }
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
