//! The HTTP API of the service registry, as a router that any axum app can mount.
//!
//! [`router`] makes one of an [`Api`]: a store (any [`Repository`](service_core::Repository) and
//! [`Access`](service_core::Access)), the keys that bearer tokens are verified with ([`Tokens`]), and the
//! [`Environment`](service_core::Environment) that tells the time. Status codes, JSON as clients write it, tokens and rate
//! limits live here and nowhere else; the rules live in [`service_core`].
//!
//! How a request is answered, first failure first: [`maintenance`], [`auth`] and the rest of [`admission`], the
//! [`rate_limit`], then the request itself ([`query`], [`wire`], [`invalid`]), then the registry. [`error`] says which
//! failure is which status.

mod admission;
mod api;
mod auth;
mod docs;
mod endpoints;
mod error;
mod health;
mod invalid;
mod maintenance;
mod observe;
pub mod openapi;
mod query;
mod rate_limit;
mod request;
mod request_id;
mod router;
mod tokens;
mod wire;

pub use api::Api;
pub use router::router;
pub use tokens::{Algorithm, InvalidToken, Tokens, TokensError};

#[cfg(test)]
mod tests;
