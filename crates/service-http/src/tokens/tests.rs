use jsonwebtoken::crypto::sign;
use serde_json::{Value, json};

use super::*;

pub(super) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
pub(super) const NOW: i64 = 1_700_000_000;
const ED_PUBLIC: &[u8] = include_bytes!("keys/ed25519-public.pem");
const ED_PRIVATE: &[u8] = include_bytes!("keys/ed25519-private.pem");
const OTHER_ED_PUBLIC: &[u8] = include_bytes!("keys/other-ed25519-public.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("keys/rsa-public.pem");
const RSA_1024: &[u8] = include_bytes!("keys/rsa-1024-public.pem");
const RSA_4096: &[u8] = include_bytes!("keys/rsa-4096-public.pem");
const RSA_4160: &[u8] = include_bytes!("keys/rsa-4160-public.pem");
const RSA_PRIVATE: &[u8] = include_bytes!("keys/rsa-private.pem");

pub(super) fn now() -> Timestamp {
    Timestamp::from_microseconds(NOW * MICROSECONDS).unwrap()
}

pub(super) fn alice() -> Principal {
    Principal { organization: "acme".parse().unwrap(), user: "alice".parse().unwrap() }
}

pub(super) fn hs256() -> Tokens {
    Tokens::hs256(SECRET).unwrap()
}

pub(super) fn claims() -> Value {
    json!({
        "sub": "alice", "org": "acme", "iss": "service-registry", "aud": "service-registry",
        "iat": NOW, "exp": NOW + 60,
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims.as_object_mut().unwrap().insert(name.clone(), value.clone());
    }
    claims
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number =
            (0..3).fold(0_usize, |number, at| number << 8 | usize::from(*chunk.get(at).unwrap_or(&0)));
        let digits = (0..=chunk.len()).map(|at| char::from(DIGITS[number >> (18 - 6 * at) & 63]));
        text.extend(digits);
    }
    text
}

/// A token with this header and these claims, signed with HS256 and this secret, whatever the header says.
pub(super) fn token_of(header: &Value, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.as_bytes()));
    let key = EncodingKey::from_secret(secret);
    let signature = sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn verify(claims: &Value) -> Result<Principal, InvalidToken> {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    hs256().verify(&token_of(&header, &claims.to_string(), SECRET), now())
}

#[test]
fn what_is_signed_is_verified_until_it_expires() {
    let ed = Tokens::from_pem(Algorithm::EdDsa, ED_PUBLIC, Some(ED_PRIVATE)).unwrap();
    let rsa = Tokens::from_pem(Algorithm::Rs256, RSA_PUBLIC, Some(RSA_PRIVATE)).unwrap();
    for tokens in [hs256(), ed, rsa] {
        assert!(tokens.can_sign());
        let (token, expires_at) = tokens.sign(&alice(), now(), Duration::from_secs(60)).unwrap();
        assert_eq!(expires_at.as_microseconds(), (NOW + 60) * MICROSECONDS);
        assert_eq!(tokens.verify(&token, now()), Ok(alice()));
        let just_before = Timestamp::from_microseconds(expires_at.as_microseconds() - 1).unwrap();
        assert_eq!(tokens.verify(&token, just_before), Ok(alice()));
        assert_eq!(tokens.verify(&token, expires_at), Err(InvalidToken("the token has expired")));
    }
}

#[test]
fn claims_that_are_right_are_accepted() {
    let right = [
        json!({}),
        json!({"aud": ["other", "service-registry"]}),
        json!({"nbf": NOW}),
        json!({"nbf": null}),
        json!({"exp": NOW as f64 + 0.5}),
        json!({"iat": NOW + 60}),
        json!({"unknown": {"deep": [1]}}),
    ];
    for changes in right {
        assert_eq!(verify(&with(changes.clone())), Ok(alice()), "{changes}");
    }
}

