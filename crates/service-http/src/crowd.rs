//! The answer to those for whom there is no room.

use axum::http::HeaderMap;
use axum::response::Response;
use service_core::Environment;

use crate::error::Failure;
use crate::instruments::SHED;
use crate::observe::unasked;

/// What a server answers, without asking the router, on a connection that is one too many: 503 `unavailable`, with the
/// headers that every answer has. `headers` are those of the request.
pub fn too_many_connections(headers: &HeaderMap, environment: &dyn Environment) -> Response {
    metrics::counter!(SHED.name, "reason" => "too_many_connections").increment(1);
    unasked(Failure::TooManyConnections, headers, environment)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::http::HeaderValue;
    use serde_json::{Value, json};
    use system_environment::SystemEnvironment;

    use super::*;
    use crate::request_id::X_REQUEST_ID;

    #[tokio::test]
    async fn it_is_an_answer_like_any_other() {
        let answer = too_many_connections(&HeaderMap::new(), &SystemEnvironment);
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.headers()["retry-after"], "1");
        let id = &answer.headers()[X_REQUEST_ID];
        assert_eq!(id.len(), 32);
        assert_ne!(id, too_many_connections(&HeaderMap::new(), &SystemEnvironment).headers()[X_REQUEST_ID]);
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"detail": "too many connections", "error_code": "unavailable"}));
    }

    #[test]
    fn it_repeats_the_id_of_the_request() {
        let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static("mine"))]);
        assert_eq!(too_many_connections(&headers, &SystemEnvironment).headers()[X_REQUEST_ID], "mine");
    }
}
