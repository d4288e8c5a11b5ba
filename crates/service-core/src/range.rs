//! How an index serves a listing: at most two ranges, one for each activeness, each read in one direction.
//!
//! An index that starts with `is_active` and continues with `name, id` or with `id` alone serves every sort and every
//! position with ranges that begin where the page begins. A store reads each range only as far as a page needs and orders
//! what it read by [`compare`](crate::compare); it never reads, sorts or skips what stands before the page.

use crate::service::Service;
use crate::sort::{Direction, Sort, SortField};
use crate::value::{ServiceId, ServiceName};

/// The order within a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeOrder {
    /// By id.
    Id,
    /// By name in this direction, then by id, ascending.
    Name(Direction),
}

/// Where a range begins, in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeStart<Name = ServiceName> {
    /// At the first service.
    First,
    /// After this id; for ranges ordered by id.
    AfterId(ServiceId),
    /// After this name and id; for ranges ordered by name.
    After(Name, ServiceId),
    /// At the first service of this name or of one beyond it; for ranges ordered by name.
    AtName(Name),
    /// At the first service of a name beyond this one; for ranges ordered by name.
    BeyondName(Name),
}

/// The services of one activeness, from a position on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range<Name = ServiceName> {
    /// The activeness of its services.
    pub is_active: bool,
    /// The order in which it is read.
    pub order: RangeOrder,
    /// Where it begins.
    pub start: RangeStart<Name>,
}

/// The ranges that hold everything a listing may still return after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges<Name = ServiceName> {
    /// The ranges: none, one or two, in the order of their activeness under the sort.
    pub ranges: Vec<Range<Name>>,
    /// Whether everything in the first range comes before anything in the second. If not, the two interleave.
    pub consecutive: bool,
}

/// The ranges of a sort after a position, over services of either activeness or of the one given.
pub fn ranges(sort: &Sort, is_active: Option<bool>, after: Option<&Service>) -> Ranges {
    let Ranges { ranges, consecutive } = borrowed_ranges(sort, is_active, after);
    let owned = |Range { is_active, order, start }: Range<&ServiceName>| {
        let start = match start {
            RangeStart::First => RangeStart::First,
            RangeStart::AfterId(id) => RangeStart::AfterId(id),
            RangeStart::After(name, id) => RangeStart::After(name.clone(), id),
            RangeStart::AtName(name) => RangeStart::AtName(name.clone()),
            RangeStart::BeyondName(name) => RangeStart::BeyondName(name.clone()),
        };
        Range { is_active, order, start }
    };
    Ranges { ranges: ranges.into_iter().map(owned).collect(), consecutive }
}

/// The same with the name where it stands: it is not even looked at.
pub fn borrowed_ranges<'a>(
    sort: &Sort,
    is_active: Option<bool>,
    after: Option<&'a Service>,
) -> Ranges<&'a ServiceName> {
    let name = sort.keys().iter().position(|key| key.field == SortField::Name);
    let activeness = sort.keys().iter().position(|key| key.field == SortField::IsActive);
    let direction_at =
        |index: Option<usize>| index.and_then(|index| sort.keys().get(index)).map(|key| key.direction);
    let order = direction_at(name).map_or(RangeOrder::Id, RangeOrder::Name);
    let active_direction = direction_at(activeness);
    let consecutive = activeness == Some(0);

    let start = |is_active: bool| -> Option<RangeStart<&'a ServiceName>> {
        let Some(after) = after else { return Some(RangeStart::First) };
        let beyond = active_direction.map(|direction| direction.apply(is_active.cmp(&after.is_active)));
        match (order, beyond) {
            (_, Some(std::cmp::Ordering::Less)) if consecutive => None,
            (_, Some(std::cmp::Ordering::Greater)) if consecutive => Some(RangeStart::First),
            (RangeOrder::Id, _) => Some(RangeStart::AfterId(after.id)),
            (RangeOrder::Name(_), Some(std::cmp::Ordering::Less)) => {
                Some(RangeStart::BeyondName(&after.name))
            }
            (RangeOrder::Name(_), Some(std::cmp::Ordering::Greater)) => Some(RangeStart::AtName(&after.name)),
            (RangeOrder::Name(_), _) => Some(RangeStart::After(&after.name, after.id)),
        }
    };
    let both = match active_direction {
        Some(Direction::Descending) => [true, false],
        _ => [false, true],
    };
    let ranges = both
        .into_iter()
        .filter(|&each| is_active.is_none_or(|wanted| wanted == each))
        .filter_map(|is_active| Some(Range { is_active, order, start: start(is_active)? }))
        .collect();
    Ranges { ranges, consecutive }
}
