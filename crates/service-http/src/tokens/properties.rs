//! Tokens of any content: what is not exactly as the rules want it is refused, and what is refused is never a panic.

use proptest::prelude::*;
use serde_json::{Value, json};
use store_conformance::generate::damage::{any_text, damaged_json, damaged_text};

use super::tests::{NOW, SECRET, alice, claims, hs256, now, token_of};

fn header() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

fn token() -> String {
    token_of(&header(), &claims().to_string(), SECRET)
}

/// Whether claims are those of somebody, now: the rules of the design, once more.
fn hold(claims: &Value) -> bool {
    let number = |name: &str| claims.get(name).and_then(Value::as_f64);
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_audience = |audience: &Value| audience == "service-registry";
    let now = NOW as f64;
    text("sub")
        .is_some_and(|sub| (1..=128).contains(&sub.chars().count()) && !sub.chars().any(char::is_control))
        && text("org").is_some_and(|org| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            (1..=64).contains(&org.len()) && org.bytes().all(allowed)
        })
        && text("iss") == Some("service-registry")
        && match claims.get("aud") {
            Some(Value::Array(several)) => {
                several.iter().all(Value::is_string) && several.iter().any(is_audience)
            }
            Some(one) => is_audience(one),
            None => false,
        }
        && number("exp").is_some_and(|exp| exp > now)
        && number("iat").is_some_and(|iat| iat <= now + 60.0)
        && (claims.get("nbf").is_none_or(Value::is_null) || number("nbf").is_some_and(|nbf| nbf <= now))
}

fn any_claims() -> impl Strategy<Value = Value> {
    let optional = (
        prop_oneof![
            Just(Value::Null),
            (-70..70_i64).prop_map(|by| json!(NOW + by)),
            (-2.0..2.0).prop_map(|by| json!(NOW as f64 + by))
        ],
        (-70..70_i64).prop_map(|by| json!(NOW + by)),
        prop_oneof![
            Just(json!("service-registry")),
            Just(json!(["other", "service-registry"])),
            Just(json!(["other"]))
        ],
    );
    let whole = optional.prop_map(|(nbf, exp, aud)| {
        let mut claims = claims();
        claims["nbf"] = nbf;
        claims["exp"] = exp;
        claims["aud"] = aud;
        claims
    });
    prop_oneof![1 => whole.clone(), 2 => damaged_json(whole), 2 => damaged_json(Just(claims()))]
}

proptest! {
    #[test]
    fn any_text_is_no_token(text in any_text()) {
        prop_assert!(hs256().verify(&text, now()).is_err());
    }

    #[test]
    fn any_three_texts_are_no_token(parts in ["[A-Za-z0-9_-]{0,40}", "[A-Za-z0-9_-]{0,80}", "[A-Za-z0-9_-]{0,43}"]) {
        prop_assert!(hs256().verify(&parts.join("."), now()).is_err());
    }

    #[test]
    fn a_damaged_token_is_refused(damaged in damaged_text(Just(token()))) {
        let token = token();
        let (message, _) = token.rsplit_once('.').unwrap();
        if let Ok(principal) = hs256().verify(&damaged, now()) {
            // Nothing that was signed has changed: edits undid each other, or were of bits that mean nothing.
            prop_assert!(damaged.starts_with(&format!("{message}.")) && damaged.len() == token.len(), "{}", damaged);
            prop_assert_eq!(principal, alice());
        }
    }

    #[test]
    fn claims_are_accepted_exactly_if_they_hold(claims in any_claims()) {
        let token = token_of(&header(), &claims.to_string(), SECRET);
        let outcome = hs256().verify(&token, now());
        prop_assert_eq!(outcome.is_ok(), hold(&claims) && token.len() <= 8192, "{}: {:?}", claims, outcome);
        if let Ok(principal) = outcome {
            prop_assert_eq!(json!(principal.organization), claims["org"].clone());
            prop_assert_eq!(json!(principal.user), claims["sub"].clone());
        }
    }

    #[test]
    fn a_header_chooses_nothing(header in damaged_json(Just(json!({
        "alg": "HS256", "typ": "JWT", "kid": "1", "jku": "https://example.com", "crit": null, "x5c": ["a"],
    })))) {
        let token = token_of(&header, &claims().to_string(), SECRET);
        if let Ok(principal) = hs256().verify(&token, now()) {
            prop_assert_eq!(&header["alg"], "HS256");
            prop_assert!(header["crit"].is_null(), "{}", header);
            prop_assert_eq!(principal, alice());
        }
    }
}
