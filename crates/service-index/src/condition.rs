//! What a visibility asks of one service.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::str::FromStr;

use roaring::RoaringBitmap;
use service_core::range::RangeOrder;
use service_core::visibility::ValueSet;
use service_core::{Attribute, AttributeValue, Direction, ServiceId, TagFacet, TagValue};

use crate::blocks::Slot;
use crate::index::{Entry, Index};
use crate::order::{Label, Order};
use crate::postings::{self, Postings};
use crate::term::{Term, TermName};

/// To look at a service costs about as much as to add so many to a set that is put together of others.
const UNITED: u64 = 64;
/// To add a service of some name to a set costs about as much as to compare so many labels.
const COMPARED: u64 = 4;

/// A condition on one service.
pub(crate) enum Test {
    /// Whether it has this activeness.
    IsActive(bool),
    /// Whether it is one of these.
    In(RoaringBitmap, Membership),
    /// Whether it has this term. Asked of the term's set: it is small beside the services, and likely in the processor's cache.
    Has(Term, Membership),
    /// Whether it has one of these terms, of which a service has at most one. In rising order.
    HasOneOf(Vec<Term>, Membership),
    /// Whether it has one of some names.
    Named(Names, Membership),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    Inside,
    Outside,
}

/// Names, however many services share them, as what they are in the order by name: stretches of it, which no two of them share.
pub(crate) struct Names {
    /// In rising order, none of them empty.
    stretches: Vec<Range<Label>>,
    /// How many services have them.
    count: u64,
}

/// What a condition amounts to.
pub(crate) enum Resolved {
    Always,
    Never,
    Open(Test),
}

/// The services that have one of several terms, for those that were asked for: many grants may name the same ones.
pub(crate) type Unions<'s> = HashMap<&'s [Term], RoaringBitmap>;

impl Names {
    fn of<'a, T>(index: &Index<T>, names: impl Iterator<Item = &'a str>) -> Self {
        let (mut stretches, mut count) = (Vec::new(), 0);
        for name in names {
            let (stretch, services) = index.named(name);
            if services > 0 {
                stretches.push(stretch);
                count += services as u64;
            }
        }
        stretches.sort_unstable_by_key(|stretch| stretch.start);
        Self { stretches, count }
    }

    fn include(&self, label: Label) -> bool {
        let first = self.stretches.partition_point(|stretch| stretch.end <= label);
        self.stretches.get(first).is_some_and(|stretch| stretch.contains(&label))
    }

    fn services(&self, by_name: &Order) -> RoaringBitmap {
        self.stretches.iter().flat_map(|stretch| by_name.within(stretch)).collect()
    }
}

impl Test {
    pub(crate) fn holds<T>(&self, index: &Index<T>, slot: Slot) -> bool {
        let (is_among, membership) = match self {
            Self::IsActive(is_active) => return index.active().contains(slot) == *is_active,
            Self::In(set, membership) => (set.contains(slot), membership),
            Self::Has(term, membership) => {
                (index.of_term(*term).is_some_and(|postings| postings.contains(slot)), membership)
            }
            Self::HasOneOf(terms, membership) => {
                let has_one =
                    |entry: &Entry| entry.terms.iter().any(|term| terms.binary_search(term).is_ok());
                (index.is(slot, has_one), membership)
            }
            Self::Named(names, membership) => (names.include(by_name(index).label(slot)), membership),
        };
        is_among == (*membership == Membership::Inside)
    }

    /// How many services pass at most, if that is known.
    pub(crate) fn count<T>(&self, index: &Index<T>) -> Option<u64> {
        match self {
            Self::IsActive(true) => Some(index.active().len()),
            Self::In(set, Membership::Inside) => Some(set.len()),
            Self::Has(term, Membership::Inside) => index.of_term(*term).map(Postings::count),
            Self::HasOneOf(terms, Membership::Inside) => Some(sum(index, terms)),
            Self::Named(names, Membership::Inside) => Some(names.count),
            Self::IsActive(false) | Self::In(..) | Self::Has(..) | Self::HasOneOf(..) | Self::Named(..) => {
                None
            }
        }
    }

    /// The first service in a direction of those that have one of the names, if this asks for names.
    pub(crate) fn first_named<T>(&self, index: &Index<T>, direction: Direction) -> Option<Slot> {
        let Self::Named(names, Membership::Inside) = self else { return None };
        let stretch = match direction {
            Direction::Ascending => names.stretches.first(),
            Direction::Descending => names.stretches.last(),
        };
        // Within a name, ids rise in either direction.
        by_name(index).within(stretch?).next()
    }

