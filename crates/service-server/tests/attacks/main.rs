//! What those try who mean harm, held against the real binary: forged and confused tokens, requests that can be read in two ways, input that
//! is meant to be taken for something else, and every way to reach another organization. And what nobody may ever read: secrets.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "this is how a test fails")]

mod bearer;
mod duplicates;
mod hostile_json;
mod injection;
#[path = "../server/process.rs"]
#[expect(dead_code, reason = "the tests of the server use more of it")]
mod process;
mod secrets;
mod smuggling;
mod tenants;
mod wire;
mod world;
