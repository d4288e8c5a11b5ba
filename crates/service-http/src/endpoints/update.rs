use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::Shared;
use crate::error::{Failure, json};
use crate::invalid::Invalid;
use crate::rate_limit::Endpoint;
use crate::request::{decoded, service_id};
use crate::wire::decode_update;

/// `POST /v1/{organization}/service/{service_id}/`
pub(crate) async fn update(State(api): State<Arc<Shared>>, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let admitted = api.admit(&parts, Endpoint::Update).await?;
    let changes = decoded(&parts.headers, body, decode_update).await?;
    let (id, changes) = Invalid::both(service_id(parts.uri.path()), changes)?;
    admitted.cluster.registry.update(&admitted.organization, &admitted.caller, id, &changes).await?;
    Ok(json(StatusCode::OK, &()))
}
