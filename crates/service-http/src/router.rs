//! The routes.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{Api, Shared};
use crate::endpoints::{create, delete_version_set, list, sign_in, update, upsert_version_set};
use crate::error::Failure;
use crate::load::bounded;
use crate::observe::observe;
use crate::operation::operate;
use crate::rate_limit::Endpoint;
use crate::{docs, health, openapi};

/// The routes of an API, to be served, or nested in another app.
///
/// Unknown paths are answered too, with 404 as JSON: where the app has answers of its own for those, nest the router under a
/// prefix.
pub fn router(api: Api) -> Router {
    let shared = Arc::new(Shared::from(api));
    let bounded = from_fn_with_state(Arc::clone(&shared), bounded);
    let router = mount(Router::new(), routes_of_organizations(&shared)).route_layer(bounded);
    mount(router, routes_of_operators(&shared))
        .fallback(async || Failure::RouteNotFound)
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&shared), observe))
        .with_state(shared)
}

/// Paths, and what they answer with. A router does not tell its own.
pub(crate) type Routes = Vec<(String, MethodRouter<Arc<Shared>>)>;

/// What is worked on as soon as it may be worked on.
pub(crate) fn routes_of_organizations(shared: &Shared) -> Routes {
    let operation = |endpoint| from_fn_with_state(endpoint, operate);
    let services = get(list.layer(operation(Endpoint::List))).post(create.layer(operation(Endpoint::Create)));
    let update = post(update.layer(operation(Endpoint::Update)));
    let version_set = "/v1/{organization}/service/{service_id}/version_sets/{version_set_name}";
    let upsert_or_delete = put(upsert_version_set.layer(operation(Endpoint::Upsert)))
        .delete(delete_version_set.layer(operation(Endpoint::Delete)));
    let mut routes = with_and_without_slash("/v1/{organization}/service", services);
    routes.extend(with_and_without_slash("/v1/{organization}/service/{service_id}", update));
    routes.extend(with_and_without_slash(version_set, upsert_or_delete));
    if shared.tokens.can_sign() {
        let path = "/v1/{organization}/user/signin_with_api_key";
        let sign_in = post(sign_in.layer(operation(Endpoint::SignIn)));
        routes.extend(with_and_without_slash(path, sign_in));
    }
    routes
}

/// What is for operators, who want to look in above all when there is too much to do.
pub(crate) fn routes_of_operators(shared: &Shared) -> Routes {
    let mut routes = with_and_without_slash("/healthz", get(health::healthz));
    routes.extend(with_and_without_slash("/readyz", get(health::readyz)));
    if shared.metrics.is_some() {
        routes.extend(with_and_without_slash("/metrics", get(metrics)));
    }
    // Written once: it is the same for everybody.
    let document = serde_json::to_vec(&openapi::document()).map(Bytes::from);
    if let Ok(document) = document {
        let json = HeaderValue::from_static("application/json");
        let document = get(async move || ([(CONTENT_TYPE, json)], document));
        routes.push(("/openapi.json".to_owned(), document));
    }
    routes.push(("/docs".to_owned(), get(docs::page)));
    routes.push(("/docs/".to_owned(), get(docs::file)));
    routes.push(("/docs/{file}".to_owned(), get(docs::file)));
    routes
}

fn mount(router: Router<Arc<Shared>>, routes: Routes) -> Router<Arc<Shared>> {
    routes.into_iter().fold(router, |router, (path, methods)| router.route(&path, methods))
}

fn with_and_without_slash(path: &str, methods: MethodRouter<Arc<Shared>>) -> Routes {
    vec![(path.to_owned(), methods.clone()), (format!("{path}/"), methods)]
}

/// `GET /metrics`
async fn metrics(State(api): State<Arc<Shared>>) -> Result<Response, Failure> {
    let render = api.metrics.as_ref().ok_or(Failure::RouteNotFound)?;
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(CONTENT_TYPE, content_type)], render()).into_response())
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("not a text");
    tracing::error!(panic = message, "a handler panicked");
    Failure::Panicked.into_response()
}
