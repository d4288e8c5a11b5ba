//! Connections, and whether there is a server to wait for.
//!
//! A pool that has no connection to give does not say why: all may be at work, or the server may be gone, and a pool takes one that
//! refuses connections for one that is about to come. The first is worth waiting for. So whoever has waited for a moment looks.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use service_core::{StoreError, StoreErrorKind};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection as _, PgConnection, PgPool, Postgres};
use tokio::sync::Mutex;

use crate::error::{is_full, store_error};

/// How long a call waits before somebody looks whether there is a server.
const MOMENT: Duration = Duration::from_secs(1);
/// How long a server may take to say why there is no connection.
const ANSWER: Duration = Duration::from_secs(5);

/// What was found when somebody last looked. Only one looks at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach(Arc<Mutex<Option<Look>>>);

#[derive(Debug, Clone)]
struct Look {
    at: Instant,
    found: Result<(), NoServer>,
}

/// Why there is no connection. It is no failure of a connection that there was, and nothing was sent that could be sent again.
#[derive(Debug, Clone)]
struct NoServer {
    kind: StoreErrorKind,
    reason: String,
}

impl fmt::Display for NoServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no connection to the database: {}", self.reason)
    }
}

impl std::error::Error for NoServer {}

impl Reach {
    /// Waits for a connection, as long as there is a server.
    ///
    /// # Errors
    /// When there is no server, soon; when all connections stay at work, once the pool gives up.
    pub(crate) async fn acquire(&self, pool: &PgPool) -> Result<PoolConnection<Postgres>, StoreError> {
        let mut acquiring = pin!(pool.acquire());
        loop {
            if let Ok(acquired) = tokio::time::timeout(MOMENT, &mut acquiring).await {
                return acquired.map_err(store_error);
            }
            tokio::select! {
                acquired = &mut acquiring => return acquired.map_err(store_error),
                found = self.look(pool) => found.map_err(|fault| StoreError::new(fault.kind, fault))?,
            }
        }
    }

    /// Whether there is a server: what somebody found a moment ago, or what is found now.
    async fn look(&self, pool: &PgPool) -> Result<(), NoServer> {
        let mut last = self.0.lock().await;
        if let Some(look) = last.as_ref().filter(|look| look.at.elapsed() < MOMENT) {
            return look.found.clone();
        }
        let found = match connect(&pool.connect_options()).await {
            Ok(connection) => {
                // It was only to be had. Where it cannot take its leave, it is dropped.
                let _ = tokio::time::timeout(ANSWER, connection.close()).await;
                Ok(())
            }
            // Those that there are come back.
            Err(error) if is_full(&error) => Ok(()),
            Err(error) => {
                let reason = error.to_string();
                Err(NoServer { kind: store_error(error).kind(), reason })
            }
        };
        *last = Some(Look { at: Instant::now(), found: found.clone() });
        found
    }
}

/// A connection beside the pool.
///
/// # Errors
/// Why there is none.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match tokio::time::timeout(ANSWER, options.connect()).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer").into()),
    }
}
