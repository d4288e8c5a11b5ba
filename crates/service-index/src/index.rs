//! The services, their orders and their terms.

use std::cmp::Ordering;
use std::sync::OnceLock;

use roaring::RoaringBitmap;
use service_core::range::RangeOrder;
use service_core::{
    AgentId, Direction, Service, ServiceId, ServiceName, StateMachineId, TagFacet, TagFacets, Tags,
};

use crate::blocks::Slot;
use crate::flags::Flags;
use crate::order::{Label, Order};
use crate::postings::{ALL, Lists, Orders, Postings};
use crate::term::{Term, TermName, Terms};

/// What listings find, order and restrict services by.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    /// The id.
    pub id: ServiceId,
    /// The name.
    pub name: ServiceName,
    /// The activeness.
    pub is_active: bool,
    /// The agent.
    pub agent_id: AgentId,
    /// The state machine.
    pub state_machine_id: StateMachineId,
    /// The tags.
    pub tags: Tags,
}

impl From<&Service> for Keys {
    fn from(service: &Service) -> Self {
        Self {
            id: service.id,
            name: service.name.clone(),
            is_active: service.is_active,
            agent_id: service.agent_id,
            state_machine_id: service.state_machine_id,
            tags: service.tags.clone(),
        }
    }
}

/// A service, as the index keeps it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ServiceId,
    pub(crate) name: ServiceName,
    pub(crate) is_active: bool,
    /// In rising order.
    pub(crate) terms: Box<[Term]>,
}

impl Entry {
    /// The order of two services by name in this direction, then by id.
    pub(crate) fn compare(&self, direction: Direction, name: &ServiceName, id: ServiceId) -> Ordering {
        direction.apply(self.name.cmp(name)).then_with(|| self.id.cmp(&id))
    }
}

/// The services of an organization, each with a value that stands for it: see the [crate](crate).
#[derive(Debug)]
pub struct Index<T> {
    /// By slot.
    entries: Vec<Entry>,
    /// By slot, apart from the entries: most pages need nothing else of their services.
    values: Vec<T>,
    orders: Orders,
    all: Postings,
    active: RoaringBitmap,
    /// The services that share their name with another one, or did when they got it.
    namesakes: Flags,
    terms: Terms,
    /// By term.
    postings: Vec<Postings>,
    /// How many terms the services have, each counted for each of them.
    pairs: usize,
    facets: OnceLock<TagFacets>,
}

/// About how many bytes the memory of an index grows by with a service, with each of its terms, and with a term that it has alone.
const SERVICE_BYTES: usize = 180;
const PAIR_BYTES: usize = 20;
const TERM_BYTES: usize = 200;
/// With a service of some tags that other services have as well.
const ORDINARY_BYTES: usize = 350;

const BY_NAME: RangeOrder = RangeOrder::Name(Direction::Ascending);

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            values: Vec::new(),
            orders: Orders::default(),
            all: Postings::default(),
            active: RoaringBitmap::new(),
            namesakes: Flags::default(),
            terms: Terms::default(),
            postings: Vec::new(),
            pairs: 0,
            facets: OnceLock::new(),
        }
    }
}

impl<T> Index<T> {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many services there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// About how many services of an ordinary kind, of 350 bytes each, would take as much memory as this index does: more than there
    /// are if they have many tags, or tags that no others have. Looks at no service.
    pub fn weight(&self) -> usize {
        let bytes = self.len() * SERVICE_BYTES + self.pairs * PAIR_BYTES + self.terms.len() * TERM_BYTES;
        bytes.div_ceil(ORDINARY_BYTES)
    }

