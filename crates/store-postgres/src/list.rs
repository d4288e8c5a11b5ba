//! What PostgreSQL is asked for a listing; how a page is made of it stands in [`store_sql::list`].

mod dialect;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use service_core::{Listed, Listing, OrganizationId, StoreError};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, AssertSqlSafe};
use store_sql::list::{self, Bearings, Caches, Missed, PageRow, PageStatement, Reader, Value};
use store_sql::row::{HistoryRow, KeysRow};

use crate::error::store_error;
use crate::transaction::{Connections, Transaction};
use dialect::DIALECT;

/// The page of a listing.
pub(crate) async fn list(
    connections: &Connections,
    caches: &Caches,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Listed, StoreError> {
    let turn = caches.turn(organization, listing).await;
    let mut reader = connections.statements().await?;
    let listed = list::list(&mut reader, caches, turn, &DIALECT, organization, listing).await?;
    reader.end().await?;
    Ok(listed)
}

const BEARINGS: &str = "SELECT o.revision AS last_revision, h.revision, h.id, h.body
 FROM service_registry.organizations AS o
 LEFT JOIN service_registry.history AS h ON h.organization = $1 AND h.revision = $2
 WHERE o.organization = $1";

/// The same, what an index has missed, and what a page is expected to be made of. As revisions have no gaps, the first so many rows are
/// a range of so many revisions.
const BEARINGS_AND_MISSED: &str = "SELECT o.revision AS last_revision, h.revision, h.id, h.body
 FROM service_registry.organizations AS o
 LEFT JOIN service_registry.history AS h ON h.organization = $1 AND h.revision = $2
 WHERE o.organization = $1
 UNION ALL
 SELECT NULL, h.revision, h.id, h.body FROM service_registry.history AS h
 WHERE h.organization = $1 AND h.revision >= $3 AND h.revision < $3 + $4
 UNION ALL
 SELECT NULL, h.revision, h.id, h.body FROM service_registry.history AS h
 WHERE h.organization = $1 AND h.revision = ANY ($5)";

const KEYS: &str = "SELECT id, name, is_active, agent_id, state_machine_id, tags, revision
 FROM service_registry.services WHERE organization = $1 AND id > $2
 ORDER BY id LIMIT $3";

const AT: &str = "SELECT revision, id, body FROM service_registry.history
 WHERE organization = $1 AND revision = ANY ($2)";

#[async_trait]
impl Reader for Transaction {
    async fn bearings(
        &mut self,
        organization: &OrganizationId,
        token: i64,
        missed: Option<(&Missed, &[i64])>,
    ) -> Result<Option<Bearings>, StoreError> {
        let query = match missed {
            None => sqlx::query_as(BEARINGS).bind(organization.as_str()).bind(token),
            Some((Missed { from, limit, .. }, expected)) => sqlx::query_as(BEARINGS_AND_MISSED)
                .bind(organization.as_str())
                .bind(token)
                .bind(from)
                .bind(limit)
                .bind(expected),
        };
        query.persistent(self.prepared).fetch_all(&mut **self).await.map(Bearings::of).map_err(store_error)
    }

    async fn page(&mut self, statement: PageStatement) -> Result<Vec<PageRow>, StoreError> {
        let (sql, arguments) = parts(statement).map_err(store_error)?;
        sqlx::query_as_with(AssertSqlSafe(sql), arguments)
            .persistent(self.prepared)
            .fetch_all(&mut **self)
            .await
            .map_err(store_error)
    }

    async fn keys(
        &mut self,
        organization: &OrganizationId,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<KeysRow>, StoreError> {
        sqlx::query_as(KEYS)
            .persistent(self.prepared)
            .bind(organization.as_str())
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut **self)
            .await
            .map_err(store_error)
    }

    async fn at(
        &mut self,
        organization: &OrganizationId,
        revisions: &[i64],
    ) -> Result<Vec<HistoryRow>, StoreError> {
        sqlx::query_as(AT)
            .persistent(self.prepared)
            .bind(organization.as_str())
            .bind(revisions)
            .fetch_all(&mut **self)
            .await
            .map_err(store_error)
    }
}

/// A statement and its values, as PostgreSQL takes them.
fn parts(statement: PageStatement) -> Result<(String, PgArguments), sqlx::Error> {
    let (sql, values) = statement.into_parts();
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Text(text) => arguments.add(text),
            Value::Integer(number) => arguments.add(number),
            Value::Boolean(truth) => arguments.add(truth),
            Value::Id(id) => arguments.add(id.to_vec()),
            Value::Ids(ids) => arguments.add(ids.iter().map(|id| id.to_vec()).collect::<Vec<_>>()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok((sql, arguments))
}
