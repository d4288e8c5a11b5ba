//! Who may do what: permissions, and grants of them under conditions.

mod attribute;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::service::Service;
use crate::value::{ValueError, VersionSetName, serde_as_object};

pub(crate) use self::attribute::SeenValue;
pub use self::attribute::{Attribute, AttributeValue};

/// The most grants a principal can hold for one organization.
pub const MAX_GRANTS: usize = 64;
/// The most conditions of a grant.
pub const MAX_CONDITIONS: usize = 8;
/// The most values of an `In` condition.
pub const MAX_CONDITION_VALUES: usize = 100;

/// What can be permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// To see a service in listings.
    GetService,
    /// To create a service.
    CreateService,
    /// To change a service.
    UpdateService,
    /// To add a version set to a service.
    CreateVersionSet,
    /// To replace a version set of a service.
    UpdateVersionSet,
    /// To remove a version set from a service.
    DeleteVersionSet,
}

impl Permission {
    const ALL: [Self; 6] = [
        Self::GetService,
        Self::CreateService,
        Self::UpdateService,
        Self::CreateVersionSet,
        Self::UpdateVersionSet,
        Self::DeleteVersionSet,
    ];

    /// The permission's name, such as `Service:GetService`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetService => "Service:GetService",
            Self::CreateService => "Service:CreateService",
            Self::UpdateService => "Service:UpdateService",
            Self::CreateVersionSet => "Service:CreateVersionSet",
            Self::UpdateVersionSet => "Service:UpdateVersionSet",
            Self::DeleteVersionSet => "Service:DeleteVersionSet",
        }
    }

    const fn concerns_version_sets(self) -> bool {
        matches!(self, Self::CreateVersionSet | Self::UpdateVersionSet | Self::DeleteVersionSet)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Permission {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::ALL.into_iter().find(|permission| permission.name() == text).ok_or(ValueError::new(
            "permission name",
            "must be `Service:` and one of GetService, CreateService, UpdateService, CreateVersionSet, \
             UpdateVersionSet, DeleteVersionSet",
        ))
    }
}

/// What an attribute must be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "type", deny_unknown_fields)]
pub enum Condition {
    /// It is there, and has this value.
    Equals {
        /// The value.
        value: AttributeValue,
    },
    /// It is not there, or has another value.
    NotEquals {
        /// The value.
        value: AttributeValue,
    },
    /// It is there, and has one of these values: at most [`MAX_CONDITION_VALUES`].
    In {
        /// The values.
        values: Vec<AttributeValue>,
    },
}

serde_as_object!(Condition);

impl Condition {
    fn values(&self) -> &[AttributeValue] {
        match self {
            Self::Equals { value } | Self::NotEquals { value } => std::slice::from_ref(value),
            Self::In { values } => values,
        }
    }

    /// Whether an attribute that has this value, or that the object lacks (`None`), satisfies the condition.
    pub fn holds(&self, actual: Option<&AttributeValue>) -> bool {
        match self {
            Self::Equals { value } => actual == Some(value),
            Self::NotEquals { value } => actual != Some(value),
            Self::In { values } => actual.is_some_and(|actual| values.contains(actual)),
        }
    }
}

/// A permission, given for whatever satisfies all of some conditions. Parsing it is the only way to have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    #[serde(rename = "permission_name")]
    permission: Permission,
    conditions: Conditions,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
struct Conditions(BTreeMap<Attribute, Condition>);

