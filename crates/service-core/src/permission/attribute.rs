//! What conditions speak of: attributes of services, and their values.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::service::Service;
use crate::value::{HexDigits, TagKey, ValueError, VersionSetName};

/// What a condition can speak of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// `service_id`
    ServiceId,
    /// `name`
    Name,
    /// `is_active`
    IsActive,
    /// `agent_id`
    AgentId,
    /// `service_hierarchical_state_machine_id`
    StateMachineId,
    /// `tags.<key>`; a service without that tag lacks the attribute.
    Tag(TagKey),
    /// `version_set_name`, for permissions that concern version sets.
    VersionSetName,
}

impl Attribute {
    /// The attribute's value in a service, or in one of its version sets; `None` if there is no such attribute.
    pub fn of(&self, service: &Service, version_set: Option<&VersionSetName>) -> Option<AttributeValue> {
        self.seen_in(service, version_set, &mut HexDigits::default()).map(AttributeValue::from)
    }

    /// The same where it stands: the text of an id in `digits`, anything else in the service.
    pub(crate) fn seen_in<'a>(
        &self,
        service: &'a Service,
        version_set: Option<&'a VersionSetName>,
        digits: &'a mut HexDigits,
    ) -> Option<SeenValue<'a>> {
        match self {
            Self::ServiceId => Some(SeenValue::of(service.id.write_in(digits))),
            Self::Name => Some(SeenValue::of(service.name.as_str())),
            Self::IsActive => Some(SeenValue::Boolean(service.is_active)),
            Self::AgentId => Some(SeenValue::of(service.agent_id.write_in(digits))),
            Self::StateMachineId => Some(SeenValue::of(service.state_machine_id.write_in(digits))),
            Self::Tag(key) => {
                let value = service.tags.seen(key.as_str())?;
                Some(value.map_or(SeenValue::Null, SeenValue::Text))
            }
            Self::VersionSetName => version_set.map(|name| SeenValue::of(name.as_str())),
        }
    }

    pub(super) fn takes(&self, value: &AttributeValue) -> bool {
        match value {
            AttributeValue::Null => matches!(self, Self::Tag(_)),
            AttributeValue::Boolean(_) => *self == Self::IsActive,
            AttributeValue::Text(_) => *self != Self::IsActive,
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceId => formatter.write_str("service_id"),
            Self::Name => formatter.write_str("name"),
            Self::IsActive => formatter.write_str("is_active"),
            Self::AgentId => formatter.write_str("agent_id"),
            Self::StateMachineId => formatter.write_str("service_hierarchical_state_machine_id"),
            Self::Tag(key) => write!(formatter, "tags.{key}"),
            Self::VersionSetName => formatter.write_str("version_set_name"),
        }
    }
}

impl FromStr for Attribute {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "service_id" => Ok(Self::ServiceId),
            "name" => Ok(Self::Name),
            "is_active" => Ok(Self::IsActive),
            "agent_id" => Ok(Self::AgentId),
            "service_hierarchical_state_machine_id" => Ok(Self::StateMachineId),
            "version_set_name" => Ok(Self::VersionSetName),
            _ => match text.strip_prefix("tags.") {
                Some(key) => key.parse().map(Self::Tag),
                None => Err(ValueError::new(
                    "condition",
                    "must be on service_id, name, is_active, agent_id, service_hierarchical_state_machine_id, \
                     tags.<key> or version_set_name",
                )),
            },
        }
    }
}

impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value that a condition compares an attribute with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// A tag without a value.
    Null,
    /// The activeness of a service.
    Boolean(bool),
    /// Any other attribute.
    Text(Arc<str>),
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain;
        impl Visitor<'_> for Plain {
            type Value = AttributeValue;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string, a boolean or null")
            }

            fn visit_unit<E>(self) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Boolean(value))
            }

            fn visit_str<E>(self, text: &str) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Text(text.into()))
            }
        }
        deserializer.deserialize_any(Plain)
    }
}

/// An attribute's value where it stands: what an [`AttributeValue`] is without the copy. Both are in the same order, so that sets
/// of values can be searched for what is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SeenValue<'a> {
    /// A tag without a value.
    Null,
    /// The activeness of a service.
    Boolean(bool),
    /// Any other attribute, as bytes, which are in the same order.
    Text(&'a [u8]),
}

impl<'a> SeenValue<'a> {
    fn of(text: &'a str) -> Self {
        Self::Text(text.as_bytes())
    }

    /// Whether the value is one of these.
    pub(crate) fn is_among(&self, values: &BTreeSet<AttributeValue>) -> bool {
        values.contains(self as &dyn Seen)
    }
}

impl From<SeenValue<'_>> for AttributeValue {
    fn from(seen: SeenValue<'_>) -> Self {
        match seen {
            SeenValue::Null => Self::Null,
            SeenValue::Boolean(value) => Self::Boolean(value),
            SeenValue::Text(text) => Self::Text(str::from_utf8(text).unwrap_or_default().into()),
        }
    }
}

/// What can be looked at as a value. A set finds what its values can be borrowed as, which a [`SeenValue`] cannot be, since it is no
/// reference itself; but a reference to either type as this trait's can.
trait Seen {
    fn seen(&self) -> SeenValue<'_>;
}

impl Seen for SeenValue<'_> {
    fn seen(&self) -> SeenValue<'_> {
        *self
    }
}

impl Seen for AttributeValue {
    fn seen(&self) -> SeenValue<'_> {
        match self {
            Self::Null => SeenValue::Null,
            Self::Boolean(value) => SeenValue::Boolean(*value),
            Self::Text(text) => SeenValue::of(text),
        }
    }
}

impl<'a> Borrow<dyn Seen + 'a> for AttributeValue {
    fn borrow(&self) -> &(dyn Seen + 'a) {
        self
    }
}

impl PartialEq for dyn Seen + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.seen() == other.seen()
    }
}

impl Eq for dyn Seen + '_ {}

impl PartialOrd for dyn Seen + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Seen + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.seen().cmp(&other.seen())
    }
}
