//! The documentation page. Its files come with the program, and it loads nothing from anywhere else.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::Config;

use crate::error::{Failure, chain};

/// Browsers are told what the page is built to do: to load from this host alone.
const THIS_HOST_ALONE: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

/// `GET /docs`: the page's links are relative, so it needs the slash. So does the redirect, to work wherever it is nested.
pub(crate) async fn to_page() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, HeaderValue::from_static("docs/"))]).into_response()
}

/// `GET /docs/` and its files.
pub(crate) async fn file(request: Request) -> Result<Response, Failure> {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    // By default the page would ask a validator elsewhere for a badge.
    let config = Config::from("../openapi.json").validator_url("none");
    match utoipa_swagger_ui::serve(name, Arc::new(config)) {
        Ok(Some(file)) => {
            let content_type = HeaderValue::try_from(file.content_type)
                .unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let headers = [(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, THIS_HOST_ALONE)];
            Ok((headers, file.bytes).into_response())
        }
        Ok(None) => Err(Failure::RouteNotFound),
        Err(error) => {
            tracing::error!(error = chain(&*error), "the documentation page could not be written");
            Err(Failure::Panicked)
        }
    }
}
