//! The services of a page.

use std::cmp::Ordering;

use service_core::range::{Range, RangeOrder, RangeStart, ranges};
use service_core::{Direction, Listing, Service, ServiceId, ServiceName, Sort, SortField};

use crate::blocks::Slot;
use crate::index::{Entry, Index};
use crate::order::{END, Label};
use crate::query::{Query, Stretch};

/// How many services more than are wanted are looked at to see where those of one name end.
const NAMESAKES: usize = 16;

/// What a page begins after.
struct Position<'a> {
    id: ServiceId,
    name: &'a ServiceName,
    is_active: bool,
    /// The number of the service, if it is known to be what this says.
    slot: Option<Slot>,
}

impl<T> Index<T> {
    /// The services of a page and the one after it, if there are so many: those that satisfy filter and visibility, in the
    /// order of the sort, after a position.
    pub fn select(&self, listing: &Listing, after: Option<&Service>) -> Vec<&T> {
        let position = after.map(|Service { id, name, is_active, .. }| Position {
            id: *id,
            name,
            is_active: *is_active,
            slot: None,
        });
        Query::of(self, listing).map_or_else(Vec::new, |query| self.page(&query, listing, position.as_ref()))
    }

    /// The same after the service that has a number, as it is in this index: its place need not be looked for. After none that has
    /// the number comes nothing.
    pub fn select_after(&self, listing: &Listing, number: Slot) -> Vec<&T> {
        let (Some(query), Some(after)) = (Query::of(self, listing), self.position(number)) else {
            return Vec::new();
        };
        self.page(&query, listing, Some(&after))
    }

