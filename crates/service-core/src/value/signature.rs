use super::{TagKey, TagValue};

/// Which tags may be among some, in 64 bits: a tag sets one bit for its key, and two for its key and value together.
///
/// What is missing here is missing there; what is here may still not be there, since tags share bits. So a filter refuses most
/// services that lack its tags without following a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TagSignature(u64);

impl TagSignature {
    /// Of any tag with this key.
    pub(crate) fn of_key(key: &TagKey) -> Self {
        Self(bit(hash(START, key.as_str())))
    }

    /// Of the tag with this key, and this value or none.
    pub(crate) fn of_pair(key: &TagKey, value: Option<&TagValue>) -> Self {
        let key = hash(START, key.as_str());
        // A value is never empty, and its first character comes after a byte that is in no text: no two pairs read the same.
        let pair = hash(step(key, 0xff), value.map_or("", TagValue::as_str));
        Self(bit(pair) | bit(pair.rotate_left(32)))
    }

    /// Of all tags of both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of these tags may be among those. If not, they surely are not.
    pub(crate) fn may_be_among(self, all: Self) -> bool {
        self.0 & all.0 == self.0
    }
}

/// The start and the multiplier of FNV-1a: short, the same everywhere, and good enough for bits that are checked afterwards.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

fn hash(start: u64, text: &str) -> u64 {
    text.bytes().fold(start, step)
}

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(PRIME)
}

/// One of 64 bits, by the six best mixed bits of a hash.
fn bit(hash: u64) -> u64 {
    // FNV mixes upwards; once more by a constant with many bits, so that the last character counts fully.
    1 << (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}
