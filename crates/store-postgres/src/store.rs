use std::sync::Arc;
use std::time::Duration;

use service_core::{StoreError, StoreErrorKind};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store_sql::list::Caches;
use store_sql::pool::PoolUse;

use crate::error::store_error;
use crate::migration;
use crate::options::PostgresOptions;
use crate::reach::{self, Reach};
use crate::transaction::{Connections, DEFAULTS, SETTINGS};

/// How long a call waits for a connection while all are at work; and how long a store that is opened waits for a server that may be
/// about to come.
const QUEUE: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(300);
/// How long a connection is kept at most: what a server, or a proxy on the way, gathers for it does not grow for ever, and
/// after a failover they find the new primary.
const LIFETIME: Duration = Duration::from_secs(1800);

/// A service registry in a PostgreSQL database. Clones share their connections, and what is kept in memory for listings.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pub(crate) connections: Connections,
    pub(crate) caches: Arc<Caches>,
}

impl PostgresStore {
    /// Connects to the database at a URL, which [`PostgresOptions`] describes. Does not migrate: until
    /// [`Operations::migrate`](service_core::Operations::migrate) has, other calls fail with [`StoreErrorKind::Schema`].
    ///
    /// # Errors
    /// When the URL is ill-formed ([`StoreErrorKind::Internal`]), or the database cannot be reached.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options: PostgresOptions =
            url.parse().map_err(|fault| StoreError::new(StoreErrorKind::Internal, fault))?;
        Self::connect(options).await
    }

    /// The same with options that were parsed before.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect(options: PostgresOptions) -> Result<Self, StoreError> {
        let PostgresOptions { connect, max_connections, prepared_statements } = options;
        let connect = session(connect, prepared_statements);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(QUEUE)
            // It would cost each call a round trip. A connection that turns out to be dead is replaced.
            .test_before_acquire(false)
            .idle_timeout(IDLE)
            .max_lifetime(LIFETIME)
            .connect_with(connect.clone())
            .await;
        let pool = match pool {
            // The pool waited for a server that did not come, and does not say what it waited for.
            Err(sqlx::Error::PoolTimedOut) => Err(reason(&connect).await),
            outcome => outcome,
        };
        Ok(Self::over(pool.map_err(store_error)?, prepared_statements, prepared_statements))
    }

    /// A store on connections of the caller's, who keeps control of their number, their age and their settings. No statement
    /// depends on settings of the session to be right; only a schema of the search path must not overload PostgreSQL's own
    /// functions, as `unnest(text[])` would. To be fast, whatever is asked, sessions want
    /// `plan_cache_mode = force_generic_plan`, `jit = off`, `enable_seqscan`, `enable_bitmapscan`, `enable_hashjoin`,
    /// `enable_mergejoin` and `enable_material = off`, and a statement cache of some hundreds
    /// ([`PgConnectOptions::statement_cache_capacity`]); to be bounded, a `statement_timeout`.
    pub fn with_pool(pool: PgPool) -> Self {
        Self::over(pool, true, false)
    }

    /// The same for connections that go through a pooler which gives each transaction another one, such as PgBouncer in
    /// transaction mode: no statement stays prepared, and each call is one transaction.
    pub fn with_transaction_pool(pool: PgPool) -> Self {
        Self::over(pool, false, false)
    }

    fn over(pool: PgPool, prepared: bool, own: bool) -> Self {
        Self {
            connections: Connections { pool, reach: Reach::default(), prepared, own },
            caches: Arc::default(),
        }
    }

    /// Whether a registry lives in the database, of whichever version: whether anything was ever migrated.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn has_schema(&self) -> Result<bool, StoreError> {
        self.connections.reading(|| migration::has_schema(&self.connections)).await
    }

    /// How busy the connections are.
    pub fn pool_use(&self) -> PoolUse {
        PoolUse::of("all", &self.connections.pool)
    }

    /// Waits for the calls in flight and closes all connections, those of clones too, and those of a caller's pool. Calls that
    /// begin later fail.
    pub async fn close(&self) {
        self.connections.pool.close().await;
    }
}

/// Why there is no connection.
async fn reason(connect: &PgConnectOptions) -> sqlx::Error {
    reach::connect(connect).await.err().unwrap_or(sqlx::Error::PoolTimedOut)
}

/// What sessions of our own are told when they begin. Poolers refuse most of it, so where there may be one each transaction
/// says what it needs.
pub(crate) fn session(connect: PgConnectOptions, prepared: bool) -> PgConnectOptions {
    if !prepared {
        return connect.extra_float_digits(None).statement_cache_capacity(0);
    }
    connect.statement_cache_capacity(512).options(SETTINGS).options(DEFAULTS)
}
