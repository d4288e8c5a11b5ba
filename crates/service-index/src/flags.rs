//! A set of services of which each can be asked for at the cost of reading one word.

use crate::blocks::Slot;

/// A bit for each slot.
#[derive(Debug, Default)]
pub(crate) struct Flags(Vec<u64>);

impl Flags {
    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.0.get(word(slot)).is_some_and(|word| word & bit(slot) != 0)
    }

    pub(crate) fn insert(&mut self, slot: Slot) {
        if self.0.len() <= word(slot) {
            self.0.resize(word(slot) + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word(slot)) {
            *word |= bit(slot);
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        if let Some(word) = self.0.get_mut(word(slot)) {
            *word &= !bit(slot);
        }
    }
}

fn word(slot: Slot) -> usize {
    slot as usize / 64
}

fn bit(slot: Slot) -> u64 {
    1 << (slot % 64)
}
