//! What restricts a range: filter and visibility, as far as the activeness of its services leaves them open.

use std::collections::{BTreeMap, BTreeSet};

use service_core::visibility::{Conjunction, ValueSet};
use service_core::{Attribute, AttributeValue, Listing, ServiceId, Visibility};

use crate::term::{self, TermName, parsed, texts};

/// A term that services can be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The number that stands for it in the statement.
    pub number: i64,
    /// How many services have it.
    pub services: i64,
}

/// Those of the terms a listing speaks of that a service may have: what is not among them, none has.
#[derive(Debug, Clone, Default)]
pub struct Terms(BTreeMap<TermName, Term>);

impl Terms {
    fn get(&self, name: &TermName) -> Option<Term> {
        self.0.get(name).copied()
    }
}

impl FromIterator<(TermName, Term)> for Terms {
    fn from_iter<I: IntoIterator<Item = (TermName, Term)>>(terms: I) -> Self {
        Self(terms.into_iter().collect())
    }
}

/// How many pieces of indexes a range may be read from: as many as a condition may have values.
const MOST_PIECES: usize = 100;
/// How many services may be read and sorted, so that they are one piece.
const MOST_SORTED: i64 = 4096;
/// How many services are read and sorted in the time that one more piece takes.
const A_PIECE: i64 = 40;

/// What the services of a range must satisfy.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// What finds the candidates: each service that satisfies all is found by one of these at least.
    pub pieces: Vec<Piece>,
    /// Terms that each candidate must have besides.
    pub terms: Vec<Term>,
}

/// A part of an index, and what is left to test on what it finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// What finds the candidates.
    pub driver: Driver,
    /// Alternatives, of which one must hold; none given: nothing to hold.
    pub any_of: Vec<Vec<Test>>,
}

/// What finds candidates. One name and one term are found in the order of the page; several are sorted.
#[derive(Debug, Clone, PartialEq)]
pub enum Driver {
    /// The services, all of them.
    All,
    /// These ids.
    Ids(BTreeSet<ServiceId>),
    /// The services that have one of these names.
    Names(BTreeSet<String>),
    /// The services that have one of these terms, of which a service has at most one.
    Terms(Vec<Term>),
}

impl Driver {
    /// What a test can find by itself.
    fn of(test: &Test) -> Option<Self> {
        match test {
            Test::Id(ids, Membership::Inside) => Some(Self::Ids(ids.clone())),
            Test::Name(names, Membership::Inside) => Some(Self::Names(names.clone())),
            Test::Tagged(terms, Membership::Inside) => Some(Self::Terms(terms.clone())),
            Test::Id(..) | Test::Name(..) | Test::Tagged(..) => None,
        }
    }

    /// How many services it finds, as far as that is known: of a name there is one that is active, and seldom others.
    fn services(&self) -> i64 {
        match self {
            Self::All => i64::MAX,
            Self::Ids(ids) => i64::try_from(ids.len()).unwrap_or(i64::MAX),
            Self::Names(names) => i64::try_from(names.len()).unwrap_or(i64::MAX),
            Self::Terms(terms) => terms.iter().map(|term| term.services).sum(),
        }
    }

    /// The drivers that find the same, each in the order of the page. Ids are found one by one anyway.
    fn split(self) -> Vec<Self> {
        match self {
            Self::All | Self::Ids(_) => vec![self],
            Self::Names(names) => names.into_iter().map(|name| Self::Names([name].into())).collect(),
            Self::Terms(terms) => terms.into_iter().map(|term| Self::Terms(vec![term])).collect(),
        }
    }
}

/// A test on one service. All of an alternative must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Whether the id is one of these.
    Id(BTreeSet<ServiceId>, Membership),
    /// Whether the name is one of these.
    Name(BTreeSet<String>, Membership),
    /// Whether the service has one of these terms.
    Tagged(Vec<Term>, Membership),
}