#[test]
fn a_claim_that_is_wrong_is_refused() {
    let wrong = [
        json!({"exp": NOW}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": (NOW + 60).to_string()}),
        json!({"exp": null}),
        json!({"exp": true}),
        json!({"nbf": NOW + 1}),
        json!({"nbf": "0"}),
        json!({"iat": NOW + 61}),
        json!({"iat": "0"}),
        json!({"iat": null}),
        json!({"iss": "other"}),
        json!({"iss": ["service-registry"]}),
        json!({"aud": "other"}),
        json!({"aud": []}),
        json!({"aud": ["other"]}),
        json!({"aud": "service-registry "}),
        json!({"aud": null}),
        json!({"org": "no organization"}),
        json!({"org": ""}),
        json!({"org": 1}),
        json!({"sub": ""}),
        json!({"sub": "a\u{0}"}),
        json!({"sub": ["alice"]}),
    ];
    for changes in wrong {
        assert!(verify(&with(changes.clone())).is_err(), "{changes}");
    }
    for name in ["sub", "org", "iss", "aud", "exp", "iat"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert!(verify(&claims).is_err(), "{name}");
    }
    let header = json!({"alg": "HS256"});
    let twice = claims().to_string().replacen('{', r#"{"org":"acme","#, 1);
    assert!(hs256().verify(&token_of(&header, &twice, SECRET), now()).is_err());
    assert!(hs256().verify(&token_of(&header, "no claims", SECRET), now()).is_err());
}

#[test]
fn the_algorithm_is_not_the_tokens_to_choose() {
    let claims = claims().to_string();
    let body = |alg: &str| {
        let header = json!({"alg": alg, "typ": "JWT"}).to_string();
        format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()))
    };
    for alg in ["none", "None", "NONE", ""] {
        for signature in ["", "AAAA"] {
            assert!(hs256().verify(&format!("{}.{signature}", body(alg)), now()).is_err(), "{alg}");
        }
    }
    // Other algorithms with our secret, among them those of the same family.
    for alg in [jsonwebtoken::Algorithm::HS384, jsonwebtoken::Algorithm::HS512] {
        let token = encode(&Header::new(alg), &with(json!({})), &EncodingKey::from_secret(SECRET)).unwrap();
        assert!(hs256().verify(&token, now()).is_err());
    }
    // A public key is no secret: a token signed with it must not pass for one of the private key.
    for (algorithm, public) in [(Algorithm::Rs256, RSA_PUBLIC), (Algorithm::EdDsa, ED_PUBLIC)] {
        let tokens = Tokens::from_pem(algorithm, public, None).unwrap();
        for alg in ["HS256", "RS256", "EdDSA"] {
            let forged = token_of(&json!({"alg": alg}), &claims, public);
            assert!(tokens.verify(&forged, now()).is_err(), "{algorithm:?} {alg}");
        }
    }
    // Signed with a real key, but of another algorithm than ours.
    let ed = Tokens::from_pem(Algorithm::EdDsa, ED_PUBLIC, Some(ED_PRIVATE)).unwrap();
    let rsa = Tokens::from_pem(Algorithm::Rs256, RSA_PUBLIC, Some(RSA_PRIVATE)).unwrap();
    let (token, _) = ed.sign(&alice(), now(), Duration::from_secs(60)).unwrap();
    assert!(rsa.verify(&token, now()).is_err());
    assert!(hs256().verify(&token, now()).is_err());
    let (token, _) = hs256().sign(&alice(), now(), Duration::from_secs(60)).unwrap();
    assert!(ed.verify(&token, now()).is_err());
}

#[test]
fn keys_and_urls_in_a_header_are_ignored_and_critical_extensions_refused() {
    let claims = claims().to_string();
    let token = |header: Value, secret| token_of(&header, &claims, secret);
    let key = json!({"kty": "oct", "k": base64url(b"attacker's own attacker's own 1234")});
    let own_key = token(json!({"alg": "HS256", "jwk": key}), b"attacker's own attacker's own 1234");
    assert!(hs256().verify(&own_key, now()).is_err());
    let elsewhere = json!({"alg": "HS256", "jku": "https://example.com/keys", "kid": "../../dev/null"});
    assert_eq!(hs256().verify(&token(elsewhere, SECRET), now()), Ok(alice()));
    let critical = token(json!({"alg": "HS256", "crit": ["exp"]}), SECRET);
    assert!(hs256().verify(&critical, now()).is_err());
}

#[test]
fn a_token_that_was_tampered_with_is_refused() {
    let (token, _) = hs256().sign(&alice(), now(), Duration::from_secs(60)).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let claims = base64url(with(json!({"sub": "root"})).to_string().as_bytes());
    let forged = format!("{}.{claims}.{}", parts[0], parts[2]);
    assert!(hs256().verify(&forged, now()).is_err());
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        // The case of a letter: the last one of a part may carry bits that mean nothing, so the digit before changes too.
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let meaningless = at + 1 == token.len();
        assert!(hs256().verify(&changed, now()).is_err() || meaningless, "{at}");
    }
    for odd in [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        &format!("{token}."),
        &format!("{token}.x"),
        &token.replace('.', "="),
    ] {
        assert!(hs256().verify(odd, now()).is_err(), "{odd}");
    }
    let other = Tokens::hs256(b"another secret of 32 bytes or so").unwrap();
    assert!(other.verify(&token, now()).is_err());
}

