//! How a service write happens.

use std::sync::Arc;

use service_core::{Commit, CommitOutcome, Revision, Service, StoreError};
use sqlx::SqliteConnection;
use store_sql::change::{self, Change};
use store_sql::row::{self, ServiceRow};

use crate::error::store_error;
use crate::write::{count, write};

/// Writes a commit within a transaction that holds the write lock; `Stale` if nothing was written.
pub(crate) async fn commit(
    transaction: &mut SqliteConnection,
    commit: &Commit,
) -> Result<CommitOutcome, StoreError> {
    let wanted = commit.draft.service();
    let organization = wanted.organization.clone();
    let Some(guard) = guard(transaction, wanted).await? else { return Ok(CommitOutcome::Stale) };
    let present = guard.before.as_ref().map(|service| service.revision);
    if guard.catalog_revision != commit.catalog_revision.get()
        || present != commit.expected
        || (wanted.is_active && guard.name_is_held)
    {
        return Ok(CommitOutcome::Stale);
    }
    let service = commit.draft.clone().stamped(guard.revision.next());
    let change = Change { before: guard.before, after: Arc::new(service) };
    let changes = std::slice::from_ref(&change);
    write(transaction, &organization, changes).await?;
    count(transaction, &organization, &change::facets(changes)).await?;
    sqlx::query("UPDATE organizations SET revision = ?2 WHERE organization = ?1")
        .bind(organization.as_str())
        .bind(change.after.revision.get())
        .execute(transaction)
        .await
        .map_err(store_error)?;
    Ok(CommitOutcome::Committed(change.after.revision))
}

/// What a commit is compared with.
struct Guard {
    revision: Revision,
    catalog_revision: i64,
    before: Option<Arc<Service>>,
    /// Whether another active service has the name.
    name_is_held: bool,
}

#[derive(Debug, sqlx::FromRow)]
struct GuardRow {
    last_revision: i64,
    catalog_revision: i64,
    #[sqlx(flatten)]
    service: ServiceRow,
    name_is_held: bool,
}

async fn guard(transaction: &mut SqliteConnection, wanted: &Service) -> Result<Option<Guard>, StoreError> {
    let row: Option<GuardRow> = sqlx::query_as(
        "SELECT o.revision AS last_revision, o.catalog_revision,
             s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.tags, s.revision, h.body,
             EXISTS (SELECT 1 FROM services AS a
                 WHERE a.organization = o.organization AND a.name = ?3 AND a.is_active = 1 AND a.id <> ?2) AS name_is_held
         FROM organizations AS o
         LEFT JOIN services AS s ON s.organization = o.organization AND s.id = ?2
         LEFT JOIN history AS h ON h.organization = o.organization AND h.revision = s.revision AND h.id = s.id
         WHERE o.organization = ?1",
    )
    .bind(wanted.organization.as_str())
    .bind(wanted.id.as_bytes().as_slice())
    .bind(wanted.name.as_str())
    .fetch_optional(transaction)
    .await
    .map_err(store_error)?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Guard {
        revision: row::number("the revision of an organization", row.last_revision)?,
        catalog_revision: row.catalog_revision,
        before: row.service.service(&wanted.organization)?,
        name_is_held: row.name_is_held,
    }))
}
