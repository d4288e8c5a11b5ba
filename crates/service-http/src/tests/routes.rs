//! Routes that are not there, request ids, documents, and the router nested in another.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::get;
use serde_json::json;

use super::support::*;

#[tokio::test]
async fn unknown_routes_are_404_and_unknown_methods_405_with_those_that_are_known() {
    let world = World::new().await;
    for path in ["/", "/v1", "/v2/acme/service/", "/v1/acme/service/x/y/", "/docs/no"] {
        let answer = Call::to(&world.app, Method::GET, path).send().await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()), "{path}");
    }
    // A segment without anything in it is an ill-formed parameter of a known path.
    let answer = world.get("/v1//service/").header("x-org-id", "acme").send().await;
    assert_eq!(answer.problem(), (404, "organization_not_found".to_owned()));
    let answer = world.post("/v1/acme/service//", &json!({})).send().await;
    assert_eq!(answer.places(), [json!(["path", "service_id"])]);
    let set = format!("/v1/acme/service/{NO_SERVICE}/version_sets/x");
    let cases = [
        ("/v1/acme/service/", Method::DELETE, "GET,HEAD,POST"),
        ("/v1/acme/service/x", Method::GET, "POST"),
        (&set, Method::POST, "PUT,DELETE"),
        ("/v1/acme/user/signin_with_api_key/", Method::GET, "POST"),
        ("/healthz", Method::POST, "GET,HEAD"),
        ("/openapi.json", Method::from_bytes(b"BREW").unwrap(), "GET,HEAD"),
    ];
    for (path, method, allowed) in cases {
        let answer = Call::to(&world.app, method, path).send().await;
        assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()), "{path}");
        assert_eq!(answer.header("allow"), Some(allowed));
    }
}

#[tokio::test]
async fn answers_carry_the_clients_request_id_if_it_is_one() {
    let world = World::new().await;
    let longest = "~".repeat(128);
    for id in ["7", "a-b_c!{}\"", &longest] {
        let answer = world.get("/v1/acme/service/").header("x-request-id", id).send().await;
        assert_eq!(answer.header("x-request-id"), Some(id));
        let answer = Call::to(&world.app, Method::GET, "/nowhere").header("x-request-id", id).send().await;
        assert_eq!(answer.header("x-request-id"), Some(id));
    }
    let too_long = "~".repeat(129);
    let mut seen = Vec::new();
    for id in ["", "a b", "é", &too_long] {
        let answer = world.get("/healthz").header("x-request-id", id).send().await;
        seen.push(answer.header("x-request-id").unwrap().to_owned());
    }
    let twice = world.get("/healthz").header("x-request-id", "a").header("x-request-id", "a").send().await;
    seen.push(twice.header("x-request-id").unwrap().to_owned());
    seen.push(
        Call::to(&world.app, Method::PUT, "/healthz").send().await.header("x-request-id").unwrap().to_owned(),
    );
    assert!(
        seen.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "{seen:?}"
    );
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "ids are not unique");
}

#[tokio::test]
async fn the_document_and_its_page_are_served_and_the_page_asks_nobody_else() {
    let world = World::new().await;
    let document = Call::to(&world.app, Method::GET, "/openapi.json").send().await;
    assert_eq!(document.status, 200);
    assert!(document.json()["openapi"].as_str().unwrap().starts_with("3.1"));
    let without_slash = Call::to(&world.app, Method::GET, "/docs").send().await;
    assert_eq!(
        (without_slash.status.as_u16(), without_slash.header("content-type")),
        (200, Some("text/html"))
    );
    let html = String::from_utf8(without_slash.body.to_vec()).unwrap();
    let base = html.find("<base href=\"docs/\">").expect("links of the page without a slash have a base");
    assert!(
        html.find("src=").is_some_and(|first| base < first)
            && html.find("<link").is_some_and(|first| base < first)
    );
    let page = Call::to(&world.app, Method::GET, "/docs/").send().await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, Some("text/html")));
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for link in html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(!link.contains("//"), "{link}");
            let file = format!("/docs/{}", link.trim_start_matches("./"));
            let answer = Call::to(&world.app, Method::GET, &file).send().await;
            assert_eq!(answer.status, 200, "{file}");
            assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'self'"));
            files += 1;
        }
    }
    assert!(files >= 4, "{html}");
    let script = Call::to(&world.app, Method::GET, "/docs/swagger-initializer.js").send().await;
    let script = String::from_utf8(script.body.to_vec()).unwrap();
    assert!(script.contains("\"url\": \"../openapi.json\""), "{script}");
    assert!(script.contains("\"validatorUrl\": \"none\""), "{script}");
}

#[tokio::test]
async fn the_router_can_be_nested_beside_other_routes() {
    let world = World::new().await;
    let others = Router::new().route("/own", get(async || "own")).fallback(async || "their own fallback");
    let nested = others.clone().nest("/registry/{tenant}", world.app.clone());
    let create =
        Call::to(&nested, Method::POST, "/registry/t1/v1/acme/service/").json(&new_service("nested"));
    assert_eq!(create.bearer(&world.token("acme", "alice")).send().await.status, 201);
    let path = "/registry/t1/v1/acme/service/x/version_sets/%21/";
    let answer = Call::to(&nested, Method::DELETE, path).bearer(&world.token("acme", "alice")).send().await;
    assert_eq!(answer.places(), [json!(["path", "service_id"]), json!(["path", "version_set_name"])]);
    let unknown = Call::to(&nested, Method::GET, "/registry/t1/nowhere").send().await;
    assert_eq!(unknown.problem(), (404, "not_found".to_owned()));
    let page = Call::to(&nested, Method::GET, "/registry/t1/docs/").send().await;
    assert_eq!(page.status, 200);
    assert_eq!(Call::to(&nested, Method::GET, "/own").send().await.body, "own");
    assert_eq!(Call::to(&nested, Method::GET, "/nowhere").send().await.body, "their own fallback");
}

#[tokio::test]
async fn metrics_are_what_the_caller_renders_and_name_routes_not_paths() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let world = World::with(|api| api.metrics(Arc::new(move || handle.render()))).await;
    let without = World::new().await;
    assert_eq!(without.get("/metrics").send().await.problem(), (404, "not_found".to_owned()));

    world.request(Method::DELETE, "/v1/acme/service/secret-path/version_sets/x/").send().await;
    Call::to(&world.app, Method::from_bytes(b"BREW").unwrap(), "/secret-path").send().await;
    for _ in 0..6 {
        sign_in(&world).await;
    }
    let answer = Call::to(&world.app, Method::GET, "/metrics").send().await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(!text.contains("secret-path"), "{text}");
    let route = "/v1/{organization}/service/{service_id}/version_sets/{version_set_name}";
    let expected = [
        format!(r#"service_registry_requests_total{{method="DELETE",route="{route}",status="422"}} 1"#),
        r#"service_registry_requests_total{method="other",route="unmatched",status="404"} 1"#.to_owned(),
        r#"service_registry_refusals_total{error_code="validation_failed"} 1"#.to_owned(),
        r#"service_registry_refusals_total{error_code="rate_limited"} 1"#.to_owned(),
        r#"service_registry_rate_limited_total{endpoint="sign_in"} 1"#.to_owned(),
        "service_registry_request_duration_seconds_count".to_owned(),
    ];
    for line in expected {
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

async fn sign_in(world: &World) {
    let call =
        Call::to(&world.app, Method::POST, "/v1/acme/user/signin_with_api_key").header("x-api-key", KEY);
    call.header("x-api-key-id", KEY_ID).header("x-user-id", "alice").send().await;
}