/// Whether what is tested must be among the values of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
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
    pub fn of(listing: &Listing, is_active: bool, terms: &Terms) -> Option<Self> {
        let filter = &listing.filter;
        let mut ids = Some(filter.ids().clone()).filter(|ids| !ids.is_empty());
        let mut required = Vec::new();
        for tag in filter.tags() {
            required.push(terms.get(&term::of_filter(tag))?);
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
        // Alternatives are open, so only the tests of a sole one can all have been taken: then nothing is left to test.
        any_of.retain(|alternative| !alternative.is_empty());
        let pieces = match ids {
            Some(ids) if ids.is_empty() => return None,
            Some(ids) => vec![Piece { driver: Driver::Ids(ids), any_of }],
            None => {
                let rarest = required.first().map_or(i64::MAX, |term| term.services);
                match pieces_of(&any_of, is_active).filter(|(services, _)| *services < rarest) {
                    Some((_, pieces)) => pieces,
                    None if required.is_empty() => vec![Piece { driver: Driver::All, any_of }],
                    None => vec![Piece { driver: Driver::Terms(vec![required.remove(0)]), any_of }],
                }
            }
        };
        Some(Self { pieces, terms: required })
    }
}

/// What finds the services of each alternative, and how many at most together; `None` if there is nothing that does for
/// one of them, or too much.
fn pieces_of(any_of: &[Vec<Test>], is_active: bool) -> Option<(i64, Vec<Piece>)> {
    let mut rarest = Vec::new();
    for alternative in any_of {
        let drivers =
            alternative.iter().enumerate().filter_map(|(index, test)| Some((index, Driver::of(test)?)));
        let (index, driver) = drivers.min_by_key(|(_, driver)| driver.services())?;
        let mut rest = alternative.clone();
        rest.swap_remove(index);
        rarest.push((driver, rest));
    }
    if rarest.is_empty() {
        return None;
    }
    let services = rarest.iter().fold(0, |sum: i64, (driver, _)| sum.saturating_add(driver.services()));
    let pieces = |must_be_few: bool| -> Vec<Piece> {
        let pieces = rarest.iter().flat_map(|(driver, rest)| {
            let split = driver.clone().split();
            // An inactive service may share its name with any number of others.
            let is_known = is_active || !matches!(driver, Driver::Names(_));
            let as_fast = A_PIECE.saturating_mul(i64::try_from(split.len()).unwrap_or(i64::MAX));
            let sorted = driver.services() <= MOST_SORTED
                && (must_be_few || (is_known && driver.services() <= as_fast));
            let drivers = if sorted { vec![driver.clone()] } else { split };
            let any_of: Vec<_> = Some(rest.clone()).filter(|rest| !rest.is_empty()).into_iter().collect();
            drivers.into_iter().map(move |driver| Piece { driver, any_of: any_of.clone() })
        });
        pieces.collect()
    };
    let pieces = [false, true].into_iter().map(pieces).find(|pieces| pieces.len() <= MOST_PIECES)?;
    Some((services, pieces))
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
    match attribute {
        Attribute::IsActive => constant(set.contains(Some(&AttributeValue::Boolean(is_active)))),
        Attribute::VersionSetName => constant(set.contains(None)),
        Attribute::ServiceId => {
            let ids: BTreeSet<ServiceId> = parsed(values).collect();
            open(ids.is_empty(), Test::Id(ids, membership))
        }
        Attribute::Name => {
            let names: BTreeSet<String> = texts(values).map(str::to_owned).collect();
            open(names.is_empty(), Test::Name(names, membership))
        }
        Attribute::AgentId | Attribute::StateMachineId | Attribute::Tag(_) => {
            let terms: Vec<Term> =
                term::of_condition(attribute, set).iter().filter_map(|name| terms.get(name)).collect();
            open(terms.is_empty(), Test::Tagged(terms, membership))
        }
    }
}

#[cfg(test)]
mod tests;
