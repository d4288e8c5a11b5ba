//! The world outside: time, randomness and waiting, which the core has none of its own.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::value::Timestamp;

/// Gives the registry time, randomness and pauses.
#[async_trait]
pub trait Environment: Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Eight bytes that nobody can guess.
    fn entropy(&self) -> [u8; 8];

    /// Returns after this time.
    async fn pause(&self, duration: Duration);
}
