//! What is wrong with a request: every field at fault, not only the first.
//!
//! Readers get a [`Faults`] to note in and go on after a fault, so that one answer tells the whole story. Whoever notes a
//! fault gets a [`Noted`], the only thing a reader can fail with: a request that cannot be read always says why.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;
use utoipa::ToSchema;

/// What `type` says in a fault: for programs, and as stable as the rest of the API.
pub(crate) mod kind {
    /// A required field is absent (or null).
    pub(crate) const MISSING: &str = "missing";
    /// Not a string.
    pub(crate) const STRING_TYPE: &str = "string_type";
    /// Not an integer, or too large for one of 64 bits.
    pub(crate) const INTEGER_TYPE: &str = "integer_type";
    /// Not a number.
    pub(crate) const NUMBER_TYPE: &str = "number_type";
    /// Not a boolean.
    pub(crate) const BOOLEAN_TYPE: &str = "boolean_type";
    /// Not an object.
    pub(crate) const OBJECT_TYPE: &str = "object_type";
    /// Not an array.
    pub(crate) const ARRAY_TYPE: &str = "array_type";
    /// Of the right type, and breaks a rule for values.
    pub(crate) const VALUE_ERROR: &str = "value_error";
    /// More entries than there may be.
    pub(crate) const TOO_LONG: &str = "too_long";
    /// A key that stands twice in one object, as written or after stripping.
    pub(crate) const DUPLICATE_KEY: &str = "duplicate_key";
    /// A query parameter that may stand once, twice.
    pub(crate) const REPEATED: &str = "repeated";
    /// Two spellings of one LLM parameter that contradict each other.
    pub(crate) const CONFLICT: &str = "conflict";
    /// A body that is no JSON, or nested too deep.
    pub(crate) const JSON_INVALID: &str = "json_invalid";
    /// Text that is no UTF-8.
    pub(crate) const ENCODING_INVALID: &str = "encoding_invalid";

    /// All of them, for the documentation.
    pub(crate) const ALL: [&str; 14] = [
        MISSING,
        STRING_TYPE,
        INTEGER_TYPE,
        NUMBER_TYPE,
        BOOLEAN_TYPE,
        OBJECT_TYPE,
        ARRAY_TYPE,
        VALUE_ERROR,
        TOO_LONG,
        DUPLICATE_KEY,
        REPEATED,
        CONFLICT,
        JSON_INVALID,
        ENCODING_INVALID,
    ];
}

/// The most characters of a key that a fault repeats. No well-formed key is longer; a hostile one is not sent back whole,
/// once for every fault below it.
const MAX_SEGMENT: usize = 128;

/// One step on the way to a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LocSegment {
    /// The name of a field, parameter or header, or a key of an object.
    Name(String),
    /// A place in an array, counted from 0.
    Index(usize),
}

impl From<&str> for LocSegment {
    fn from(name: &str) -> Self {
        let mut kept: String = name.chars().take(MAX_SEGMENT).collect();
        if kept.len() < name.len() {
            kept.push('…');
        }
        Self::Name(kept)
    }
}

impl From<usize> for LocSegment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A path to a field, built on the stack while reading; it costs nothing until there is a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loc<'a> {
    parent: Option<&'a Loc<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Loc<'a> {
    /// Where a path starts: `path`, `query`, `header` or `body`.
    pub(crate) const fn root(name: &'a str) -> Self {
        Self { parent: None, step: Step::Name(name) }
    }

    /// The field of this name, or what an object has under this key.
    pub(crate) const fn name<'b>(&'b self, name: &'b str) -> Loc<'b> {
        Loc { parent: Some(self), step: Step::Name(name) }
    }

    /// The entry at this place of an array.
    pub(crate) const fn index(&self, index: usize) -> Loc<'_> {
        Loc { parent: Some(self), step: Step::Index(index) }
    }

    fn segments(&self) -> Vec<LocSegment> {
        let mut segments = self.parent.map(Loc::segments).unwrap_or_default();
        segments.push(match self.step {
            Step::Name(name) => name.into(),
            Step::Index(index) => index.into(),
        });
        segments
    }
}

/// A field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// Where it is: `path`, `query`, `header` or `body`, then the names and places that lead to the field.
    pub(crate) loc: Vec<LocSegment>,
    /// What is wrong with it, in words.
    pub(crate) msg: String,
    /// What is wrong with it, for a program.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

/// Why a request is not well-formed: at least one fault, at most one a field, ordered by where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Invalid(Vec<Fault>);

