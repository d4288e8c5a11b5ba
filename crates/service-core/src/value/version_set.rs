use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::json::{depth, json_bytes, objects_equal};
use super::{InteractionName, LlmName, UniqueKeys, ValueError, VersionSetName, serde_as_object};

/// The most version sets a service can have.
pub const MAX_VERSION_SETS: usize = 100;
/// The most interactions a version set can prefer an LLM for.
pub const MAX_LLM_PREFERENCES: usize = 100;
/// The most bytes of compact JSON that the parameters of one LLM can have.
pub const MAX_LLM_PARAMS_BYTES: usize = 4096;
/// How deep the parameters of an LLM can be nested; `{"a":1}` is one level.
pub const MAX_LLM_PARAMS_DEPTH: usize = 8;

/// The number of a version of an agent or a state machine: an integer in 1..=2³¹−1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct VersionNumber(u32);

impl VersionNumber {
    /// The version with this number.
    ///
    /// # Errors
    /// When it is not in 1..=2³¹−1.
    pub fn new(number: i64) -> Result<Self, ValueError> {
        u32::try_from(number)
            .ok()
            .filter(|number| (1..1 << 31).contains(number))
            .map(Self)
            .ok_or(ValueError::new("version number", "must be an integer from 1 to 2147483647"))
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for VersionNumber {
    type Error = ValueError;

    fn try_from(number: i64) -> Result<Self, ValueError> {
        Self::new(number)
    }
}

impl From<VersionNumber> for i64 {
    fn from(number: VersionNumber) -> Self {
        number.0.into()
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Parameters for an LLM: a JSON object of at most 4 KiB and 8 levels. Two are equal when they hold the same values.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LlmParams(Arc<Map<String, Value>>);

impl LlmParams {
    /// Checks the size of the parameters and their depth.
    ///
    /// # Errors
    /// When they are more than [`MAX_LLM_PARAMS_BYTES`] of compact JSON, deeper than [`MAX_LLM_PARAMS_DEPTH`], or hold
    /// a NUL.
    pub fn new(params: Map<String, Value>) -> Result<Self, ValueError> {
        let params = Value::Object(params);
        if depth(&params) > MAX_LLM_PARAMS_DEPTH {
            return Err(ValueError::new("llm params", "must be nested at most 8 levels deep"));
        }
        if json_bytes(&params) > MAX_LLM_PARAMS_BYTES {
            return Err(ValueError::new("llm params", "must be at most 4096 bytes of compact JSON"));
        }
        if holds_nul(&params) {
            return Err(ValueError::new("llm params", "must not contain NUL"));
        }
        match params {
            Value::Object(params) => Ok(Self(Arc::new(params))),
            _ => Err(ValueError::new("llm params", "must be an object")),
        }
    }

    /// The parameters, by name.
    pub fn as_object(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(entries) => entries.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

impl PartialEq for LlmParams {
    fn eq(&self, other: &Self) -> bool {
        objects_equal(&self.0, &other.0)
    }
}

impl<'de> Deserialize<'de> for LlmParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match UniqueKeys::deserialize(deserializer)?.0 {
            Value::Object(params) => Self::new(params).map_err(D::Error::custom),
            _ => Err(D::Error::custom("llm params must be an object")),
        }
    }
}

/// The LLM to prefer for an interaction, and the parameters to call it with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct LlmConfig {
    /// The LLM.
    pub llm_name: LlmName,
    /// What was set; an LLM's own defaults hold for the rest.
    #[serde(default)]
    pub params: LlmParams,
}

serde_as_object!(LlmConfig);

/// What a version set pins. The default is `edge`: the latest of both, no preference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct VersionSet {
    /// The agent's version; `None` follows the latest.
    #[serde(default)]
    pub agent_version_number: Option<VersionNumber>,
    /// The state machine's version; `None` follows the latest.
    #[serde(default, rename = "service_hierarchical_state_machine_version_number")]
    pub state_machine_version_number: Option<VersionNumber>,
    /// The LLM to prefer for each interaction named: at most [`MAX_LLM_PREFERENCES`].
    #[serde(default)]
    pub llm_model_preferences: LlmPreferences,
}

serde_as_object!(VersionSet);

/// LLM configurations by interaction: at most [`MAX_LLM_PREFERENCES`].
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct LlmPreferences(BTreeMap<InteractionName, LlmConfig>);

impl LlmPreferences {
    /// Checks the number of preferences.
    ///
    /// # Errors
    /// When there are more than [`MAX_LLM_PREFERENCES`].
    pub fn new(preferences: BTreeMap<InteractionName, LlmConfig>) -> Result<Self, ValueError> {
        if preferences.len() > MAX_LLM_PREFERENCES {
            return Err(ValueError::new("llm model preferences", "must be at most 100"));
        }
        Ok(Self(preferences))
    }
}

impl std::ops::Deref for LlmPreferences {
    type Target = BTreeMap<InteractionName, LlmConfig>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'de> Deserialize<'de> for LlmPreferences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let preferences = unique_map(deserializer, "an object of LLM configurations")?;
        Self::new(preferences).map_err(D::Error::custom)
    }
}

/// The version sets of a service by name: at most [`MAX_VERSION_SETS`], `edge` and `release` always among them, and
/// `edge` always the default.
///
/// Cloning shares the sets; a change copies only the one it concerns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionSets(Arc<BTreeMap<VersionSetName, Arc<VersionSet>>>);

impl VersionSets {
    /// The sets of a new service: `edge`, and `release` as given.
    pub fn with_release(release: VersionSet) -> Self {
        Self(Arc::new(BTreeMap::from([
            (VersionSetName::edge(), Arc::default()),
            (VersionSetName::release(), Arc::new(release)),
        ])))
    }

