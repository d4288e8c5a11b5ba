//! Bodies that are deep, huge, or not quite JSON: refused at once, with an answer no larger than it need be.

use crate::wire::{exchange, statuses};
use crate::world::{Kind, World, service, token};

const MIB: usize = 1024 * 1024;

/// Bodies that are no JSON as this API takes it.
fn ill_formed() -> Vec<(&'static str, Vec<u8>)> {
    let whole = |text: String| text.into_bytes();
    let within = |value: &str| format!(r#"{{"name": {value}}}"#).into_bytes();
    let in_name = |bytes: &[u8]| [b"{\"name\": \"" as &[u8], bytes, b"\"}"].concat();
    vec![
        ("arrays, 100,000 deep", whole("[".repeat(100_000))),
        ("arrays, as deep as a body", whole("[".repeat(MIB))),
        ("arrays that end", whole(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)))),
        ("objects, 100,000 deep", whole("{\"a\":".repeat(100_000))),
        ("deep in a field", within(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)))),
        ("deep in a field nobody reads", whole(format!(r#"{{"x": {}{}}}"#, "[".repeat(65), "]".repeat(65)))),
        ("an exponent out of range", within("1e999")),
        ("an absurd exponent", within("1e99999999999999999999")),
        ("an absurd negative number", within("-1e99999999999999999999")),
        ("a number of 900,000 digits", within(&"9".repeat(900_000))),
        ("NaN", within("NaN")),
        ("Infinity", within("-Infinity")),
        ("a hexadecimal number", within("0x10")),
        ("a leading zero", within("01")),
        ("a lonely surrogate", in_name(br"\ud800")),
        ("surrogates in the wrong order", in_name(br"\udc00\ud800")),
        ("a raw NUL", in_name(b"\0")),
        ("a raw line end", in_name(b"a\nb")),
        ("an unknown escape", in_name(br"\x41")),
        ("invalid UTF-8", in_name(b"\xff\xfe")),
        ("an overlong encoding", in_name(b"\xc0\xaf")),
        ("a surrogate in UTF-8", in_name(b"\xed\xa0\x80")),
        ("beyond Unicode", in_name(b"\xf4\x90\x80\x80")),
        ("half a character", in_name(b"\xe2\x82")),
        ("a byte order mark", whole("\u{feff}{}".to_owned())),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("two values", whole("{}{}".to_owned())),
        ("a comment", whole("{/* */}".to_owned())),
        ("a comma too many", whole(r#"{"name": "a",}"#.to_owned())),
        ("nothing", Vec::new()),
        ("zeros", vec![0; 1000]),
    ]
}

/// Bodies that are JSON, and no service.
fn no_services() -> Vec<(&'static str, Vec<u8>)> {
    let member = |name: &str, value: String| {
        let body = service("Huge").to_string();
        format!("{}, \"{name}\": {value}}}", &body[..body.len() - 1]).into_bytes()
    };
    let keys =
        |count: usize| (0..count).map(|number| format!("\"{number}\":1")).collect::<Vec<_>>().join(",");
    vec![
        ("an array of half a million", format!("[{}1]", "1,".repeat(500_000)).into_bytes()),
        ("80,000 keys", format!("{{{}}}", keys(80_000)).into_bytes()),
        ("one key 170,000 times", format!("{{{}\"a\":1}}", "\"a\":1,".repeat(170_000)).into_bytes()),
        ("a name twice", member("name", "\"Other\"".into())),
        ("a name twice, escaped", member(r"n\u0061me", "\"Other\"".into())),
        ("tags twice", member("tags", "{}".into())),
        ("an escaped NUL where nobody reads", member("x", "\"\\u0000\"".into())),
        ("100,000 keyterms", member("keyterms", format!("[{}\"a\"]", "\"a\",".repeat(100_000)))),
        (
            "50,000 preferences",
            member("release_version_set", format!("{{\"llm_model_preferences\": {{{}}}}}", keys(50_000))),
        ),
        (
            "a fraction for a version",
            member("release_version_set", r#"{"agent_version_number": 1.0}"#.into()),
        ),
        (
            "an exponent for a version",
            member("release_version_set", r#"{"agent_version_number": 1e0}"#.into()),
        ),
        (
            "a version beyond 64 bits",
            member("release_version_set", r#"{"agent_version_number": 18446744073709551617}"#.into()),
        ),
        (
            "parameters of 9 levels",
            member(
                "release_version_set",
                format!(
                    r#"{{"llm_model_preferences": {{"a": {{"llm_name": "model", "params": {{"x": {}{}}}}}}}}}"#,
                    "[".repeat(9),
                    "]".repeat(9)
                ),
            ),
        ),
    ]
}

#[tokio::test]
async fn bodies_that_are_deep_huge_or_no_json_are_422() {
    let world = World::with(Kind::Memory, &[]).await;
    let bearer = token("acme", "alice");
    let post = |path: &str, body: &[u8]| {
        let (method, path) = path.split_once(' ').expect("a method");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {bearer}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        exchange(world.server.address(), &[head.as_bytes(), body].concat())
    };
    let id = "6630f0a0c1b2c3d4e5f60001";
    let endpoints = [
        "POST /v1/acme/service/".to_owned(),
        format!("POST /v1/acme/service/{id}/"),
        format!("PUT /v1/acme/service/{id}/version_sets/preview/"),
    ];
    for (why, body) in ill_formed() {
        for endpoint in &endpoints {
            let answers = post(endpoint, &body);
            assert_eq!(statuses(&answers), [422], "{why}: {answers:?}");
            assert_eq!(answers[0].error_code(), "validation_failed", "{why}");
            let detail = answers[0].json()["detail"].clone();
            assert_eq!(detail[0]["loc"], serde_json::json!(["body"]), "{why}: {detail}");
            assert!(answers[0].body.len() < 1000, "{why}");
        }
    }
    for (why, body) in no_services() {
        let answers = post(&endpoints[0], &body);
        assert_eq!(statuses(&answers), [422], "{why}: {answers:?}");
        assert_eq!(answers[0].error_code(), "validation_failed", "{why}");
        assert!(answers[0].body.len() < 100_000, "{why}: {}", answers[0].body.len());
    }
    for size in [MIB + 1, 3 * MIB] {
        for endpoint in &endpoints {
            let answers = post(endpoint, &vec![b'['; size]);
            assert_eq!(statuses(&answers), [413], "{answers:?}");
            assert_eq!(answers[0].error_code(), "payload_too_large");
        }
    }
    assert_eq!(world.services("acme").await["services"], serde_json::json!([]));
    world.end();
}
