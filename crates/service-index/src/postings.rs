//! The services that have a term.

use std::borrow::Cow;

use roaring::{MultiOps, RoaringBitmap};
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

/// How many services stand in one short list at most. To sort so many for a page takes some microseconds, while lists in each
/// order and a set would take two kilobytes, whatever is in them.
const FEW: usize = 64;

/// Some of the services, of either activeness, in all orders.
#[derive(Debug, Clone)]
pub(crate) enum Postings {
    /// In no order: sorted when they are read. An organization may have many terms that only one of its services has.
    Few(Vec<Member>),
    /// Until half of [`FEW`] are left, so that a service that comes and goes does not turn one form into the other each time.
    Many(Box<Lists>),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    slot: Slot,
    is_active: bool,
}

/// Services as a set, and as lists in each order, those of either activeness apart, so that a page is a range.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Lists {
    set: RoaringBitmap,
    lists: [[Blocks; ORDERS]; 2],
}

impl Default for Postings {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Postings {
    pub(crate) fn set(&self) -> Cow<'_, RoaringBitmap> {
        match self {
            Self::Few(members) => Cow::Owned(slots(members).collect()),
            Self::Many(lists) => Cow::Borrowed(&lists.set),
        }
    }

    /// Whether a service is among them.
    pub(crate) fn contains(&self, slot: Slot) -> bool {
        match self {
            Self::Few(members) => slots(members).any(|member| member == slot),
            Self::Many(lists) => lists.set.contains(slot),
        }
    }

    /// How many services there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Few(members) => members.len() as u64,
            Self::Many(lists) => lists.len() as u64,
        }
    }

    /// How many services of this activeness there are.
    pub(crate) fn len(&self, is_active: bool) -> usize {
        match self {
            Self::Few(members) => members.iter().filter(|member| member.is_active == is_active).count(),
            Self::Many(lists) => lists.list(is_active, RangeOrder::Id).len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The services of an activeness, in an order, from the first on whose label is not below one.
    pub(crate) fn from<'a>(
        &'a self,
        is_active: bool,
        order: RangeOrder,
        orders: &'a Orders,
        bound: Label,
    ) -> impl Iterator<Item = Slot> + 'a {
        let labels = orders.get(order);
        let (few, many) = match self {
            Self::Few(members) => (in_order(members, is_active, labels, bound), None),
            Self::Many(lists) => {
                let list = lists.list(is_active, order);
                (Vec::new(), Some(list.from(labels.place(list, bound))))
            }
        };
        few.into_iter().map(|(_, slot)| slot).chain(many.into_iter().flatten())
    }

    /// The first of them, so many at most.
    pub(crate) fn first(
        &self,
        is_active: bool,
        order: RangeOrder,
        orders: &Orders,
        bound: Label,
        wanted: usize,
    ) -> Vec<Slot> {
        let labels = orders.get(order);
        match self {
            Self::Few(members) => {
                let few = in_order(members, is_active, labels, bound);
                few.into_iter().take(wanted).map(|(_, slot)| slot).collect()
            }
            Self::Many(lists) => {
                let list = lists.list(is_active, order);
                list.first(labels.place(list, bound), wanted)
            }
        }
    }

    /// Adds a service that is in all orders.
    pub(crate) fn insert(&mut self, slot: Slot, is_active: bool, orders: &Orders) {
        match self {
            Self::Few(members) if members.len() < FEW => members.push(Member { slot, is_active }),
            Self::Few(members) => {
                let mut lists = Lists::of(members, orders);
                lists.insert(slot, is_active, orders);
                *self = Self::Many(Box::new(lists));
            }
            Self::Many(lists) => lists.insert(slot, is_active, orders),
        }
    }

    /// Takes a service away that is among these, and still in all orders.
    pub(crate) fn remove(&mut self, slot: Slot, is_active: bool, orders: &Orders) {
        match self {
            Self::Few(members) => members.retain(|member| member.slot != slot),
            Self::Many(lists) => {
                lists.remove(slot, is_active, orders);
                if lists.len() <= FEW / 2 {
                    *self = Self::Few(lists.members());
                }
            }
        }
    }

    /// Adds a service, while services come without an order: to lists in orders, with [`push_last`](Self::push_last), only once all
    /// services have come.
    pub(crate) fn push(&mut self, slot: Slot, is_active: bool) {
        match self {
            Self::Few(members) if members.len() < FEW => members.push(Member { slot, is_active }),
            Self::Few(members) => {
                let set = slots(members).chain([slot]).collect();
                *self = Self::Many(Box::new(Lists { set, ..Lists::default() }));
            }
            Self::Many(lists) => {
                lists.set.insert(slot);
            }
        }
    }

    /// Adds a service to the end of a list, if there are lists, while they are built in their order.
    pub(crate) fn push_last(&mut self, slot: Slot, is_active: bool, order: RangeOrder) {
        match self {
            Self::Few(_) => {}
            Self::Many(lists) => lists.list_mut(is_active, order).push(slot),
        }
    }

    /// Whether these are the services of such lists, in the form that their number asks for.
    pub(crate) fn are(&self, expected: &Lists, orders: &Orders) -> bool {
        match self {
            Self::Few(members) => members.len() <= FEW && Lists::of(members, orders) == *expected,
            Self::Many(lists) => lists.set.len() > FEW as u64 / 2 && **lists == *expected,
        }
    }
}

