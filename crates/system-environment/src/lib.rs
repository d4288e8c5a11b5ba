//! The machine's own clock, random bytes and timer, as the service registry's [`Environment`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use service_core::{Environment, Timestamp};

/// The environment that a program runs in: the system's clock, the operating system's randomness, tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

#[async_trait]
impl Environment for SystemEnvironment {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is where the time that is passed in comes from")]
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let microseconds = i64::try_from(since_epoch.as_micros()).unwrap_or(0);
        Timestamp::from_microseconds(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn entropy(&self) -> [u8; 8] {
        let mut bytes = [0; 8];
        #[expect(
            clippy::expect_used,
            reason = "without randomness from the operating system nothing is safe to go on"
        )]
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }

    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
