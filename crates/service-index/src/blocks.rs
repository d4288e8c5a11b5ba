//! A sorted list that can be changed anywhere at little cost.

use std::ops::Range;

/// The number of a service within an index. Numbers are given from 0 on in the order in which services come, and never again.
pub type Slot = u32;

/// How many slots a block holds at most: to move half of them costs about as much as to find the place.
const FULL: usize = 512;
/// How many slots are looked at together.
const TOGETHER: usize = 24;
/// How far from its likely place something is looked for, first and then: numbers of all services rise evenly as long as few are
/// written one by one, and where those of a list are a random choice of them, few are further away from the second guess.
const ASTRAY: [usize; 2] = [1, 8];

/// Slots in some order, cut into blocks: a change moves the rest of one block, whatever the length of the list.
#[derive(Debug, Default, Clone)]
pub(crate) struct Blocks {
    /// None of them is empty.
    blocks: Vec<Block>,
    len: usize,
}

/// The first of its slots stands beside the others as well: searches look at the first of many blocks.
#[derive(Debug, Clone)]
struct Block {
    first: Slot,
    slots: Vec<Slot>,
}

impl Block {
    /// `None` if there are no slots.
    fn of(slots: Vec<Slot>) -> Option<Self> {
        Some(Self { first: *slots.first()?, slots })
    }

    fn insert(&mut self, index: usize, slot: Slot) {
        self.slots.insert(index, slot);
        if index == 0 {
            self.first = slot;
        }
    }
}

/// Where blocks begin does not matter.
impl PartialEq for Blocks {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

/// A place in a list: before the slot that stands there, if one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) block: usize,
    pub(crate) index: usize,
}

impl Place {
    /// Before all slots.
    pub(crate) const START: Self = Self { block: 0, index: 0 };
}

impl Blocks {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn block(&self, block: usize) -> &[Slot] {
        self.blocks.get(block).map_or(&[], |block| block.slots.as_slice())
    }

    pub(crate) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// The first place whose slot does not come before something; those that do stand first.
    pub(crate) fn place(&self, comes_before: impl Fn(Slot) -> bool) -> Place {
        let begins_before = |block: &Block| comes_before(block.first);
        // The block whose first slot comes before it, while that of the next one does not, has the place in it, or at its end.
        let block = self.blocks.partition_point(begins_before).saturating_sub(1);
        let index = self.block(block).partition_point(|slot| comes_before(*slot));
        Place { block, index }
    }

    /// The first place whose slot has a number that is not below a bound; numbers rise along the slots. Looks near where it would be if
    /// they rose evenly, and at many slots at a time: to read a number takes no time but for the wait for memory.
    pub(crate) fn place_of(&self, bound: u64, number: impl Fn(Slot) -> u64) -> Place {
        let (Some(first), Some(last)) = (self.blocks.first(), self.blocks.last()) else {
            return Place::START;
        };
        let end = last.slots.last().map_or(u64::MAX, |slot| number(*slot));
        let all = number(first.first)..end;
        let block = partition_point(&self.blocks, bound, &all, |block| number(block.first));
        let block = block.saturating_sub(1);
        let start = self.block(block).first().map_or(0, |slot| number(*slot));
        let end = self.blocks.get(block + 1).map_or(end, |next| number(next.first));
        let index = partition_point(self.block(block), bound, &(start..end), |slot| number(*slot));
        Place { block, index }
    }

    pub(crate) fn at(&self, place: Place) -> Option<Slot> {
        match self.block(place.block).get(place.index) {
            Some(slot) => Some(*slot),
            None => self.block(place.block + 1).first().copied(),
        }
    }

    /// The slot before a place.
    pub(crate) fn before(&self, place: Place) -> Option<Slot> {
        match place.index.checked_sub(1) {
            Some(index) => self.block(place.block).get(index).copied(),
            None => self.block(place.block.checked_sub(1)?).last().copied(),
        }
    }

    /// How many slots stand from one place on before another.
    pub(crate) fn distance(&self, start: Place, end: Place) -> usize {
        let blocks = self.blocks.get(start.block..end.block).unwrap_or_default();
        let until_end_block: usize = blocks.iter().map(|block| block.slots.len()).sum();
        (until_end_block + end.index).saturating_sub(start.index)
    }

