//! Terms: what services are found by beside their ids and names. Tag filters and visibilities ask for them.

use std::collections::BTreeSet;
use std::str::FromStr;

use service_core::visibility::ValueSet;
use service_core::{
    AgentId, Attribute, AttributeValue, Listing, Service, StateMachineId, TagFilter, TagKey, TagMatch,
    TagValue, Visibility,
};

/// A term as the rows of `tag_terms` name it: kind, key, value.
pub type TermName = (i64, String, String);

/// The kind of a tag's key with any value or none.
pub const ANY: i64 = 0;
/// The kind of a tag's key without a value.
pub const ABSENT: i64 = 1;
/// The kind of a tag's key with a value.
pub const VALUE: i64 = 2;
const AGENT: i64 = 3;
const STATE_MACHINE: i64 = 4;

/// The terms that a service has: two of each tag (the key with anything, and the key with just that), its agent and its
/// state machine.
pub fn of_service(service: &Service) -> BTreeSet<TermName> {
    let tags = service.tags.iter().flat_map(|(key, value)| [any(key), just(key, value)]);
    tags.chain([agent(service.agent_id), state_machine(service.state_machine_id)]).collect()
}

/// The term that a filter asks for.
pub fn of_filter(filter: &TagFilter) -> TermName {
    match &filter.value {
        TagMatch::Any => any(&filter.key),
        TagMatch::Absent => just(&filter.key, None),
        TagMatch::Is(value) => just(&filter.key, Some(value)),
    }
}

/// The term of a tag that a visibility speaks of; `None` for a value that no tag has.
pub fn of_value(key: &TagKey, value: &AttributeValue) -> Option<TermName> {
    match value {
        AttributeValue::Null => Some(just(key, None)),
        AttributeValue::Text(text) => Some((VALUE, key.as_str().to_owned(), text.as_ref().to_owned())),
        AttributeValue::Boolean(_) => None,
    }
}

/// The term of an agent.
pub fn agent(id: AgentId) -> TermName {
    (AGENT, String::new(), id.to_string())
}

/// The term of a state machine.
pub fn state_machine(id: StateMachineId) -> TermName {
    (STATE_MACHINE, String::new(), id.to_string())
}

fn any(key: &TagKey) -> TermName {
    (ANY, key.as_str().to_owned(), String::new())
}

fn just(key: &TagKey, value: Option<&TagValue>) -> TermName {
    let key = key.as_str().to_owned();
    value.map_or((ABSENT, key.clone(), String::new()), |value| (VALUE, key, value.as_str().to_owned()))
}

/// The terms that a listing speaks of.
pub fn of_listing(listing: &Listing) -> BTreeSet<TermName> {
    let mut names: BTreeSet<TermName> = listing.filter.tags().iter().map(of_filter).collect();
    if let Visibility::AnyOf(conjunctions) = &listing.visibility {
        for (attribute, set) in conjunctions.iter().flatten() {
            names.extend(of_condition(attribute, set));
        }
    }
    names
}

/// The terms that a condition of a visibility speaks of: those of its values that a service can have.
pub fn of_condition(attribute: &Attribute, set: &ValueSet) -> Vec<TermName> {
    let (ValueSet::OneOf(values) | ValueSet::NoneOf(values)) = set;
    match attribute {
        Attribute::Tag(key) => values.iter().filter_map(|value| of_value(key, value)).collect(),
        Attribute::AgentId => parsed(values).map(agent).collect(),
        Attribute::StateMachineId => parsed(values).map(state_machine).collect(),
        Attribute::IsActive | Attribute::VersionSetName | Attribute::ServiceId | Attribute::Name => {
            Vec::new()
        }
    }
}

/// Those of some values that are texts.
pub(crate) fn texts(values: &BTreeSet<AttributeValue>) -> impl Iterator<Item = &str> {
    values.iter().filter_map(|value| match value {
        AttributeValue::Text(text) => Some(&**text),
        AttributeValue::Null | AttributeValue::Boolean(_) => None,
    })
}

/// Those of some values that are ids.
pub(crate) fn parsed<Id: FromStr>(values: &BTreeSet<AttributeValue>) -> impl Iterator<Item = Id> {
    texts(values).filter_map(|text| text.parse().ok())
}

/// How a write of a service changes what it is found by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TermChanges {
    /// The terms it no longer has: each is had by one service less.
    pub gone: BTreeSet<TermName>,
    /// The terms it has from now on: each is had by one service more.
    pub new: BTreeSet<TermName>,
    /// The terms it keeps in which it has another place now, because its name or activeness changes.
    pub moved: BTreeSet<TermName>,
}

impl TermChanges {
    /// What changes with a write; `before` is the service as it was, if it was.
    pub fn of(before: Option<&Service>, after: &Service) -> Self {
        let had = before.map(of_service).unwrap_or_default();
        let has = of_service(after);
        let moves =
            before.is_some_and(|before| before.name != after.name || before.is_active != after.is_active);
        let moved = if moves { &had & &has } else { BTreeSet::new() };
        Self { gone: &had - &has, new: &has - &had, moved }
    }

    /// The terms under which the service as it was leaves its place.
    pub fn left(&self) -> impl Iterator<Item = &TermName> {
        self.gone.iter().chain(&self.moved)
    }

    /// The terms under which the service as it is takes a place.
    pub fn taken(&self) -> impl Iterator<Item = &TermName> {
        self.new.iter().chain(&self.moved)
    }
}
