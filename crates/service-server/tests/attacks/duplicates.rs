//! A header that decides who asks, or for whom, and comes twice: nobody may read it in another way than this server does, so it counts
//! as none, and the status is the one that none has.

use crate::process::command;
use crate::wire::exchange;
use crate::world::{Kind, World, refusal, service, token};

fn request(line: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test]
async fn a_header_that_decides_is_read_once_or_not_at_all() {
    let world = World::new(Kind::Memory).await;
    let before = (world.everything_of("acme").await, world.everything_of("rival").await);
    let (alice, ruth) =
        (format!("Bearer {}", token("acme", "alice")), format!("Bearer {}", token("rival", "ruth")));
    let list = |headers: &[(&str, &str)]| {
        let answers = exchange(world.server.address(), &request("GET /v1/acme/service/", headers, ""));
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.into_iter().next().expect("an answer")
    };
    let bearer = ("authorization", alice.as_str());
    assert_eq!(list(&[bearer]).status, 200);
    for (first, second) in [(&alice, &alice), (&alice, &ruth), (&ruth, &alice)] {
        let twice = [("authorization", first.as_str()), ("Authorization", second.as_str())];
        assert_eq!(refusal(&list(&twice), 401), "unauthenticated");
    }
    for both in [format!("{alice}, {ruth}"), format!("{alice} {ruth}"), format!("Basic eDp4, {alice}")] {
        assert_eq!(refusal(&list(&[("authorization", &both)]), 401), "unauthenticated", "{both}");
    }
    for (first, second) in [("acme", "acme"), ("acme", "rival"), ("rival", "acme"), ("acme", "")] {
        let twice = [bearer, ("x-org-id", first), ("X-ORG-ID", second)];
        assert_eq!(refusal(&list(&twice), 401), "unauthenticated", "{first} {second}");
    }
    assert_eq!(refusal(&list(&[bearer, ("x-org-id", "acme, rival")]), 401), "unauthenticated");
    // A header whose name only looks alike is another one.
    assert_eq!(list(&[bearer, ("x_org_id", "rival"), ("x-org-id2", "rival")]).status, 200);
    for (first, second) in [("west", "west"), ("west", "east"), ("", "west")] {
        let twice = [bearer, ("x-mongo-cluster-name", first), ("x-mongo-cluster-name", second)];
        assert_eq!(refusal(&list(&twice), 422), "unknown_cluster", "{first} {second}");
    }
    // Who asks comes before where.
    let both = [
        ("authorization", alice.as_str()),
        bearer,
        ("x-mongo-cluster-name", "a"),
        ("x-mongo-cluster-name", "b"),
    ];
    assert_eq!(refusal(&list(&both), 401), "unauthenticated");

    let body = service("Twice").to_string();
    let json = ("content-type", "application/json");
    for second in ["application/json", "text/plain", "application/json; charset=utf-16"] {
        let headers = [bearer, json, ("content-type", second)];
        let answers = exchange(world.server.address(), &request("POST /v1/acme/service/", &headers, &body));
        assert_eq!(refusal(&answers[0], 422), "validation_failed");
        assert_eq!(answers[0].json()["detail"][0]["loc"][1], "content-type");
    }
    let after = (world.everything_of("acme").await, world.everything_of("rival").await);
    assert_eq!(after, before, "nothing of it did anything");

    // An id that comes twice is nobody's: the answer gets one of its own.
    let twice = list(&[bearer, ("x-request-id", "one"), ("x-request-id", "two")]);
    let id = twice.header("x-request-id").expect("an id");
    assert!(id.len() == 32 && !id.contains("one"), "{twice:?}");
    world.end();
}

#[tokio::test]
async fn a_credential_that_comes_twice_signs_nobody_in() {
    let world = World::new(Kind::Sqlite).await;
    let printed =
        crate::process::run(&mut command(&["api-key", "create", "--store", &world.store, "--org", "acme"]));
    let key: serde_json::Value = serde_json::from_str(&printed.succeeded()).expect("JSON");
    let (id, secret) = (key["api_key_id"].as_str().expect("an id"), key["api_key"].as_str().expect("a key"));
    let sign_in = |more: &[(&str, &str)]| {
        let headers = [&[("x-api-key", secret), ("x-api-key-id", id), ("x-user-id", "alice")], more].concat();
        let bytes = request("POST /v1/acme/user/signin_with_api_key", &headers, "");
        exchange(world.server.address(), &bytes).into_iter().next().expect("an answer")
    };
    assert_eq!(sign_in(&[]).status, 200);
    for (name, value) in [
        ("x-api-key", secret),
        ("x-api-key", "other"),
        ("x-api-key-id", id),
        ("x-api-key-id", "other"),
        ("x-user-id", "alice"),
        ("X-User-Id", "nora"),
    ] {
        let answer = sign_in(&[(name, value)]);
        assert_eq!(refusal(&answer, 422), "validation_failed");
        assert_eq!(
            answer.json()["detail"][0]["loc"],
            serde_json::json!(["header", name.to_ascii_lowercase()])
        );
    }
    world.end();
}
