//! The one place where SQL is assembled.
//!
//! A statement is put together from fragments of this file, which are all `&'static str`, and from markers for bound values,
//! which are `?` and a number. [`Statement`] takes nothing else, so no value can become SQL.

use std::cmp::Ordering;

use serde_json::Value;
use service_core::range::{Range, RangeOrder, RangeStart};
use service_core::{Direction, OrganizationId, ServiceId, ServiceName, Sort, SortField, StoreError};
use sqlx::query::QueryAs;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Arguments, AssertSqlSafe, Encode, Type};

use super::conditions::{Conditions, Driver, Membership, Piece, Term, Test};
use crate::row::{self, ServiceRow};

/// A statement and its values. The first value is always the organization.
#[derive(Debug)]
pub(super) struct Statement {
    sql: String,
    arguments: SqliteArguments,
}

impl Statement {
    fn new(organization: &OrganizationId) -> Result<Self, StoreError> {
        let mut statement = Self { sql: String::with_capacity(1024), arguments: SqliteArguments::default() };
        statement.add(organization.as_str().to_owned())?;
        Ok(statement)
    }

    /// Appends SQL.
    fn push(&mut self, fragment: &'static str) -> &mut Self {
        self.sql.push_str(fragment);
        self
    }

    /// Appends the marker of a value, and the value.
    fn bind<'v>(&mut self, value: impl Encode<'v, Sqlite> + Type<Sqlite>) -> Result<&mut Self, StoreError> {
        self.add(value)?;
        self.sql.push('?');
        self.sql.push_str(&self.arguments.len().to_string());
        Ok(self)
    }

    fn add<'v>(&mut self, value: impl Encode<'v, Sqlite> + Type<Sqlite>) -> Result<(), StoreError> {
        self.arguments.add(value).map_err(|error| crate::error::store_error(sqlx::Error::Encode(error)))
    }

    /// The statement, ready to run.
    pub(super) fn query<'q>(self) -> QueryAs<'q, Sqlite, ServiceRow, SqliteArguments> {
        sqlx::query_as_with(AssertSqlSafe(self.sql), self.arguments)
    }

    /// How SQLite would run the statement.
    #[cfg(test)]
    pub(super) async fn explain(
        self,
        connection: &mut sqlx::SqliteConnection,
    ) -> sqlx::Result<Vec<(i64, i64, i64, String)>> {
        let sql = format!("EXPLAIN QUERY PLAN {}", self.sql);
        sqlx::query_as_with(AssertSqlSafe(sql), self.arguments).fetch_all(connection).await
    }
}

