//! The answer to what is no request, or could be read as two.

use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use service_core::Environment;

use crate::error::Failure;
use crate::observe::unasked;

/// Why a server could not read a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not HTTP, or servers may differ on where it ends or whom it is for: 400 `malformed_request`.
    Malformed,
    /// Its target is too long: 414 `target_too_long`.
    TargetTooLong,
    /// It has too many headers, or they are too long: 431 `headers_too_large`.
    HeadersTooLarge,
}

impl Unreadable {
    /// What a server that knows the status alone has to say; anything but 414 and 431 is malformed.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::URI_TOO_LONG => Self::TargetTooLong,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::HeadersTooLarge,
            _ => Self::Malformed,
        }
    }
}

/// What a server answers, without asking the router, to what it cannot read as one request, with the headers that every answer
/// has. It ends the connection: nobody knows where the next request would begin. `headers` are those of the request, as far as
/// they are known.
pub fn unreadable(what: Unreadable, headers: &HeaderMap, environment: &dyn Environment) -> Response {
    let mut answer = unasked(Failure::Unreadable(what), headers, environment);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::Value;
    use system_environment::SystemEnvironment;

    use super::*;
    use crate::request_id::X_REQUEST_ID;

    #[tokio::test]
    async fn it_is_an_answer_like_any_other_and_the_last_and_is_counted() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        for (status, code) in
            [(400, "malformed_request"), (414, "target_too_long"), (431, "headers_too_large")]
        {
            let what = Unreadable::of_status(StatusCode::from_u16(status).unwrap());
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static("mine"))]);
            let answer = unreadable(what, &headers, &SystemEnvironment);
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()[CONNECTION], "close");
            assert_eq!(answer.headers()[X_REQUEST_ID], "mine");
            let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error_code"], code);
            assert!(body["detail"].is_string());
            let counted = format!(r#"service_registry_refusals_total{{error_code="{code}"}} 1"#);
            assert!(recorder.handle().render().lines().any(|line| line == counted), "{counted}");
        }
        let unnamed = unreadable(Unreadable::Malformed, &HeaderMap::new(), &SystemEnvironment);
        assert_eq!(unnamed.headers()[X_REQUEST_ID].len(), 32);
    }
}
