use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::api_key::{ApiKey, ApiKeyHash};
use crate::catalog::{
    AgentEntry, LlmEntry, RoleEntry, SimulationUnitTestEntry, StateMachineEntry, UserEntry,
};
use crate::service::Service;
use crate::value::{ApiKeyId, CatalogRevision, OrganizationId, Revision, Timestamp};

/// What the first line says, so that nothing else is taken for an archive.
pub(super) const FORMAT: &str = "service-registry";
/// The version of the format that is written and read.
pub(super) const VERSION: u32 = 1;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    Archive(Header),
    Llm(LlmEntry),
    Organization(OrganizationLine),
    Agent(AgentEntry),
    StateMachine(StateMachineEntry),
    SimulationUnitTest(SimulationUnitTestEntry),
    Role(RoleEntry),
    User(UserEntry),
    ApiKey(ApiKeyLine),
    Service(Arc<Service>),
    End(Trailer),
}

impl Record {
    /// What it is called in the archive.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Archive(_) => "archive",
            Self::Llm(_) => "llm",
            Self::Organization(_) => "organization",
            Self::Agent(_) => "agent",
            Self::StateMachine(_) => "state_machine",
            Self::SimulationUnitTest(_) => "simulation_unit_test",
            Self::Role(_) => "role",
            Self::User(_) => "user",
            Self::ApiKey(_) => "api_key",
            Self::Service(_) => "service",
            Self::End(_) => "end",
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganizationLine {
    pub(super) id: OrganizationId,
    pub(super) revision: Revision,
    pub(super) catalog_revision: CatalogRevision,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeyLine {
    pub(super) id: ApiKeyId,
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub(super) hash: ApiKeyHash,
    pub(super) created_at: Timestamp,
}

impl ApiKeyLine {
    pub(super) fn of(id: &ApiKeyId, key: &ApiKey) -> Self {
        Self { id: id.clone(), hash: key.hash, created_at: key.created_at }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trailer {
    pub(super) lines: u64,
    pub(super) organizations: u64,
    pub(super) revisions: u64,
    pub(super) sha256: String,
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn to_hex<S: Serializer>(hash: &ApiKeyHash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(hash.as_bytes()))
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ApiKeyHash, D::Error> {
    let digits = String::deserialize(deserializer)?;
    let ill_formed = || de::Error::custom("a hash must be 64 lower-case hexadecimal digits");
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(ill_formed());
    }
    for (byte, index) in bytes.iter_mut().zip((0..).step_by(2)) {
        let pair = digits.get(index..index + 2).ok_or_else(ill_formed)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| ill_formed())?;
    }
    Ok(ApiKeyHash::from_bytes(bytes))
}
