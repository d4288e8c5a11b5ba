//! The documentation page. Its files come with the program, and it loads nothing from anywhere else.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::Config;

use crate::error::{Failure, chain};

/// Browsers are told what the page is built to do: to load from this host alone.
const THIS_HOST_ALONE: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

/// `GET /docs`: the page. Its links are relative, so it is told where its files are.
pub(crate) async fn page() -> Result<Response, Failure> {
    let (content_type, page) = file_of_page("index.html")?;
    let page = String::from_utf8_lossy(&page).replacen("<head>", "<head><base href=\"docs/\">", 1);
    Ok(answer(content_type, page.into_bytes()))
}

/// `GET /docs/` and its files.
pub(crate) async fn file(request: Request) -> Result<Response, Failure> {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let (content_type, file) = file_of_page(name)?;
    Ok(answer(content_type, file))
}

fn file_of_page(name: &str) -> Result<(String, Vec<u8>), Failure> {
    // By default the page would ask a validator elsewhere for a badge.
    let config = Config::from("../openapi.json").validator_url("none");
    match utoipa_swagger_ui::serve(name, Arc::new(config)) {
        Ok(Some(file)) => Ok((file.content_type, file.bytes.into_owned())),
        Ok(None) => Err(Failure::RouteNotFound),
        Err(error) => {
            tracing::error!(error = chain(&*error), "the documentation page could not be written");
            Err(Failure::Panicked)
        }
    }
}

fn answer(content_type: String, bytes: Vec<u8>) -> Response {
    let content_type =
        HeaderValue::try_from(content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    ([(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, THIS_HOST_ALONE)], bytes).into_response()
}
