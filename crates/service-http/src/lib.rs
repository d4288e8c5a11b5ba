//! The HTTP API of the service registry, as a router that any axum app can mount.
//!
//! [`router`](fn@router) makes routes of an [`Api`]: a store (any [`Repository`](service_core::Repository) and
//! [`Access`](service_core::Access)), the keys that bearer tokens are verified with ([`Tokens`]), and the
//! [`Environment`](service_core::Environment) that tells the time.
//!
//! ```
//! use std::sync::Arc;
//!
//! use service_http::{Api, Tokens};
//! use store_memory::MemoryStore;
//! use system_environment::SystemEnvironment;
//!
//! let store = Arc::new(MemoryStore::new());
//! let tokens = Tokens::hs256(b"at least 32 bytes that nobody can guess")?;
//! let api = Api::new(store.clone(), store.clone(), tokens, Arc::new(SystemEnvironment)).operations(store);
//! let app: axum::Router = axum::Router::new().nest("/registry", service_http::router(api));
//! # Ok::<(), service_http::TokensError>(())
//! ```
//!
//! Status codes, JSON as clients write it, tokens and rate limits live here and nowhere else; the rules live in
//! [`service_core`]. A request meets, in this order: `observe` (its id, a span, metrics, a time limit), `load` (whether it may be worked on),
//! `operation` (another span), `admission` (`maintenance`, `auth`, the cluster, the organization, `rate_limit`), then its file in `endpoints`, which reads it (`request`,
//! `query`, `wire`, with every fault noted in `invalid`) and asks the registry. `error` says which failure is which status, `crowd` and `unreadable`
//! what a server answers to those who never reach the router.

mod admission;
mod api;
mod auth;
mod crowd;
mod docs;
mod drain;
mod endpoints;
mod error;
mod health;
pub mod instruments;
mod invalid;
mod load;
mod maintenance;
mod observe;
mod observed;
pub mod openapi;
mod operation;
mod query;
mod rate_limit;
mod request;
mod request_id;
mod router;
mod tokens;
mod unreadable;
mod watch;
mod wire;

pub use api::Api;
pub use crowd::too_many_connections;
pub use observed::Observed;
pub use router::router;
pub use tokens::{Algorithm, InvalidToken, Tokens, TokensError};
pub use unreadable::{Unreadable, unreadable};

#[cfg(test)]
mod tests;
