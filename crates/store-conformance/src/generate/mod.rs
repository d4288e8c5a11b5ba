//! Strategies for everything a store is given, chosen to collide and to be hard to store.
//!
//! Names, tags and ids come from small pools, so that random data meets itself: names that are taken, filters that match, pins that
//! no longer exist. The pools hold the texts that stores get wrong (see [`text`]).

pub mod catalog;
pub mod damage;
pub mod grants;
pub mod listing;
pub mod request;
pub mod service;
pub mod text;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Draws values from strategies, the same ones in every run: for cases whose data is random and whose checks are many.
#[derive(Debug)]
pub struct Draws(TestRunner);

impl Draws {
    /// The draws of this seed.
    pub fn seeded(seed: u8) -> Self {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    /// The next value of a strategy.
    pub fn draw<S: Strategy>(&mut self, strategy: &S) -> S::Value {
        strategy.new_tree(&mut self.0).expect("a strategy that rejects too much").current()
    }

    /// So many values of a strategy.
    pub fn several<S: Strategy>(&mut self, count: usize, strategy: &S) -> Vec<S::Value> {
        (0..count).map(|_| self.draw(strategy)).collect()
    }
}
