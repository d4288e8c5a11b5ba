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
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;

    /// More than a connection holds of an answer that is not taken.
    const LONG: usize = 100_000;

    fn router() -> Router {
        Router::new().route("/", get(async || "x".repeat(LONG))).route("/", post(async |body: String| body))
    }

    /// A connection, the client's end of it, and what ends it.
    fn connection() -> (impl Future<Output = ()>, DuplexStream, watch::Sender<()>) {
        let (server, client) = duplex(4096);
        let (end, ending) = watch::channel(());
        (converse(server, router(), ending), client, end)
    }

    /// How many seconds a connection lasts after it is asked to end in the midst of what the client does.
    async fn lasts(connection: impl Future<Output = ()>, end: &watch::Sender<()>) -> u64 {
        let mut connection = pin!(connection);
        timeout(Duration::from_millis(1), &mut connection).await.expect_err("it waits for the client");
        let begun = Instant::now();
        end.send_replace(());
        connection.await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_no_answer_loses_the_connection() {
        let (connection, mut client, _end) = connection();
        client.write_all(&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100)).await.expect("sent");
        timeout(2 * HEAD_TIME, connection).await.expect("the connection ends");
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_holds_up_the_end_for_a_moment() {
        let (connection, mut client, end) = connection();
        client.write_all(b"GET / HTTP/1.1\r\nhos").await.expect("sent");
        assert_eq!(lasts(connection, &end).await, LAST_HEAD_TIME.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_completed_in_that_moment_is_answered() {
        let (connection, mut client, end) = connection();
        client.write_all(b"POST / HTTP/1.1\r\nhos").await.expect("sent");
        let client = async {
            sleep(LAST_HEAD_TIME / 2).await;
            client.write_all(b"t: x\r\ncontent-length: 4\r\n\r\nbo").await.expect("sent");
            sleep(10 * LAST_HEAD_TIME).await;
            client.write_all(b"dy").await.expect("sent");
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.expect("an answer");
            answer
        };
        let (lasted, answer) = tokio::join!(lasts(connection, &end), client);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nbody"), "{answer}");
        assert!(lasted >= 10, "{lasted}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_slowly_is_sent_to_its_end() {
        let (connection, mut client, end) = connection();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
        let client = async {
            sleep(10 * LAST_HEAD_TIME).await;
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("an answer");
            answer
        };
        let (_, answer) = tokio::join!(lasts(connection, &end), client);
        assert!(answer.len() > LONG, "{}", answer.len());
    }
}
