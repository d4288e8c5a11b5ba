//! Statements that are assembled, and what databases say differently in them.

use std::collections::BTreeSet;

use service_core::{OrganizationId, ServiceId};

/// Fragments of SQL. Between each two of them stands the marker of one and the same value.
pub type Template = &'static [&'static str];

/// How a database is given a list of values.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// What stands before the table in which the values find rows: the list as a relation joined with it, or nothing.
    pub from: Template,
    /// What the column that finds the rows is equal to.
    pub found: Template,
}

/// What databases say differently.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// What the number of a value stands behind.
    pub marker: &'static str,
    /// A name that is not read.
    pub no_name: &'static str,
    /// Organizations, services, history.
    pub tables: [&'static str; 3],
    /// What has the services read by activeness and id.
    pub by_id: &'static str,
    /// The same, by activeness, name and id.
    pub by_name: &'static str,
    /// The same, by activeness, falling name and id.
    pub by_falling_name: &'static str,
    /// A list of ids.
    pub ids: List,
    /// The facets as one text, of the rows of `facet`; and the table that has them.
    pub facets: [&'static str; 2],
    /// Whether the position is looked up by the statement that reads the page, which has the ranges of all positions then. A statement
    /// more may cost less than ranges that are empty.
    pub looks_up: bool,
    /// How many rows there are at most; the value is that number.
    pub at_most: Template,
    /// How many keys a piece of the ranges that follow the relation `first` gives at most; the value is how many `first` has
    /// at most. Less than the page has room for is wrong; more is read in vain.
    pub piece_after_first: Template,
}

/// A value of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// The bytes of an id.
    Id([u8; 12]),
    /// A list of ids.
    Ids(Vec<[u8; 12]>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<&ServiceId> for Value {
    fn from(id: &ServiceId) -> Self {
        Self::Id(*id.as_bytes())
    }
}

impl From<&BTreeSet<ServiceId>> for Value {
    fn from(ids: &BTreeSet<ServiceId>) -> Self {
        Self::Ids(ids.iter().map(|id| *id.as_bytes()).collect())
    }
}

/// The place of a value among those of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker(usize);

/// The first value of every statement.
pub(super) const ORGANIZATION: Marker = Marker(1);

/// A statement and its values.
///
/// It is put together from fragments that are all `&'static str`, and from markers for its values. It takes nothing else, so
/// no value can become SQL.
#[derive(Debug)]
pub(super) struct Statement {
    dialect: &'static Dialect,
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    /// An empty statement, whose first value is the organization.
    pub(super) fn new(dialect: &'static Dialect, organization: &OrganizationId) -> Self {
        let mut statement = Self { dialect, sql: String::with_capacity(1024), values: Vec::new() };
        statement.add(organization.as_str());
        statement
    }

    /// What its database says differently.
    pub(super) fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// Appends SQL.
    pub(super) fn push(&mut self, fragment: &'static str) -> &mut Self {
        self.sql.push_str(fragment);
        self
    }

    /// Appends a value and its marker.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        let marker = self.add(value);
        self.mark(marker)
    }

    /// Appends a value to the values alone.
    pub(super) fn add(&mut self, value: impl Into<Value>) -> Marker {
        self.values.push(value.into());
        Marker(self.values.len())
    }

    /// Appends the marker of a value.
    pub(super) fn mark(&mut self, Marker(number): Marker) -> &mut Self {
        self.sql.push_str(self.dialect.marker);
        self.sql.push_str(&number.to_string());
        self
    }

    /// Appends the fragments of a template, and the marker between each two.
    pub(super) fn fill(&mut self, template: Template, marker: Marker) -> &mut Self {
        for (index, fragment) in template.iter().enumerate() {
            if index > 0 {
                self.mark(marker);
            }
            self.push(fragment);
        }
        self
    }

    /// The SQL, and the values in the order of their numbers, which begin at 1.
    pub(super) fn into_parts(self) -> (String, Vec<Value>) {
        (self.sql, self.values)
    }
}