    /// The values of all services, in the order in which the services came.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.values.iter()
    }

    /// The value of a service.
    pub fn get(&self, id: &ServiceId) -> Option<&T> {
        self.value(self.slot(id)?)
    }

    /// The value of the first active service of a name, by id. In a registry there is one at most.
    pub fn active_named(&self, name: &ServiceName) -> Option<&T> {
        let bound = self.orders.get(BY_NAME).bound(|slot| self.is(slot, |entry| entry.name < *name));
        let slot = self.all.from(true, BY_NAME, &self.orders, bound).next()?;
        self.value(slot).filter(|_| self.is(slot, |entry| entry.name == *name))
    }

    /// The tags that some service has, the first of them: what the facets of a first page are.
    pub fn facets(&self) -> TagFacets {
        self.facets.get_or_init(|| TagFacets::of(self.terms.facets().cloned())).clone()
    }

    /// The tags that some service has, in the order of facets, each with the number of services that have it.
    pub fn tags(&self) -> impl Iterator<Item = (TagFacet, usize)> {
        self.terms.facets().map(|facet| {
            let postings = self.term(&TermName::Tag(facet.clone())).and_then(|term| self.of_term(term));
            (facet.clone(), postings.map_or(0, |postings| postings.len(true) + postings.len(false)))
        })
    }

    /// Adds a service, or puts it in the place of the one that has its id, whose value it gives.
    pub fn insert(&mut self, keys: Keys, value: T) -> Option<T> {
        match self.slot(&keys.id) {
            Some(slot) => self.replace(slot, keys, value),
            None => {
                self.add(keys, value);
                None
            }
        }
    }

    fn add(&mut self, keys: Keys, value: T) {
        let slot = Slot::try_from(self.entries.len()).unwrap_or(Slot::MAX);
        let terms = self.numbers(&keys);
        let Keys { id, name, is_active, .. } = keys;
        self.entries.push(Entry { id, name, is_active, terms: terms.clone() });
        self.values.push(value);
        for order in ALL {
            self.order_in(slot, order);
        }
        self.enter(slot, is_active, &terms);
        if is_active {
            self.active.insert(slot);
        }
        self.all.insert(slot, is_active, &self.orders);
    }

    fn replace(&mut self, slot: Slot, keys: Keys, value: T) -> Option<T> {
        let new = self.numbers(&keys);
        let entry = self.entries.get_mut(slot as usize)?;
        let old = std::mem::replace(&mut entry.terms, new.clone());
        let was_active = std::mem::replace(&mut entry.is_active, keys.is_active);
        self.pairs -= old.len();
        let is_renamed = entry.name != keys.name;
        if is_renamed || was_active != keys.is_active {
            self.leave(slot, was_active, &old);
            self.all.remove(slot, was_active, &self.orders);
            if is_renamed {
                for order in ALL.into_iter().filter(|order| *order != RangeOrder::Id) {
                    self.orders.get_mut(order).remove(slot);
                }
                if let Some(entry) = self.entries.get_mut(slot as usize) {
                    entry.name = keys.name;
                }
                for order in ALL.into_iter().filter(|order| *order != RangeOrder::Id) {
                    self.order_in(slot, order);
                }
            }
            self.enter(slot, keys.is_active, &new);
            self.all.insert(slot, keys.is_active, &self.orders);
            if keys.is_active {
                self.active.insert(slot);
            } else {
                self.active.remove(slot);
            }
        } else {
            let gone: Vec<Term> = old.iter().filter(|term| !new.contains(term)).copied().collect();
            let come: Vec<Term> = new.iter().filter(|term| !old.contains(term)).copied().collect();
            self.leave(slot, was_active, &gone);
            self.enter(slot, was_active, &come);
        }
        self.forget_unused(&old);
        self.values.get_mut(slot as usize).map(|place| std::mem::replace(place, value))
    }

    /// The numbers of the terms of a service, those that are new among them.
    fn numbers(&mut self, keys: &Keys) -> Box<[Term]> {
        let names = TermName::of_service(&keys.tags, keys.agent_id, keys.state_machine_id);
        let mut numbers: Vec<Term> = names
            .map(|name| {
                let (term, is_new) = self.terms.number(name);
                if is_new {
                    self.facets = OnceLock::new();
                    if self.postings.len() <= term as usize {
                        self.postings.resize_with(term as usize + 1, Postings::default);
                    }
                }
                term
            })
            .collect();
        numbers.sort_unstable();
        self.pairs += numbers.len();
        numbers.into()
    }

    fn enter(&mut self, slot: Slot, is_active: bool, terms: &[Term]) {
        for term in terms {
            if let Some(postings) = self.postings.get_mut(*term as usize) {
                postings.insert(slot, is_active, &self.orders);
            }
        }
    }

    fn leave(&mut self, slot: Slot, was_active: bool, terms: &[Term]) {
        for term in terms {
            if let Some(postings) = self.postings.get_mut(*term as usize) {
                postings.remove(slot, was_active, &self.orders);
            }
        }
    }

    fn forget_unused(&mut self, terms: &[Term]) {
        for term in terms {
            if let Some(postings) = self.postings.get_mut(*term as usize)
                && postings.is_empty()
            {
                *postings = Postings::default();
                self.terms.forget(*term);
                self.facets = OnceLock::new();
            }
        }
    }

    /// Gives a service that is among the entries its place in an order.
    fn order_in(&mut self, slot: Slot, order: RangeOrder) {
        let Self { entries, orders, namesakes, .. } = self;
        let Some(new) = entries.get(slot as usize) else { return };
        let comes_before =
            |other: Slot| entries.get(other as usize).is_some_and(|other| compare(order, other, new).is_lt());
        let neighbours = orders.get_mut(order).insert(slot, comes_before);
        if order == BY_NAME {
            let is_namesake =
                |other: &Slot| entries.get(*other as usize).is_some_and(|other| other.name == new.name);
            let others = neighbours.into_iter().flatten().filter(is_namesake);
            namesakes.remove(slot);
            for other in others {
                namesakes.insert(slot);
                namesakes.insert(other);
            }
        }
    }

    /// Whether all orders, lists and sets are those of the services: looks at all of them.
    pub fn is_consistent(&self) -> bool {
        let mut all = Lists::default();
        let mut postings = vec![Lists::default(); self.postings.len()];
        let mut active = RoaringBitmap::new();
        let mut in_order = true;
        for order in ALL {
            let slots: Vec<(Slot, &Entry)> =
                self.orders.get(order).iter().filter_map(|slot| Some((slot, self.entry(slot)?))).collect();
            in_order &= slots.len() == self.len()
                && slots.is_sorted_by(|(_, left), (_, right)| compare(order, left, right).is_lt())
                && self.orders.get(order).has_rising_labels();
            in_order &= order != BY_NAME || of_shared_names(&slots).all(|slot| self.namesakes.contains(slot));
            for (slot, entry) in slots {
                all.push_last(slot, entry.is_active, order);
                if entry.is_active {
                    active.insert(slot);
                }
                for term in &entry.terms {
                    if let Some(postings) = postings.get_mut(*term as usize) {
                        postings.push_last(slot, entry.is_active, order);
                    }
                }
            }
        }
        let are = |(postings, expected): (&Postings, &Lists)| postings.are(expected, &self.orders);
        in_order
            && active == self.active
            && self.pairs == self.entries.iter().map(|entry| entry.terms.len()).sum::<usize>()
            && are((&self.all, &all))
            && self.postings.iter().zip(&postings).all(are)
    }

    pub(crate) fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot as usize)
    }

    /// The value of the service that has a number.
    pub fn value(&self, slot: Slot) -> Option<&T> {
        self.values.get(slot as usize)
    }

    pub(crate) fn is(&self, slot: Slot, test: impl Fn(&Entry) -> bool) -> bool {
        self.entry(slot).is_some_and(test)
    }

    /// The number of a service.
    pub fn slot(&self, id: &ServiceId) -> Option<Slot> {
        let slot =
            self.orders.get(RangeOrder::Id).from(|slot| self.is(slot, |entry| entry.id < *id)).next()?;
        self.is(slot, |entry| entry.id == *id).then_some(slot)
    }

    /// The labels that the services of a name have in the order by name, and how many services there are.
    pub(crate) fn named(&self, name: &str) -> (std::ops::Range<Label>, usize) {
        self.orders.get(BY_NAME).stretch(
            |slot| self.is(slot, |entry| entry.name.as_str() < name),
            |slot| self.is(slot, |entry| entry.name.as_str() <= name),
        )
    }

    pub(crate) fn term(&self, name: &TermName) -> Option<Term> {
        self.terms.get(name)
    }

    pub(crate) fn of_term(&self, term: Term) -> Option<&Postings> {
        self.postings.get(term as usize)
    }

    pub(crate) fn all(&self) -> &Postings {
        &self.all
    }

    pub(crate) fn active(&self) -> &RoaringBitmap {
        &self.active
    }

    pub(crate) fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Whether two services may have the same name: if not, they surely have not.
    pub(crate) fn may_be_namesakes(&self, left: Slot, right: Slot) -> bool {
        self.namesakes.contains(left) && self.namesakes.contains(right)
    }
}

