//! The one place where SQL is assembled: what finds the keys of a page.

use service_core::range::{Range, RangeOrder, RangeStart};
use service_core::{Direction, Service, Sort, SortField};

use super::plain::{Plain, PlainRange};
use super::statement::{Marker, ORGANIZATION, Statement, Template};

/// Appends the definitions of common tables, to stand behind `WITH`. The last of them is `page (is_active, name, id)`: the
/// first `count` keys of the ranges under the sort. They are found before their services are read from the history, and stand in
/// no order; the name is null where nothing is sorted by it.
///
/// Ranges that follow a position which is not given take it from a table `position (id, name, is_active)`, defined before, of one
/// row. Where that has none, nothing is on the page.
///
/// Of ranges that follow each other, what follows the first is read only as far as the first does not fill the page. What
/// is on the page does not depend on that, nor on the order in which a database reads.
pub(super) fn keys(
    statement: &mut Statement,
    sort: &Sort,
    plain: &Plain,
    count: i64,
    position: Option<&Service>,
) {
    let ranges = plain.ranges.as_slice();
    if ranges.is_empty() {
        let [_, services, _] = statement.dialect().tables;
        statement
            .push("page (is_active, name, id) AS MATERIALIZED (SELECT d.is_active, d.name, d.id FROM ")
            .push(services)
            .push(" AS d WHERE false)");
        return;
    }
    let is_leading = |each: &PlainRange| {
        !plain.consecutive
            || ranges.first().is_some_and(|first| first.range.is_active == each.range.is_active)
    };
    let leading = ranges.iter().take_while(|each| is_leading(each)).count();
    let (first, following) = ranges.split_at_checked(leading).unwrap_or((ranges, &[]));
    let count = statement.add(count);
    let ids = plain.ids.as_ref().map(|ids| statement.add(ids));
    let all = statement.dialect().at_most;
    if following.is_empty() {
        statement.push("page (is_active, name, id) AS MATERIALIZED (");
        sorted(statement, sort, first, position, ids, Length { piece: all, page: all, count });
        statement.push(")");
        return;
    }
    statement.push("first (is_active, name, id) AS MATERIALIZED (");
    sorted(statement, sort, first, position, ids, Length { piece: all, page: all, count });
    statement.push("), following (is_active, name, id) AS MATERIALIZED (");
    let piece = statement.dialect().piece_after_first;
    sorted(statement, sort, following, position, ids, Length { piece, page: WHAT_FIRST_LEAVES, count });
    statement.push("), page (is_active, name, id) AS MATERIALIZED (");
    statement
        .push("SELECT is_active, name, id FROM first UNION ALL SELECT is_active, name, id FROM following)");
}

/// How many keys are wanted: of each piece, and of all together.
#[derive(Clone, Copy)]
struct Length {
    piece: Template,
    page: Template,
    count: Marker,
}

const WHAT_FIRST_LEAVES: Template = &["", " - (SELECT count(*) FROM first)"];

/// The first keys of some ranges under the sort.
fn sorted(
    statement: &mut Statement,
    sort: &Sort,
    ranges: &[PlainRange],
    position: Option<&Service>,
    ids: Option<Marker>,
    length: Length,
) {
    let mut separator = "SELECT is_active, name, id FROM (";
    for range in ranges {
        for bounds in bounds(&range.range) {
            statement.push(separator).push("SELECT * FROM (");
            piece(statement, range, bounds, position, ids, length);
            statement.push(") AS piece");
            separator = " UNION ALL ";
        }
    }
    statement.push(") AS pieces ORDER BY ");
    for key in sort.keys() {
        statement.push(match (key.field, key.direction) {
            (SortField::Name, Direction::Ascending) => "name, ",
            (SortField::Name, Direction::Descending) => "name DESC, ",
            (SortField::IsActive, Direction::Ascending) => "is_active, ",
            (SortField::IsActive, Direction::Descending) => "is_active DESC, ",
        });
    }
    statement.push("id LIMIT ").fill(length.page, length.count);
}

