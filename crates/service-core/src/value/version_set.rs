use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::json::{depth, json_bytes, json_equal};
use super::sorted::Sorted;
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

/// More parameters than this do not fit, as each takes five bytes at least: `"":0` and a comma.
const MOST_LLM_PARAMS: usize = MAX_LLM_PARAMS_BYTES / 5;
const PARAMS_TOO_LARGE: ValueError =
    ValueError::new("llm params", "must be at most 4096 bytes of compact JSON");
const TOO_MANY_PREFERENCES: ValueError = ValueError::new("llm model preferences", "must be at most 100");
const TOO_MANY_SETS: ValueError = ValueError::new("version sets", "must be at most 100");

/// Parameters for an LLM: a JSON object of at most 4 KiB and 8 levels. Two are equal when they hold the same values.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LlmParams(Sorted<SmolStr, Value>);

impl LlmParams {
    /// Checks the size of the parameters and their depth.
    ///
    /// # Errors
    /// When they are more than [`MAX_LLM_PARAMS_BYTES`] of compact JSON, deeper than [`MAX_LLM_PARAMS_DEPTH`], or hold
    /// a NUL.
    pub fn new(params: Map<String, Value>) -> Result<Self, ValueError> {
        // With serde_json's `preserve_order`, a map is in another order.
        let by_name: BTreeMap<_, _> = params.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self::checked(by_name.into())
    }

    fn checked(params: Sorted<SmolStr, Value>) -> Result<Self, ValueError> {
        // The object itself is one level.
        if params.iter().any(|(_, value)| 1 + depth(value) > MAX_LLM_PARAMS_DEPTH) {
            return Err(ValueError::new("llm params", "must be nested at most 8 levels deep"));
        }
        if json_bytes(&params) > MAX_LLM_PARAMS_BYTES {
            return Err(PARAMS_TOO_LARGE);
        }
        if params.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)) {
            return Err(ValueError::new("llm params", "must not contain NUL"));
        }
        Ok(Self(params))
    }

    /// The value of a parameter, if it is set.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The parameters, ordered by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many parameters are set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

impl From<LlmParams> for Map<String, Value> {
    fn from(params: LlmParams) -> Self {
        params.0.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

impl PartialEq for LlmParams {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.iter().zip(other.iter());
        self.len() == other.len()
            && pairs
                .all(|((name, value), (other, other_value))| name == other && json_equal(value, other_value))
    }
}

impl<'de> Deserialize<'de> for LlmParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "an object of LLM parameters";
        let params: Sorted<SmolStr, UniqueKeys> =
            Sorted::read(deserializer, expected, MOST_LLM_PARAMS, PARAMS_TOO_LARGE)?;
        Self::checked(params.map(|UniqueKeys(value)| value)).map_err(D::Error::custom)
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
pub struct LlmPreferences(Sorted<InteractionName, LlmConfig>);

impl LlmPreferences {
    /// Checks the number of preferences.
    ///
    /// # Errors
    /// When there are more than [`MAX_LLM_PREFERENCES`].
    pub fn new(preferences: BTreeMap<InteractionName, LlmConfig>) -> Result<Self, ValueError> {
        Self::checked(preferences.into())
    }

    fn checked(preferences: Sorted<InteractionName, LlmConfig>) -> Result<Self, ValueError> {
        if preferences.len() > MAX_LLM_PREFERENCES {
            return Err(TOO_MANY_PREFERENCES);
        }
        Ok(Self(preferences))
    }

    /// The configuration for an interaction, if there is one.
    pub fn get(&self, interaction: &InteractionName) -> Option<&LlmConfig> {
        self.0.get(interaction)
    }

    /// The preferences, ordered by interaction.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&InteractionName, &LlmConfig)> {
        self.0.iter()
    }

    /// The LLM of each preference, in their order: one that is preferred twice comes twice.
    pub fn llm_names(&self) -> impl Iterator<Item = &LlmName> {
        self.iter().map(|(_, config)| &config.llm_name)
    }

    /// How many preferences there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<LlmPreferences> for BTreeMap<InteractionName, LlmConfig> {
    fn from(preferences: LlmPreferences) -> Self {
        preferences.0.into_iter().collect()
    }
}

impl<'de> Deserialize<'de> for LlmPreferences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "an object of LLM configurations";
        let preferences = Sorted::read(deserializer, expected, MAX_LLM_PREFERENCES, TOO_MANY_PREFERENCES)?;
        Self::checked(preferences).map_err(D::Error::custom)
    }
}

/// The version sets of a service by name: at most [`MAX_VERSION_SETS`], `edge` and `release` always among them, and
/// `edge` always the default.
///
/// Cloning shares the sets; a change copies only the one it concerns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionSets(Arc<Sorted<VersionSetName, Arc<VersionSet>>>);

impl VersionSets {
    /// The sets of a new service: `edge`, and `release` as given.
    pub fn with_release(release: VersionSet) -> Self {
        let sets = BTreeMap::from([
            (VersionSetName::edge(), Arc::default()),
            (VersionSetName::release(), Arc::new(release)),
        ]);
        Self(Arc::new(sets.into()))
    }

    /// Checks the sets of an existing service.
    ///
    /// # Errors
    /// When there are more than [`MAX_VERSION_SETS`], `edge` or `release` is missing, or `edge` pins anything.
    pub fn new(sets: BTreeMap<VersionSetName, Arc<VersionSet>>) -> Result<Self, ValueError> {
        Self::checked(sets.into())
    }

    fn checked(sets: Sorted<VersionSetName, Arc<VersionSet>>) -> Result<Self, ValueError> {
        if sets.len() > MAX_VERSION_SETS {
            return Err(TOO_MANY_SETS);
        }
        if sets.get("release").is_none() {
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
        let mut sets = self.by_name();
        sets.insert(name, Arc::new(set));
        Self::new(sets)
    }

    /// These sets without the one of this name.
    ///
    /// # Errors
    /// As [`VersionSets::new`]: `edge` and `release` never go.
    pub fn without(&self, name: &VersionSetName) -> Result<Self, ValueError> {
        let mut sets = self.by_name();
        sets.remove(name);
        Self::new(sets)
    }

    fn by_name(&self) -> BTreeMap<VersionSetName, Arc<VersionSet>> {
        self.0.iter().map(|(name, set)| (name.clone(), Arc::clone(set))).collect()
    }
}

impl<'de> Deserialize<'de> for VersionSets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sets = Sorted::read(deserializer, "an object of version sets", MAX_VERSION_SETS, TOO_MANY_SETS)?;
        Self::checked(sets).map_err(D::Error::custom)
    }
}