impl Invalid {
    /// One fault. `kind` is one of [`kind`].
    pub(crate) fn at<S: Into<LocSegment>>(
        loc: impl IntoIterator<Item = S>,
        msg: impl Into<String>,
        kind: &'static str,
    ) -> Self {
        Self(vec![Fault { loc: loc.into_iter().map(Into::into).collect(), msg: msg.into(), kind }])
    }

    /// These faults and the others.
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Both parts of a request, or what is wrong with either.
    pub(crate) fn both<A, B>(first: Result<A, Self>, second: Result<B, Self>) -> Result<(A, B), Self> {
        match (first, second) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (Err(first), Err(second)) => Err(first.and(second)),
            (Err(invalid), Ok(_)) | (Ok(_), Err(invalid)) => Err(invalid),
        }
    }

    /// What is wrong, for tests: answers serialize it.
    #[cfg(test)]
    pub(crate) fn faults(&self) -> &[Fault] {
        &self.0
    }
}

/// Says that a fault has been noted; see [`Faults::note`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted(());

/// Where readers note what is wrong. Of several faults of one field the first counts.
#[derive(Debug, Default)]
pub(crate) struct Faults(BTreeMap<Vec<LocSegment>, (String, &'static str)>);

impl Faults {
    /// Notes a fault.
    pub(crate) fn note(&mut self, loc: &Loc<'_>, msg: impl Into<String>, kind: &'static str) -> Noted {
        if let Entry::Vacant(place) = self.0.entry(loc.segments()) {
            place.insert((msg.into(), kind));
        }
        Noted(())
    }

    /// How many fields are at fault.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What was read, if nothing was wrong with it.
    pub(crate) fn finish<T>(self, outcome: Result<T, Noted>) -> Result<T, Invalid> {
        match outcome {
            Ok(value) if self.0.is_empty() => Ok(value),
            _ => {
                let fault = |(loc, (msg, kind))| Fault { loc, msg, kind };
                Err(Invalid(self.0.into_iter().map(fault).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_serializes_as_clients_expect_it() {
        let mut faults = Faults::default();
        let body = Loc::root("body");
        let keyterms = body.name("keyterms");
        let noted = faults.note(&keyterms.index(2), "must be a string", kind::STRING_TYPE);
        let invalid = faults.finish::<()>(Err(noted)).unwrap_err();
        assert_eq!(
            serde_json::to_value(&invalid).unwrap(),
            json!([{"loc": ["body", "keyterms", 2], "msg": "must be a string", "type": "string_type"}])
        );
    }

    #[test]
    fn a_noted_fault_refuses_even_what_was_read_to_the_end() {
        let mut faults = Faults::default();
        faults.note(&Loc::root("body"), "odd", kind::VALUE_ERROR);
        assert_eq!(faults.finish(Ok(1)), Err(Invalid::at(["body"], "odd", kind::VALUE_ERROR)));
        assert_eq!(Faults::default().finish(Ok(1)), Ok(1));
    }

    #[test]
    fn of_several_faults_of_one_field_the_first_counts() {
        let mut faults = Faults::default();
        faults.note(&Loc::root("body"), "first", kind::DUPLICATE_KEY);
        let noted = faults.note(&Loc::root("body"), "second", kind::STRING_TYPE);
        let expected = Invalid::at(["body"], "first", kind::DUPLICATE_KEY);
        assert_eq!(faults.finish::<()>(Err(noted)), Err(expected));
    }

    #[test]
    fn both_parts_tell_their_faults() {
        let fault = |name: &str| Invalid::at(["path", name], "odd", kind::VALUE_ERROR);
        assert_eq!(Invalid::both(Ok::<_, Invalid>(1), Ok::<_, Invalid>(2)), Ok((1, 2)));
        let invalid = Invalid::both(Err::<(), _>(fault("a")), Err::<(), _>(fault("b"))).unwrap_err();
        assert_eq!(invalid, fault("a").and(fault("b")));
        assert_eq!(invalid.faults().len(), 2);
        assert_eq!(Invalid::both(Ok::<_, Invalid>(1), Err::<(), _>(fault("b"))), Err(fault("b")));
    }

    #[test]
    fn a_long_key_is_cut_and_a_key_of_128_characters_is_not() {
        let whole = "ä".repeat(128);
        assert_eq!(LocSegment::from(whole.as_str()), LocSegment::Name(whole.clone()));
        let longer = format!("{whole}ä");
        assert_eq!(LocSegment::from(longer.as_str()), LocSegment::Name(format!("{whole}…")));
    }
}
