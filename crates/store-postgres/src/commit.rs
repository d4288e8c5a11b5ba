//! How a service write happens.

use std::sync::Arc;

use service_core::{CatalogRevision, Commit, CommitOutcome, OrganizationId, Revision, Service, StoreError};
use store_sql::change::{self, Change};
use store_sql::row::{self, ServiceRow};

use crate::error::{cause, commit_error, depends_on_session, store_error};
use crate::transaction::{Connections, Transaction};
use crate::write::{self, Guard, Written};

/// Makes a commit happen, or tells that it is stale.
///
/// What it is compared with is read without a lock, and then one statement writes, if the organization has not moved on since and
/// nobody else is about to move it. If so, everything is done again under the lock of its guard, where writers queue.
pub(crate) async fn commit(connections: &Connections, commit: Commit) -> Result<CommitOutcome, StoreError> {
    let wanted = commit.draft.service();
    let mut transaction = if connections.own {
        let read = || async {
            let mut connection = connections.statements().await?;
            let present = Present::read(&mut connection, wanted).await?;
            Ok((connection, present))
        };
        let (mut connection, present) = connections.reading(read).await?;
        // The statement is a whole transaction, and fails as its commit does.
        match attempt(&mut connection, &commit, present, commit_error).await {
            Ok(Some(outcome)) => {
                connection.end().await?;
                return Ok(outcome);
            }
            Ok(None) => {}
            // Whatever stands between took the session's settings away; a transaction says itself what it needs.
            Err(error) if cause(&error).is_some_and(depends_on_session) => {}
            Err(error) => return Err(error),
        }
        connections.write_on(connection).await?
    } else {
        connections.write().await?
    };
    lock(&mut transaction, &wanted.organization).await?;
    let present = Present::read(&mut transaction, wanted).await?;
    let outcome = attempt(&mut transaction, &commit, present, store_error).await?;
    match outcome {
        Some(CommitOutcome::Committed(revision)) => {
            transaction.commit().await?;
            Ok(CommitOutcome::Committed(revision))
        }
        Some(CommitOutcome::Stale) | None => {
            transaction.end().await?;
            Ok(CommitOutcome::Stale)
        }
    }
}

/// Writes, unless the commit is stale; `None` if the organization has moved on since that was read which is present.
async fn attempt(
    transaction: &mut Transaction,
    commit: &Commit,
    present: Option<Present>,
    failure: fn(sqlx::Error) -> StoreError,
) -> Result<Option<CommitOutcome>, StoreError> {
    let wanted = commit.draft.service();
    let Some(Present { revision, catalog_revision, service, name_is_held }) = present else {
        return Ok(Some(CommitOutcome::Stale));
    };
    if catalog_revision != commit.catalog_revision
        || service.as_ref().map(|service| service.revision) != commit.expected
        || (wanted.is_active && name_is_held)
    {
        return Ok(Some(CommitOutcome::Stale));
    }
    let next = revision.next();
    let after = Arc::new(commit.draft.clone().stamped(next));
    let changes = [Change { before: service, after }];
    let facets = change::facets(&changes);
    let guard = Guard::MovesOn { from: revision, catalog: catalog_revision };
    let written = write::write(transaction, &wanted.organization, &changes, &facets, guard, failure).await?;
    Ok(match written {
        Written::Done => Some(CommitOutcome::Committed(next)),
        Written::NameTaken => Some(CommitOutcome::Stale),
        Written::Nothing => None,
    })
}

/// Locks the guard of an organization, for whoever else writes. Those who only add to what it owns need not wait.
///
/// What the lock protects is for another statement to read, that begins when the lock is had: one that locked and read at once could
/// see the guard after another write and the service before it.
async fn lock(transaction: &mut Transaction, organization: &OrganizationId) -> Result<(), StoreError> {
    sqlx::query(
        "SELECT 1 FROM service_registry.organizations WHERE organization = $1
         FOR NO KEY UPDATE",
    )
    .persistent(transaction.prepared)
    .bind(organization.as_str())
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(store_error)
}

/// What a commit is compared with.
struct Present {
    revision: Revision,
    catalog_revision: CatalogRevision,
    /// The service that it is about.
    service: Option<Arc<Service>>,
    /// Whether another active service has the name that it is to have.
    name_is_held: bool,
}

#[derive(Debug, sqlx::FromRow)]
struct PresentRow {
    organization_revision: i64,
    catalog_revision: i64,
    #[sqlx(flatten)]
    service: ServiceRow,
    name_is_held: bool,
}

impl Present {
    /// `None` if there is no such organization.
    async fn read(transaction: &mut Transaction, wanted: &Service) -> Result<Option<Self>, StoreError> {
        let row: Option<PresentRow> = sqlx::query_as(
            "SELECT o.revision AS organization_revision, o.catalog_revision,
                 s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.tags, s.revision, h.body,
                 EXISTS (SELECT 1 FROM service_registry.services AS a
                     WHERE a.organization = $1 AND a.name = $3 AND a.is_active AND a.id <> $2) AS name_is_held
             FROM service_registry.organizations AS o
             LEFT JOIN service_registry.services AS s ON s.organization = $1 AND s.id = $2
             LEFT JOIN LATERAL (
                 SELECT h.body FROM service_registry.history AS h
                 WHERE h.organization = $1 AND h.revision = s.revision AND h.id = s.id
                 OFFSET 0) AS h ON TRUE
             WHERE o.organization = $1",
        )
        .persistent(transaction.prepared)
        .bind(wanted.organization.as_str())
        .bind(wanted.id.as_bytes().as_slice())
        .bind(wanted.name.as_str())
        .fetch_optional(&mut **transaction)
        .await
        .map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Self {
            revision: row::number("the revision of an organization", row.organization_revision)?,
            catalog_revision: row::number("the catalog revision", row.catalog_revision)?,
            service: row.service.service(&wanted.organization)?,
            name_is_held: row.name_is_held,
        }))
    }
}
