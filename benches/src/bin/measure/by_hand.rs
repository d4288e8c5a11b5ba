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

/// The keys of the page are found first, in a range for either activeness; then their services are read. What stands before
/// and in the ranges is where the page begins.
macro_rules! page {
    ($schema:literal, $inactive:literal, $active:literal, $position:expr, $after:literal) => {
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

/// The first page, and the one after what a token names.
macro_rules! pages {
    ($schema:literal, $inactive:literal, $active:literal) => {
        [
            page!($schema, $inactive, $active, "", ""),
            page!(
                $schema,
                $inactive,
                $active,
                concat!(
                    "WITH position AS MATERIALIZED (SELECT name, id FROM ",
                    $schema,
                    "history WHERE organization = $1 AND revision = $2) "
                ),
                " AND (name, id) > (SELECT name, id FROM position)"
            ),
        ]
    };
}

const SQLITE: [&str; 2] = pages!("", "0", "1");
const POSTGRES: [&str; 2] = pages!("service_registry.", "FALSE", "TRUE");

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
        let is_first = token == 0;
        match self {
            Self::Sqlite(pool) => {
                let [first, after] = SQLITE;
                let query = sqlx::query_scalar(if is_first { first } else { after }).bind(organization);
                let query = if is_first { query } else { query.bind(token) };
                Ok(query.fetch_all(pool).await?)
            }
            Self::Postgres(pool) => {
                let [first, after] = POSTGRES;
                let query = sqlx::query_scalar(if is_first { first } else { after }).bind(organization);
                let query = if is_first { query } else { query.bind(token) };
                Ok(query.fetch_all(pool).await?)
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