/// A part of a range that one piece of an index holds.
#[derive(Clone, Copy)]
enum Bounds {
    Whole,
    AfterId,
    AfterNameAndId,
    OfNameAfterId,
    Name(&'static str),
}

/// The parts of a range, in its order.
fn bounds(range: &Range) -> &'static [Bounds] {
    let falling = range.order == RangeOrder::Name(Direction::Descending);
    match range.start {
        RangeStart::First => &[Bounds::Whole],
        RangeStart::AfterId => &[Bounds::AfterId],
        // Names fall and ids rise, so what follows is no single piece: the rest of the name, then all lesser names.
        RangeStart::After if falling => &[Bounds::OfNameAfterId, Bounds::Name("<")],
        RangeStart::After => &[Bounds::AfterNameAndId],
        RangeStart::AtName if falling => &[Bounds::Name("<=")],
        RangeStart::AtName => &[Bounds::Name(">=")],
        RangeStart::BeyondName if falling => &[Bounds::Name("<")],
        RangeStart::BeyondName => &[Bounds::Name(">")],
    }
}

/// The keys of a part of a range: where they come from, where it begins, its order and its length.
fn piece(
    statement: &mut Statement,
    PlainRange { range, after }: &PlainRange,
    bounds: &Bounds,
    position: Option<&Service>,
    ids: Option<Marker>,
    length: Length,
) {
    let dialect = statement.dialect();
    // A name that nothing is ordered by would only be read from another tree.
    let name = match range.order {
        RangeOrder::Id => dialect.no_name,
        RangeOrder::Name(_) => "d.name",
    };
    statement.push("SELECT d.is_active, ").push(name).push(" AS name, d.id FROM ");
    let [_, services, _] = dialect.tables;
    match ids {
        Some(ids) => {
            statement.fill(dialect.ids.from, ids).push(services).push(" AS d WHERE d.organization = ");
            statement.mark(ORGANIZATION).push(" AND d.id = ").fill(dialect.ids.found, ids);
        }
        None => {
            let index = match range.order {
                RangeOrder::Id => dialect.by_id,
                RangeOrder::Name(Direction::Ascending) => dialect.by_name,
                RangeOrder::Name(Direction::Descending) => dialect.by_falling_name,
            };
            statement
                .push(services)
                .push(" AS d")
                .push(index)
                .push(" WHERE d.organization = ")
                .mark(ORGANIZATION);
        }
    }
    // That of a range which follows other positions is null, which equals nothing: it ends where it begins. A condition of its own
    // would be one on each row.
    statement.push(" AND d.is_active = ");
    match after {
        None => statement.bind(range.is_active),
        Some(true) => {
            statement.push("(SELECT ").bind(range.is_active).push(" FROM position WHERE is_active)")
        }
        Some(false) => {
            statement.push("(SELECT ").bind(range.is_active).push(" FROM position WHERE NOT is_active)")
        }
    };
    match bounds {
        Bounds::Whole => {}
        Bounds::AfterId => {
            id_of(statement.push(" AND d.id > "), position);
        }
        Bounds::AfterNameAndId => {
            statement.push(" AND (d.name, d.id) > (");
            match position {
                Some(Service { name, id, .. }) => statement.bind(name.as_str()).push(", ").bind(id),
                None => statement.push("SELECT name, id FROM position"),
            };
            statement.push(")");
        }
        Bounds::OfNameAfterId => {
            name_of(statement.push(" AND d.name = "), position);
            id_of(statement.push(" AND d.id > "), position);
        }
        Bounds::Name(comparison) => {
            name_of(statement.push(" AND d.name ").push(comparison).push(" "), position);
        }
    }
    statement.push(match range.order {
        RangeOrder::Id => " ORDER BY d.id LIMIT ",
        RangeOrder::Name(Direction::Ascending) => " ORDER BY d.name, d.id LIMIT ",
        RangeOrder::Name(Direction::Descending) => " ORDER BY d.name DESC, d.id LIMIT ",
    });
    statement.fill(length.piece, length.count);
}

/// Appends the name of the position.
fn name_of(statement: &mut Statement, position: Option<&Service>) {
    match position {
        Some(position) => statement.bind(position.name.as_str()),
        None => statement.push("(SELECT name FROM position)"),
    };
}

/// Appends the id of the position.
fn id_of(statement: &mut Statement, position: Option<&Service>) {
    match position {
        Some(position) => statement.bind(&position.id),
        None => statement.push("(SELECT id FROM position)"),
    };
}
