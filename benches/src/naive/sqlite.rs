use std::path::Path;

use async_trait::async_trait;
use service_core::{OrganizationId, Service, Sort, TagFilter, TagMatch};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::row::{Row, columns};
use super::{DISTINCT, LIMIT, Naive, NaivePage, ROWS, SELECT, order_by};
use crate::{Error, Organization};

/// A naive registry in a SQLite file.
#[derive(Debug)]
pub struct NaiveSqlite(SqlitePool);

const SCHEMA: &str = "
    CREATE TABLE services (
        id TEXT PRIMARY KEY, organization TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,
        is_active BOOLEAN NOT NULL, agent_id TEXT NOT NULL, state_machine_id TEXT NOT NULL, tags TEXT NOT NULL,
        keyterms TEXT NOT NULL, version_sets TEXT NOT NULL, creator TEXT NOT NULL, updated_by TEXT NOT NULL,
        created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, revision INTEGER NOT NULL);
    CREATE INDEX services_name ON services (organization, name);
    CREATE INDEX services_active ON services (organization, is_active, name);
    CREATE TABLE service_tags (
        service_id TEXT NOT NULL REFERENCES services (id), organization TEXT NOT NULL, key TEXT NOT NULL, value TEXT,
        PRIMARY KEY (service_id, key));
    CREATE INDEX service_tags_value ON service_tags (organization, key, value);";

impl NaiveSqlite {
    /// An empty one in a new file.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create(file: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("cache_size", "-16384");
        let pool = SqlitePoolOptions::new().test_before_acquire(false).connect_with(options).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        Ok(Self(pool))
    }

    async fn put(&self, organization: &OrganizationId, services: &[Service]) -> Result<(), Error> {
        let (rows, tags) = columns(services)?;
        let mut transaction = self.0.begin().await?;
        sqlx::query(
            "INSERT INTO services SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
                 value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13,
                 value ->> 14
             FROM json_each(?)",
        )
        .bind(rows)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO service_tags SELECT value ->> 0, ?, value ->> 1, value ->> 2 FROM json_each(?)",
        )
        .bind(organization.as_str())
        .bind(tags)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}

#[async_trait]
impl Naive for NaiveSqlite {
    async fn fill(&self, organization: &Organization) -> Result<(), Error> {
        let mut rows = organization.rows();
        loop {
            let services: Vec<Service> = rows.by_ref().take(ROWS).collect::<Result<_, _>>()?;
            if services.is_empty() {
                return Ok(());
            }
            self.put(organization.id(), &services).await?;
        }
    }

    async fn analyze(&self) -> Result<(), Error> {
        sqlx::raw_sql("ANALYZE").execute(&self.0).await?;
        Ok(())
    }

    async fn page(
        &self,
        organization: &OrganizationId,
        tags: &[TagFilter],
        sort: &Sort,
        offset: i64,
    ) -> Result<NaivePage, Error> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(SELECT);
        query.push_bind(organization.as_str().to_owned());
        for tag in tags {
            query.push(" AND EXISTS (SELECT 1 FROM service_tags AS t WHERE t.service_id = s.id AND t.organization = ");
            query.push_bind(organization.as_str().to_owned());
            query.push(" AND t.key = ").push_bind(tag.key.as_str().to_owned());
            match &tag.value {
                TagMatch::Any => {}
                TagMatch::Absent => {
                    query.push(" AND t.value IS NULL");
                }
                TagMatch::Is(value) => {
                    query.push(" AND t.value = ").push_bind(value.as_str().to_owned());
                }
            }
            query.push(")");
        }
        query.push(" ORDER BY ").push(order_by(sort)).push(" LIMIT ").push_bind(i64::try_from(LIMIT + 1)?);
        query.push(" OFFSET ").push_bind(offset);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.0).await?;
        let has_more = rows.len() > LIMIT;
        let services = rows.into_iter().take(LIMIT).map(Row::service).collect::<Result<_, _>>()?;
        if offset > 0 {
            return Ok(NaivePage { services, has_more, tags: None });
        }
        let distinct: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT DISTINCT key, value FROM service_tags WHERE organization = ? ORDER BY key, value LIMIT ?",
        )
        .bind(organization.as_str())
        .bind(DISTINCT)
        .fetch_all(&self.0)
        .await?;
        let tags = distinct.into_iter().map(|(key, value)| format!("{key}:{}", value.unwrap_or_default()));
        Ok(NaivePage { services, has_more, tags: Some(tags.collect()) })
    }
}
