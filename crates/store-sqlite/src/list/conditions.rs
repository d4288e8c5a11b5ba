//! What restricts a range: filter and visibility, as far as the activeness of its services leaves them open.

use std::collections::{BTreeMap, BTreeSet};

use service_core::visibility::{Conjunction, ValueSet};
use service_core::{
    AgentId, Attribute, AttributeValue, Listing, OrganizationId, ServiceId, StateMachineId, StoreError,
    TagFilter, TagMatch, Visibility,
};
use sqlx::SqliteConnection;

use crate::error::store_error;
use crate::row;

/// A term as the rows of `tag_terms` name it: kind, key, value.
pub(super) type TermName = (i64, String, String);

const ANY: i64 = 0;
const ABSENT: i64 = 1;
const VALUE: i64 = 2;

/// A term that some service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    /// The number that stands for it.
    pub(super) number: i64,
    /// How many services have it.
    pub(super) services: i64,
}

/// Those of the terms a listing speaks of that some service has.
#[derive(Debug, Default)]
pub(super) struct Terms(BTreeMap<TermName, Term>);

impl Terms {
    /// Looks all terms up at once.
    pub(super) async fn load(
        snapshot: &mut SqliteConnection,
        organization: &OrganizationId,
        listing: &Listing,
    ) -> Result<Self, StoreError> {
        let mut names: BTreeSet<TermName> = listing.filter.tags().iter().map(filter_term).collect();
        if let Visibility::AnyOf(conjunctions) = &listing.visibility {
            for (attribute, set) in conjunctions.iter().flatten() {
                if let Attribute::Tag(key) = attribute {
                    let (ValueSet::OneOf(values) | ValueSet::NoneOf(values)) = set;
                    names.extend(values.iter().filter_map(|value| value_term(key.as_str(), value)));
                }
            }
        }
        if names.is_empty() {
            return Ok(Self::default());
        }
        let rows: Vec<(i64, String, String, i64, i64)> = sqlx::query_as(
            "SELECT t.kind, t.key, t.value, t.term, t.services
             FROM json_each(?2) AS wanted
             CROSS JOIN tag_terms AS t
             WHERE t.organization = ?1 AND t.kind = wanted.value ->> 0 AND t.key = wanted.value ->> 1
                 AND t.value = wanted.value ->> 2",
        )
        .bind(organization.as_str())
        .bind(row::json(&names)?)
        .fetch_all(snapshot)
        .await
        .map_err(store_error)?;
        let terms = rows
            .into_iter()
            .map(|(kind, key, value, number, services)| ((kind, key, value), Term { number, services }));
        Ok(Self(terms.collect()))
    }

    fn get(&self, name: &TermName) -> Option<Term> {
        self.0.get(name).copied()
    }
}

fn filter_term(filter: &TagFilter) -> TermName {
    let key = filter.key.as_str().to_owned();
    match &filter.value {
        TagMatch::Any => (ANY, key, String::new()),
        TagMatch::Absent => (ABSENT, key, String::new()),
        TagMatch::Is(value) => (VALUE, key, value.as_str().to_owned()),
    }
}

fn value_term(key: &str, value: &AttributeValue) -> Option<TermName> {
    match value {
        AttributeValue::Null => Some((ABSENT, key.to_owned(), String::new())),
        AttributeValue::Text(text) => Some((VALUE, key.to_owned(), text.as_ref().to_owned())),
        AttributeValue::Boolean(_) => None,
    }
}

/// What the services of a range must satisfy. All of `ids`, `terms` and `any_of` must hold.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Conditions {
    /// The ids to choose from, if not all.
    pub(super) ids: Option<BTreeSet<ServiceId>>,
    /// Terms that each service must have, the rarest first.
    pub(super) terms: Vec<Term>,
    /// Alternatives, of which one must hold; none given: nothing to hold.
    pub(super) any_of: Vec<Vec<Test>>,
}

/// A test on one service. All of an alternative must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Whether the id is one of these.
    Id(BTreeSet<ServiceId>, Membership),
    /// Whether the name is one of these.
    Name(BTreeSet<String>, Membership),
    /// Whether the agent is one of these.
    Agent(BTreeSet<AgentId>, Membership),
    /// Whether the state machine is one of these.
    StateMachine(BTreeSet<StateMachineId>, Membership),
    /// Whether the service has one of these terms.
    Tagged(Vec<Term>, Membership),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    /// It must be.
    Inside,
    /// It must not be.
    Outside,
}

/// What a condition of a conjunction amounts to in one range.
enum Resolved {
    Always,
    Never,
    Open(Test),
}

