//! What goes wrong, and which status that is: the one place where status codes of failures stand.

use std::error::Error;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use service_core::{OrganizationId, Refusal, RegistryError, StoreError, StoreErrorKind, ValueError};

use crate::auth::Unauthenticated;
use crate::invalid::{Invalid, kind};
use crate::rate_limit::Limited;
use crate::unreadable::Unreadable;
use crate::wire::Problem;

/// How long a client should wait before it tries again where nobody knows better.
const RETRY_SOON: u64 = 1;
/// How long during maintenance.
const RETRY_AFTER_MAINTENANCE: u64 = 5;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A cluster is in maintenance.
    Maintenance,
    /// Nobody knows who asks.
    Unauthenticated(Unauthenticated),
    /// There is no such cluster.
    UnknownCluster(&'static str),
    /// No organization can have such an id.
    IllFormedOrganization(ValueError),
    /// Too many requests.
    Limited(Limited),
    /// Something in the request is ill-formed.
    Invalid(Invalid),
    /// The body is larger than any body can be.
    PayloadTooLarge,
    /// The registry did not do it.
    Registry(RegistryError),
    /// A token could not be signed.
    Signing(crate::tokens::TokensError),
    /// The time for a request is over.
    TimedOut { may_have_happened: bool },
    /// The server holds as many connections as it can.
    TooManyConnections,
    /// The server works on as many requests as it can, and this one waited in vain.
    Overloaded,
    /// A handler panicked.
    Panicked,
    /// There is no such route.
    RouteNotFound,
    /// The route has no such method.
    MethodNotAllowed,
    /// It could not be read as one request.
    Unreadable(Unreadable),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Registry(RegistryError::Store(error))
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Registry(RegistryError::Refused(refusal))
    }
}

/// The stable name of what went wrong, left with the answer for whoever counts them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorCode(pub(crate) &'static str);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.log();
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::Maintenance => {
                let answer = problem(unavailable, "maintenance", "the registry is in maintenance");
                retry_after(answer, RETRY_AFTER_MAINTENANCE)
            }
            Self::Unauthenticated(reason) => {
                let mut answer = problem(StatusCode::UNAUTHORIZED, "unauthenticated", reason.to_string());
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                answer
            }
            Self::UnknownCluster(detail) => {
                problem(StatusCode::UNPROCESSABLE_ENTITY, "unknown_cluster", detail)
            }
            Self::IllFormedOrganization(error) => {
                let detail = format!("there is no such organization: {error}");
                problem(StatusCode::NOT_FOUND, "organization_not_found", detail)
            }
            Self::Limited(Limited { retry_after: seconds }) => {
                let detail = format!("too many requests; try again in {seconds} s");
                retry_after(problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail), seconds)
            }
            Self::Invalid(invalid) => validation_failed(invalid),
            Self::PayloadTooLarge => {
                let detail = "the body must be at most 1 MiB";
                problem(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
            }
            Self::Registry(RegistryError::Refused(Refusal::InvalidContinuationToken(token))) => {
                let message = Refusal::InvalidContinuationToken(token).to_string();
                validation_failed(Invalid::at(["query", "continuation_token"], message, kind::VALUE_ERROR))
            }
            Self::Registry(RegistryError::Refused(refusal)) => {
                problem(status_of(&refusal), refusal.code(), refusal.to_string())
            }
            Self::Registry(RegistryError::Contention) => {
                let detail = "too many others write to this organization at the moment; nothing has changed";
                retry_after(problem(unavailable, "unavailable", detail), RETRY_SOON)
            }
            Self::Registry(RegistryError::OutcomeUnknown { service, expected, source: _ }) => {
                let detail = match expected {
                    Some(revision) => format!(
                        "the outcome is unknown: service `{service}` was changed if its revision is no longer {revision}"
                    ),
                    None => format!("the outcome is unknown: service `{service}` was created if it is there"),
                };
                retry_after(problem(unavailable, "unavailable", detail), RETRY_SOON)
            }
            Self::Registry(RegistryError::Store(error)) if error.kind() == StoreErrorKind::Unavailable => {
                let detail = "the store is unavailable; nothing has changed";
                retry_after(problem(unavailable, "unavailable", detail), RETRY_SOON)
            }
            Self::TimedOut { may_have_happened } => {
                let detail = if may_have_happened {
                    "the request took too long, and whether it was carried out is unknown"
                } else {
                    "the request took too long"
                };
                retry_after(problem(unavailable, "unavailable", detail), RETRY_SOON)
            }
            Self::TooManyConnections => {
                retry_after(problem(unavailable, "unavailable", "too many connections"), RETRY_SOON)
            }
            Self::Overloaded => {
                let detail = "too many requests at once; nothing has changed";
                retry_after(problem(unavailable, "unavailable", detail), RETRY_SOON)
            }
            Self::Registry(RegistryError::Store(_)) | Self::Signing(_) | Self::Panicked => {
                problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong here")
            }
            Self::RouteNotFound => {
                problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
            }
            Self::MethodNotAllowed => {
                let detail = "this path does not take that method";
                problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
            }
            Self::Unreadable(Unreadable::Malformed) => problem(
                StatusCode::BAD_REQUEST,
                "malformed_request",
                "this is not one well-formed HTTP request",
            ),
            Self::Unreadable(Unreadable::TargetTooLong) => {
                problem(StatusCode::URI_TOO_LONG, "target_too_long", "the path and query are too long")
            }
            Self::Unreadable(Unreadable::HeadersTooLarge) => {
                let detail = "there are too many headers, or they are too long";
                problem(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail)
            }
        }
    }
}

