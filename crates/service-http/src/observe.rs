//! What goes around every request: its id, its time limit, a span, metrics, and the headers of the rate limit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use service_core::{Environment, OrganizationId};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::api::Shared;
use crate::drain::Rest;
use crate::error::{ErrorCode, Failure};
use crate::instruments::{REFUSALS, REQUEST_DURATION, REQUESTS};
use crate::load::Shed;
use crate::rate_limit::Quota;
use crate::request_id::{X_REQUEST_ID, request_id};
use crate::watch::{Watch, microseconds};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What becomes known of a request while it is answered, and must reach the answer even if a handler panics or takes too long.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    notes: Arc<Mutex<Notes>>,
    /// The request's own span, whichever is entered within it.
    span: Span,
}

#[derive(Debug, Default)]
struct Notes {
    quota: Option<Quota>,
}

impl Journal {
    /// The journal of a request; a stray one outside of [`observe`].
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self::within(Span::none()))
    }

    fn within(span: Span) -> Self {
        Self { notes: Arc::default(), span }
    }

    /// How the caller's limit stands. From here on the answer says so.
    pub(crate) fn note_quota(&self, quota: Quota) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).quota = Some(quota);
    }

    /// The organization addressed, once it is known to exist.
    pub(crate) fn note_organization(&self, organization: &OrganizationId) {
        self.span.record("organization", organization.as_str());
        Span::current().record("organization", organization.as_str());
    }

    /// What the request is for.
    pub(crate) fn note_operation(&self, operation: &'static str) {
        self.span.record("operation", operation);
    }

    fn quota(&self) -> Option<Quota> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).quota
    }
}

/// The answer to what never reaches the router, which operators are told of here: there is no request to speak of.
pub(crate) fn unasked(failure: Failure, headers: &HeaderMap, environment: &dyn Environment) -> Response {
    let mut answer = failure.into_response();
    let id = request_id(headers, environment);
    let (status, request_id) = (answer.status().as_u16(), id.to_str().unwrap_or_default());
    if let Some(ErrorCode(code)) = answer.extensions().get() {
        metrics::counter!(REFUSALS.name, "error_code" => *code).increment(1);
        tracing::info!(status, error_code = code, request_id, "refused unread");
    }
    answer.headers_mut().insert(X_REQUEST_ID, id);
    answer
}

/// Answers a request, and tells operators about it.
pub(crate) async fn observe(State(api): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers(), &*api.environment);
    let method = request.method().clone();
    let route = route(&request);
    let rest = Rest::of(&mut request);
    // What begins with `otel.` is how OpenTelemetry is told what it calls by other names.
    let span = tracing::info_span!(
        "request",
        otel.name = route,
        otel.kind = "server",
        otel.status_code = Empty,
        request_id = id.to_str().unwrap_or_default(),
        method = bounded(&method),
        route,
        organization = Empty,
        operation = Empty,
        status = Empty,
        outcome = Empty,
        microseconds = Empty,
    );
    let journal = Journal::within(span.clone());
    request.extensions_mut().insert(journal.clone());
    let mut watch = Watch::over(span.clone());
    let mut answer = async {
        let answered = tokio::time::timeout(api.time_limit, next.run(request)).await;
        answered
            .unwrap_or_else(|_| Failure::TimedOut { may_have_happened: !method.is_safe() }.into_response())
    }
    .instrument(span.clone())
    .await;
    let took = watch.elapsed();
    rest.discard().await;

    if let Some(quota) = journal.quota() {
        show(quota, answer.headers_mut());
    }
    answer.headers_mut().insert(X_REQUEST_ID, id);

    let status = answer.status();
    let error_code = answer.extensions().get::<ErrorCode>().map(|code| code.0);
    watch.ended(error_code.unwrap_or(if status.is_success() { "ok" } else { "failed" }));
    drop(watch);
    let is_shed = answer.extensions().get::<Shed>().is_some();
    tell(&span, status, error_code, took, is_shed);
    let labels = [("method", bounded(&method).to_owned()), ("route", route)];
    metrics::histogram!(REQUEST_DURATION.name, &labels).record(took.as_secs_f64());
    let [method, route] = labels;
    let labels = [method, route, ("status", status.as_str().to_owned())];
    metrics::counter!(REQUESTS.name, &labels).increment(1);
    if let Some(code) = error_code {
        metrics::counter!(REFUSALS.name, "error_code" => code).increment(1);
    }
    answer
}

/// Tells the span of a request what came of it, and the log. Who was turned away because there is too much to do is counted, and makes
/// no more to do.
fn tell(span: &Span, status: StatusCode, error_code: Option<&'static str>, took: Duration, is_shed: bool) {
    let microseconds = microseconds(took);
    span.record("status", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "error");
    }
    span.in_scope(|| {
        if is_shed {
            tracing::debug!(status = status.as_u16(), error_code, microseconds, "answered");
        } else {
            tracing::info!(status = status.as_u16(), error_code, microseconds, "answered");
        }
    });
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
