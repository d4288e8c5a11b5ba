//! Bytes to JSON, strictly.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use service_core::MAX_JSON_DEPTH;

use crate::invalid::{Faults, Loc, Noted, kind};

/// The most keys that stand twice, and strings that hold NUL, that are noted one by one. An honest body has few; a hostile one
/// is not answered with more than it sent.
const MAX_NOTED: usize = 100;

/// Parses a body as `service_core::parse_json` does, and refuses what it refuses. A key that stands twice and a string that
/// holds NUL are noted at their path, and reading goes on; anything else that is wrong with the text is noted at `loc` and ends
/// it.
pub(super) fn parse(body: &[u8], loc: &Loc<'_>, faults: &mut Faults) -> Result<Value, Noted> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let root = Node { loc, depth: 0, faults: &mut *faults };
    let parsed = root.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| faults.note(loc, format!("invalid JSON: {error}"), kind::JSON_INVALID))
}

struct Node<'a> {
    loc: &'a Loc<'a>,
    depth: usize,
    faults: &'a mut Faults,
}

impl Node<'_> {
    /// How deep what is inside of this is.
    fn inside<E: de::Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_JSON_DEPTH {
            return Err(E::custom(format_args!("nested more than {MAX_JSON_DEPTH} levels deep")));
        }
        Ok(self.depth + 1)
    }
}

/// Notes a fault that does not end the parsing, unless there are many already.
fn note(faults: &mut Faults, loc: &Loc<'_>, msg: &str, kind: &'static str) {
    if faults.len() < MAX_NOTED {
        faults.note(loc, msg, kind);
    }
}

fn note_nul(faults: &mut Faults, loc: &Loc<'_>, text: &str) {
    if text.contains('\0') {
        note(faults, loc, "must not contain NUL", kind::VALUE_ERROR);
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        note_nul(self.faults, self.loc, text);
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.inside()?;
        let mut array = Vec::new();
        loop {
            let loc = self.loc.index(array.len());
            match items.next_element_seed(Node { loc: &loc, depth, faults: &mut *self.faults })? {
                Some(item) => array.push(item),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.inside()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let loc = self.loc.name(&key);
            note_nul(self.faults, &loc, &key);
            if object.contains_key(&key) {
                note(self.faults, &loc, "must not stand twice in one object", kind::DUPLICATE_KEY);
            }
            let value = entries.next_value_seed(Node { loc: &loc, depth, faults: &mut *self.faults })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
