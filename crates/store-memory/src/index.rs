//! Services in the orders that listings are read in.

use std::collections::BTreeSet;
use std::ops::Bound;

use service_core::range::{Range, RangeOrder, RangeStart};
use service_core::{Direction, Service, ServiceId, ServiceName};

const FIRST_ID: ServiceId = ServiceId::from_bytes([0; 12]);
const LAST_ID: ServiceId = ServiceId::from_bytes([0xff; 12]);

/// A set of services, those of either activeness apart, ordered by name and by id.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Index {
    inactive: Orders,
    active: Orders,
}

#[derive(Debug, Default, PartialEq)]
struct Orders {
    by_name: BTreeSet<(ServiceName, ServiceId)>,
    by_id: BTreeSet<ServiceId>,
}

impl Index {
    fn orders(&self, is_active: bool) -> &Orders {
        if is_active { &self.active } else { &self.inactive }
    }

    fn orders_mut(&mut self, is_active: bool) -> &mut Orders {
        if is_active { &mut self.active } else { &mut self.inactive }
    }

    pub(crate) fn insert(&mut self, service: &Service) {
        let orders = self.orders_mut(service.is_active);
        orders.by_name.insert((service.name.clone(), service.id));
        orders.by_id.insert(service.id);
    }

    pub(crate) fn remove(&mut self, service: &Service) {
        let orders = self.orders_mut(service.is_active);
        orders.by_name.remove(&(service.name.clone(), service.id));
        orders.by_id.remove(&service.id);
    }

    pub(crate) fn len(&self) -> usize {
        self.active.by_id.len() + self.inactive.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The services of a range, in its order.
    pub(crate) fn read<'a>(&'a self, range: &Range) -> Box<dyn Iterator<Item = ServiceId> + 'a> {
        let orders = self.orders(range.is_active);
        match range.order {
            RangeOrder::Id => {
                let start = match &range.start {
                    RangeStart::AfterId(id) => Bound::Excluded(*id),
                    _ => Bound::Unbounded,
                };
                Box::new(orders.by_id.range((start, Bound::Unbounded)).copied())
            }
            RangeOrder::Name(Direction::Ascending) => {
                let start = match &range.start {
                    RangeStart::After(name, id) => Bound::Excluded((name.clone(), *id)),
                    RangeStart::AtName(name) => Bound::Included((name.clone(), FIRST_ID)),
                    RangeStart::BeyondName(name) => Bound::Excluded((name.clone(), LAST_ID)),
                    RangeStart::First | RangeStart::AfterId(_) => Bound::Unbounded,
                };
                Box::new(orders.by_name.range((start, Bound::Unbounded)).map(|(_, id)| *id))
            }
            RangeOrder::Name(Direction::Descending) => Box::new(orders.names_descending(&range.start)),
        }
    }
}

impl Orders {
    /// Names from the last to the first, and ids of one name from the first to the last.
    fn names_descending<'a>(&'a self, start: &RangeStart) -> impl Iterator<Item = ServiceId> + use<'a> {
        let (rest_of_name, first_name) = match start {
            RangeStart::After(name, id) => (Some((name.clone(), *id)), self.name_before(name)),
            RangeStart::AtName(name) => (None, self.last_name(Bound::Included((name.clone(), LAST_ID)))),
            RangeStart::BeyondName(name) => (None, self.name_before(name)),
            RangeStart::First | RangeStart::AfterId(_) => (None, self.last_name(Bound::Unbounded)),
        };
        let rest = rest_of_name.into_iter().flat_map(|after| {
            let last = (after.0.clone(), LAST_ID);
            self.by_name.range((Bound::Excluded(after), Bound::Included(last)))
        });
        let names = std::iter::successors(first_name, |name| self.name_before(name));
        let groups =
            names.flat_map(|name| self.by_name.range((name.clone(), FIRST_ID)..=(name.clone(), LAST_ID)));
        rest.chain(groups).map(|(_, id)| *id)
    }

    fn name_before(&self, name: &ServiceName) -> Option<&ServiceName> {
        self.last_name(Bound::Excluded((name.clone(), FIRST_ID)))
    }

    fn last_name(&self, end: Bound<(ServiceName, ServiceId)>) -> Option<&ServiceName> {
        self.by_name.range((Bound::Unbounded, end)).next_back().map(|(name, _)| name)
    }
}
