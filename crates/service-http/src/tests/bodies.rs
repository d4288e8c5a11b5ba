//! Bodies, content types, and faults of several parts of a request in one answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::Method;
use http_body::Frame;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;

const MIB: usize = 1024 * 1024;

/// A body of unknown length that says how much of it was asked for.
struct Stream {
    left: usize,
    given: Arc<AtomicUsize>,
}

impl axum::body::HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let size = self.left.min(64 * 1024);
        self.left -= size;
        self.given.fetch_add(size, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; size])))))
    }
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_too_large_with_and_without_its_length() {
    let world = World::new().await;
    let announced = world.request(Method::POST, "/v1/acme/service/").header("content-length", "1048577");
    assert_eq!(announced.send().await.problem(), (413, "payload_too_large".to_owned()));
    let whole = world.request(Method::POST, "/v1/acme/service/").body(" ".repeat(MIB + 1));
    assert_eq!(whole.send().await.problem(), (413, "payload_too_large".to_owned()));
    let form = world.request(Method::POST, "/v1/acme/service/x/").header("content-type", "text/plain");
    assert_eq!(form.body(" ".repeat(MIB + 1)).send().await.problem(), (413, "payload_too_large".to_owned()));

    let given = Arc::new(AtomicUsize::new(0));
    let stream = Body::new(Stream { left: 100 * MIB, given: Arc::clone(&given) });
    let answer = world.request(Method::POST, "/v1/acme/service/").body(stream).send().await;
    assert_eq!(answer.problem(), (413, "payload_too_large".to_owned()));
    assert!(given.load(Ordering::SeqCst) <= 70 * MIB, "it was read without bound");
    assert_eq!(world.writes().await, 0);
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_read() {
    let world = World::new().await;
    let body = new_service("one").to_string();
    let padded = format!("{body}{}", " ".repeat(MIB - body.len()));
    assert_eq!(padded.len(), MIB);
    let answer = world.request(Method::POST, "/v1/acme/service/").body(padded).send().await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn json_may_be_called_json_or_nothing() {
    let world = World::new().await;
    let accepted = [None, Some("application/json"), Some("Application/JSON; charset=utf-8")];
    for (index, content_type) in accepted.into_iter().enumerate() {
        let body = new_service(&index.to_string()).to_string();
        let mut call = world.request(Method::POST, "/v1/acme/service/").body(body);
        if let Some(content_type) = content_type {
            call = call.header("content-type", content_type);
        }
        assert_eq!(call.send().await.status, 201, "{content_type:?}");
    }
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "json",
        "",
        "+json",
        "application/merge-patch+json",
        "é",
    ] {
        let call = world.request(Method::POST, "/v1/acme/service/").body(new_service("other").to_string());
        let answer = call.header("content-type", content_type).send().await;
        assert_eq!(answer.places(), [json!(["header", "content-type"])], "{content_type}");
    }
    let twice =
        world.post("/v1/acme/service/", &new_service("other")).header("content-type", "application/json");
    assert_eq!(twice.send().await.places(), [json!(["header", "content-type"])]);
    assert_eq!(world.writes().await, 3);
}

#[tokio::test]
async fn faults_of_path_header_and_body_come_in_one_answer() {
    let world = World::new().await;
    let body = json!({"version_set": {"agent_version_number": "1"}});
    let answer = world.put("/v1/acme/service/x/version_sets/%21/", &body).send().await;
    assert_eq!(
        answer.places(),
        [
            json!(["path", "service_id"]),
            json!(["path", "version_set_name"]),
            json!(["body", "version_set", "agent_version_number"]),
        ]
    );
    let call =
        world.request(Method::PUT, "/v1/acme/service/x/version_sets/ok/").header("content-type", "text/html");
    let answer = call.send().await;
    assert_eq!(answer.places(), [json!(["path", "service_id"]), json!(["header", "content-type"])]);
    let answer = world.request(Method::POST, "/v1/acme/service/x/").body("no json").send().await;
    assert_eq!(answer.places(), [json!(["path", "service_id"]), json!(["body"])]);
}

#[tokio::test]
async fn path_segments_that_are_no_utf_8_are_faults() {
    let world = World::new().await;
    let answer = world.request(Method::DELETE, "/v1/acme/service/%ff/version_sets/%c3%28/").send().await;
    assert_eq!(answer.places(), [json!(["path", "service_id"]), json!(["path", "version_set_name"])]);
    let answer = world.get("/v1/%ff/service/").header("x-org-id", "acme").send().await;
    assert_eq!(answer.problem(), (404, "organization_not_found".to_owned()));
    let answer = world.get("/v1/acme%2fservice/service/").header("x-org-id", "acme").send().await;
    assert_eq!(answer.problem(), (404, "organization_not_found".to_owned()));
}

#[tokio::test]
async fn bodies_of_listings_and_deletions_are_ignored() {
    let world = World::new().await;
    let id = world.service("one").await;
    let set = format!("/v1/acme/service/{id}/version_sets/preview/");
    assert_eq!(world.put(&set, &json!({"version_set": {}})).send().await.status, 204);
    let large = || " ".repeat(2 * MIB);
    let listed = world.get("/v1/acme/service/").header("content-type", "text/plain").body(large());
    assert_eq!(listed.send().await.status, 200);
    let deleted = world.request(Method::DELETE, &set).header("content-type", "text/plain").body(large());
    assert_eq!(deleted.send().await.status, 204);
}

#[tokio::test]
async fn a_client_that_reads_nothing_before_its_body_is_sent_still_gets_an_early_answer() {
    let world = World::new().await;
    let token = world.token("acme", "alice");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, world.app.clone()).into_future());
    let size = 16 * MIB;
    for (authorization, status) in
        [(format!("authorization: Bearer {token}\r\n"), "413"), (String::new(), "401")]
    {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/acme/service/ HTTP/1.1\r\nhost: localhost\r\n{authorization}content-length: {size}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; size]).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
    }
    server.abort();
}