/// The first `count` services of some ranges, each under its conditions, in the order of the sort: the keys are found first,
/// and only theirs are read from the history. The rows come in no order.
pub(super) fn page(
    organization: &OrganizationId,
    sort: &Sort,
    ranges: &[(Range, Conditions)],
    count: usize,
) -> Result<Statement, StoreError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut statement = Statement::new(organization)?;
    statement.push("WITH page (is_active, name, id) AS MATERIALIZED (");
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
                keys(&mut statement, range, piece, bounds, &conditions.terms, count)?;
                statement.push(")");
                separator = union;
            }
        }
    }
    statement.push(") ORDER BY ");
    for key in sort.keys() {
        statement.push(match (key.field, key.direction) {
            (SortField::Name, Direction::Ascending) => "name, ",
            (SortField::Name, Direction::Descending) => "name DESC, ",
            (SortField::IsActive, Direction::Ascending) => "is_active, ",
            (SortField::IsActive, Direction::Descending) => "is_active DESC, ",
        });
    }
    statement.push("id LIMIT ").bind(count)?;
    statement.push(
        ") SELECT s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.revision, h.body \
         FROM page \
         LEFT JOIN services AS s ON s.organization = ?1 AND s.id = page.id \
         LEFT JOIN history AS h ON h.organization = ?1 AND h.revision = s.revision AND h.id = s.id",
    );
    Ok(statement)
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
fn keys(
    statement: &mut Statement,
    range: &Range,
    piece: &Piece,
    bounds: Bounds,
    terms: &[Term],
    count: i64,
) -> Result<(), StoreError> {
    // A name that nothing is ordered by would only be read from another tree.
    statement.push(match range.order {
        RangeOrder::Id => "SELECT d.is_active, NULL AS name, d.id FROM ",
        RangeOrder::Name(_) => "SELECT d.is_active, d.name, d.id FROM ",
    });
    let mut bounds = Some(bounds);
    match &piece.driver {
        Driver::All => {
            statement.push(match range.order {
                RangeOrder::Id => "services AS d INDEXED BY services_by_id",
                RangeOrder::Name(Direction::Ascending) => "services AS d INDEXED BY services_by_name",
                RangeOrder::Name(Direction::Descending) => {
                    "services AS d INDEXED BY services_by_name_falling"
                }
            });
            statement.push(" WHERE d.organization = ?1");
        }
        Driver::Ids(ids) => {
            statement.push("json_each(").bind(row::id_list(ids))?;
            statement.push(") AS wanted CROSS JOIN services AS d");
            statement.push(" WHERE d.organization = ?1 AND d.id = unhex(wanted.value)");
        }
        Driver::Names(names) => {
            if let [name] = names.iter().collect::<Vec<_>>()[..] {
                bounds = bounds.and_then(|bounds| bounds.within_name(name));
                statement.push("services AS d INDEXED BY services_by_name WHERE d.organization = ?1");
                statement.push(" AND d.name = ").bind(name.clone())?;
            } else {
                statement.push("json_each(").bind(row::json(names)?)?;
                statement.push(") AS wanted CROSS JOIN services AS d INDEXED BY services_by_name");
                statement.push(" WHERE d.organization = ?1 AND d.name = wanted.value");
            }
        }
        Driver::Terms(terms) => {
            let tree = match range.order {
                RangeOrder::Id => "tagged_services AS d INDEXED BY tagged_services_by_id",
                RangeOrder::Name(_) => "tagged_services AS d",
            };
            if let [term] = terms[..] {
                statement.push(tree).push(" WHERE d.organization = ?1 AND d.term = ").bind(term.number)?;
            } else {
                statement.push("json_each(").bind(numbers(terms))?;
                statement.push(") AS wanted CROSS JOIN ").push(tree);
                statement.push(" WHERE d.organization = ?1 AND d.term = wanted.value");
            }
        }
    }
    statement.push(" AND d.is_active = ").bind(range.is_active)?;
    match bounds {
        None => {
            statement.push(" AND false");
        }
        Some(Bounds::Whole) => {}
        Some(Bounds::AfterId(id)) => {
            statement.push(" AND d.id > ").bind(id.as_bytes().to_vec())?;
        }
        Some(Bounds::AfterNameAndId(name, id)) => {
            statement.push(" AND (d.name, d.id) > (").bind(name.as_str().to_owned())?;
            statement.push(", ").bind(id.as_bytes().to_vec())?.push(")");
        }
        Some(Bounds::OfNameAfterId(name, id)) => {
            statement.push(" AND d.name = ").bind(name.as_str().to_owned())?;
            statement.push(" AND d.id > ").bind(id.as_bytes().to_vec())?;
        }
        Some(Bounds::Name(comparison, name)) => {
            statement.push(" AND d.name ").push(comparison).push(" ").bind(name.as_str().to_owned())?;
        }
    }
    for term in terms {
        statement.push(" AND ");
        tagged(statement, &[*term], Membership::Inside)?;
    }
    if !piece.any_of.is_empty() {
        statement.push(" AND (");
        any_of(statement, &piece.any_of)?;
        statement.push(")");
    }
    statement.push(match range.order {
        RangeOrder::Id => " ORDER BY d.id",
        RangeOrder::Name(Direction::Ascending) => " ORDER BY d.name, d.id",
        RangeOrder::Name(Direction::Descending) => " ORDER BY d.name DESC, d.id",
    });
    statement.push(" LIMIT ").bind(count)?;
    Ok(())
}

fn any_of(statement: &mut Statement, alternatives: &[Vec<Test>]) -> Result<(), StoreError> {
    for (index, tests) in alternatives.iter().enumerate() {
        statement.push(if index == 0 { "(" } else { " OR (" });
        for (index, test) in tests.iter().enumerate() {
            if index > 0 {
                statement.push(" AND ");
            }
            push_test(statement, test)?;
        }
        statement.push(")");
    }
    Ok(())
}

fn push_test(statement: &mut Statement, test: &Test) -> Result<(), StoreError> {
    match test {
        Test::Id(ids, membership) => {
            statement.push("d.id").push(is_in(*membership)).push("(SELECT unhex(value) FROM json_each(");
            statement.bind(row::id_list(ids))?.push("))");
            Ok(())
        }
        Test::Name(names, membership) => {
            statement.push("d.name").push(is_in(*membership)).push("(SELECT value FROM json_each(");
            statement.bind(row::json(names)?)?.push("))");
            Ok(())
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
fn tagged(statement: &mut Statement, terms: &[Term], membership: Membership) -> Result<(), StoreError> {
    statement.push(match membership {
        Membership::Inside => "EXISTS ",
        Membership::Outside => "NOT EXISTS ",
    });
    statement.push("(SELECT 1 FROM tagged_services AS t INDEXED BY tagged_services_by_id WHERE t.organization = ?1 AND t.term ");
    match terms {
        [term] => {
            statement.push("= ").bind(term.number)?;
        }
        terms => {
            statement.push("IN (SELECT value FROM json_each(").bind(numbers(terms))?.push("))");
        }
    }
    statement.push(" AND t.is_active = d.is_active AND t.id = d.id)");
    Ok(())
}

fn numbers(terms: &[Term]) -> String {
    Value::Array(terms.iter().map(|term| term.number.into()).collect()).to_string()
}
