use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::Shared;
use crate::error::{Failure, json};
use crate::query::decode_listing;
use crate::rate_limit::Endpoint;
use crate::wire::ServicePage;

/// `GET /v1/{organization}/service/`
pub(crate) async fn list(State(api): State<Arc<Shared>>, request: Request) -> Result<Response, Failure> {
    let (parts, _) = request.into_parts();
    let admitted = api.admit(&parts, Endpoint::List).await?;
    let listing = decode_listing(parts.uri.query())?;
    let page = admitted.cluster.registry.list(&admitted.organization, &admitted.caller, listing).await?;
    Ok(json(StatusCode::OK, &ServicePage::from(&page)))
}
