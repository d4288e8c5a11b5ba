//! The server from end to end: its binary, as operators run it.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "this is how a test fails")]

mod backup;
mod browser;
mod commands;
mod configuration;
mod demo;
mod documentation;
mod logs;
mod metrics;
mod process;
mod promql;
mod replicas;
mod rotation;
mod serving;
mod shutdown;
mod transfer;
