//! One connection: its requests and answers, one after another.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::busy::Busy;
use crate::retold::Retold;
use crate::stream::Stream;

/// How long a client has for the head of a request, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long the head of a request that has begun to come has once the program is asked to end.
const LAST_HEAD_TIME: Duration = Duration::from_secs(1);

/// Answers requests until the client goes, keeps still for too long or takes no answers; or, once `ending` changes, until the
/// request at hand is answered.
pub(crate) async fn converse<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    router: Router,
    mut ending: watch::Receiver<()>,
) {
    let busy = Busy::default();
    let stream = TokioIo::new(Retold::new(Stream::new(stream, busy.clone())));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        // Bodies of answers are whole: from here on, what is left to do is to send, and that the stream claims.
        let claim = busy.claim();
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            drop(claim);
            answer
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .serve_connection(stream, service)
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            match timeout(LAST_HEAD_TIME, &mut connection).await {
                Ok(ended) => ended,
                Err(_) if busy.is_claimed() => connection.await,
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
