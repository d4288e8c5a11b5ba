//! `cargo xtask bench`

use crate::process;

/// Runs the benchmarks with further arguments.
///
/// # Errors
/// When they do not succeed.
pub fn run(arguments: &[&str]) -> Result<(), String> {
    process::run(process::cargo().args(["bench", "-p", "service-registry-benches"]).args(arguments))
}
