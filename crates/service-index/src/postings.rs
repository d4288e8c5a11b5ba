//! The services that have a term.

use roaring::RoaringBitmap;
use service_core::Direction;
use service_core::range::RangeOrder;

use crate::blocks::{Blocks, Slot};
use crate::order::{Label, Order};

/// The orders that listings are read in.
#[derive(Debug, Default)]
pub(crate) struct Orders([Order; ORDERS]);

/// By id; by name, then id; by falling name, then id, which rises all the same.
pub(crate) const ALL: [RangeOrder; ORDERS] =
    [RangeOrder::Id, RangeOrder::Name(Direction::Ascending), RangeOrder::Name(Direction::Descending)];
const ORDERS: usize = 3;

const fn number(order: RangeOrder) -> usize {
    match order {
        RangeOrder::Id => 0,
        RangeOrder::Name(Direction::Ascending) => 1,
        RangeOrder::Name(Direction::Descending) => 2,
    }
}

#[expect(clippy::indexing_slicing, reason = "there are as many orders as numbers")]
impl Orders {
    pub(crate) fn get(&self, order: RangeOrder) -> &Order {
        &self.0[number(order)]
    }

    pub(crate) fn get_mut(&mut self, order: RangeOrder) -> &mut Order {
        &mut self.0[number(order)]
    }
}

/// Some of the services: as a set, and as lists in each order, those of either activeness apart, so that a page is a range.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Postings {
    set: RoaringBitmap,
    lists: [[Blocks; ORDERS]; 2],
}

#[expect(clippy::indexing_slicing, reason = "there are as many lists as orders, for each activeness")]
impl Postings {
    pub(crate) fn list(&self, is_active: bool, order: RangeOrder) -> &Blocks {
        &self.lists[usize::from(is_active)][number(order)]
    }

    fn list_mut(&mut self, is_active: bool, order: RangeOrder) -> &mut Blocks {
        &mut self.lists[usize::from(is_active)][number(order)]
    }

    pub(crate) fn set(&self) -> &RoaringBitmap {
        &self.set
    }

    /// How many services of this activeness there are.
    pub(crate) fn len(&self, is_active: bool) -> usize {
        self.lists[usize::from(is_active)][0].len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The services of a list from the first on whose label is not below one.
    pub(crate) fn from<'a>(
        &'a self,
        is_active: bool,
        order: RangeOrder,
        orders: &'a Orders,
        bound: Label,
    ) -> impl Iterator<Item = Slot> + 'a {
        let (list, labels) = (self.list(is_active, order), orders.get(order));
        list.from(list.place(|slot| labels.label(slot) < bound))
    }

    pub(crate) fn insert(&mut self, slot: Slot, is_active: bool, orders: &Orders) {
        self.set.insert(slot);
        for order in ALL {
            let (list, labels) = (self.list_mut(is_active, order), orders.get(order));
            let label = labels.label(slot);
            list.insert(list.place(|other| labels.label(other) < label), slot);
        }
    }

    /// Takes a service away that is among these, and still in all orders.
    pub(crate) fn remove(&mut self, slot: Slot, is_active: bool, orders: &Orders) {
        self.set.remove(slot);
        for order in ALL {
            let (list, labels) = (self.list_mut(is_active, order), orders.get(order));
            let label = labels.label(slot);
            list.remove(list.place(|other| labels.label(other) < label));
        }
    }

    /// Adds a service to the set, while it is built slot by slot.
    pub(crate) fn push(&mut self, slot: Slot) {
        self.set.insert(slot);
    }

    /// Adds a service to the end of a list, while it is built in its order.
    pub(crate) fn push_last(&mut self, slot: Slot, is_active: bool, order: RangeOrder) {
        self.list_mut(is_active, order).push(slot);
    }
}
