//! What goes around every request: its id, its time limit, a span, metrics, and the headers of the rate limit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use service_core::OrganizationId;
use tracing::Instrument;

use crate::api::Shared;
use crate::drain::Rest;
use crate::error::{ErrorCode, Failure};
use crate::rate_limit::Quota;
use crate::request_id::{X_REQUEST_ID, request_id};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What becomes known of a request while it is answered, and must reach the answer even if a handler panics or takes too long.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    quota: Option<Quota>,
}

impl Journal {
    /// The journal of a request; a stray one outside of [`observe`].
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// How the caller's limit stands. From here on the answer says so.
    pub(crate) fn note_quota(&self, quota: Quota) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).quota = Some(quota);
    }

    /// The organization addressed, once it is known to exist.
    pub(crate) fn note_organization(&self, organization: &OrganizationId) {
        tracing::Span::current().record("organization", organization.as_str());
    }

    fn quota(&self) -> Option<Quota> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).quota
    }
}

/// Answers a request, and tells operators about it.
pub(crate) async fn observe(State(api): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers(), &*api.environment);
    let method = request.method().clone();
    let route = route(&request);
    let journal = Journal::default();
    request.extensions_mut().insert(journal.clone());
    let rest = Rest::of(&mut request);
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %method,
        route,
        organization = tracing::field::Empty,
    );
    let begun = Instant::now();
    let mut answer = async {
        let answered = tokio::time::timeout(api.time_limit, next.run(request)).await;
        answered
            .unwrap_or_else(|_| Failure::TimedOut { may_have_happened: !method.is_safe() }.into_response())
    }
    .instrument(span.clone())
    .await;
    let took = begun.elapsed();
    rest.discard().await;

    if let Some(quota) = journal.quota() {
        show(quota, answer.headers_mut());
    }
    answer.headers_mut().insert(X_REQUEST_ID, id);

    let status = answer.status();
    let error_code = answer.extensions().get::<ErrorCode>().map(|code| code.0);
    span.in_scope(|| {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(status = status.as_u16(), error_code, microseconds, "answered");
    });
    let labels = [("method", bounded(&method).to_owned()), ("route", route)];
    metrics::histogram!("service_registry_request_duration_seconds", &labels).record(took.as_secs_f64());
    let [method, route] = labels;
    let labels = [method, route, ("status", status.as_str().to_owned())];
    metrics::counter!("service_registry_requests_total", &labels).increment(1);
    if let Some(code) = error_code {
        metrics::counter!("service_registry_refusals_total", "error_code" => code).increment(1);
    }
    answer
}

/// The route, not the path: there are only so many.
fn route(request: &Request) -> String {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    route.map_or("unmatched", |route| route.trim_end_matches('/')).to_owned()
}

/// Anyone can make up methods; a metric must not have a label for each.
fn bounded(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn show(quota: Quota, headers: &mut HeaderMap) {
    headers.insert(LIMIT, HeaderValue::from(quota.limit));
    headers.insert(REMAINING, HeaderValue::from(quota.remaining));
    headers.insert(RESET, HeaderValue::from(quota.reset));
}