/// The services that share their name with another one, of services in the order by name.
fn of_shared_names(by_name: &[(Slot, &Entry)]) -> impl Iterator<Item = Slot> {
    let same = by_name.chunk_by(|(_, left), (_, right)| left.name == right.name);
    same.filter(|same| same.len() > 1).flatten().map(|(slot, _)| *slot)
}

/// The order of two services.
fn compare(order: RangeOrder, left: &Entry, right: &Entry) -> Ordering {
    match order {
        RangeOrder::Id => left.id.cmp(&right.id),
        RangeOrder::Name(direction) => left.compare(direction, &right.name, right.id),
    }
}

/// Gathers services of which each comes once, to index them all at once: far faster than one after the other.
#[derive(Debug)]
pub struct IndexBuilder<T>(Index<T>);

impl<T> Default for IndexBuilder<T> {
    fn default() -> Self {
        Self(Index::new())
    }
}

impl<T> IndexBuilder<T> {
    /// Adds a service.
    pub fn push(&mut self, keys: Keys, value: T) {
        let Self(index) = self;
        let slot = Slot::try_from(index.entries.len()).unwrap_or(Slot::MAX);
        let terms = index.numbers(&keys);
        for term in &terms {
            if let Some(postings) = index.postings.get_mut(*term as usize) {
                postings.push(slot, keys.is_active);
            }
        }
        index.all.push(slot, keys.is_active);
        if keys.is_active {
            index.active.insert(slot);
        }
        let Keys { id, name, is_active, .. } = keys;
        index.entries.push(Entry { id, name, is_active, terms });
        index.values.push(value);
    }

