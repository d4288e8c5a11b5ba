//! In which order services are listed.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::service::Service;
use crate::value::ValueError;

/// What services can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// By name: Unicode code point by code point.
    Name,
    /// By activeness: inactive before active.
    IsActive,
}

/// Which way a field is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Least first; written `+`.
    Ascending,
    /// Greatest first; written `-`.
    Descending,
}

impl Direction {
    /// Turns an ascending comparison into one of this direction.
    pub fn apply(self, ascending: Ordering) -> Ordering {
        match self {
            Self::Ascending => ascending,
            Self::Descending => ascending.reverse(),
        }
    }
}

/// A field to sort by and its direction: `+name`, `-name`, `+is_active` or `-is_active`.
///
/// A leading space counts as `+`, which is what an unescaped `+` in a query string decodes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// The field.
    pub field: SortField,
    /// Its direction.
    pub direction: Direction,
}

impl FromStr for SortKey {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (direction, field) = if let Some(field) = text.strip_prefix(['+', ' ']) {
            (Direction::Ascending, field)
        } else if let Some(field) = text.strip_prefix('-') {
            (Direction::Descending, field)
        } else {
            return Err(ValueError::new("sort key", "must start with `+` (ascending) or `-` (descending)"));
        };
        let field = match field {
            "name" => SortField::Name,
            "is_active" => SortField::IsActive,
            _ => return Err(ValueError::new("sort key", "must name `name` or `is_active`")),
        };
        Ok(Self { field, direction })
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.direction {
            Direction::Ascending => "+",
            Direction::Descending => "-",
        })?;
        formatter.write_str(match self.field {
            SortField::Name => "name",
            SortField::IsActive => "is_active",
        })
    }
}

/// Fields to sort by, the first one first; ties, and everything without a field, are ordered by id, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sort(Vec<SortKey>);

impl Sort {
    /// Sorts by these keys.
    ///
    /// # Errors
    /// When a field comes twice.
    pub fn new(keys: Vec<SortKey>) -> Result<Self, ValueError> {
        let twice = |(index, key): (usize, &SortKey)| {
            keys.iter().skip(index + 1).any(|other| other.field == key.field)
        };
        if keys.iter().enumerate().any(twice) {
            return Err(ValueError::new("sort", "must have each field at most once"));
        }
        Ok(Self(keys))
    }

    /// The keys, the first one first: at most one a field.
    pub fn keys(&self) -> &[SortKey] {
        &self.0
    }
}

/// The order of two services under a sort: total, and equal only for services of one id.
pub fn compare(sort: &Sort, left: &Service, right: &Service) -> Ordering {
    sort.0
        .iter()
        .map(|key| {
            key.direction.apply(match key.field {
                SortField::Name => left.name.cmp(&right.name),
                SortField::IsActive => left.is_active.cmp(&right.is_active),
            })
        })
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.id.cmp(&right.id))
}

/// A number that orders services as a sort does as far as it goes: where two differ, so says [`compare`]; where they are equal, ask
/// it. Most services are told apart by it, at the price of reading one name instead of two. `name` is the service's: who ranks many
/// looks their names up before, so as to wait for many at once.
pub(crate) fn rank(sort: &Sort, service: &Service, name: &str) -> u128 {
    let (activeness, others) = match &*sort.0 {
        [SortKey { field: SortField::IsActive, direction }, others @ ..] => (Some(direction), others),
        others => (None, others),
    };
    let rank = match others {
        [SortKey { field: SortField::Name, direction: Direction::Ascending }, ..] => head(name.as_bytes()),
        [SortKey { field: SortField::Name, direction: Direction::Descending }, ..] => !head(name.as_bytes()),
        // No field comes twice.
        [SortKey { field: SortField::IsActive, .. }, ..] => 0,
        [] => head(service.id.as_bytes()),
    };
    match activeness {
        Some(direction) => {
            let last = service.is_active == (*direction == Direction::Ascending);
            (u128::from(last) << 127) | (rank >> 1)
        }
        None => rank,
    }
}

/// The first 16 bytes as a number: in the order of the bytes, but that some texts of different lengths are equal.
fn head(bytes: &[u8]) -> u128 {
    match bytes.first_chunk() {
        Some(first) => u128::from_be_bytes(*first),
        None => bytes.iter().rfold(0, |head, byte| (head >> 8) | (u128::from(*byte) << 120)),
    }
}
