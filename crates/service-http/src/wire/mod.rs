//! JSON as clients write it and read it.
//!
//! Reading is done by hand, field by field, because an answer names every field at fault and serde stops at the first. Writing
//! is serde over views that borrow from core values. Both spellings of LLM parameters live in [`llm_config`] alone.

mod json;
mod llm_config;
mod read;
mod request;
mod response;

pub(crate) use request::{decode_create, decode_update, decode_upsert};
pub(crate) use response::{Created, Problem, ServicePage, SignedIn};

#[cfg(test)]
mod tests;