impl Conditions {
    /// The conditions of a listing on services of this activeness; `None` if no such service can satisfy them.
    pub(super) fn of(listing: &Listing, is_active: bool, terms: &Terms) -> Option<Self> {
        let filter = &listing.filter;
        let mut conditions = Self::default();
        if !filter.ids().is_empty() {
            conditions.ids = Some(filter.ids().clone());
        }
        for tag in filter.tags() {
            conditions.terms.push(terms.get(&filter_term(tag))?);
        }
        conditions.any_of = match &listing.visibility {
            Visibility::Everything => Vec::new(),
            Visibility::Nothing => return None,
            Visibility::AnyOf(conjunctions) => alternatives(conjunctions, is_active, terms)?,
        };
        conditions.hoist();
        if conditions.ids.as_ref().is_some_and(BTreeSet::is_empty) {
            return None;
        }
        conditions.terms.sort_by_key(|term| (term.services, term.number));
        conditions.terms.dedup();
        Some(conditions)
    }

    /// What must hold of every service may drive the range, wherever it came from.
    fn hoist(&mut self) {
        let [alternative] = self.any_of.as_mut_slice() else { return };
        let tests = std::mem::take(alternative);
        for test in tests {
            match test {
                Test::Tagged(terms, Membership::Inside) if terms.len() == 1 => self.terms.extend(terms),
                Test::Id(ids, Membership::Inside) => {
                    self.ids = Some(match self.ids.take() {
                        Some(wanted) => &wanted & &ids,
                        None => ids,
                    });
                }
                other => alternative.push(other),
            }
        }
        if alternative.is_empty() {
            self.any_of.clear();
        }
    }
}

/// The alternatives that are open in a range: empty if one of them always holds, `None` if none can.
fn alternatives(conjunctions: &[Conjunction], is_active: bool, terms: &Terms) -> Option<Vec<Vec<Test>>> {
    let mut alternatives = Vec::new();
    for conjunction in conjunctions {
        let mut tests = Some(Vec::new());
        for (attribute, set) in conjunction {
            match resolve(attribute, set, is_active, terms) {
                Resolved::Always => {}
                Resolved::Never => tests = None,
                Resolved::Open(test) => {
                    if let Some(tests) = tests.as_mut() {
                        tests.push(test);
                    }
                }
            }
        }
        match tests {
            Some(tests) if tests.is_empty() => return Some(Vec::new()),
            Some(tests) => alternatives.push(tests),
            None => {}
        }
    }
    if alternatives.is_empty() { None } else { Some(alternatives) }
}

fn resolve(attribute: &Attribute, set: &ValueSet, is_active: bool, terms: &Terms) -> Resolved {
    let (values, membership) = match set {
        ValueSet::OneOf(values) => (values, Membership::Inside),
        ValueSet::NoneOf(values) => (values, Membership::Outside),
    };
    let constant = |holds: bool| if holds { Resolved::Always } else { Resolved::Never };
    // Values that nothing stored can have decide nothing; a set of only such values is an empty one.
    let open = |nothing: bool, test: Test| match (nothing, membership) {
        (true, Membership::Inside) => Resolved::Never,
        (true, Membership::Outside) => Resolved::Always,
        (false, _) => Resolved::Open(test),
    };
    let texts = || {
        values.iter().filter_map(|value| match value {
            AttributeValue::Text(text) => Some(&**text),
            AttributeValue::Null | AttributeValue::Boolean(_) => None,
        })
    };
    match attribute {
        Attribute::IsActive => constant(set.contains(Some(&AttributeValue::Boolean(is_active)))),
        Attribute::VersionSetName => constant(set.contains(None)),
        Attribute::ServiceId => {
            let ids: BTreeSet<ServiceId> = texts().filter_map(|text| text.parse().ok()).collect();
            open(ids.is_empty(), Test::Id(ids, membership))
        }
        Attribute::Name => {
            let names: BTreeSet<String> = texts().map(str::to_owned).collect();
            open(names.is_empty(), Test::Name(names, membership))
        }
        Attribute::AgentId => {
            let ids: BTreeSet<AgentId> = texts().filter_map(|text| text.parse().ok()).collect();
            open(ids.is_empty(), Test::Agent(ids, membership))
        }
        Attribute::StateMachineId => {
            let ids: BTreeSet<StateMachineId> = texts().filter_map(|text| text.parse().ok()).collect();
            open(ids.is_empty(), Test::StateMachine(ids, membership))
        }
        Attribute::Tag(key) => {
            let names = values.iter().filter_map(|value| value_term(key.as_str(), value));
            let terms: Vec<Term> = names.filter_map(|name| terms.get(&name)).collect();
            open(terms.is_empty(), Test::Tagged(terms, membership))
        }
    }
}
