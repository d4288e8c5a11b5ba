use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use service_core::{StoreError, StoreErrorKind};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use store_sql::list::Caches;
use store_sql::pool::PoolUse;
use tokio::time::Instant;

use crate::error::{is_busy, store_error};
use crate::queue::Queue;

/// How long a write waits for another process.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before asking again where SQLite does not wait by itself.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a call waits for the calls before it.
const QUEUE: Duration = Duration::from_secs(30);
/// How many reads run at once; more wait for their turn.
const READERS: u32 = 8;
/// How many kibibytes of pages each connection keeps; negative is how SQLite tells kibibytes from pages.
const CACHE: &str = "-16384";
/// How many pages of log are gathered before they move to the file: a write touches dozens of pages, many of them again and
/// again, and each moves once.
const CHECKPOINT: &str = "4000";
/// How many bytes of log stay on disk once all of it has moved: it grows beyond that while long reads hold it back.
const LOG: &str = "67108864";

/// A service registry in a SQLite file. Clones share their connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pub(crate) reader: SqlitePool,
    /// One connection: whoever holds it is the only one in this process who writes.
    pub(crate) writer: SqlitePool,
    pub(crate) commits: Arc<Queue>,
    pub(crate) caches: Arc<Caches>,
}

impl SqliteStore {
    /// Opens the file, creating it if there is none. Does not migrate: until
    /// [`Operations::migrate`](service_core::Operations::migrate) has, other calls fail with
    /// [`StoreErrorKind::Schema`].
    ///
    /// # Errors
    /// When the file cannot be opened or created, or is no database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        // An absolute path is never one of the names to which SQLite gives a meaning of its own, such as `:memory:`.
        let path: PathBuf = std::path::absolute(path.as_ref())
            .map_err(|error| StoreError::new(StoreErrorKind::Internal, error))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", CACHE)
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(256)
            .pragma("wal_autocheckpoint", CHECKPOINT)
            .pragma("journal_size_limit", LOG);
        let writer = create(options.clone()).await?;
        let reader =
            pool(READERS).connect_with(options.pragma("query_only", "ON")).await.map_err(store_error)?;
        Ok(Self { reader, writer, commits: Arc::default(), caches: Arc::default() })
    }

    /// How busy the connections are: those for reads, and the one for writes.
    pub fn pool_use(&self) -> [PoolUse; 2] {
        [PoolUse::of("reads", &self.reader), PoolUse::of("writes", &self.writer)]
    }

    /// Waits for the calls in flight and closes all connections, those of clones too. Calls that begin later fail.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Opens the connection for writes, and with it creates the file and gives it its mode.
///
/// Of several processes that do so with a new file at once, SQLite lets one change the mode and turns the others away
/// without waiting, whatever the timeout; so this waits.
async fn create(options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    // By the clock: where a lock is what it meets, SQLite has waited by itself before it says so.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match pool(1).connect_with(options.clone()).await {
            Ok(writer) => return Ok(writer),
            Err(error) if is_busy(&error) && Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(store_error(error)),
        }
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(QUEUE)
        // The file does not go away while it is open, so connections neither age nor need to be tested.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_at_work_are_told_from_those_that_wait() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        let told = |pool, most, in_use, idle| PoolUse { pool, most, in_use, idle };
        assert_eq!(store.pool_use(), [told("reads", READERS, 0, 1), told("writes", 1, 0, 1)]);
        let _held = [store.reader.acquire().await.unwrap(), store.reader.acquire().await.unwrap()];
        assert_eq!(store.pool_use(), [told("reads", READERS, 2, 0), told("writes", 1, 0, 1)]);
    }

    #[tokio::test]
    async fn a_log_that_has_grown_is_cut_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        for pool in [&store.writer, &store.reader] {
            let limit: i64 = sqlx::query_scalar("PRAGMA journal_size_limit").fetch_one(pool).await.unwrap();
            assert_eq!(limit.to_string(), LOG);
        }
    }

    #[tokio::test]
    async fn what_is_acknowledged_survives_a_power_cut() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&store.writer).await.unwrap();
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writer).await.unwrap();
        // 2 is FULL: each commit is flushed before it is acknowledged.
        assert_eq!((synchronous, journal.as_str()), (2, "wal"));
    }
}