impl Failure {
    /// Operators see the causes that clients do not.
    fn log(&self) {
        match self {
            Self::Registry(error @ (RegistryError::Store(_) | RegistryError::OutcomeUnknown { .. })) => {
                tracing::error!(error = chain(error), "the store failed");
            }
            Self::Registry(error @ RegistryError::Contention) => {
                tracing::warn!(error = chain(error), "gave up")
            }
            Self::Signing(error) => tracing::error!(error = chain(error), "a token could not be signed"),
            _ => {}
        }
    }
}

/// The status of a refusal.
fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::OrganizationNotFound(_)
        | Refusal::ServiceNotFound(_)
        | Refusal::AgentNotFound(_)
        | Refusal::StateMachineNotFound(_)
        | Refusal::VersionSetNotFound(_) => StatusCode::NOT_FOUND,
        Refusal::PermissionDenied(_) => StatusCode::FORBIDDEN,
        Refusal::ActiveNameTaken(_) => StatusCode::CONFLICT,
        Refusal::InvalidContinuationToken(_) => StatusCode::UNPROCESSABLE_ENTITY,
        // Agents, state machines, pins, LLMs, sizes and reserved names: requests that no longer or never made sense.
        _ => StatusCode::BAD_REQUEST,
    }
}

/// There is no such organization.
pub(crate) fn no_organization(organization: &OrganizationId) -> Failure {
    Refusal::OrganizationNotFound(organization.clone()).into()
}

/// An error and its causes, for the log.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn problem(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Response {
    answer(status, &Problem::new(code, detail))
}

fn validation_failed(invalid: Invalid) -> Response {
    answer(StatusCode::UNPROCESSABLE_ENTITY, &invalid.into())
}

fn answer(status: StatusCode, problem: &Problem) -> Response {
    let mut answer = json(status, problem);
    answer.extensions_mut().insert(ErrorCode(problem.error_code));
    answer
}

fn retry_after(mut answer: Response, seconds: u64) -> Response {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// An answer with a JSON body.
pub(crate) fn json<T: serde::Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => {
            (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(error) => {
            tracing::error!(error = chain(&error), "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