    /// Adds a slot at a place, and gives the number of its block.
    pub(crate) fn insert(&mut self, place: Place, slot: Slot) -> usize {
        self.len += 1;
        let is_last = place.block + 1 == self.blocks.len();
        let Some(block) = self.blocks.get_mut(place.block) else {
            self.blocks.extend(Block::of(vec![slot]));
            return self.blocks.len() - 1;
        };
        let len = block.slots.len();
        if len < FULL {
            block.insert(place.index, slot);
            return place.block;
        }
        // Slots that come in order leave full blocks behind, not half full ones.
        let kept = if is_last && place.index == len { len } else { len / 2 };
        let mut rest = block.slots.split_off(kept);
        let stays = place.index < kept;
        if stays {
            block.insert(place.index, slot);
        } else {
            rest.insert(place.index - kept, slot);
        }
        if let Some(rest) = Block::of(rest) {
            self.blocks.insert(place.block + 1, rest);
        }
        if stays { place.block } else { place.block + 1 }
    }

    /// Adds a slot at the end.
    pub(crate) fn push(&mut self, slot: Slot) {
        self.len += 1;
        match self.blocks.last_mut() {
            Some(block) if block.slots.len() < FULL => block.slots.push(slot),
            _ => self.blocks.extend(Block::of(vec![slot])),
        }
    }

    /// Takes the slot that stands at a place away, if one does.
    pub(crate) fn remove(&mut self, place: Place) {
        let is_at_end = place.index >= self.block(place.block).len();
        let Place { block: number, index } =
            if is_at_end { Place { block: place.block + 1, index: 0 } } else { place };
        let Some(block) = self.blocks.get_mut(number) else { return };
        block.slots.remove(index);
        self.len -= 1;
        match block.slots.first() {
            Some(first) => block.first = *first,
            None => {
                self.blocks.remove(number);
            }
        }
    }

    /// The first slots from a place on, so many at most.
    pub(crate) fn first(&self, place: Place, wanted: usize) -> Vec<Slot> {
        let rest = self.block(place.block).get(place.index..).unwrap_or_default();
        let following = self.blocks.get(place.block + 1..).unwrap_or_default();
        let mut first = Vec::with_capacity(wanted.min(self.len));
        for slots in std::iter::once(rest).chain(following.iter().map(|block| block.slots.as_slice())) {
            let missing = wanted - first.len();
            if missing == 0 {
                break;
            }
            first.extend_from_slice(slots.get(..missing).unwrap_or(slots));
        }
        first
    }

