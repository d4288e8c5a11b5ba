use std::sync::Arc;

use axum::routing::{get, post};
use service_core::{CatalogDocument, Environment as _, Principal, Repository as _, UserId};
use service_http::{Api, Tokens};
use store_memory::MemoryStore;
use system_environment::SystemEnvironment;
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

/// What a client that sends its request in pieces, one each second, reads in the end, and how long that takes.
async fn answered(router: Router, pieces: impl IntoIterator<Item = String>) -> (String, u64) {
    let (server, client) = duplex(4096);
    let (_end, ending) = watch::channel(());
    let begun = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(client);
    let sends = async {
        for piece in pieces {
            if writer.write_all(piece.as_bytes()).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    let answer = async {
        let mut answer = String::new();
        reader.read_to_string(&mut answer).await.expect("text");
        (answer, begun.elapsed().as_secs())
    };
    let (_, _, answer) = tokio::join!(converse(server, router, ending), sends, answer);
    answer
}

fn dripping() -> impl Iterator<Item = String> {
    std::iter::repeat_n("x".to_owned(), 300)
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_loses_the_connection() {
    let pieces = ["GET / HTTP/1.1\r\nhost: x\r\nx-padding: ".to_owned()].into_iter().chain(dripping());
    let (_, seconds) = answered(router(), pieces).await;
    assert_eq!(seconds, HEAD_TIME.as_secs());
}

#[tokio::test(start_paused = true)]
async fn nobody_says_nothing_for_long() {
    let (answer, seconds) = answered(router(), ["GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()]).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(seconds, HEAD_TIME.as_secs());
}

/// The API over a store with the catalog of the demo, and the head of a request that creates a service.
async fn api() -> (Router, String) {
    let store = Arc::new(MemoryStore::new());
    let catalog = CatalogDocument::parse(include_bytes!("../demo/catalog.json")).expect("a catalog");
    store.apply_catalog(&catalog).await.expect("applied");
    let tokens = Tokens::hs256(&[7; 32]).expect("a secret");
    let principal = Principal {
        organization: "harbor-health".parse().expect("an id"),
        user: UserId::new("alice").expect("an id"),
    };
    let now = SystemEnvironment.now();
    let (token, _) = tokens.sign(&principal, now, Duration::from_secs(3600)).expect("signed");
    let api = Api::new(store.clone(), store.clone(), tokens, Arc::new(SystemEnvironment)).operations(store);
    let head = format!(
        "POST /v1/harbor-health/service/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    );
    (service_http::router(api), head)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_refused_and_loses_the_connection() {
    let (router, head) = api().await;
    let (answer, seconds) = answered(router, [head].into_iter().chain(dripping())).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("\r\nretry-after: ") && answer.contains("\"error_code\":\"unavailable\""),
        "{answer}"
    );
    // Thirty for the request, five for what is left of its body.
    assert_eq!(seconds, 35);
}
