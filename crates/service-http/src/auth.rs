//! Who asks: bearer tokens, and the organization that must have issued them.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use service_core::{Principal, Timestamp};

use crate::tokens::{InvalidToken, Tokens};

const X_ORG_ID: HeaderName = HeaderName::from_static("x-org-id");

/// Why nobody knows who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unauthenticated {
    #[error("the header `authorization` must be given once, as `Bearer` and a token")]
    NoBearerToken,
    #[error(transparent)]
    InvalidToken(#[from] InvalidToken),
    #[error(
        "the header `x-org-id` must be given at most once and name the organization that issued the token"
    )]
    OtherIssuer,
    #[error("the token is of another organization; the header `x-org-id` must name the one that issued it")]
    OtherOrganization,
    #[error("the API key does not exist, or the user does not")]
    ApiKey,
}

/// The principal whose token the headers bear. The token must have been issued by the organization that `X-ORG-ID` names;
/// without that header, by the one that the request is addressed to.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    addressed: &str,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Principal, Unauthenticated> {
    let token = bearer(headers).ok_or(Unauthenticated::NoBearerToken)?;
    let principal = tokens.verify(token, now)?;
    let issuer = principal.organization.as_str();
    if headers.contains_key(X_ORG_ID) {
        let named = only(headers, &X_ORG_ID);
        if named == Some(issuer) { Ok(principal) } else { Err(Unauthenticated::OtherIssuer) }
    } else if addressed == issuer {
        Ok(principal)
    } else {
        Err(Unauthenticated::OtherOrganization)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = only(headers, &AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// A header that is given once, in ASCII.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
