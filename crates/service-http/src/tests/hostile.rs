//! Requests of any content, through the whole router: an answer like any other, and never a failure of ours.

use axum::http::{HeaderValue, Method, Uri};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use store_conformance::generate::damage::{any_text, damaged, damaged_text, injection};
use tokio::runtime::Runtime;

use super::support::*;

/// Headers that the API reads.
const NAMES: [&str; 9] = [
    "authorization",
    "x-org-id",
    "x-mongo-cluster-name",
    "x-api-key",
    "x-api-key-id",
    "x-user-id",
    "x-request-id",
    "content-type",
    "content-length",
];

fn header() -> impl Strategy<Value = (&'static str, HeaderValue)> {
    let known =
        select(vec!["acme", "partner", "west", KEY_ID, KEY, "alice", "application/json", "Bearer ", "0"]);
    let value = prop_oneof![
        3 => vec(any::<u8>(), 0..40),
        2 => injection().prop_map(String::into_bytes),
        2 => known.prop_map(|known| known.as_bytes().to_vec()),
        1 => any_text().prop_map(String::into_bytes),
    ];
    (select(NAMES.to_vec()), value).prop_filter_map("a header value", |(name, value)| {
        Some((name, HeaderValue::from_bytes(&value).ok()?))
    })
}

/// Paths near those of the routes. What is no URI at all never comes as far as the router.
fn path() -> impl Strategy<Value = String> {
    let path = format!("/v1/acme/service/{NO_SERVICE}/version_sets/preview/?limit=3&tags=a:b&sort_by=-name");
    let encoded = vec(any::<u8>(), 0..12)
        .prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>());
    let segment = prop_oneof![
        encoded,
        "[a-zA-Z0-9%.:;,&=+*'()!$_~-]{0,12}",
        Just("acme".to_owned()),
        Just(String::new())
    ];
    let built = vec(segment, 4).prop_map(|parts| {
        format!("/v1/{}/service/{}/version_sets/{}/?{}", parts[0], parts[1], parts[2], parts[3])
    });
    prop_oneof![damaged_text(Just(path)), built, Just("/v1/acme/user/signin_with_api_key".to_owned())]
        .prop_filter("a path", |path| path.starts_with('/') && path.parse::<Uri>().is_ok())
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let valid = Just(new_service("one").to_string().into_bytes());
    prop_oneof![valid.clone(), damaged(valid), vec(any::<u8>(), 0..50)]
}

#[test]
fn any_request_is_answered_and_none_is_our_failure() {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::with(|api| api.rate_limits(false)));
    let method =
        select(vec![Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS]);
    let request = (method, path(), vec(header(), 0..4), body(), any::<bool>());
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&request, |(method, path, headers, body, is_alice)| {
        let is_head = method == Method::HEAD;
        let mut call = Call::to(&world.app, method, &path).body(body);
        for (name, value) in &headers {
            call = call.header(name, value);
        }
        if is_alice {
            call = call.bearer(&world.token("acme", "alice"));
        }
        let answer = runtime.block_on(call.send());
        prop_assert!(answer.status.as_u16() < 500, "{:?}", answer);
        let id = answer.header("x-request-id").unwrap_or_default();
        prop_assert!(
            (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()),
            "{:?}",
            answer
        );
        if answer.status.as_u16() >= 400 && !is_head {
            answer.problem();
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
