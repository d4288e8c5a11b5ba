//! The values services are made of. Parsing is the only way in: a value that exists is well-formed.

mod id;
mod json;
mod packed;
mod revision;
mod signature;
mod sorted;
mod tags;
mod text;
mod time;
mod version_set;

pub(crate) use id::HexDigits;
pub use id::{AgentId, OrganizationId, Principal, ServiceId, SimulationUnitTestId, StateMachineId, UserId};
pub(crate) use json::json_bytes;
pub use json::{MAX_JSON_DEPTH, UniqueKeys, json_equal, parse_json};
pub(crate) use packed::Wanted;
pub use revision::{CatalogRevision, Revision};
pub(crate) use signature::TagSignature;
pub use tags::{MAX_TAGS, Tags};
pub use text::{
    ApiKeyId, CatalogName, Description, InteractionName, Keyterm, Keyterms, LlmName, MAX_KEYTERMS, RoleName,
    ServiceName, TagKey, TagValue, VersionSetName,
};
pub use time::Timestamp;
pub use version_set::{
    LlmConfig, LlmParams, LlmPreferences, MAX_LLM_PARAMS_BYTES, MAX_LLM_PARAMS_DEPTH, MAX_LLM_PREFERENCES,
    MAX_VERSION_SETS, VersionNumber, VersionSet, VersionSets,
};

/// An input that is not a well-formed value: what it was meant to be, and the rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value} {rule}")]
pub struct ValueError {
    value: &'static str,
    rule: &'static str,
}

impl ValueError {
    pub(crate) const fn new(value: &'static str, rule: &'static str) -> Self {
        Self { value, rule }
    }

    /// What the input was meant to be, such as `service name`.
    pub fn value(&self) -> &'static str {
        self.value
    }

    /// The rule it broke, such as `must have 1 to 256 characters`.
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

/// Gives a type that parses from a string and displays as one its string form in serde.
macro_rules! serde_as_string {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("a string")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
pub(crate) use serde_as_string;

/// Gives a type that derives serde's traits with `remote = "Self"` those traits, from JSON objects alone: by itself serde would
/// also take an array of a struct's fields in order.
macro_rules! serde_as_object {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Object;
                impl<'de> serde::de::Visitor<'de> for Object {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, entries: A) -> Result<$name, A::Error> {
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(entries))
                    }
                }
                deserializer.deserialize_map(Object)
            }
        }
    };
}
pub(crate) use serde_as_object;

#[cfg(test)]
mod tests;