#[test]
fn long_tokens_are_not_looked_at() {
    let token = |length: usize| {
        let claims = with(json!({"padding": "x".repeat(length)})).to_string();
        token_of(&json!({"alg": "HS256"}), &claims, SECRET)
    };
    assert_eq!(hs256().verify(&token(1000), now()), Ok(alice()));
    assert_eq!(hs256().verify(&token(8000), now()), Err(InvalidToken("the token is too long")));
}

#[test]
fn issuer_and_audience_can_be_set() {
    let tokens = hs256().issuer("us").audience("them");
    let (token, _) = tokens.sign(&alice(), now(), Duration::from_secs(60)).unwrap();
    assert_eq!(tokens.verify(&token, now()), Ok(alice()));
    assert!(hs256().verify(&token, now()).is_err());
    assert!(hs256().issuer("us").verify(&token, now()).is_err());
    assert!(hs256().audience("them").verify(&token, now()).is_err());
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    assert!(matches!(Tokens::hs256(&SECRET[1..]), Err(TokensError::ShortSecret)));
    let invalid = |which| move |error: &TokensError| matches!(error, TokensError::InvalidKey { which: at, .. } if *at == which);
    let error = Tokens::from_pem(Algorithm::EdDsa, b"no key", None).unwrap_err();
    assert!(invalid("public")(&error));
    let error = Tokens::from_pem(Algorithm::Rs256, ED_PUBLIC, None).unwrap_err();
    assert!(invalid("public")(&error));
    let error = Tokens::from_pem(Algorithm::Rs256, RSA_PRIVATE, None).unwrap_err();
    assert!(invalid("public")(&error), "a private key is not a public one");
    let error = Tokens::from_pem(Algorithm::EdDsa, ED_PUBLIC, Some(RSA_PRIVATE)).unwrap_err();
    assert!(invalid("private")(&error));
    let error = Tokens::from_pem(Algorithm::EdDsa, OTHER_ED_PUBLIC, Some(ED_PRIVATE)).unwrap_err();
    assert!(matches!(error, TokensError::KeysDiffer));
}

#[test]
fn rsa_keys_have_a_size_that_is_safe_and_that_can_be_used() {
    for refused in [RSA_1024, RSA_4160] {
        let error = Tokens::from_pem(Algorithm::Rs256, refused, None).unwrap_err();
        assert!(matches!(error, TokensError::RsaKeySize), "{error:?}");
    }
    for accepted in [RSA_PUBLIC, RSA_4096] {
        assert!(Tokens::from_pem(Algorithm::Rs256, accepted, None).is_ok());
    }
}

#[test]
fn a_public_key_alone_verifies_and_does_not_sign() {
    let tokens = Tokens::from_pem(Algorithm::EdDsa, ED_PUBLIC, None).unwrap();
    assert!(!tokens.can_sign());
    let error = tokens.sign(&alice(), now(), Duration::from_secs(60)).unwrap_err();
    assert!(matches!(error, TokensError::NoPrivateKey));
    let signing = Tokens::from_pem(Algorithm::EdDsa, ED_PUBLIC, Some(ED_PRIVATE)).unwrap();
    let (token, _) = signing.sign(&alice(), now(), Duration::from_secs(60)).unwrap();
    assert_eq!(tokens.verify(&token, now()), Ok(alice()));
}

#[test]
fn a_lifetime_beyond_time_is_refused() {
    for lifetime in [Duration::MAX, Duration::from_secs(1 << 40)] {
        let error = hs256().sign(&alice(), now(), lifetime).unwrap_err();
        assert!(matches!(error, TokensError::Lifetime));
    }
}

#[test]
fn secrets_do_not_show() {
    let shown = format!("{:?}", hs256());
    assert!(!shown.contains("0123") && !shown.contains("48, 49"), "{shown}");
}

