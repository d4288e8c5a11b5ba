//! Terms: what services are found by beside their ids and names. Tag filters and visibilities ask for them.

use std::collections::BTreeSet;

use service_core::{AgentId, AttributeValue, Service, StateMachineId, TagFilter, TagKey, TagMatch, TagValue};

/// A term as the rows of `tag_terms` name it: kind, key, value.
pub(crate) type TermName = (i64, String, String);

pub(crate) const ANY: i64 = 0;
pub(crate) const ABSENT: i64 = 1;
pub(crate) const VALUE: i64 = 2;
const AGENT: i64 = 3;
const STATE_MACHINE: i64 = 4;

/// The terms that a service has: two of each tag (the key with anything, and the key with just that), its agent and its
/// state machine.
pub(crate) fn of_service(service: &Service) -> BTreeSet<TermName> {
    let tags = service.tags.iter().flat_map(|(key, value)| [any(key), just(key, value)]);
    tags.chain([agent(service.agent_id), state_machine(service.state_machine_id)]).collect()
}

/// The term that a filter asks for.
pub(crate) fn of_filter(filter: &TagFilter) -> TermName {
    match &filter.value {
        TagMatch::Any => any(&filter.key),
        TagMatch::Absent => just(&filter.key, None),
        TagMatch::Is(value) => just(&filter.key, Some(value)),
    }
}

/// The term of a tag that a visibility speaks of; `None` for a value that no tag has.
pub(crate) fn of_value(key: &TagKey, value: &AttributeValue) -> Option<TermName> {
    match value {
        AttributeValue::Null => Some(just(key, None)),
        AttributeValue::Text(text) => Some((VALUE, key.as_str().to_owned(), text.as_ref().to_owned())),
        AttributeValue::Boolean(_) => None,
    }
}

pub(crate) fn agent(id: AgentId) -> TermName {
    (AGENT, String::new(), id.to_string())
}

pub(crate) fn state_machine(id: StateMachineId) -> TermName {
    (STATE_MACHINE, String::new(), id.to_string())
}

fn any(key: &TagKey) -> TermName {
    (ANY, key.as_str().to_owned(), String::new())
}

fn just(key: &TagKey, value: Option<&TagValue>) -> TermName {
    let key = key.as_str().to_owned();
    value.map_or((ABSENT, key.clone(), String::new()), |value| (VALUE, key, value.as_str().to_owned()))
}
