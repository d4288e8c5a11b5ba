//! All services in one order, each with a number that tells its place among the others.

use std::ops::Range;

use crate::blocks::{Blocks, Place, Slot};

/// A number that grows along an order.
pub(crate) type Label = u64;

/// What comes after everything.
pub(crate) const END: Label = Label::MAX;

/// How far labels are apart where there is room: services come and go forty times between any two before others move.
const STEP: Label = 1 << 40;
/// How far labels are apart at least when they are given anew.
const LEAST: Label = 1 << 16;

/// Services in an order. Labels say which of two comes first without a look at either, so whatever keeps some of the services in
/// this order finds its way by labels, and stays right when labels change, because the order does not.
#[derive(Debug, Default)]
pub(crate) struct Order {
    blocks: Blocks,
    /// By slot.
    labels: Vec<Label>,
}

impl Order {
    /// The order of slots that come in it.
    pub(crate) fn of(slots: &[Slot]) -> Self {
        let mut order = Self { blocks: Blocks::default(), labels: vec![END; slots.len()] };
        slots.iter().for_each(|slot| order.blocks.push(*slot));
        order.space(slots, None, None);
        order
    }

    /// The label of a slot, by which it is compared with others.
    pub(crate) fn label(&self, slot: Slot) -> Label {
        self.labels.get(slot as usize).copied().unwrap_or(END)
    }

    fn set(&mut self, slot: Slot, label: Label) {
        let slot = slot as usize;
        if slot >= self.labels.len() {
            self.labels.resize(slot + 1, END);
        }
        if let Some(place) = self.labels.get_mut(slot) {
            *place = label;
        }
    }

    /// The label from which on slots no longer come before something; those that do stand first.
    pub(crate) fn bound(&self, comes_before: impl Fn(Slot) -> bool) -> Label {
        self.blocks.at(self.blocks.place(comes_before)).map_or(END, |slot| self.label(slot))
    }

    /// The labels of those that do not come before something, but before something else behind it, and how many there are.
    pub(crate) fn stretch(
        &self,
        comes_before: impl Fn(Slot) -> bool,
        comes_before_end: impl Fn(Slot) -> bool,
    ) -> (Range<Label>, usize) {
        let (start, end) = (self.blocks.place(comes_before), self.blocks.place(comes_before_end));
        let label = |place| self.blocks.at(place).map_or(END, |slot| self.label(slot));
        (label(start)..label(end), self.blocks.distance(start, end))
    }

    /// The slots of some labels.
    pub(crate) fn within(&self, labels: &Range<Label>) -> impl Iterator<Item = Slot> {
        self.starting_at(labels.start).take_while(|slot| self.label(*slot) < labels.end)
    }

    /// The slots in their order, from the first on whose label is not below one.
    pub(crate) fn starting_at(&self, bound: Label) -> impl Iterator<Item = Slot> {
        self.blocks.from(self.place(&self.blocks, bound))
    }

    /// The first of them, so many at most.
    pub(crate) fn first(&self, bound: Label, wanted: usize) -> Vec<Slot> {
        self.blocks.first(self.place(&self.blocks, bound), wanted)
    }

    /// Where the slots of a list in this order begin whose label is not below one.
    pub(crate) fn place(&self, list: &Blocks, bound: Label) -> Place {
        if bound == 0 { Place::START } else { list.place_of(bound, |slot| self.label(slot)) }
    }

