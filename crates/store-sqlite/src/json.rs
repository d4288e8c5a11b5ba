//! Lists of values, which SQLite is given as JSON texts and takes apart with `json_each`.

use std::fmt;

use serde_json::Value;
pub(crate) use store_sql::row::json as of;

/// Ids as an array of hexadecimal digits, which statements make bytes again with `unhex`.
pub(crate) fn ids<Id: fmt::Display>(ids: impl IntoIterator<Item = Id>) -> String {
    let ids = ids.into_iter().map(|id| Value::String(id.to_string()));
    Value::Array(ids.collect()).to_string()
}
