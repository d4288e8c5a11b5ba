//! What a caller may see, as part of a query: grants turned into conditions on services, and simplified.

use std::collections::{BTreeMap, BTreeSet};

use crate::permission::{Attribute, AttributeValue, Condition, Grant, Grants, Permission, SeenValue};
use crate::service::Service;
use crate::value::HexDigits;

/// The services that some permission admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visibility {
    /// All of them.
    Everything,
    /// None of them.
    Nothing,
    /// Those that satisfy at least one of these: at least one, none empty, none implied by another.
    AnyOf(Vec<Conjunction>),
}

/// Conditions of which all must hold: an attribute, and the values it may have. Every set excludes something, and none
/// excludes everything.
pub type Conjunction = BTreeMap<Attribute, ValueSet>;

/// The values an attribute may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueSet {
    /// The object has the attribute, and its value is one of these.
    OneOf(BTreeSet<AttributeValue>),
    /// The object lacks the attribute, or its value is none of these.
    NoneOf(BTreeSet<AttributeValue>),
}

impl ValueSet {
    /// Whether an attribute that has this value, or that the object lacks (`None`), is in the set.
    pub fn contains(&self, value: Option<&AttributeValue>) -> bool {
        match self {
            Self::OneOf(values) => value.is_some_and(|value| values.contains(value)),
            Self::NoneOf(values) => !value.is_some_and(|value| values.contains(value)),
        }
    }

    /// The same of a value where it stands.
    fn contains_seen(&self, value: Option<SeenValue<'_>>) -> bool {
        match self {
            Self::OneOf(values) => value.is_some_and(|value| value.is_among(values)),
            Self::NoneOf(values) => !value.is_some_and(|value| value.is_among(values)),
        }
    }

    /// The one value that the attribute must have, where there is just one.
    pub fn single(&self) -> Option<&AttributeValue> {
        match self {
            Self::OneOf(values) if values.len() == 1 => values.first(),
            _ => None,
        }
    }

    fn of(condition: &Condition) -> Self {
        match condition {
            Condition::Equals { value } => Self::OneOf(BTreeSet::from([value.clone()])),
            Condition::NotEquals { value } => Self::NoneOf(BTreeSet::from([value.clone()])),
            Condition::In { values } => Self::OneOf(values.iter().cloned().collect()),
        }
    }

    /// The same set with the two values a boolean has told apart by inclusion alone, so that equal sets are equal values.
    fn normal(self, attribute: &Attribute) -> Self {
        match (attribute, self) {
            (Attribute::IsActive, Self::NoneOf(values)) => Self::OneOf(
                [false, true]
                    .map(AttributeValue::Boolean)
                    .into_iter()
                    .filter(|value| !values.contains(value))
                    .collect(),
            ),
            (_, set) => set,
        }
    }

    fn excludes_everything(&self) -> bool {
        matches!(self, Self::OneOf(values) if values.is_empty())
    }

    fn excludes_nothing(&self, attribute: &Attribute) -> bool {
        match self {
            Self::NoneOf(values) => values.is_empty(),
            Self::OneOf(values) => *attribute == Attribute::IsActive && values.len() == 2,
        }
    }

    fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::OneOf(left), Self::OneOf(right)) => Self::OneOf(left & right),
            (Self::OneOf(within), Self::NoneOf(out)) | (Self::NoneOf(out), Self::OneOf(within)) => {
                Self::OneOf(within - out)
            }
            (Self::NoneOf(left), Self::NoneOf(right)) => Self::NoneOf(left | right),
        }
    }

    fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::OneOf(left), Self::OneOf(right)) => Self::OneOf(left | right),
            (Self::OneOf(within), Self::NoneOf(out)) | (Self::NoneOf(out), Self::OneOf(within)) => {
                Self::NoneOf(out - within)
            }
            (Self::NoneOf(left), Self::NoneOf(right)) => Self::NoneOf(left & right),
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf(inner), Self::OneOf(outer)) => inner.is_subset(outer),
            (Self::OneOf(inner), Self::NoneOf(out)) => inner.is_disjoint(out),
            (Self::NoneOf(_), Self::OneOf(_)) => false,
            (Self::NoneOf(inner_out), Self::NoneOf(out)) => out.is_subset(inner_out),
        }
    }
}

