use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use service_core::UpsertVersionSet;

use crate::api::Shared;
use crate::error::Failure;
use crate::invalid::Invalid;
use crate::rate_limit::Endpoint;
use crate::request::{decoded, service_id, version_set_name};
use crate::wire::decode_upsert;

/// `PUT /v1/{organization}/service/{service_id}/version_sets/{version_set_name}/`
pub(crate) async fn upsert_version_set(
    State(api): State<Arc<Shared>>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let (parts, body) = request.into_parts();
    let admitted = api.admit(&parts, Endpoint::Upsert).await?;
    let version_set = decoded(&parts.headers, body, decode_upsert).await?;
    let path = parts.uri.path();
    let path = Invalid::both(service_id(path), version_set_name(path));
    let ((id, name), version_set) = Invalid::both(path, version_set)?;
    let wanted = UpsertVersionSet { name, version_set };
    let registry = &admitted.cluster.registry;
    registry.upsert_version_set(&admitted.organization, &admitted.caller, id, &wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}
