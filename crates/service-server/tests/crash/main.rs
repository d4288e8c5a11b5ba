//! What is promised when something breaks, held against the real binary: a server that is killed, a database that is, a file that is
//! full, locked, read-only or damaged.
//!
//! Random choices come from one seed, which each test prints. `CRASH_SEED` gives it, to make the same choices again.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "this is how a test fails")]

mod clients;
mod dice;
mod killed;
mod ledger;
mod postgres;
#[path = "../server/process.rs"]
#[expect(dead_code, reason = "the tests of the server use more of it")]
mod process;
mod sqlite;
mod world;
