//! Tokens that nobody signed, or not for this: each is 401, in an answer that does not say what it was about.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::Method;
use serde_json::{Value, json};
use store_conformance::generate::damage::INJECTIONS;

use crate::process::{Place, SECRET, Server, command, run};
use crate::world::{Kind, World, claims, read};

/// A token of any header and claims, signed with HS256 and this secret, whatever its header says.
fn forged(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature =
        sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256).expect("a signature");
    format!("{message}.{signature}")
}

fn with(changes: Value) -> Value {
    let mut claims = claims("acme", "alice");
    for (name, value) in changes.as_object().expect("changes") {
        claims[name] = value.clone();
    }
    claims
}

async fn list(world: &World, token: &str) -> (u16, Value) {
    let request = world.request(Method::GET, "/v1/acme/service/").bearer_auth(token);
    let (status, body) = read(request.send().await.expect("an answer")).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn a_forged_token_is_nobodys() {
    let world = World::new(Kind::Memory).await;
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let secret = SECRET.as_bytes();
    let now = claims("acme", "alice")["iat"].as_i64().expect("a time");
    assert_eq!(list(&world, &forged(&header, &with(json!({})), secret)).await.0, 200);

    let mut refused = vec![
        (
            "signed with another secret",
            forged(&header, &with(json!({})), b"another secret of 32 bytes or so"),
        ),
        ("signed with nothing", forged(&header, &with(json!({})), b"")),
        ("expired", forged(&header, &with(json!({"exp": now - 1})), secret)),
        ("expires now, long ago", forged(&header, &with(json!({"exp": 0})), secret)),
        ("not yet valid", forged(&header, &with(json!({"nbf": now + 600})), secret)),
        ("issued in the future", forged(&header, &with(json!({"iat": now + 600})), secret)),
        ("of another issuer", forged(&header, &with(json!({"iss": "someone"})), secret)),
        ("for another audience", forged(&header, &with(json!({"aud": "someone"})), secret)),
        ("for several, not for us", forged(&header, &with(json!({"aud": ["a", "b"]})), secret)),
        ("of another organization", forged(&header, &with(json!({"org": "rival"})), secret)),
        ("of no organization", forged(&header, &with(json!({"org": null})), secret)),
        ("of two organizations", forged(&header, &with(json!({"org": ["acme", "rival"]})), secret)),
        ("of an organization that is a path", forged(&header, &with(json!({"org": "../acme"})), secret)),
        ("of nobody", forged(&header, &with(json!({"sub": ""})), secret)),
        ("of an object", forged(&header, &with(json!({"sub": {"$ne": ""}})), secret)),
        (
            "critical",
            forged(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &with(json!({})), secret),
        ),
        (
            "compressed",
            forged(&json!({"alg": "HS256", "zip": "DEF", "crit": ["zip"]}), &with(json!({})), secret),
        ),
    ];
    for claim in ["sub", "org", "iss", "aud", "iat", "exp"] {
        let mut without = with(json!({}));
        without.as_object_mut().expect("claims").remove(claim);
        refused.push(("lacks a claim", forged(&header, &without, secret)));
    }
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA", "PS256", "hs256",
        "null",
    ] {
        let token = forged(&json!({"alg": alg, "typ": "JWT"}), &with(json!({})), secret);
        let (unsigned, _) = token.rsplit_once('.').expect("a signature");
        refused.push(("of another algorithm, without a signature", format!("{unsigned}.")));
        refused.push(("of another algorithm", token));
    }
    let own_key = URL_SAFE_NO_PAD.encode(b"attacker's own attacker's own 1234");
    let own_key = json!({"alg": "HS256", "jwk": {"kty": "oct", "k": own_key}});
    refused.push((
        "with a key of its own",
        forged(&own_key, &with(json!({})), b"attacker's own attacker's own 1234"),
    ));
    for (why, token) in refused {
        let (status, body) = list(&world, &token).await;
        assert_eq!((status, &body["error_code"]), (401, &json!("unauthenticated")), "{why}: {body}");
        let shown = body.to_string();
        assert!(!shown.contains(SECRET) && !shown.contains(&token), "{why}: {shown}");
    }
    world.end();
}

#[tokio::test]
async fn a_key_id_is_neither_a_path_nor_a_statement() {
    let world = World::new(Kind::Memory).await;
    let paths = [
        "/dev/null",
        "../../../dev/null",
        "/proc/self/environ",
        "catalog.json",
        "",
        "0",
        "|id",
        "key' UNION SELECT 'secret",
    ];
    for kid in paths.iter().chain(INJECTIONS) {
        for place in ["kid", "jku", "x5u", "x5t"] {
            let header = json!({"alg": "HS256", "typ": "JWT", place: kid});
            // What the file, or the statement, would give as the key.
            for secret in [b"" as &[u8], b"secret", b"\0"] {
                let (status, _) = list(&world, &forged(&header, &with(json!({})), secret)).await;
                assert_eq!(status, 401, "{place} {kid:?}");
            }
            let (status, _) = list(&world, &forged(&header, &with(json!({})), SECRET.as_bytes())).await;
            assert_eq!(
                status, 200,
                "{place} {kid:?}: it is signed as it must be, and nobody asked for a key id"
            );
        }
    }
    world.end();
}

#[tokio::test]
async fn a_public_key_signs_nothing() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
    let place = Place::new();
    for (algorithm, file) in [("EdDSA", "ed25519.public.pem"), ("RS256", "rsa-2048.public.pem")] {
        let public = format!("{keys}/{file}");
        let arguments =
            ["serve", "--listen", "127.0.0.1:0", "--store", "memory:", "--catalog", &place.catalog()];
        let mut serve = command(&arguments);
        serve.env("SERVICE_JWT_ALGORITHM", algorithm).env("SERVICE_JWT_PUBLIC_KEY_FILE", &public);
        let server = Server::spawn(&mut serve);
        let pem = std::fs::read(&public).expect("a key");
        let text = String::from_utf8(pem.clone()).expect("PEM");
        let stripped: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(&stripped).expect("base64");
        // What the key is within its wrapping: the last 32 bytes, or a structure of its own.
        let bare = &der[der.len() - if algorithm == "EdDSA" { 32 } else { 270 }..];
        let secrets: [&[u8]; 6] = [&pem, text.trim_end().as_bytes(), stripped.as_bytes(), &der, bare, b""];
        for secret in secrets {
            for alg in ["HS256", "HS384", "none", algorithm] {
                let token = forged(&json!({"alg": alg, "typ": "JWT"}), &with(json!({})), secret);
                let url = format!("{}/v1/acme/service/", server.url);
                let answer =
                    reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("an answer");
                assert_eq!(answer.status(), 401, "{algorithm} {alg}");
            }
        }
        server.stop();
    }
}

#[test]
fn keys_that_are_too_short_or_cannot_verify_are_wrong_configuration() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
    let place = Place::new();
    for file in ["rsa-1024.public.pem", "rsa-8192.public.pem"] {
        // Should the key be taken, another fault ends it.
        let twice = ["--cluster", "west=memory:", "--cluster", "west=memory:"];
        let mut serve = command(&[&["serve", "--store", &place.store()], &twice as &[_]].concat());
        serve.env("SERVICE_JWT_ALGORITHM", "RS256");
        serve.env("SERVICE_JWT_PUBLIC_KEY_FILE", format!("{keys}/{file}"));
        let line = run(&mut serve).failed(2);
        assert!(line.contains("2048"), "{file}: {line}");
        assert_eq!(place.files(), [""; 0]);
    }
}
