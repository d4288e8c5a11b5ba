//! How lists of values are given to PostgreSQL and taken from it.

use serde::de::DeserializeOwned;
use service_core::{AgentId, StateMachineId, StoreError};
use store_sql::row::VersionedRow;

/// The bytes of ids, as a parameter that is an array.
pub(crate) fn ids<'a>(ids: impl IntoIterator<Item = &'a [u8; 12]>) -> Vec<&'a [u8]> {
    ids.into_iter().map(<[u8; 12]>::as_slice).collect()
}

/// Rows that a statement gives as one column, a JSON array of arrays.
pub(crate) fn rows<Row: DeserializeOwned>(place: &str, json: &str) -> Result<Vec<Row>, StoreError> {
    serde_json::from_str(json).map_err(|fault| StoreError::corrupt(place, fault))
}

/// The rows of agents, from such a column.
pub(crate) fn agents(json: &str) -> Result<Vec<VersionedRow>, StoreError> {
    versioned("an agent", json, |id: AgentId| id.as_bytes().to_vec())
}

/// The rows of state machines, from such a column.
pub(crate) fn state_machines(json: &str) -> Result<Vec<VersionedRow>, StoreError> {
    versioned("a state machine", json, |id: StateMachineId| id.as_bytes().to_vec())
}

fn versioned<Id: DeserializeOwned>(
    place: &str,
    json: &str,
    bytes: fn(Id) -> Vec<u8>,
) -> Result<Vec<VersionedRow>, StoreError> {
    let rows: Vec<(Id, String, Option<i64>, bool)> = rows(place, json)?;
    let row = |(id, name, latest_version, deprecated)| (bytes(id), name, latest_version, deprecated);
    Ok(rows.into_iter().map(row).collect())
}