    /// The slots from a place on.
    pub(crate) fn from(&self, place: Place) -> impl Iterator<Item = Slot> {
        let rest = self.block(place.block).get(place.index..).unwrap_or_default();
        let following = self.blocks.get(place.block + 1..).unwrap_or_default();
        rest.iter().chain(following.iter().flat_map(|block| &block.slots)).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> + Clone {
        self.blocks.iter().flat_map(|block| &block.slots).copied()
    }
}

/// How many items have a number below a bound, of items whose numbers rise from one to another: looked for near where it would be
/// if they rose evenly, then as far from there as the number there is from the bound, and if it is not there either, everywhere.
fn partition_point<T>(items: &[T], bound: u64, numbers: &Range<u64>, number: impl Fn(&T) -> u64) -> usize {
    let span = numbers.end.saturating_sub(numbers.start).max(1);
    // Half of the bits tell well enough, and leave room for a product with the other half, which is at most the number of items. To divide
    // takes long, so it is done once.
    let half = u64::BITS / 2;
    let shift = half.saturating_sub(span.leading_zeros());
    let each = ((items.len() as u64) << half) / (span >> shift);
    let steps = |distance: u64| {
        let share = ((distance.min(span) >> shift) * each) >> half;
        usize::try_from(share).unwrap_or(items.len())
    };
    let comes_before = |item: &T| number(item) < bound;
    let (mut least, mut most) = (0, items.len());
    let mut likely = steps(bound.saturating_sub(numbers.start));
    for astray in ASTRAY {
        let start = likely.saturating_sub(astray).clamp(least, most);
        let end = likely.saturating_add(astray).clamp(least, most);
        let is_before_start = start.checked_sub(1).and_then(|last| items.get(last)).is_none_or(comes_before);
        let is_before_end = items.get(end).is_some_and(comes_before);
        match (is_before_start, is_before_end) {
            (true, false) => (least, most) = (start, end),
            (false, _) => most = start,
            (true, true) => least = end,
        }
        if most - least <= 2 * astray {
            break;
        }
        let there = items.get(likely).map_or(numbers.end, &number);
        likely = if there < bound {
            likely.saturating_add(steps(bound - there))
        } else {
            likely.saturating_sub(steps(there - bound))
        };
    }
    least + count_before(items.get(least..most).unwrap_or_default(), comes_before)
}

/// [`slice::partition_point`] in few rounds: what is looked at in a round does not depend on each other, so that the processor waits
/// once for all of it.
fn count_before<T>(items: &[T], comes_before: impl Fn(&T) -> bool) -> usize {
    let (mut rest, mut start) = (items, 0);
    while !rest.is_empty() {
        let step = rest.len() / TOGETHER + 1;
        let lasts = rest.iter().skip(step - 1).step_by(step);
        let before = lasts.filter(|item| comes_before(item)).count() * step;
        start += before;
        let after = rest.get(before..).unwrap_or_default();
        rest = after.get(..step - 1).unwrap_or(after);
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn guesses_lead_to_the_place_however_numbers_are_spread(
            mut numbers in prop::collection::vec(any::<u64>(), 0..3000),
            bound: u64,
            ends: (u64, u64),
        ) {
            numbers.sort_unstable();
            let place = numbers.partition_point(|number| *number < bound);
            let span = numbers.first().copied().unwrap_or(0)..numbers.last().copied().unwrap_or(0);
            for span in [span, ends.0..ends.1] {
                prop_assert_eq!(partition_point(&numbers, bound, &span, |number| *number), place);
            }
        }

        #[test]
        fn blocks_are_a_sorted_vector(steps in prop::collection::vec((any::<bool>(), 0..3000_u32), 1..4000)) {
            let (mut blocks, mut model) = (Blocks::default(), Vec::new());
            for (adds, slot) in steps {
                let place = blocks.place(|other| other < slot);
                prop_assert_eq!(blocks.place_of(slot.into(), u64::from), place);
                let unevenly = |slot: Slot| u64::from(slot).pow(5);
                prop_assert_eq!(blocks.place_of(unevenly(slot), unevenly), place);
                let index = model.partition_point(|other| *other < slot);
                prop_assert_eq!(blocks.at(place), model.get(index).copied());
                prop_assert_eq!(blocks.before(place), index.checked_sub(1).map(|index| model[index]));
                let is_there = blocks.at(place) == Some(slot);
                if adds && !is_there {
                    let block = blocks.insert(place, slot);
                    prop_assert!(blocks.block(block).contains(&slot));
                    model.insert(index, slot);
                } else if !adds && is_there {
                    blocks.remove(place);
                    model.remove(index);
                }
                prop_assert_eq!(blocks.len(), model.len());
            }
            prop_assert_eq!(blocks.iter().collect::<Vec<_>>(), model.clone());
            prop_assert!(blocks.blocks.iter().all(|block| (1..=FULL).contains(&block.slots.len())));
            prop_assert!(blocks.blocks.iter().all(|block| block.slots.first() == Some(&block.first)));
            let middle = blocks.place(|other| other < 1500);
            let rest: Vec<_> = model.into_iter().filter(|slot| *slot >= 1500).collect();
            prop_assert_eq!(blocks.distance(middle, blocks.place(|_| true)), rest.len());
            let end = blocks.place(|other| other < 1900);
            let between = rest.iter().filter(|slot| **slot < 1900).count();
            prop_assert_eq!(blocks.distance(middle, end), between);
            prop_assert_eq!(blocks.from(middle).collect::<Vec<_>>(), rest);
        }
    }
}
