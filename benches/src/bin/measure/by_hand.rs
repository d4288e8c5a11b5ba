//! The store's own listing by hand: the same statements through sqlx, on connections like the store's, without the store.
//!
//! The SQL is this file's own. It reads the store's tables `organizations`, `history` and `services`, for the order `+name` without a filter.

use async_trait::async_trait;
use service_core::Service;
use service_registry_benches::Error;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{PgPool, SqlitePool};

use crate::listings::{ALL, anywhere};
use crate::rounds::{Act, Label, Place, Turn, Who};
use crate::stage::{self, Subject};

/// The keys of the page are found first, in a range for either activeness; then their services are read. Where the
/// page begins stands before the statement and in its ranges.
macro_rules! page {
    ($schema:literal, $inactive:literal, $active:literal, $position:literal, $after:literal) => {
        concat!(
            $position,
            "SELECT h.body FROM (SELECT id FROM (",
            "SELECT * FROM (SELECT name, id FROM ",
            $schema,
            "services WHERE organization = $1 AND is_active = ",
            $inactive,
            $after,
            " ORDER BY name, id LIMIT 21) AS a UNION ALL ",
            "SELECT * FROM (SELECT name, id FROM ",
            $schema,
            "services WHERE organization = $1 AND is_active = ",
            $active,
            $after,
            " ORDER BY name, id LIMIT 21) AS b",
            ") AS k ORDER BY name, id LIMIT 21) AS page LEFT JOIN ",
            $schema,
            "services AS s ON s.organization = $1 AND s.id = page.id LEFT JOIN ",
            $schema,
            "history AS h ON h.organization = $1 AND h.revision = s.revision"
        )
    };
}

/// What a token names, before the statement that reads the page.
const SQLITE_NAMED: &str = "SELECT o.revision, h.body FROM organizations AS o
     LEFT JOIN history AS h ON h.organization = o.organization AND h.revision = $2
     WHERE o.organization = $1";
const SQLITE_FIRST: &str = page!("", "0", "1", "", "");
const SQLITE_AFTER: &str = page!("", "0", "1", "", " AND (name, id) > ($2, $3)");

const POSTGRES_FIRST: &str = page!("service_registry.", "FALSE", "TRUE", "", "");
/// What a token names, in the statement that reads the page.
const POSTGRES_AFTER: &str = page!(
    "service_registry.",
    "FALSE",
    "TRUE",
    "WITH position AS MATERIALIZED (
         SELECT name, id FROM service_registry.history WHERE organization = $1 AND revision = $2) ",
    " AND (name, id) > (SELECT name, id FROM position)"
);

#[derive(Debug, Clone)]
enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Pages by hand.
#[derive(Debug)]
struct ByHand {
    database: Database,
    organization: String,
    tokens: Vec<i64>,
    is_parsed: bool,
}

impl Database {
    /// The bodies of a page.
    async fn bodies(&self, organization: &str, token: i64) -> Result<Vec<String>, Error> {
        match self {
            Self::Sqlite(pool) => {
                // One snapshot for both statements.
                let mut transaction = pool.begin().await?;
                let named: Option<(i64, Option<String>)> = sqlx::query_as(SQLITE_NAMED)
                    .bind(organization)
                    .bind(token)
                    .fetch_optional(&mut *transaction)
                    .await?;
                let page = match named.and_then(|(_, body)| body) {
                    None => sqlx::query_scalar(SQLITE_FIRST).bind(organization),
                    Some(body) => {
                        let named: Service = serde_json::from_str(&body)?;
                        sqlx::query_scalar(SQLITE_AFTER)
                            .bind(organization)
                            .bind(named.name.as_str().to_owned())
                            .bind(named.id.as_bytes().to_vec())
                    }
                };
                let bodies = page.fetch_all(&mut *transaction).await?;
                transaction.rollback().await?;
                Ok(bodies)
            }
            Self::Postgres(pool) => {
                let page = if token == 0 {
                    sqlx::query_scalar(POSTGRES_FIRST).bind(organization)
                } else {
                    sqlx::query_scalar(POSTGRES_AFTER).bind(organization).bind(token)
                };
                Ok(page.fetch_all(pool).await?)
            }
        }
    }
}

#[async_trait]
impl Act for ByHand {
    async fn act(&self, variant: usize) -> Result<usize, Error> {
        let token = self.tokens.get(variant % self.tokens.len().max(1)).ok_or("there is no token")?;
        let bodies = self.database.bodies(&self.organization, *token).await?;
        if !self.is_parsed {
            return Ok(bodies.len().min(20));
        }
        let mut services =
            bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<Vec<Service>, _>>()?;
        services.sort_by(|left, right| (&left.name, left.id).cmp(&(&right.name, right.id)));
        services.truncate(20);
        Ok(services.len())
    }
}

/// The first page, and pages anywhere, read by hand from where a store keeps them.
pub(crate) async fn turns(subject: &Subject) -> Result<Vec<Turn>, Error> {
    let database = match &subject.place {
        stage::Place::Nowhere => return Ok(Vec::new()),
        stage::Place::File(file) => {
            let options = SqliteConnectOptions::new()
                .filename(file)
                .pragma("cache_size", "-16384")
                .pragma("temp_store", "MEMORY")
                .pragma("query_only", "ON");
            let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
            Database::Sqlite(pool.connect_with(options).await?)
        }
        stage::Place::Url(url) => {
            let options: PgConnectOptions = url.parse()?;
            let options = options.options([("plan_cache_mode", "force_custom_plan"), ("jit", "off")]);
            let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
            Database::Postgres(pool.connect_with(options).await?)
        }
    };
    let anywhere = anywhere(subject.size)?;
    let mut turns = Vec::new();
    for (who, is_parsed) in [(Who::ByHand, true), (Who::Unparsed, false)] {
        for (place, tokens) in [(Place::First, vec![0]), (Place::Anywhere, anywhere.clone())] {
            let label = Label { who, size: subject.size, sort: "+name".to_owned(), filter: ALL, place };
            let organization = subject.main.id().as_str().to_owned();
            turns.push(Turn {
                label,
                every: 1,
                act: Box::new(ByHand { database: database.clone(), organization, tokens, is_parsed }),
            });
        }
    }
    Ok(turns)
}
