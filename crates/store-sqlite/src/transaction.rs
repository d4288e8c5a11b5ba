//! Transactions that leave no connection in doubt.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use service_core::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use crate::error::{commit_error, store_error};

/// A connection for statements of which each sees its own state of the database.
///
/// One that is dropped before it was ended, because a statement failed or the caller went away, is closed, and the pool opens
/// another one: so nothing that was begun goes on, or is found by the next.
pub(crate) struct Reading {
    connection: PoolConnection<Sqlite>,
    ended: bool,
    /// Tells SQLite that nobody waits for the statement it runs.
    abandoned: Arc<AtomicBool>,
}

/// How many steps SQLite makes before it looks whether someone still waits: some hundred microseconds.
const STEPS: i32 = 10_000;

impl Reading {
    /// Waits for a connection.
    pub(crate) async fn begin(pool: &SqlitePool) -> Result<Self, StoreError> {
        let connection = pool.acquire().await.map_err(store_error)?;
        Ok(Self { connection, ended: false, abandoned: Arc::default() })
    }

    /// For statements that may take long: if the caller goes away, SQLite stops in the middle of one.
    pub(crate) async fn stop_when_abandoned(&mut self) -> Result<(), StoreError> {
        let abandoned = Arc::clone(&self.abandoned);
        // It stays with the connection, which the next such read gives its own.
        self.lock_handle()
            .await
            .map_err(store_error)?
            .set_progress_handler(STEPS, move || !abandoned.load(Ordering::Relaxed));
        Ok(())
    }

    /// Gives the connection back.
    pub(crate) fn end(mut self) {
        self.ended = true;
    }
}

/// A transaction on a connection of its own. One that is dropped unfinished closes its connection: that rolls back whatever was
/// begun, whichever state SQLite left the transaction in.
pub(crate) struct Transaction(Reading);

impl Transaction {
    /// Begins to read: all statements see one state of the database.
    pub(crate) async fn read(pool: &SqlitePool) -> Result<Self, StoreError> {
        Self::begin(pool, "BEGIN").await
    }

    /// The same for reads that may take long: if the caller goes away, SQLite stops in the middle of a statement.
    pub(crate) async fn read_while_wanted(pool: &SqlitePool) -> Result<Self, StoreError> {
        let mut transaction = Self::read(pool).await?;
        transaction.0.stop_when_abandoned().await?;
        Ok(transaction)
    }

    /// Begins to write: waits until no other process writes, and lets none begin before this ends.
    pub(crate) async fn write(pool: &SqlitePool) -> Result<Self, StoreError> {
        Self::begin(pool, "BEGIN IMMEDIATE").await
    }

    async fn begin(pool: &SqlitePool, statement: &'static str) -> Result<Self, StoreError> {
        let mut connection = Reading::begin(pool).await?;
        sqlx::query(statement).execute(&mut *connection).await.map_err(store_error)?;
        Ok(Self(connection))
    }

    /// Makes what was written happen.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut *self).await.map_err(commit_error)?;
        self.0.end();
        Ok(())
    }

    /// Ends a transaction that has written nothing, or nothing that is to stay.
    pub(crate) async fn end(mut self) -> Result<(), StoreError> {
        sqlx::query("ROLLBACK").execute(&mut *self).await.map_err(store_error)?;
        self.0.end();
        Ok(())
    }
}

impl Deref for Reading {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.ended {
            self.abandoned.store(true, Ordering::Relaxed);
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::SqliteStore;

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_stops() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        let endless = async {
            let mut snapshot = Transaction::read_while_wanted(&store.reader).await.unwrap();
            let counting =
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
            sqlx::query(counting).execute(&mut *snapshot).await.unwrap();
        };
        assert!(tokio::time::timeout(Duration::from_millis(50), endless).await.is_err());
        // The pool waits five seconds for a connection that still counts.
        tokio::time::timeout(Duration::from_secs(4), store.close()).await.unwrap();
    }
}
