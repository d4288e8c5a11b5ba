//! Connections, transactions on them that leave none in doubt, and calls that are made again.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use service_core::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};

use crate::error::{cause, commit_error, is_contended, is_lost, store_error};
use crate::reach::Reach;

/// How often a call is made that the server asks to have repeated.
const ATTEMPTS: u32 = 5;
/// How long to wait before the second attempt; each later one waits as much longer.
const PAUSE: Duration = Duration::from_millis(10);

/// How a transaction begins. One batch is one round trip, and says all that must not depend on what the server, the database
/// or the user has for a default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begin {
    /// In any session.
    pub(crate) anywhere: &'static str,
    /// In a session of our own, which was told the rest when it began.
    own: &'static str,
}

/// What keeps the planner to indexes. Whatever is read, an index has it together and in order, and what is joined is looked up one
/// by one: that costs what is read and no more, however little is known of the tables, and however full they are. A planner that
/// is free takes small pages of large tables for dearer than the whole, sorted.
///
/// So a plan does not depend on the values, and to make one takes longer than to carry it out: statements are planned once for a
/// connection, perhaps while the tables are empty.
macro_rules! settings {
    () => {
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
         SET LOCAL enable_mergejoin = off; SET LOCAL enable_material = off; SET LOCAL jit = off; \
         SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL statement_timeout = '30s'; \
         SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '30s'; \
         SET LOCAL search_path = pg_catalog"
    };
}

/// The same for a session of our own. Functions of others that fit a call better than PostgreSQL's own are out of sight.
pub(crate) const SETTINGS: [(&str, &str); 11] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("search_path", "pg_catalog"),
];

/// What every transaction says when it begins, for statements that are one by themselves.
pub(crate) const DEFAULTS: [(&str, &str); 2] =
    [("default_transaction_isolation", "read committed"), ("default_transaction_read_only", "off")];

/// One statement, or several that need not see the same state.
const STATEMENTS: Begin = Begin {
    anywhere: concat!("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; ", settings!()),
    own: "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
};

/// Several statements that see the same state.
const SNAPSHOT: Begin = Begin {
    anywhere: concat!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ", settings!()),
    own: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
};

/// A write. Each statement sees what was committed when it began, so what is read after a lock is what the lock protects.
/// A writer that hangs or that waits too long holds up the others for so long and no longer.
pub(crate) const WRITE: Begin = Begin {
    anywhere: concat!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ",
        settings!(),
        "; SET LOCAL idle_in_transaction_session_timeout = '15s'"
    ),
    own: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL idle_in_transaction_session_timeout = '15s'",
};

/// Connections to a database.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pub(crate) pool: PgPool,
    pub(crate) reach: Reach,
    /// Whether statements stay prepared on the connection that ran them.
    pub(crate) prepared: bool,
    /// Whether the sessions are our own, and have our [`SETTINGS`].
    pub(crate) own: bool,
}

impl Connections {
    /// Begins to read with single statements, each of which sees one state.
    ///
    /// A pooler that gives each transaction another connection would part a statement from its values, so where there may be
    /// one the statements run in a transaction.
    pub(crate) async fn statements(&self) -> Result<Transaction, StoreError> {
        if self.prepared {
            let connection = self.reach.acquire(&self.pool).await?;
            return Ok(Transaction { connection, begun: false, finished: false, prepared: true });
        }
        self.begin(STATEMENTS).await
    }

    /// Begins to read: all statements see one state.
    pub(crate) async fn snapshot(&self) -> Result<Transaction, StoreError> {
        self.begin(SNAPSHOT).await
    }

    /// Begins to write.
    pub(crate) async fn write(&self) -> Result<Transaction, StoreError> {
        self.begin(WRITE).await
    }

