use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use service_core::DeleteVersionSet;

use crate::api::Shared;
use crate::error::Failure;
use crate::invalid::Invalid;
use crate::rate_limit::Endpoint;
use crate::request::{service_id, version_set_name};

/// `DELETE /v1/{organization}/service/{service_id}/version_sets/{version_set_name}/`
pub(crate) async fn delete_version_set(
    State(api): State<Arc<Shared>>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let (parts, _) = request.into_parts();
    let admitted = api.admit(&parts, Endpoint::Delete).await?;
    let path = parts.uri.path();
    let (id, name) = Invalid::both(service_id(path), version_set_name(path))?;
    let wanted = DeleteVersionSet { name };
    let registry = &admitted.cluster.registry;
    registry.delete_version_set(&admitted.organization, &admitted.caller, id, &wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}