    /// Checks the sets of an existing service.
    ///
    /// # Errors
    /// When there are more than [`MAX_VERSION_SETS`], `edge` or `release` is missing, or `edge` pins anything.
    pub fn new(sets: BTreeMap<VersionSetName, Arc<VersionSet>>) -> Result<Self, ValueError> {
        if sets.len() > MAX_VERSION_SETS {
            return Err(ValueError::new("version sets", "must be at most 100"));
        }
        if !sets.contains_key("release") {
            return Err(ValueError::new("version sets", "must contain `release`"));
        }
        if sets.get("edge").is_none_or(|edge| **edge != VersionSet::default()) {
            return Err(ValueError::new("version sets", "must contain `edge`, with the latest versions"));
        }
        Ok(Self(Arc::new(sets)))
    }

    /// The set of this name, if there is one.
    pub fn get(&self, name: &VersionSetName) -> Option<&VersionSet> {
        self.0.get(name).map(|set| &**set)
    }

    /// The sets, ordered by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&VersionSetName, &VersionSet)> {
        self.0.iter().map(|(name, set)| (name, &**set))
    }

    /// How many sets there are.
    #[expect(clippy::len_without_is_empty, reason = "`edge` and `release` are always there")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// These sets with `set` under `name`, in place of one of that name if there is one.
    ///
    /// # Errors
    /// As [`VersionSets::new`].
    pub fn with(&self, name: VersionSetName, set: VersionSet) -> Result<Self, ValueError> {
        let mut sets = BTreeMap::clone(&self.0);
        sets.insert(name, Arc::new(set));
        Self::new(sets)
    }

    /// These sets without the one of this name.
    ///
    /// # Errors
    /// As [`VersionSets::new`]: `edge` and `release` never go.
    pub fn without(&self, name: &VersionSetName) -> Result<Self, ValueError> {
        let mut sets = BTreeMap::clone(&self.0);
        sets.remove(name);
        Self::new(sets)
    }
}

impl<'de> Deserialize<'de> for VersionSets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sets = unique_map(deserializer, "an object of version sets")?;
        Self::new(sets).map_err(D::Error::custom)
    }
}

/// Reads a map in which a key may not come twice, neither as written nor as parsed.
fn unique_map<'de, D, K, V>(deserializer: D, expecting: &'static str) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    struct Entries<K, V>(&'static str, std::marker::PhantomData<(K, V)>);
    impl<'de, K: Deserialize<'de> + Ord + fmt::Display, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<K, V>()? {
                if map.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("the key `{key}` twice in one object")));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }
    deserializer.deserialize_map(Entries(expecting, std::marker::PhantomData))
}