    /// Those of a set that pass.
    pub(crate) fn among<'s, T>(
        &'s self,
        index: &Index<T>,
        set: &RoaringBitmap,
        unions: &mut Unions<'s>,
    ) -> RoaringBitmap {
        let (inside, membership) = match self {
            Self::IsActive(true) => return set & index.active(),
            Self::IsActive(false) => return set - index.active(),
            Self::In(inside, membership) => (Cow::Borrowed(inside), membership),
            Self::Has(term, membership) => {
                (index.of_term(*term).map(Postings::set).unwrap_or_default(), membership)
            }
            Self::HasOneOf(terms, membership) => {
                if sum(index, terms) / UNITED > set.len() {
                    return filtered(set, |slot| self.holds(index, slot));
                }
                let union = || postings::union(terms.iter().filter_map(|term| index.of_term(*term)));
                (Cow::Borrowed(&*unions.entry(terms).or_insert_with(union)), membership)
            }
            Self::Named(names, membership) => {
                let by_name = by_name(index);
                if names.count.saturating_mul(COMPARED) > set.len() {
                    let inside = *membership == Membership::Inside;
                    return filtered(set, |slot| names.include(by_name.label(slot)) == inside);
                }
                (Cow::Owned(names.services(by_name)), membership)
            }
        };
        match membership {
            Membership::Inside => set & &*inside,
            Membership::Outside => set - &*inside,
        }
    }
}

fn by_name<T>(index: &Index<T>) -> &Order {
    index.orders().get(RangeOrder::Name(Direction::Ascending))
}

/// How many services have one of some terms, if no service has two.
fn sum<T>(index: &Index<T>, terms: &[Term]) -> u64 {
    terms.iter().filter_map(|term| index.of_term(*term)).map(Postings::count).sum()
}

fn filtered(set: &RoaringBitmap, passes: impl Fn(Slot) -> bool) -> RoaringBitmap {
    // A set gives its slots in rising order, which is all that this could fail of.
    RoaringBitmap::from_sorted_iter(set.iter().filter(|slot| passes(*slot))).unwrap_or_default()
}

/// What the values of an attribute are to the services of an index.
pub(crate) fn resolve<T>(index: &Index<T>, attribute: &Attribute, set: &ValueSet) -> Resolved {
    let (values, membership) = match set {
        ValueSet::OneOf(values) => (values, Membership::Inside),
        ValueSet::NoneOf(values) => (values, Membership::Outside),
    };
    // Values that no service has decide nothing; a set of only such values is an empty one.
    let open = |is_empty: bool, test: Test| match (is_empty, membership) {
        (true, Membership::Inside) => Resolved::Never,
        (true, Membership::Outside) => Resolved::Always,
        (false, _) => Resolved::Open(test),
    };
    let constant = |holds: bool| if holds { Resolved::Always } else { Resolved::Never };
    let has = |names: &mut dyn Iterator<Item = TermName>| {
        let mut terms = names.filter_map(|name| index.term(&name));
        match (terms.next(), terms.next()) {
            (Some(sole), None) => Resolved::Open(Test::Has(sole, membership)),
            (first, second) => {
                let mut terms: Vec<Term> = first.into_iter().chain(second).chain(terms).collect();
                terms.sort_unstable();
                open(terms.is_empty(), Test::HasOneOf(terms, membership))
            }
        }
    };
    match attribute {
        Attribute::IsActive => {
            match [true, false].map(|is_active| set.contains(Some(&AttributeValue::Boolean(is_active)))) {
                [true, true] => Resolved::Always,
                [false, false] => Resolved::Never,
                [active, _] => Resolved::Open(Test::IsActive(active)),
            }
        }
        Attribute::VersionSetName => constant(set.contains(None)),
        Attribute::ServiceId => {
            let slots: RoaringBitmap = parsed::<ServiceId>(values).filter_map(|id| index.slot(&id)).collect();
            open(slots.is_empty(), Test::In(slots, membership))
        }
        Attribute::Name => {
            let names = Names::of(index, texts(values));
            open(names.count == 0, Test::Named(names, membership))
        }
        Attribute::AgentId => has(&mut parsed(values).map(TermName::Agent)),
        Attribute::StateMachineId => has(&mut parsed(values).map(TermName::StateMachine)),
        Attribute::Tag(key) => {
            let facet = |value: &AttributeValue| {
                let value = match value {
                    AttributeValue::Null => None,
                    // A text that no tag can have, no tag has.
                    AttributeValue::Text(text) => {
                        Some(TagValue::new(text).ok().filter(|value| *value.as_str() == **text)?)
                    }
                    AttributeValue::Boolean(_) => return None,
                };
                Some(TermName::Tag(TagFacet { key: key.clone(), value }))
            };
            has(&mut values.iter().filter_map(facet))
        }
    }
}

/// Those of some values that are texts.
fn texts(values: &BTreeSet<AttributeValue>) -> impl Iterator<Item = &str> {
    values.iter().filter_map(|value| match value {
        AttributeValue::Text(text) => Some(&**text),
        AttributeValue::Null | AttributeValue::Boolean(_) => None,
    })
}

/// Those of some values that are ids.
fn parsed<Id: FromStr>(values: &BTreeSet<AttributeValue>) -> impl Iterator<Item = Id> {
    texts(values).filter_map(|text| text.parse().ok())
}
