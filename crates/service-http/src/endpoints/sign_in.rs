use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use service_core::{ApiKeyId, FactsQuery, OrganizationId, Principal, Standing, UserId};

use crate::api::Shared;
use crate::auth::Unauthenticated;
use crate::error::{Failure, json, no_organization};
use crate::invalid::{Invalid, kind};
use crate::observe::Journal;
use crate::rate_limit::{Endpoint, Key, Subject};
use crate::request::organization_segment;
use crate::wire::SignedIn;

const KEY: &str = "x-api-key";
const KEY_ID: &str = "x-api-key-id";
const USER: &str = "x-user-id";

/// `POST /v1/{organization}/user/signin_with_api_key`
pub(crate) async fn sign_in(State(api): State<Arc<Shared>>, request: Request) -> Result<Response, Failure> {
    let (parts, _) = request.into_parts();
    let journal = Journal::of(&parts.extensions);
    api.is_open(&api.default).await?;
    let cluster = api.chosen(&parts.headers)?;
    if cluster.name.is_some() {
        api.is_open(cluster).await?;
    }
    let addressed = organization_segment(parts.uri.path());
    let organization = OrganizationId::new(&addressed).map_err(Failure::IllFormedOrganization)?;
    let exists = cluster.registry.repository().facts(&organization, &FactsQuery::default()).await?.is_some();
    if !exists {
        return Err(no_organization(&organization));
    }
    journal.note_organization(&organization);
    let (key, (key_id, user)) = credentials(&parts.headers)?;

    // Only an organization's own users sign in with its keys. Which of the two is wrong is not said.
    let principal = Principal { organization: organization.clone(), user: user.clone() };
    let verified = cluster.access.verify_api_key(&organization, &key_id, key).await?;
    let standing = cluster.access.standing(&organization, &principal).await?;
    if !verified || !matches!(standing, Standing::Known(_)) {
        return Err(Failure::Unauthenticated(Unauthenticated::ApiKey));
    }
    api.count(&journal, || Key {
        cluster: cluster.name.clone(),
        organization: organization.clone(),
        subject: Subject::Key(key_id, user),
        endpoint: Endpoint::SignIn,
    })?;
    let now = api.environment.now();
    let (id_token, expires_at) =
        api.tokens.sign(&principal, now, api.token_lifetime).map_err(Failure::Signing)?;
    let mut answer = json(StatusCode::OK, &SignedIn { id_token, expires_at });
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

fn credentials(headers: &HeaderMap) -> Result<(&str, (ApiKeyId, UserId)), Invalid> {
    let key = header(headers, KEY);
    let key_id = header(headers, KEY_ID).and_then(|id| parsed(ApiKeyId::new(id), KEY_ID));
    let user = header(headers, USER).and_then(|user| parsed(UserId::new(user), USER));
    Invalid::both(key, Invalid::both(key_id, user))
}

fn parsed<T>(value: Result<T, service_core::ValueError>, name: &str) -> Result<T, Invalid> {
    value.map_err(|error| Invalid::at(["header", name], error.rule(), kind::VALUE_ERROR))
}

/// A header that must be given once. User ids may have any letters, and clients write those as UTF-8.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Invalid> {
    let at_fault = |message, kind| Err(Invalid::at(["header", name], message, kind));
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::as_bytes), values.next()) {
        (None | Some(b""), None) => at_fault("must be given", kind::MISSING),
        (Some(value), None) => match std::str::from_utf8(value) {
            Ok(value) => Ok(value),
            Err(_) => at_fault("must be UTF-8", kind::ENCODING_INVALID),
        },
        (_, Some(_)) => at_fault("must be given once", kind::REPEATED),
    }
}