    /// The slots in their order, from the first on that does not come before something.
    pub(crate) fn from(&self, comes_before: impl Fn(Slot) -> bool) -> impl Iterator<Item = Slot> {
        self.blocks.from(self.blocks.place(comes_before))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> + Clone {
        self.blocks.iter()
    }

    /// Whether labels grow along the order.
    pub(crate) fn has_rising_labels(&self) -> bool {
        let labels = self.iter().map(|slot| self.label(slot));
        labels.clone().is_sorted_by(|left, right| left < right) && labels.last().is_none_or(|last| last < END)
    }

    /// Adds a slot after those that come before it, and gives the two that it comes between.
    pub(crate) fn insert(&mut self, slot: Slot, comes_before: impl Fn(Slot) -> bool) -> [Option<Slot>; 2] {
        let place = self.blocks.place(comes_before);
        let neighbours = [self.blocks.before(place), self.blocks.at(place)];
        let label = self.between(place);
        let block = self.blocks.insert(place, slot);
        match label {
            Some(label) => self.set(slot, label),
            None => self.spread(block),
        }
        neighbours
    }

    /// Takes a slot away.
    pub(crate) fn remove(&mut self, slot: Slot) {
        self.blocks.remove(self.place(&self.blocks, self.label(slot)));
    }

    /// A label for a new slot at a place, if there is room for one.
    fn between(&self, place: Place) -> Option<Label> {
        let before = self.blocks.before(place).map(|slot| self.label(slot));
        let after = self.blocks.at(place).map(|slot| self.label(slot));
        match (before, after) {
            (None, None) => Some(END / 2),
            (Some(before), None) => before.checked_add(STEP).filter(|label| *label < END),
            (None, Some(after)) => after.checked_sub(STEP),
            (Some(before), Some(after)) => {
                Some(before + (after - before) / 2).filter(|label| *label > before)
            }
        }
    }

    /// Makes room around a block: gives new labels to no more slots than it takes.
    fn spread(&mut self, block: usize) {
        let (mut first, mut end) = (block, block + 1);
        loop {
            let low = first.checked_sub(1).and_then(|block| self.blocks.block(block).last());
            let low = low.map(|slot| self.label(*slot));
            let high = self.blocks.block(end).first().map(|slot| self.label(*slot));
            let slots: Vec<Slot> = (first..end).flat_map(|block| self.blocks.block(block)).copied().collect();
            if gap(slots.len(), low, high) >= LEAST || (low, high) == (None, None) {
                return self.space(&slots, low, high);
            }
            let width = end - first;
            first = first.saturating_sub(width);
            end = (end + width).min(self.blocks.block_count());
        }
    }

    /// Gives slots that follow each other labels between two others, equally far apart. Where an end is open, room stays there.
    fn space(&mut self, slots: &[Slot], low: Option<Label>, high: Option<Label>) {
        let gap = gap(slots.len(), low, high);
        let span = gap * (slots.len() as Label + 1);
        let mut label = match (low, high) {
            (Some(low), _) => low,
            (None, Some(high)) => high - span,
            (None, None) => (END - span) / 2,
        };
        for slot in slots {
            label += gap;
            self.set(*slot, label);
        }
    }
}

/// How far apart so many labels are between two others.
fn gap(count: usize, low: Option<Label>, high: Option<Label>) -> Label {
    ((high.unwrap_or(END) - low.unwrap_or(0)) / (count as Label + 1)).min(STEP)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each new slot stands where `index` of the slots before it come before it.
    fn assert_labels_rise(places: impl IntoIterator<Item = usize>) {
        let (mut order, mut model) = (Order::default(), Vec::new());
        for (slot, index) in places.into_iter().enumerate() {
            let before: std::collections::HashSet<Slot> = model[..index].iter().copied().collect();
            order.insert(slot as Slot, |other| before.contains(&other));
            model.insert(index, slot as Slot);
        }
        assert_eq!(order.iter().collect::<Vec<_>>(), model);
        assert!(order.has_rising_labels());
    }

    #[test]
    fn labels_rise_wherever_slots_come() {
        let count = 3000;
        assert_labels_rise(0..count);
        assert_labels_rise(std::iter::repeat_n(0, count));
        // Always between the same two, from either side: the room there is halved each time.
        assert_labels_rise((0..count).map(|len| len / 2));
        assert_labels_rise((0..count).map(|len| len.min(1)));
        assert_labels_rise((0..count).map(|len| len.saturating_sub(1)));
    }

    proptest! {
        #[test]
        fn labels_rise_after_any_changes(steps in prop::collection::vec((0..4_u8, any::<prop::sample::Index>()), 1..900)) {
            let (mut order, mut model) = (Order::default(), Vec::<Slot>::new());
            for (slot, (kind, place)) in (0..).zip(steps) {
                if kind == 0 && !model.is_empty() {
                    order.remove(model.remove(place.index(model.len())));
                    continue;
                }
                let index = if kind == 1 { model.len() / 3 } else { place.index(model.len() + 1) };
                let before: std::collections::HashSet<Slot> = model[..index].iter().copied().collect();
                order.insert(slot, |other| before.contains(&other));
                model.insert(index, slot);
            }
            prop_assert_eq!(order.iter().collect::<Vec<_>>(), model);
            prop_assert!(order.has_rising_labels());
        }
    }
}
