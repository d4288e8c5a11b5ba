//! Time and randomness that are the same in every run.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use service_core::{Environment, Timestamp};

/// An environment that tests own: each look at the clock finds it a fixed step further, entropy comes from a seed, and a pause
/// only lets others run.
#[derive(Debug)]
pub struct TestEnvironment(Mutex<Ticks>);

#[derive(Debug, Clone, Copy)]
struct Ticks {
    microseconds: i64,
    entropy: u64,
}

impl TestEnvironment {
    /// 2024-01-01, from which the clock of every test starts.
    const START: i64 = 1_704_067_200_000_000;
    /// Not a whole second, so that some ids begin with the same four bytes and some do not; nor whole milliseconds.
    const STEP: i64 = 300_007;

    /// The environment of this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(Ticks { microseconds: Self::START, entropy: seed }))
    }

    fn tick<T>(&self, next: impl FnOnce(&mut Ticks) -> T) -> T {
        next(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clone for TestEnvironment {
    /// Another one that continues from here in the same way.
    fn clone(&self) -> Self {
        Self(Mutex::new(self.tick(|ticks| *ticks)))
    }
}

#[async_trait]
impl Environment for TestEnvironment {
    fn now(&self) -> Timestamp {
        let microseconds = self.tick(|ticks| {
            ticks.microseconds += Self::STEP;
            ticks.microseconds
        });
        Timestamp::from_microseconds(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn entropy(&self) -> [u8; 8] {
        // SplitMix64: well mixed, and a line long.
        self.tick(|ticks| {
            ticks.entropy = ticks.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = ticks.entropy;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)).to_be_bytes()
        })
    }

    async fn pause(&self, _duration: Duration) {
        tokio::task::yield_now().await;
    }
}