    /// Begins a transaction. A connection that turns out to be dead, because the server was restarted for instance, is
    /// replaced: nothing has happened yet.
    async fn begin(&self, begin: Begin) -> Result<Transaction, StoreError> {
        let batch = if self.own { begin.own } else { begin.anywhere };
        let mut dead = 0;
        loop {
            let connection = self.reach.acquire(&self.pool).await?;
            let mut transaction =
                Transaction { connection, begun: true, finished: false, prepared: self.prepared };
            match sqlx::raw_sql(batch).execute(&mut *transaction).await {
                Ok(_) => return Ok(transaction),
                Err(error) if is_lost(&error) && dead < self.size() => dead += 1,
                Err(error) => return Err(store_error(error)),
            }
        }
    }

    /// Begins to write on a connection that was at work until now: it need not be waited for again.
    pub(crate) async fn write_on(&self, mut connection: Transaction) -> Result<Transaction, StoreError> {
        connection.begun = true;
        match sqlx::raw_sql(WRITE.own).execute(&mut *connection).await {
            Ok(_) => Ok(connection),
            Err(error) if is_lost(&error) => self.write().await,
            Err(error) => Err(store_error(error)),
        }
    }

    /// How many connections there may be, all of them dead after a restart.
    fn size(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    /// Reads, and reads again if the server asks for it, or once if the connection is lost: it may have been dead for long. A
    /// statement that ends whoever runs it is not sent to all the server's processes in turn.
    pub(crate) async fn reading<T, Call>(&self, call: impl Fn() -> Call) -> Result<T, StoreError>
    where
        Call: Future<Output = Result<T, StoreError>>,
    {
        match self.repeating(&call).await {
            Err(error) if cause(&error).is_some_and(is_lost) => {
                self.drop_dead().await;
                self.repeating(&call).await
            }
            outcome => outcome,
        }
    }

    /// Drops the connections that nobody uses and that are dead: after a restart of the server, all of them.
    async fn drop_dead(&self) {
        let mut seen = Vec::new();
        for _ in 0..self.pool.num_idle() {
            let Some(mut connection) = self.pool.try_acquire() else { break };
            if connection.ping().await.is_err() {
                connection.close_on_drop();
            }
            // Held until all have been seen, so that none is seen twice.
            seen.push(connection);
        }
    }

    /// Makes a call, and makes it again if the server asks for it: then nothing of it happened.
    pub(crate) async fn repeating<T, Call>(&self, call: impl Fn() -> Call) -> Result<T, StoreError>
    where
        Call: Future<Output = Result<T, StoreError>>,
    {
        let mut attempt = 1;
        loop {
            match call().await {
                Err(error) if error.is_retryable() && cause(&error).is_some_and(is_contended) => {
                    if attempt == ATTEMPTS {
                        return Err(error);
                    }
                    tokio::time::sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

/// A transaction on a connection of its own.
///
/// One that is dropped unfinished, because a statement failed or the caller went away, closes its connection: the server rolls
/// back whatever was begun, whichever state it is in, and the pool opens another connection.
pub(crate) struct Transaction {
    connection: PoolConnection<Postgres>,
    begun: bool,
    finished: bool,
    /// Whether its statements stay prepared.
    pub(crate) prepared: bool,
}

impl Transaction {
    /// Makes what was written happen.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::raw_sql("COMMIT").execute(&mut *self).await.map_err(commit_error)?;
        self.finished = true;
        Ok(())
    }

    /// Ends a transaction that has written nothing, or nothing that is to stay.
    pub(crate) async fn end(mut self) -> Result<(), StoreError> {
        if self.begun {
            sqlx::raw_sql("ROLLBACK").execute(&mut *self).await.map_err(store_error)?;
        }
        self.finished = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_told_what_sessions_of_our_own_are() {
        let settings = SETTINGS.map(|(name, value)| match value {
            "off" | "force_generic_plan" | "pg_catalog" => format!("SET LOCAL {name} = {value}"),
            duration => format!("SET LOCAL {name} = '{duration}'"),
        });
        for begin in [STATEMENTS, SNAPSHOT, WRITE] {
            let orders: Vec<&str> = begin.anywhere.split("; ").collect();
            assert_eq!(orders.get(1..=settings.len()).unwrap(), settings, "{orders:?}");
            assert_eq!(begin.own.split("; ").next(), orders.first().copied());
        }
    }
}