#[test]
fn tokens_of_a_further_key_are_accepted_and_signed_by_none_but_our_own() {
    let hour = Duration::from_secs(3600);
    let other_secret = b"another secret of 32 bytes or so";
    let other = Tokens::hs256(other_secret).unwrap();
    let (ours, _) = hs256().sign(&alice(), now(), hour).unwrap();
    let (theirs, _) = other.sign(&alice(), now(), hour).unwrap();
    let both = hs256().also_accepting(other_secret).unwrap();
    assert_eq!(both.verify(&ours, now()), Ok(alice()));
    assert_eq!(both.verify(&theirs, now()), Ok(alice()));
    let (signed, _) = both.sign(&alice(), now(), hour).unwrap();
    assert_eq!(signed, ours, "signed with our own key");
    let third = Tokens::hs256(b"a third secret of 32 bytes or so").unwrap();
    let (unknown, _) = third.sign(&alice(), now(), hour).unwrap();
    assert_eq!(both.verify(&unknown, now()), Err(InvalidToken("the token is not valid")));

    let rsa = Tokens::from_pem(Algorithm::Rs256, RSA_PUBLIC, Some(RSA_PRIVATE)).unwrap();
    let (by_rsa, _) = rsa.sign(&alice(), now(), hour).unwrap();
    let ed = Tokens::from_pem(Algorithm::EdDsa, ED_PUBLIC, Some(ED_PRIVATE)).unwrap();
    let (by_ed, _) = ed.sign(&alice(), now(), hour).unwrap();
    let elsewhere = Tokens::from_pem(Algorithm::EdDsa, OTHER_ED_PUBLIC, None).unwrap();
    assert!(elsewhere.verify(&by_ed, now()).is_err());
    let elsewhere = elsewhere.also_accepting(ED_PUBLIC).unwrap();
    assert_eq!(elsewhere.verify(&by_ed, now()), Ok(alice()));
    assert!(!elsewhere.can_sign());
    for token in [&ours, &by_rsa] {
        assert!(elsewhere.verify(token, now()).is_err(), "of another algorithm");
    }
}

#[test]
fn tokens_of_a_further_key_are_held_to_the_same_claims() {
    let further = b"another secret of 32 bytes or so";
    let both = hs256().also_accepting(further).unwrap();
    let header = json!({"alg": "HS256", "kid": "further"});
    let verify = |changes: Value| both.verify(&token_of(&header, &with(changes).to_string(), further), now());
    assert_eq!(verify(json!({})), Ok(alice()));
    for changes in [json!({"iss": "other"}), json!({"aud": "other"}), json!({"exp": NOW}), json!({"sub": 1})]
    {
        assert!(verify(changes.clone()).is_err(), "{changes}");
    }
    // A claim that is at fault, or a header, is not looked for under another key.
    for secret in [SECRET, further] {
        let other = token_of(&json!({"alg": "HS512"}), &claims().to_string(), secret);
        assert!(both.verify(&other, now()).is_err());
        let critical = token_of(&json!({"alg": "HS256", "crit": ["exp"]}), &claims().to_string(), secret);
        assert!(both.verify(&critical, now()).is_err());
    }
    // A public key is no secret for HS256 either, and no key is found by what the token calls it.
    let forged = token_of(&json!({"alg": "HS256", "kid": "further"}), &claims().to_string(), ED_PUBLIC);
    assert!(both.verify(&forged, now()).is_err());
    let ed = Tokens::from_pem(Algorithm::EdDsa, OTHER_ED_PUBLIC, None).unwrap();
    assert!(ed.also_accepting(ED_PUBLIC).unwrap().verify(&forged, now()).is_err());
}

#[test]
fn a_further_key_must_be_one_and_another() {
    assert!(matches!(hs256().also_accepting(&SECRET[1..]), Err(TokensError::ShortSecret)));
    assert!(matches!(hs256().also_accepting(SECRET), Err(TokensError::SameKey)));
    let ed = || Tokens::from_pem(Algorithm::EdDsa, ED_PUBLIC, None).unwrap();
    assert!(matches!(ed().also_accepting(ED_PUBLIC), Err(TokensError::SameKey)));
    for no_key in [SECRET, RSA_PUBLIC, ED_PRIVATE] {
        assert!(matches!(ed().also_accepting(no_key), Err(TokensError::InvalidKey { which: "public", .. })));
    }
    let rsa = Tokens::from_pem(Algorithm::Rs256, RSA_PUBLIC, None).unwrap();
    assert!(matches!(rsa.also_accepting(RSA_PRIVATE), Err(TokensError::InvalidKey { which: "public", .. })));
}
