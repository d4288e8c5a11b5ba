//! How an index serves a listing: at most two ranges, one for each activeness, each read in one direction.
//!
//! An index that starts with `is_active` and continues with `name, id` or with `id` alone serves every sort and every
//! position with ranges that begin where the page begins. A store reads each range only as far as a page needs and orders
//! what it read by [`compare`](crate::compare); it never reads, sorts or skips what stands before the page.

use crate::sort::{Direction, Sort, SortField};

/// The order within a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeOrder {
    /// By id.
    Id,
    /// By name in this direction, then by id, ascending.
    Name(Direction),
}

/// Where a range begins, in its own order, as seen from the service that is the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeStart {
    /// At the first service, wherever the position is.
    First,
    /// After the position's id; for ranges ordered by id.
    AfterId,
    /// After the position's name and id; for ranges ordered by name.
    After,
    /// At the first service of the position's name or of one beyond it; for ranges ordered by name.
    AtName,
    /// At the first service of a name beyond the position's; for ranges ordered by name.
    BeyondName,
}

/// The services of one activeness, from a position on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The activeness of its services.
    pub is_active: bool,
    /// The order in which it is read.
    pub order: RangeOrder,
    /// Where it begins.
    pub start: RangeStart,
}

/// The ranges that hold everything a listing may still return after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// The ranges: none, one or two, in the order of their activeness under the sort.
    pub ranges: Vec<Range>,
    /// Whether everything in the first range comes before anything in the second. If not, the two interleave.
    pub consecutive: bool,
}

/// The ranges of a sort, over services of either activeness or of the one given: from the beginning, or after a position.
///
/// Of the position, the ranges depend on nothing but whether that service is active, which is what is asked for here. So they can be
/// told before the position is looked up.
pub fn ranges(sort: &Sort, is_active: Option<bool>, after: Option<bool>) -> Ranges {
    let name = sort.keys().iter().position(|key| key.field == SortField::Name);
    let activeness = sort.keys().iter().position(|key| key.field == SortField::IsActive);
    let direction_at =
        |index: Option<usize>| index.and_then(|index| sort.keys().get(index)).map(|key| key.direction);
    let order = direction_at(name).map_or(RangeOrder::Id, RangeOrder::Name);
    let active_direction = direction_at(activeness);
    let consecutive = activeness == Some(0);

    let start = |is_active: bool| -> Option<RangeStart> {
        let Some(after) = after else { return Some(RangeStart::First) };
        let beyond = active_direction.map(|direction| direction.apply(is_active.cmp(&after)));
        match (order, beyond) {
            (_, Some(std::cmp::Ordering::Less)) if consecutive => None,
            (_, Some(std::cmp::Ordering::Greater)) if consecutive => Some(RangeStart::First),
            (RangeOrder::Id, _) => Some(RangeStart::AfterId),
            (RangeOrder::Name(_), Some(std::cmp::Ordering::Less)) => Some(RangeStart::BeyondName),
            (RangeOrder::Name(_), Some(std::cmp::Ordering::Greater)) => Some(RangeStart::AtName),
            (RangeOrder::Name(_), _) => Some(RangeStart::After),
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
