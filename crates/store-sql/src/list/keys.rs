//! The one place where SQL is assembled: what finds the keys of a page.

use std::cmp::Ordering;

use service_core::range::{Range, RangeOrder, RangeStart};
use service_core::{Direction, Limit, ServiceId, ServiceName, Sort, SortField};

use super::conditions::{Conditions, Driver, Membership, Piece, Term, Test};
use super::statement::{Dialect, Marker, ORGANIZATION, Statement, Template};
use super::{Restricted, Value};

/// How many keys a page needs: one more than it may have, so that it shows if there are more.
pub fn count(limit: Limit) -> i64 {
    i64::try_from(limit.get()).unwrap_or(i64::MAX).saturating_add(1)
}

/// Appends the definitions of common tables, to stand behind `WITH`. The last of them is `page (is_active, name, id)`: the
/// first `count` keys of the ranges under the sort. They are found before anything is read from the history, and stand in
/// no order; the name is null where nothing is sorted by it.
///
/// Of ranges that follow each other, what follows the first is read only as far as the first does not fill the page. What
/// is on the page does not depend on that, nor on the order in which a database reads.
pub fn keys(statement: &mut Statement, sort: &Sort, restricted: &Restricted, count: i64) {
    let leading = if restricted.consecutive { 1 } else { restricted.ranges.len() };
    let (first, following) = restricted.ranges.split_at(leading.min(restricted.ranges.len()));
    let count = statement.add(count);
    if following.is_empty() {
        statement.push("page (is_active, name, id) AS MATERIALIZED (");
        sorted(statement, sort, first, Length { piece: ALL, page: ALL, count });
        statement.push(")");
        return;
    }
    statement.push("first (is_active, name, id) AS MATERIALIZED (");
    sorted(statement, sort, first, Length { piece: ALL, page: ALL, count });
    statement.push("), following (is_active, name, id) AS MATERIALIZED (");
    let piece = statement.dialect().piece_after_first;
    sorted(statement, sort, following, Length { piece, page: WHAT_FIRST_LEAVES, count });
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

const ALL: Template = &["", ""];
const WHAT_FIRST_LEAVES: Template = &["", " - (SELECT count(*) FROM first)"];

/// The first keys of some ranges, each under its conditions, under the sort.
fn sorted(statement: &mut Statement, sort: &Sort, ranges: &[(Range, Conditions)], length: Length) {
    if ranges.is_empty() {
        let services = statement.dialect().services;
        statement.push("SELECT d.is_active, d.name, d.id FROM ").push(services).push(" WHERE false");
        return;
    }
    // A service that is found by several pieces is there once.
    let union = if ranges.iter().any(|(_, conditions)| conditions.pieces.len() > 1) {
        " UNION "
    } else {
        " UNION ALL "
    };
    let mut separator = "SELECT is_active, name, id FROM (";
    for (range, conditions) in ranges {
        for piece in &conditions.pieces {
            for bounds in bounds(range) {
                statement.push(separator).push("SELECT * FROM (");
                piece_of(statement, range, piece, bounds, &conditions.terms, length);
                statement.push(") AS piece");
                separator = union;
            }
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
enum Bounds {
    Whole,
    AfterId(ServiceId),
    AfterNameAndId(ServiceName, ServiceId),
    OfNameAfterId(ServiceName, ServiceId),
    Name(&'static str, ServiceName),
}

/// The parts of a range, in its order.
fn bounds(range: &Range) -> Vec<Bounds> {
    let falling = range.order == RangeOrder::Name(Direction::Descending);
    match &range.start {
        RangeStart::First => vec![Bounds::Whole],
        RangeStart::AfterId(id) => vec![Bounds::AfterId(*id)],
        // Names fall and ids rise, so what follows is no single piece: the rest of the name, then all lesser names.
        RangeStart::After(name, id) if falling => {
            vec![Bounds::OfNameAfterId(name.clone(), *id), Bounds::Name("<", name.clone())]
        }
        RangeStart::After(name, id) => vec![Bounds::AfterNameAndId(name.clone(), *id)],
        RangeStart::AtName(name) => vec![Bounds::Name(if falling { "<=" } else { ">=" }, name.clone())],
        RangeStart::BeyondName(name) => vec![Bounds::Name(if falling { "<" } else { ">" }, name.clone())],
    }
}

impl Bounds {
    /// What is left of a part for the services of one name; `None` if there are none in it.
    fn within_name(self, own: &str) -> Option<Self> {
        match self {
            Self::Whole | Self::AfterId(_) => Some(self),
            Self::AfterNameAndId(name, id) => match own.cmp(name.as_str()) {
                Ordering::Less => None,
                Ordering::Equal => Some(Self::AfterId(id)),
                Ordering::Greater => Some(Self::Whole),
            },
            Self::OfNameAfterId(name, id) => (own == name.as_str()).then_some(Self::AfterId(id)),
            Self::Name(comparison, name) => {
                let holds = match own.cmp(name.as_str()) {
                    Ordering::Less => comparison.starts_with('<'),
                    Ordering::Equal => comparison.ends_with('='),
                    Ordering::Greater => comparison.starts_with('>'),
                };
                holds.then_some(Self::Whole)
            }
        }
    }
}

/// The keys of a part of a range: where they come from, where it begins, what is tested, its order and its length.
fn piece_of(
    statement: &mut Statement,
    range: &Range,
    piece: &Piece,
    bounds: Bounds,
    terms: &[Term],
    length: Length,
) {
    let dialect = statement.dialect();
    // A name that nothing is ordered by would only be read from another tree.
    let name = match range.order {
        RangeOrder::Id => dialect.no_name,
        RangeOrder::Name(_) => "d.name",
    };
    statement.push("SELECT d.is_active, ").push(name).push(" AS name, d.id FROM ");
    drive(statement, range, &piece.driver);
    statement.push(" AND d.is_active = ").bind(range.is_active);
    begin(statement, &piece.driver, bounds);
    let [before, behind] = dialect.tests;
    let mut separator = before;
    for term in terms {
        tagged(statement.push(separator), &[*term], Membership::Inside);
        separator = " AND ";
    }
    if !piece.any_of.is_empty() {
        statement.push(separator).push("(");
        any_of(statement, &piece.any_of);
        statement.push(")");
    }
    if !terms.is_empty() || !piece.any_of.is_empty() {
        statement.push(behind);
    }
    let [before, behind] = limit(dialect, range, &piece.driver);
    statement.push(before).fill(length.piece, length.count).push(behind);
}

/// Where a part begins, as conditions on candidates.
fn begin(statement: &mut Statement, driver: &Driver, bounds: Bounds) {
    let bounds = match driver {
        Driver::Names(names) if names.len() == 1 => names.first().and_then(|name| bounds.within_name(name)),
        _ => Some(bounds),
    };
    match bounds {
        None => {
            statement.push(" AND false");
        }
        Some(Bounds::Whole) => {}
        Some(Bounds::AfterId(id)) => {
            statement.push(" AND d.id > ").bind(&id);
        }
        Some(Bounds::AfterNameAndId(name, id)) => {
            statement.push(" AND (d.name, d.id) > (").bind(name.as_str());
            statement.push(", ").bind(&id).push(")");
        }
        Some(Bounds::OfNameAfterId(name, id)) => {
            statement.push(" AND d.name = ").bind(name.as_str()).push(" AND d.id > ").bind(&id);
        }
        Some(Bounds::Name(comparison, name)) => {
            statement.push(" AND d.name ").push(comparison).push(" ").bind(name.as_str());
        }
    }
}

/// The order of a piece, and what stands before and behind the number of keys that it gives.
fn limit(dialect: &Dialect, range: &Range, driver: &Driver) -> [&'static str; 2] {
    match (range.order, driver) {
        (RangeOrder::Id, _) => [" ORDER BY d.id LIMIT ", ""],
        (RangeOrder::Name(Direction::Ascending), _) => [" ORDER BY d.name, d.id LIMIT ", ""],
        (RangeOrder::Name(Direction::Descending), Driver::Terms(terms)) if terms.len() == 1 => {
            dialect.falling
        }
        (RangeOrder::Name(Direction::Descending), _) => [" ORDER BY d.name DESC, d.id LIMIT ", ""],
    }
}

/// The table that candidates come from, and what finds them there.
fn drive(statement: &mut Statement, range: &Range, driver: &Driver) {
    let dialect = statement.dialect();
    let tagged = match range.order {
        RangeOrder::Id => dialect.tagged_by_id,
        RangeOrder::Name(_) => dialect.tagged_by_name,
    };
    let of_organization = |statement: &mut Statement, table: &'static str| {
        statement.push(table).push(" WHERE d.organization = ").mark(ORGANIZATION);
    };
    match driver {
        Driver::All => {
            let table = match range.order {
                RangeOrder::Id => dialect.services_by_id,
                RangeOrder::Name(Direction::Ascending) => dialect.services_by_name,
                RangeOrder::Name(Direction::Descending) => dialect.services_by_falling_name,
            };
            of_organization(statement, table);
        }
        Driver::Ids(ids) => {
            let ids = statement.add(ids);
            of_organization(statement.fill(dialect.ids.from, ids), dialect.services);
            statement.push(" AND d.id = ").fill(dialect.ids.found, ids);
        }
        Driver::Names(names) => match names.first().filter(|_| names.len() == 1) {
            Some(name) => {
                of_organization(statement, dialect.services_by_name);
                statement.push(" AND d.name = ").bind(name.as_str());
            }
            None => {
                let names = statement.add(names);
                of_organization(statement.fill(dialect.names.from, names), dialect.services_by_name);
                statement.push(" AND d.name = ").fill(dialect.names.found, names);
            }
        },
        Driver::Terms(terms) => {
            if let [term] = terms[..] {
                of_organization(statement, tagged);
                let number = statement.add(term.number);
                statement.push(" AND d.term = ").fill(dialect.term, number);
            } else {
                let numbers = statement.add(numbers(terms));
                of_organization(statement.fill(dialect.terms.from, numbers), tagged);
                statement.push(" AND d.term = ").fill(dialect.terms.found, numbers);
            }
        }
    }
}

fn any_of(statement: &mut Statement, alternatives: &[Vec<Test>]) {
    for (index, tests) in alternatives.iter().enumerate() {
        statement.push(if index == 0 { "(" } else { " OR (" });
        for (index, test) in tests.iter().enumerate() {
            if index > 0 {
                statement.push(" AND ");
            }
            push_test(statement, test);
        }
        statement.push(")");
    }
}

fn push_test(statement: &mut Statement, test: &Test) {
    let dialect = statement.dialect();
    match test {
        Test::Id(ids, membership) => {
            let ids = statement.add(ids);
            statement.push("d.id").push(is_in(*membership)).fill(dialect.ids.within, ids);
        }
        Test::Name(names, membership) => {
            let names = statement.add(names);
            statement.push("d.name").push(is_in(*membership)).fill(dialect.names.within, names);
        }
        Test::Tagged(terms, membership) => tagged(statement, terms, *membership),
    }
}

fn is_in(membership: Membership) -> &'static str {
    match membership {
        Membership::Inside => " IN ",
        Membership::Outside => " NOT IN ",
    }
}

/// Whether a candidate has one of these terms: each is a lookup by its whole key.
fn tagged(statement: &mut Statement, terms: &[Term], membership: Membership) {
    let dialect = statement.dialect();
    statement.push(match membership {
        Membership::Inside => "EXISTS ",
        Membership::Outside => "NOT EXISTS ",
    });
    statement
        .push("(SELECT 1 FROM ")
        .push(dialect.tagged)
        .push(" WHERE t.organization = ")
        .mark(ORGANIZATION);
    if let [term] = terms {
        let number = statement.add(term.number);
        statement.push(" AND t.term = ").fill(dialect.term, number);
    } else {
        let numbers = statement.add(numbers(terms));
        statement.push(" AND t.term IN ").fill(dialect.terms.within, numbers);
    }
    statement.push(" AND t.is_active = d.is_active AND t.id = d.id").push(dialect.look_up_end).push(")");
}

fn numbers(terms: &[Term]) -> Value {
    Value::Integers(terms.iter().map(|term| term.number).collect())
}
