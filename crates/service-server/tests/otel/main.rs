//! Traces, as a collector of OpenTelemetry receives them from the binary.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "this is how a test fails")]

mod collector;
#[path = "../server/process.rs"]
#[expect(dead_code, reason = "the tests of the server use more of it")]
mod process;
mod wire;

use std::net::TcpListener;

use reqwest::Method;

use crate::collector::Collector;
use crate::process::{Place, SECRET, Server, body, command, run, token};
use crate::wire::Span;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A server that sends its traces to a collector.
fn server(place: &Place, endpoint: &str) -> Server {
    let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--store", &place.store()]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_SERVICE_NAME", "registry-under-test");
    Server::spawn(command.env("SERVICE_JWT_SECRET", SECRET))
}

/// The children of a span.
fn children<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.parent == parent.id && span.trace == parent.trace).collect()
}

fn of_request<'a>(spans: &'a [Span], id: &str) -> &'a Span {
    let mut of = spans.iter().filter(|span| span.attribute("request_id") == Some(id));
    let (Some(span), None) = (of.next(), of.next()) else {
        panic!("no span, or several, of {id}: {spans:#?}")
    };
    span
}

#[tokio::test]
async fn a_trace_goes_on_from_its_caller_to_the_statements_of_the_store() {
    let place = Place::new();
    place.apply_catalog();
    let collector = Collector::start();
    let server = server(&place, &collector.endpoint());
    let create =
        server.request(Method::POST, "").json(&body("Night line")).header("x-request-id", "create-1");
    let create = create.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    assert_eq!(create.send().await.expect("an answer").status(), 201);
    let taken = server.request(Method::POST, "").json(&body("Night line")).header("x-request-id", "create-2");
    assert_eq!(taken.send().await.expect("an answer").status(), 409);
    server.stop();
    let received = collector.received();
    let spans = wire::spans(&received);

    let request = of_request(&spans, "create-1");
    assert_eq!((request.trace.as_str(), request.parent.as_str()), (TRACE, CALLER));
    assert_eq!(request.name, "/v1/{organization}/service");
    for (name, value) in
        [("organization", "acme"), ("operation", "create"), ("outcome", "ok"), ("status", "201")]
    {
        assert_eq!(request.attribute(name), Some(value), "{request:#?}");
    }
    let operations = children(&spans, request);
    let [operation] = operations.as_slice() else { panic!("{operations:#?}") };
    assert_eq!((operation.name.as_str(), operation.attribute("rounds")), ("create", Some("0")));
    let calls = children(&spans, operation);
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["maintenance", "standing", "facts", "commit"], "{calls:#?}");
    for call in calls {
        for (name, value) in [("store", "sqlite"), ("cluster", "default"), ("outcome", "ok")] {
            assert_eq!(call.attribute(name), Some(value), "{call:#?}");
        }
        assert!(call.events > 0, "its statements are among them: {call:#?}");
        // Until its answer was there: the thread on which SQLite runs leaves the span only after it has answered.
        let took = call.attribute("microseconds").and_then(|took| took.parse::<u64>().ok()).expect("a time");
        let answered = call.begun + took * 1_000;
        assert!(operation.begun <= call.begun && answered <= operation.ended, "{call:#?}");
    }
    assert!(request.begun <= operation.begun && operation.ended <= request.ended);

    let refused = of_request(&spans, "create-2");
    assert_eq!((refused.parent.as_str(), refused.attribute("outcome")), ("", Some("active_name_taken")));
    assert_ne!(refused.trace, TRACE);

    let text = received.iter().map(|body| String::from_utf8_lossy(body)).collect::<String>();
    assert!(text.contains("registry-under-test"), "the service is named");
    for personal in ["alice", "Night line", "Helps.", SECRET, &token()[..20]] {
        assert!(!text.contains(personal), "{personal}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nobody_up() {
    let place = Place::new();
    place.apply_catalog();
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let server = server(&place, &format!("http://{nobody}"));
    server.create("Night line").await;
    assert_eq!(server.names().await, ["Night line"]);
    server.stop();
}

#[test]
fn a_collector_that_cannot_be_spoken_to_is_wrong_configuration() {
    let place = Place::new();
    for (name, endpoint) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector.example:4318"),
    ] {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--store", &place.store()]);
        let line = run(command.env("SERVICE_JWT_SECRET", SECRET).env(name, endpoint)).failed(2);
        assert!(line.starts_with(name), "{line}");
        assert_eq!(place.files(), Vec::<String>::new(), "nothing is written");
    }
}
