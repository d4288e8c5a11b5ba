//! How busy a pool of connections is.

use sqlx::{Database, Pool};

/// How busy a pool of connections is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// What the store calls it.
    pub pool: &'static str,
    /// How many connections it opens at most.
    pub most: u32,
    /// How many are at work.
    pub in_use: u32,
    /// How many are open and wait for work.
    pub idle: u32,
}

impl PoolUse {
    /// How busy a pool is now. It costs next to nothing, and the numbers are of about the same moment.
    pub fn of<DB: Database>(name: &'static str, pool: &Pool<DB>) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Self {
            pool: name,
            most: pool.options().get_max_connections(),
            in_use: pool.size().saturating_sub(idle),
            idle,
        }
    }
}
