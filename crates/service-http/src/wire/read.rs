//! JSON to values, strictly: nothing is converted from one type to another, and null is absent.

use std::str::FromStr;

use serde_json::{Map, Number, Value};
use service_core::ValueError;

use crate::invalid::{Faults, Loc, Noted, kind};

/// What a reader gives: the value, or the knowledge that a fault was noted.
pub(super) type Read<T> = Result<T, Noted>;

/// An object whose fields are read one by one; those nobody reads are ignored.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    loc: &'a Loc<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of a value that must be an object.
    pub(super) fn of(value: &'a Value, loc: &'a Loc<'a>, faults: &mut Faults) -> Read<Self> {
        Ok(Self { object: object(value, loc, faults)?, loc })
    }

    /// Reads a field that must be there.
    pub(super) fn required<T>(
        self,
        name: &str,
        faults: &mut Faults,
        read: impl FnOnce(&'a Value, &Loc<'_>, &mut Faults) -> Read<T>,
    ) -> Read<T> {
        match self.optional(name, faults, read)? {
            Some(value) => Ok(value),
            None => Err(faults.note(&self.loc.name(name), "is required", kind::MISSING)),
        }
    }

    /// Reads a field that may be absent, which is the same as null.
    pub(super) fn optional<T>(
        self,
        name: &str,
        faults: &mut Faults,
        read: impl FnOnce(&'a Value, &Loc<'_>, &mut Faults) -> Read<T>,
    ) -> Read<Option<T>> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value, &self.loc.name(name), faults).map(Some),
        }
    }
}

pub(super) fn object<'a>(
    value: &'a Value,
    loc: &Loc<'_>,
    faults: &mut Faults,
) -> Read<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| faults.note(loc, "must be an object", kind::OBJECT_TYPE))
}

/// An object with keys of the client's choice, at most `most` of them. Of an object that is larger no entry is read.
pub(super) fn entries<'a>(
    value: &'a Value,
    most: usize,
    loc: &Loc<'_>,
    faults: &mut Faults,
) -> Read<&'a Map<String, Value>> {
    let entries = object(value, loc, faults)?;
    not_longer(entries.len(), most, loc, faults)?;
    Ok(entries)
}

/// An array of at most `most` items. Of an array that is longer no item is read.
pub(super) fn items<'a>(
    value: &'a Value,
    most: usize,
    loc: &Loc<'_>,
    faults: &mut Faults,
) -> Read<&'a [Value]> {
    let items = value.as_array().ok_or_else(|| faults.note(loc, "must be an array", kind::ARRAY_TYPE))?;
    not_longer(items.len(), most, loc, faults)?;
    Ok(items)
}

fn not_longer(length: usize, most: usize, loc: &Loc<'_>, faults: &mut Faults) -> Read<()> {
    if length > most {
        return Err(faults.note(loc, format!("must have at most {most} entries"), kind::TOO_LONG));
    }
    Ok(())
}

/// A string that parses as a value.
pub(super) fn text<T: FromStr<Err = ValueError>>(
    value: &Value,
    loc: &Loc<'_>,
    faults: &mut Faults,
) -> Read<T> {
    let text = value.as_str().ok_or_else(|| faults.note(loc, "must be a string", kind::STRING_TYPE))?;
    well_formed(text.parse(), loc, faults)
}

pub(super) fn boolean(value: &Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<bool> {
    value.as_bool().ok_or_else(|| faults.note(loc, "must be a boolean", kind::BOOLEAN_TYPE))
}

pub(super) fn number<'a>(value: &'a Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<&'a Number> {
    value.as_number().ok_or_else(|| faults.note(loc, "must be a number", kind::NUMBER_TYPE))
}

/// A number written as an integer, of at most 64 bits: `1.0` is none.
pub(super) fn integer<'a>(value: &'a Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<&'a Number> {
    value
        .as_number()
        .filter(|number| is_integer(number))
        .ok_or_else(|| faults.note(loc, "must be an integer", kind::INTEGER_TYPE))
}

pub(super) fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// A value that was made, or the rule that it would break, noted.
pub(super) fn well_formed<T>(made: Result<T, ValueError>, loc: &Loc<'_>, faults: &mut Faults) -> Read<T> {
    made.map_err(|error| faults.note(loc, error.to_string(), kind::VALUE_ERROR))
}
