//! Tests across crates. Here: the Rust in the README and the docs is compiled and run. Tests of the server's binary stand
//! beside it, in `crates/service-server/tests`, where cargo builds what they run.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;

pub mod stores;
