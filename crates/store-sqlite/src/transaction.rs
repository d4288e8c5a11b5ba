//! Transactions that leave no connection in doubt.

use std::ops::{Deref, DerefMut};

use service_core::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use crate::error::{commit_error, store_error};

/// A transaction on a connection of its own.
///
/// One that is dropped unfinished, because a statement failed or the caller went away, closes its connection: that rolls back
/// whatever was begun, whichever state SQLite left the transaction in, and the pool opens another connection.
pub(crate) struct Transaction {
    connection: PoolConnection<Sqlite>,
    finished: bool,
}

impl Transaction {
    /// Begins to read: all statements see one state of the database.
    pub(crate) async fn read(pool: &SqlitePool) -> Result<Self, StoreError> {
        Self::begin(pool, "BEGIN").await
    }

    /// Begins to write: waits until no other process writes, and lets none begin before this ends.
    pub(crate) async fn write(pool: &SqlitePool) -> Result<Self, StoreError> {
        Self::begin(pool, "BEGIN IMMEDIATE").await
    }

    async fn begin(pool: &SqlitePool, statement: &'static str) -> Result<Self, StoreError> {
        let connection = pool.acquire().await.map_err(store_error)?;
        let mut transaction = Self { connection, finished: false };
        sqlx::query(statement).execute(&mut *transaction).await.map_err(store_error)?;
        Ok(transaction)
    }

    /// Makes what was written happen.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut *self).await.map_err(commit_error)?;
        self.finished = true;
        Ok(())
    }

    /// Ends a transaction that has written nothing, or nothing that is to stay.
    pub(crate) async fn end(mut self) -> Result<(), StoreError> {
        sqlx::query("ROLLBACK").execute(&mut *self).await.map_err(store_error)?;
        self.finished = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.close_on_drop();
        }
    }
}
