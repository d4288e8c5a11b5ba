//! What services are found by, as numbers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use service_core::{AgentId, StateMachineId, TagFacet, TagFilter, TagKey, TagMatch, TagValue, Tags};

/// The number of a term; free for another one once no service has this one.
pub(crate) type Term = u32;

/// What a service can be found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TermName {
    /// A tag of this key, whatever its value.
    Key(TagKey),
    /// A tag of this key and value, or of this key without a value.
    Tag(TagFacet),
    Agent(AgentId),
    StateMachine(StateMachineId),
}

impl TermName {
    /// The term that a tag filter asks for.
    pub(crate) fn of(filter: &TagFilter) -> Self {
        let key = filter.key.clone();
        match &filter.value {
            TagMatch::Any => Self::Key(key),
            TagMatch::Absent => Self::Tag(TagFacet { key, value: None }),
            TagMatch::Is(value) => Self::Tag(TagFacet { key, value: Some(value.clone()) }),
        }
    }

    /// The terms of a service.
    pub(crate) fn of_service(
        tags: &Tags,
        agent: AgentId,
        state_machine: StateMachineId,
    ) -> impl Iterator<Item = Self> {
        let tag = |(key, value): (TagKey, Option<TagValue>)| {
            [Self::Key(key.clone()), Self::Tag(TagFacet { key, value })]
        };
        tags.pairs().flat_map(tag).chain([Self::Agent(agent), Self::StateMachine(state_machine)])
    }
}

/// The terms that some service has, and their numbers. Names are shared: there may be more of them than services.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    numbers: HashMap<Arc<TermName>, Term>,
    /// By number; `None` for one that is free.
    names: Vec<Option<Arc<TermName>>>,
    free: Vec<Term>,
    /// Those that are tags, in their order.
    tags: BTreeSet<Arc<TermName>>,
}

impl Terms {
    pub(crate) fn get(&self, name: &TermName) -> Option<Term> {
        self.numbers.get(name).copied()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number of a term, and whether it is a new one.
    pub(crate) fn number(&mut self, name: TermName) -> (Term, bool) {
        if let Some(term) = self.get(&name) {
            return (term, false);
        }
        let name = Arc::new(name);
        if let TermName::Tag(_) = &*name {
            self.tags.insert(Arc::clone(&name));
        }
        let term = self.free.pop().unwrap_or_else(|| {
            self.names.push(None);
            Term::try_from(self.names.len() - 1).unwrap_or(Term::MAX)
        });
        if let Some(place) = self.names.get_mut(term as usize) {
            *place = Some(Arc::clone(&name));
        }
        self.numbers.insert(name, term);
        (term, true)
    }

    /// Forgets a term that no service has any more.
    pub(crate) fn forget(&mut self, term: Term) {
        if let Some(name) = self.names.get_mut(term as usize).and_then(Option::take) {
            self.numbers.remove(&name);
            self.tags.remove(&name);
            self.free.push(term);
        }
    }

    /// The tags that some service has, in their order.
    pub(crate) fn facets(&self) -> impl Iterator<Item = &TagFacet> {
        self.tags.iter().filter_map(|name| match &**name {
            TermName::Tag(facet) => Some(facet),
            TermName::Key(_) | TermName::Agent(_) | TermName::StateMachine(_) => None,
        })
    }
}
