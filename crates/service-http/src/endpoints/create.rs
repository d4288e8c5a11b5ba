use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::Shared;
use crate::error::{Failure, json};
use crate::rate_limit::Endpoint;
use crate::request::decoded;
use crate::wire::{Created, decode_create};

/// `POST /v1/{organization}/service/`
pub(crate) async fn create(State(api): State<Arc<Shared>>, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let admitted = api.admit(&parts, Endpoint::Create).await?;
    let wanted = decoded(&parts.headers, body, decode_create).await??;
    let service = admitted.cluster.registry.create(&admitted.organization, &admitted.caller, &wanted).await?;
    Ok(json(StatusCode::CREATED, &Created { id: service.id }))
}
