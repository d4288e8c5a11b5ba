//! How a service write happens.

use std::sync::Arc;

use service_core::{Commit, CommitOutcome, OrganizationId, Revision, Service, StoreError};
use store_sql::change::{self, Change};
use store_sql::row::{self, ServiceRow};

use crate::error::store_error;
use crate::transaction::{Connections, Transaction};
use crate::write::{self, Written};

/// Makes a commit happen, or tells that it is stale.
pub(crate) async fn commit(connections: &Connections, commit: Commit) -> Result<CommitOutcome, StoreError> {
    let mut transaction = connections.write().await?;
    let outcome = attempt(&mut transaction, commit).await?;
    match outcome {
        CommitOutcome::Committed(_) => transaction.commit().await?,
        CommitOutcome::Stale => transaction.end().await?,
    }
    Ok(outcome)
}

/// The guard is locked first, and what it protects is read by a statement that begins after that: one that locked and read
/// at once could see the guard after another write and the service before it.
async fn attempt(transaction: &mut Transaction, commit: Commit) -> Result<CommitOutcome, StoreError> {
    let wanted = commit.draft.service();
    let organization = wanted.organization.clone();
    let Some((revision, catalog_revision)) = lock(transaction, &organization).await? else {
        return Ok(CommitOutcome::Stale);
    };
    if catalog_revision != commit.catalog_revision.get() {
        return Ok(CommitOutcome::Stale);
    }
    let (before, name_is_held) = present(transaction, wanted).await?;
    let present = before.as_ref().map(|service| service.revision);
    if present != commit.expected || (wanted.is_active && name_is_held) {
        return Ok(CommitOutcome::Stale);
    }
    let revision = revision.next();
    let changes = [Change { before, after: Arc::new(commit.draft.stamped(revision)) }];
    let facets = change::facets(&changes);
    match write::write(transaction, &organization, &changes, &facets, Some(revision)).await? {
        Written::Done => Ok(CommitOutcome::Committed(revision)),
        Written::NameTaken => Ok(CommitOutcome::Stale),
    }
}

/// Locks the guard of an organization, for whoever else writes. Those who only add to what it owns need not wait.
async fn lock(
    transaction: &mut Transaction,
    organization: &OrganizationId,
) -> Result<Option<(Revision, i64)>, StoreError> {
    let guard: Option<(i64, i64)> = sqlx::query_as(
        "SELECT revision, catalog_revision FROM service_registry.organizations WHERE organization = $1
         FOR NO KEY UPDATE",
    )
    .persistent(transaction.prepared)
    .bind(organization.as_str())
    .fetch_optional(&mut **transaction)
    .await
    .map_err(store_error)?;
    let Some((revision, catalog_revision)) = guard else { return Ok(None) };
    Ok(Some((row::number("the revision of an organization", revision)?, catalog_revision)))
}

#[derive(Debug, sqlx::FromRow)]
struct PresentRow {
    #[sqlx(flatten)]
    service: ServiceRow,
    name_is_held: bool,
}

/// The service that a write is about, as it is, and whether another active service has the name it is to have.
async fn present(
    transaction: &mut Transaction,
    wanted: &Service,
) -> Result<(Option<Arc<Service>>, bool), StoreError> {
    let row: PresentRow = sqlx::query_as(
        "SELECT s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.tags, s.revision, h.body,
             EXISTS (SELECT 1 FROM service_registry.services AS a
                 WHERE a.organization = $1 AND a.name = $3 AND a.is_active AND a.id <> $2) AS name_is_held
         FROM (SELECT 1) AS always
         LEFT JOIN service_registry.services AS s ON s.organization = $1 AND s.id = $2
         LEFT JOIN LATERAL (
             SELECT h.body FROM service_registry.history AS h
             WHERE h.organization = $1 AND h.revision = s.revision AND h.id = s.id
             OFFSET 0) AS h ON TRUE",
    )
    .persistent(transaction.prepared)
    .bind(wanted.organization.as_str())
    .bind(wanted.id.as_bytes().as_slice())
    .bind(wanted.name.as_str())
    .fetch_one(&mut **transaction)
    .await
    .map_err(store_error)?;
    Ok((row.service.service(&wanted.organization)?, row.name_is_held))
}