/// The services that are in some postings.
pub(crate) fn union<'a>(all: impl Iterator<Item = &'a Postings>) -> RoaringBitmap {
    let (mut few, mut sets) = (Vec::new(), Vec::new());
    for postings in all {
        match postings {
            Postings::Few(members) => few.extend(slots(members)),
            Postings::Many(lists) => sets.push(&lists.set),
        }
    }
    few.sort_unstable();
    let few: RoaringBitmap = few.into_iter().collect();
    sets.into_iter().chain([&few]).union()
}

/// Those of an activeness whose label is not below a bound, by their labels.
fn in_order(members: &[Member], is_active: bool, labels: &Order, bound: Label) -> Vec<(Label, Slot)> {
    let members = members.iter().filter(|member| member.is_active == is_active);
    let labelled = members.map(|member| (labels.label(member.slot), member.slot));
    let mut few: Vec<(Label, Slot)> = labelled.filter(|(label, _)| *label >= bound).collect();
    few.sort_unstable();
    few
}

fn slots(members: &[Member]) -> impl Iterator<Item = Slot> {
    members.iter().map(|member| member.slot)
}

#[expect(clippy::indexing_slicing, reason = "there are as many lists as orders, for each activeness")]
impl Lists {
    /// Lists of services that are in all orders.
    fn of(members: &[Member], orders: &Orders) -> Self {
        let mut lists = Self { set: slots(members).collect(), ..Self::default() };
        let mut members = members.to_vec();
        for order in ALL {
            let labels = orders.get(order);
            members.sort_by_cached_key(|member| labels.label(member.slot));
            for Member { slot, is_active } in &members {
                lists.list_mut(*is_active, order).push(*slot);
            }
        }
        lists
    }

    /// How many services there are: unlike the set, lists know it, once they are built.
    fn len(&self) -> usize {
        [true, false].map(|is_active| self.list(is_active, RangeOrder::Id).len()).iter().sum()
    }

    fn members(&self) -> Vec<Member> {
        let members = |is_active| {
            self.list(is_active, RangeOrder::Id).iter().map(move |slot| Member { slot, is_active })
        };
        members(true).chain(members(false)).collect()
    }

    fn list(&self, is_active: bool, order: RangeOrder) -> &Blocks {
        &self.lists[usize::from(is_active)][number(order)]
    }

    fn list_mut(&mut self, is_active: bool, order: RangeOrder) -> &mut Blocks {
        &mut self.lists[usize::from(is_active)][number(order)]
    }

    fn insert(&mut self, slot: Slot, is_active: bool, orders: &Orders) {
        self.set.insert(slot);
        for order in ALL {
            let (list, labels) = (self.list_mut(is_active, order), orders.get(order));
            list.insert(labels.place(list, labels.label(slot)), slot);
        }
    }

    fn remove(&mut self, slot: Slot, is_active: bool, orders: &Orders) {
        self.set.remove(slot);
        for order in ALL {
            let (list, labels) = (self.list_mut(is_active, order), orders.get(order));
            list.remove(labels.place(list, labels.label(slot)));
        }
    }

    /// Adds a service to the end of a list, and to the set.
    pub(crate) fn push_last(&mut self, slot: Slot, is_active: bool, order: RangeOrder) {
        self.set.insert(slot);
        self.list_mut(is_active, order).push(slot);
    }
}