impl Grant {
    /// Gives a permission under conditions.
    ///
    /// # Errors
    /// When there are more than [`MAX_CONDITIONS`] conditions, one has more than [`MAX_CONDITION_VALUES`] values or one of
    /// another type than its attribute, or one is on `version_set_name` where the permission has no version set.
    pub fn new(
        permission: Permission,
        conditions: BTreeMap<Attribute, Condition>,
    ) -> Result<Self, ValueError> {
        if conditions.len() > MAX_CONDITIONS {
            return Err(ValueError::new("grant", "must have at most 8 conditions"));
        }
        if conditions.contains_key(&Attribute::VersionSetName) && !permission.concerns_version_sets() {
            return Err(ValueError::new(
                "grant",
                "must have a condition on version_set_name only for CreateVersionSet, UpdateVersionSet and DeleteVersionSet",
            ));
        }
        for (attribute, condition) in &conditions {
            let values = condition.values();
            if values.len() > MAX_CONDITION_VALUES {
                return Err(ValueError::new("condition", "must have at most 100 values"));
            }
            if !values.iter().all(|value| attribute.takes(value)) {
                return Err(ValueError::new(
                    "condition",
                    "must compare is_active with booleans, tags with strings or null, and the rest with strings",
                ));
            }
            if values.iter().any(|value| matches!(value, AttributeValue::Text(text) if text.contains('\0'))) {
                return Err(ValueError::new("condition", "must not contain NUL"));
            }
        }
        Ok(Self { permission, conditions: Conditions(conditions) })
    }

    /// What is permitted.
    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// The conditions, all of which must hold.
    pub fn conditions(&self) -> &BTreeMap<Attribute, Condition> {
        &self.conditions.0
    }

    fn admits(&self, service: &Service, version_set: Option<&VersionSetName>) -> bool {
        let holds = |(attribute, condition): (&Attribute, &Condition)| {
            condition.holds(attribute.of(service, version_set).as_ref())
        };
        self.conditions.0.iter().all(holds)
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Conditions;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of conditions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Conditions, A::Error> {
                let mut conditions = BTreeMap::new();
                while let Some(attribute) = entries.next_key::<String>()? {
                    let attribute: Attribute = attribute.parse().map_err(A::Error::custom)?;
                    if conditions.len() == MAX_CONDITIONS {
                        return Err(A::Error::custom("grant must have at most 8 conditions"));
                    }
                    if conditions.contains_key(&attribute) {
                        return Err(A::Error::custom(format_args!(
                            "two conditions on `{attribute}` in one grant"
                        )));
                    }
                    conditions.insert(attribute, entries.next_value()?);
                }
                Ok(Conditions(conditions))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A grant as it is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct GrantFields {
    permission_name: Permission,
    #[serde(default)]
    conditions: Conditions,
}

serde_as_object!(GrantFields);

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let GrantFields { permission_name, conditions } = Deserialize::deserialize(deserializer)?;
        Self::new(permission_name, conditions.0).map_err(D::Error::custom)
    }
}

/// What a principal holds for one organization: at most [`MAX_GRANTS`] different grants, any one of which suffices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// Collects grants; one that comes twice counts once.
    ///
    /// # Errors
    /// When there are more than [`MAX_GRANTS`].
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Result<Self, ValueError> {
        let mut distinct: Vec<Grant> = Vec::new();
        for grant in grants {
            if distinct.contains(&grant) {
                continue;
            }
            if distinct.len() == MAX_GRANTS {
                return Err(ValueError::new("grants", "must be at most 64"));
            }
            distinct.push(grant);
        }
        Ok(Self(distinct))
    }

    /// All grants.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Grant> {
        self.0.iter()
    }

    /// The grants of one permission.
    pub fn of(&self, permission: Permission) -> impl Iterator<Item = &Grant> {
        self.0.iter().filter(move |grant| grant.permission == permission)
    }

    /// Whether there is any grant of a permission, whatever its conditions.
    pub fn any_of(&self, permission: Permission) -> bool {
        self.of(permission).next().is_some()
    }

    /// Whether some grant of a permission admits a service, or the version set of it that is named.
    pub fn admit(
        &self,
        permission: Permission,
        service: &Service,
        version_set: Option<&VersionSetName>,
    ) -> bool {
        self.of(permission).any(|grant| grant.admits(service, version_set))
    }
}

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::<Grant>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