    /// Sorts the services: for a million of them, some seconds of work.
    pub fn finish(self) -> Index<T> {
        let Self(mut index) = self;
        let Index { entries, orders, all, postings, namesakes, .. } = &mut index;
        let mut sorted: Vec<(Slot, &Entry)> = (0..).zip(&*entries).collect();
        for order in ALL {
            sorted.sort_unstable_by(|(_, left), (_, right)| compare(order, left, right));
            let slots: Vec<Slot> = sorted.iter().map(|(slot, _)| *slot).collect();
            *orders.get_mut(order) = Order::of(&slots);
            if order == BY_NAME {
                of_shared_names(&sorted).for_each(|slot| namesakes.insert(slot));
            }
            for (slot, entry) in &sorted {
                all.push_last(*slot, entry.is_active, order);
                for term in &entry.terms {
                    if let Some(postings) = postings.get_mut(*term as usize) {
                        postings.push_last(*slot, entry.is_active, order);
                    }
                }
            }
        }
        index
    }
}

impl<T> FromIterator<(Keys, T)> for Index<T> {
    fn from_iter<I: IntoIterator<Item = (Keys, T)>>(services: I) -> Self {
        let mut builder = IndexBuilder::default();
        for (keys, value) in services {
            builder.push(keys, value);
        }
        builder.finish()
    }
}