impl Visibility {
    /// What the grants of one permission admit together.
    pub fn of(grants: &Grants, permission: Permission) -> Self {
        let mut conjunctions = Vec::new();
        for grant in grants.of(permission) {
            match conjunction(grant) {
                Some(conjunction) if conjunction.is_empty() => return Self::Everything,
                Some(conjunction) => conjunctions.push(conjunction),
                None => {}
            }
        }
        simplify(conjunctions)
    }
}

/// The conditions of a grant by attribute, without those that exclude nothing; `None` if together they exclude everything.
fn conjunction(grant: &Grant) -> Option<Conjunction> {
    let mut conjunction = Conjunction::new();
    for (attribute, condition) in grant.conditions() {
        let mut set = ValueSet::of(condition).normal(attribute);
        if let Some(other) = conjunction.get(attribute) {
            set = set.intersection(other);
        }
        if set.excludes_everything() {
            return None;
        }
        if !set.excludes_nothing(attribute) {
            conjunction.insert(attribute.clone(), set);
        }
    }
    Some(conjunction)
}

/// Drops what is implied by another conjunction and joins conjunctions that differ in one attribute, until neither applies.
/// Each is compared with those that came before it; what two become is compared anew, as one that has just come.
fn simplify(mut coming: Vec<Conjunction>) -> Visibility {
    let mut simple: Vec<Conjunction> = Vec::new();
    while let Some(next) = coming.pop() {
        match simple.iter().enumerate().find_map(|(index, other)| Some((index, merged(&next, other)?))) {
            Some((_, merged)) if merged.is_empty() => return Visibility::Everything,
            Some((index, merged)) => {
                simple.swap_remove(index);
                coming.push(merged);
            }
            None => simple.push(next),
        }
    }
    simple.sort();
    if simple.is_empty() { Visibility::Nothing } else { Visibility::AnyOf(simple) }
}

/// The one conjunction that says the same as two, if there is one.
fn merged(left: &Conjunction, right: &Conjunction) -> Option<Conjunction> {
    if implies(left, right) {
        Some(right.clone())
    } else if implies(right, left) {
        Some(left.clone())
    } else {
        join(left, right)
    }
}

/// Whether whatever satisfies `narrow` also satisfies `wide`.
fn implies(narrow: &Conjunction, wide: &Conjunction) -> bool {
    wide.iter().all(|(attribute, outer)| narrow.get(attribute).is_some_and(|inner| inner.is_within(outer)))
}

/// The one conjunction that says the same as two that are equal in all attributes but one.
fn join(left: &Conjunction, right: &Conjunction) -> Option<Conjunction> {
    if left.len() != right.len() {
        return None;
    }
    let mut differing = left.iter().filter(|(attribute, set)| right.get(attribute) != Some(set));
    let (attribute, set) = differing.next()?;
    if differing.next().is_some() {
        return None;
    }
    let union = set.union(right.get(attribute)?);
    let mut joined = left.clone();
    if union.excludes_nothing(attribute) {
        joined.remove(attribute);
    } else {
        joined.insert(attribute.clone(), union);
    }
    Some(joined)
}

/// Whether a visibility includes a service. Allocates nothing.
pub fn admits(visibility: &Visibility, service: &Service) -> bool {
    match visibility {
        Visibility::Everything => true,
        Visibility::Nothing => false,
        Visibility::AnyOf(conjunctions) => conjunctions.iter().any(|conjunction| {
            conjunction.iter().all(|(attribute, set)| {
                set.contains_seen(attribute.seen_in(service, None, &mut HexDigits::default()))
            })
        }),
    }
}

#[cfg(test)]
mod tests;
