//! What SQLite is asked for a listing; how a page is made of it stands in [`store_sql::list`].

mod dialect;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use service_core::{OrganizationId, ServiceId, StoreError};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe};
use store_sql::list::{Bearings, Missed, PageRow, PageStatement, Reader, Value};
use store_sql::row::{HistoryRow, KeysRow};

use crate::error::store_error;
use crate::json;
use crate::transaction::Reading;

pub(crate) use dialect::DIALECT;

const BEARINGS: &str = "SELECT o.revision AS last_revision, h.revision, h.id, h.body
     FROM organizations AS o
     LEFT JOIN history AS h ON h.organization = ?1 AND h.revision = ?2
     WHERE o.organization = ?1";

const BEARINGS_AND_MISSED: &str = "SELECT o.revision AS last_revision, h.revision, h.id, h.body
     FROM organizations AS o
     LEFT JOIN history AS h ON h.organization = ?1 AND h.revision = ?2
     WHERE o.organization = ?1
     UNION ALL
     SELECT NULL, revision, id, body FROM (
         SELECT revision, id, body FROM history WHERE organization = ?1 AND revision >= ?3
         ORDER BY revision LIMIT ?4 + 0)
     UNION ALL
     SELECT NULL, h.revision, h.id, h.body
     FROM json_each(?5) AS expected
     CROSS JOIN history AS h
     WHERE h.organization = ?1 AND h.revision = expected.value";

const KEYS: &str = "SELECT id, name, is_active, agent_id, state_machine_id, tags, revision
     FROM services WHERE organization = ?1 AND id > ?2 ORDER BY id LIMIT ?3 + 0";

const AT: &str = "SELECT h.revision, h.id, h.body
     FROM json_each(?2) AS wanted
     CROSS JOIN history AS h
     WHERE h.organization = ?1 AND h.revision = wanted.value";

#[async_trait]
impl Reader for Reading {
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
                .bind(json::of(&expected)?),
        };
        query.fetch_all(&mut **self).await.map(Bearings::of).map_err(store_error)
    }

    async fn page(&mut self, statement: PageStatement) -> Result<Vec<PageRow>, StoreError> {
        let (sql, values) = statement.into_parts();
        sqlx::query_as_with(AssertSqlSafe(sql), arguments(values)?)
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
            .bind(organization.as_str())
            .bind(json::of(&revisions)?)
            .fetch_all(&mut **self)
            .await
            .map_err(store_error)
    }
}

/// The values of a statement, as SQLite takes them.
fn arguments(values: Vec<Value>) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Text(text) => arguments.add(text),
            Value::Integer(number) => arguments.add(number),
            Value::Boolean(truth) => arguments.add(truth),
            Value::Id(id) => arguments.add(id.to_vec()),
            Value::Ids(ids) => arguments.add(json::ids(ids.into_iter().map(ServiceId::from_bytes))),
        }
        .map_err(|error| store_error(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}
