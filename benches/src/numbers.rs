//! Numbers that look random and are the same every time.

/// A sequence of numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence that belongs to a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// The next number, below a bound that is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}

/// The number that a text like `500`, `10k` or `1m` says.
///
/// # Errors
/// When it says none.
pub fn count(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.get(..text.len() - 1), 1_000),
        Some(b'm' | b'M') => (text.get(..text.len() - 1), 1_000_000),
        _ => (Some(text), 1),
    };
    let number: Option<u64> = digits.and_then(|digits| digits.parse().ok());
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("`{text}` is no number like 500, 10k or 1m"))
}

fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// An order of the numbers below some number that looks random: each comes exactly once, and any place can be asked for without
/// the others. What is dealt out by it is dealt out in exact shares.
#[derive(Debug, Clone)]
pub struct Permutation {
    seed: u64,
    length: u64,
    /// Half of the bits that a number has, so that it can be cut in two.
    half: u32,
}

impl Permutation {
    /// The permutation of the numbers below `length` that belongs to a seed.
    pub fn new(seed: u64, length: u64) -> Self {
        let bits = u64::BITS - length.saturating_sub(1).leading_zeros();
        Self { seed, length, half: bits.div_ceil(2).max(1) }
    }

    /// The number at a place. Places go round.
    pub fn at(&self, place: u64) -> u64 {
        let mut number = place % self.length.max(1);
        // A Feistel network permutes a power of two; what falls outside goes round until it is inside, which keeps it a permutation.
        loop {
            number = self.network(number);
            if number < self.length.max(1) {
                return number;
            }
        }
    }

    fn network(&self, number: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for round in 1..=4 {
            let key = mixed(self.seed.wrapping_mul(8).wrapping_add(round));
            (left, right) = (right, left ^ (mixed(right ^ key) & mask));
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_permutation_has_each_number_once_and_not_in_order() {
        for length in [1, 2, 3, 20, 1000, 1025] {
            let permutation = Permutation::new(5, length);
            let numbers: Vec<u64> = (0..length).map(|place| permutation.at(place)).collect();
            let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
            assert_eq!(distinct, (0..length).collect());
            assert!(length < 20 || !numbers.is_sorted(), "{length}");
        }
    }
}
