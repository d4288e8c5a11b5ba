//! Random choices that can be made again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Where random choices come from: Steele, Lea and Flood's SplitMix64.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Those of `CRASH_SEED`, or of a seed nobody has seen before. Prints it.
    pub(crate) fn of_test(name: &str) -> Self {
        let given = std::env::var("CRASH_SEED").ok();
        let seed = match given {
            Some(seed) => seed.parse().expect("CRASH_SEED is a number"),
            None => RandomState::new().build_hasher().finish(),
        };
        println!("{name}: CRASH_SEED={seed}");
        Self(seed)
    }

    /// Others that depend on these.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of several; there is at least one.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.below(of.len().try_into().expect("there are few"));
        &of[usize::try_from(index).expect("it is below a length")]
    }
}
