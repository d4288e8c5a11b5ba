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

/// How many terms may drive a range together.
const MOST_DRIVERS: usize = 16;

/// What the services of a range must satisfy. All of it must hold.
#[derive(Debug, PartialEq)]
pub(super) struct Conditions {
    /// What finds the candidates: as few as can be.
    pub(super) driver: Driver,
    /// Terms that each candidate must have besides.
    pub(super) terms: Vec<Term>,
    /// Alternatives, of which one must hold; none given: nothing to hold.
    pub(super) any_of: Vec<Vec<Test>>,
}

/// What finds the candidates of a range.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Driver {
    /// The services, all of them.
    All,
    /// These ids.
    Ids(BTreeSet<ServiceId>),
    /// The services that have one of these terms, of which a service has at most one.
    Terms(Vec<Term>),
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
        let mut ids = Some(filter.ids().clone()).filter(|ids| !ids.is_empty());
        let mut required = Vec::new();
        for tag in filter.tags() {
            required.push(terms.get(&filter_term(tag))?);
        }
        let mut any_of = match &listing.visibility {
            Visibility::Everything => Vec::new(),
            Visibility::Nothing => return None,
            Visibility::AnyOf(conjunctions) => alternatives(conjunctions, is_active, terms)?,
        };
        if let [alternative] = any_of.as_mut_slice() {
            take_required(alternative, &mut ids, &mut required);
        }
        required.sort_by_key(|term| (term.services, term.number));
        required.dedup();
        let driver = match ids {
            Some(ids) if ids.is_empty() => return None,
            Some(ids) => Driver::Ids(ids),
            None => match any_of.as_mut_slice() {
                [alternative] => take_rarer(alternative, required.first()),
                _ => None,
            }
            .or_else(|| (!required.is_empty()).then(|| vec![required.remove(0)]))
            .map_or(Driver::All, Driver::Terms),
        };
        // Alternatives are open, so only the tests of a sole one can all have been taken: then nothing is left to test.
        any_of.retain(|alternative| !alternative.is_empty());
        Some(Self { driver, terms: required, any_of })
    }
}

/// Takes what must hold of every service from the only alternative: it may find the candidates, wherever it came from.
fn take_required(
    alternative: &mut Vec<Test>,
    ids: &mut Option<BTreeSet<ServiceId>>,
    required: &mut Vec<Term>,
) {
    for test in std::mem::take(alternative) {
        match test {
            Test::Tagged(terms, Membership::Inside) if terms.len() == 1 => required.extend(terms),
            Test::Id(wanted, Membership::Inside) => {
                *ids = Some(match ids.take() {
                    Some(ids) => &ids & &wanted,
                    None => wanted,
                });
            }
            other => alternative.push(other),
        }
    }
}

/// Takes the values of one tag, one of which every service must have, if together they are rarer than any required term.
fn take_rarer(alternative: &mut Vec<Test>, rarest: Option<&Term>) -> Option<Vec<Term>> {
    let count = |terms: &[Term]| terms.iter().map(|term| term.services).sum::<i64>();
    let fits = |test: &Test| match test {
        Test::Tagged(terms, Membership::Inside) if terms.len() <= MOST_DRIVERS => Some(count(terms)),
        _ => None,
    };
    let (index, services) = alternative
        .iter()
        .enumerate()
        .filter_map(|(index, test)| Some((index, fits(test)?)))
        .min_by_key(|&(_, services)| services)?;
    if rarest.is_some_and(|rarest| rarest.services <= services) {
        return None;
    }
    match alternative.swap_remove(index) {
        Test::Tagged(terms, _) => Some(terms),
        _ => None,
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

#[cfg(test)]
mod tests;