    fn position(&self, slot: Slot) -> Option<Position<'_>> {
        let Entry { id, name, is_active, .. } = self.entry(slot)?;
        Some(Position { id: *id, name, is_active: *is_active, slot: Some(slot) })
    }

    fn page(&self, query: &Query<'_, T>, listing: &Listing, after: Option<&Position<'_>>) -> Vec<&T> {
        let enough = listing.limit.get().saturating_add(1);
        let ranges = ranges(&listing.sort, listing.filter.is_active(), after.map(|after| after.is_active));
        let stretch = |range: &Range| Stretch {
            is_active: Some(range.is_active),
            order: range.order,
            bound: self.bound(range, after).max(query.first_named(range.order)),
        };
        let found = match ranges.ranges.as_slice() {
            [first, second] if !ranges.consecutive => {
                let by_activeness = listing.sort.keys().iter().any(|key| key.field == SortField::IsActive);
                let both = [first, second].map(stretch);
                match self.of_either(query, &listing.sort, by_activeness, &both, enough) {
                    Some(found) => found,
                    None => {
                        let [left, right] = both.map(|stretch| query.first(&stretch, enough));
                        self.merged(&listing.sort, by_activeness, first.order, [&left, &right], enough)
                    }
                }
            }
            ranges => {
                let mut found = Vec::new();
                for range in ranges {
                    found.extend(query.first(&stretch(range), enough - found.len()));
                }
                found
            }
        };
        let mut values = Vec::with_capacity(found.len());
        values.extend(found.into_iter().filter_map(|slot| self.value(slot)));
        values
    }

    /// The first services of two ranges together, where they are one stretch of their order: no term is required, so that all services
    /// are candidates, and the order is that of the page, if need be once those of one name are put in order.
    fn of_either(
        &self,
        query: &Query<'_, T>,
        sort: &Sort,
        by_activeness: bool,
        [first, second]: &[Stretch; 2],
        enough: usize,
    ) -> Option<Vec<Slot>> {
        if query.requires_terms() {
            return None;
        }
        let stretch = Stretch { is_active: None, ..*first };
        if !by_activeness {
            return Some(query.first(&stretch, enough));
        }
        if !query.asks_nothing() {
            return None;
        }
        let order = self.orders().get(stretch.order);
        let [low, high] = if first.bound <= second.bound { [first, second] } else { [second, first] };
        let mut found = order.first(low.bound, enough.saturating_add(NAMESAKES));
        let goes_on = found.len() > enough;
        let between = found.iter().take_while(|slot| order.label(**slot) < high.bound).count();
        let mut index = 0;
        found.retain(|slot| {
            index += 1;
            index > between || low.is_active == Some(self.active().contains(*slot))
        });
        let are_namesakes = |left: &Slot, right: &Slot| self.may_be_namesakes(*left, *right);
        if goes_on {
            // Some that follow may have the name of the last, and come before it.
            let end = found.windows(2).skip(enough - 1).position(|pair| !pair.is_sorted_by(are_namesakes))?;
            found.truncate(enough + end);
        }
        for same in found.chunk_by_mut(are_namesakes).filter(|same| same.len() > 1) {
            same.sort_unstable_by(|left, right| match (self.entry(*left), self.entry(*right)) {
                (Some(left), Some(right)) => compare(sort, left, right),
                _ => Ordering::Equal,
            });
        }
        found.truncate(enough);
        Some(found)
    }

    /// The first of two ranges together, of which each is in its order.
    fn merged(
        &self,
        sort: &Sort,
        by_activeness: bool,
        order: RangeOrder,
        both: [&[Slot]; 2],
        enough: usize,
    ) -> Vec<Slot> {
        let order = self.orders().get(order);
        let [left, right] = both;
        let count = enough.min(left.len() + right.len());
        // All labels are read before any is compared, so that the processor waits once for them. Behind the end of a list is what comes
        // after everything.
        let mut labels = Vec::with_capacity(left.len() + right.len() + 2);
        labels.extend(left.iter().map(|slot| order.label(*slot)).chain([END]));
        labels.extend(right.iter().map(|slot| order.label(*slot)).chain([END]));
        let (left_labels, right_labels) = labels.split_at(left.len() + 1);
        let mut merged = Vec::with_capacity(count);
        let (mut from_left, mut from_right) = (0, 0);
        while merged.len() < count {
            let (first, second) = (left.get(from_left), right.get(from_right));
            let mut takes_right = right_labels.get(from_right) < left_labels.get(from_left);
            // Labels tell the order, but for services of one name where activeness counts before the id.
            if by_activeness
                && let (Some(first), Some(second)) = (first, second)
                && self.may_be_namesakes(*first, *second)
                && let (Some(first), Some(second)) = (self.entry(*first), self.entry(*second))
            {
                takes_right = compare(sort, second, first).is_lt();
            }
            merged.extend(if takes_right { second } else { first });
            from_left += usize::from(!takes_right);
            from_right += usize::from(takes_right);
        }
        merged
    }

    /// The label at which a range begins, in its order, after a position if there is one.
    fn bound(&self, range: &Range, after: Option<&Position<'_>>) -> Label {
        let Some(after) = after else { return 0 };
        let told = after.slot.and_then(|slot| self.bound_at(range, slot));
        told.unwrap_or_else(|| self.searched_bound(range, after))
    }

    /// The label at which a range begins, if that of the service that it begins at tells.
    fn bound_at(&self, range: &Range, slot: Slot) -> Option<Label> {
        let label = self.orders().get(range.order).label(slot);
        let is_sole = || !self.may_be_namesakes(slot, slot);
        match range.start {
            RangeStart::First => Some(0),
            RangeStart::AfterId | RangeStart::After => Some(label.saturating_add(1)),
            RangeStart::AtName => is_sole().then_some(label),
            RangeStart::BeyondName => is_sole().then_some(label.saturating_add(1)),
        }
    }

    fn searched_bound(&self, range: &Range, Position { name, id, .. }: &Position<'_>) -> Label {
        let order = self.orders().get(range.order);
        let direction = match range.order {
            RangeOrder::Id => Direction::Ascending,
            RangeOrder::Name(direction) => direction,
        };
        let by_name = |slot: Slot| {
            self.entry(slot).map_or(Ordering::Greater, |entry| direction.apply(entry.name.cmp(name)))
        };
        match range.start {
            RangeStart::First => 0,
            RangeStart::AfterId => order.bound(|slot| self.is(slot, |entry| entry.id <= *id)),
            RangeStart::After => {
                order.bound(|slot| self.is(slot, |entry| entry.compare(direction, name, *id).is_le()))
            }
            RangeStart::AtName => order.bound(|slot| by_name(slot).is_lt()),
            RangeStart::BeyondName => order.bound(|slot| by_name(slot).is_le()),
        }
    }
}

/// [`service_core::compare`] of what an index has of services.
fn compare(sort: &Sort, left: &Entry, right: &Entry) -> Ordering {
    let by_key = sort.keys().iter().map(|key| {
        key.direction.apply(match key.field {
            SortField::Name => left.name.cmp(&right.name),
            SortField::IsActive => left.is_active.cmp(&right.is_active),
        })
    });
    by_key.fold(Ordering::Equal, Ordering::then).then_with(|| left.id.cmp(&right.id))
}
