//! `cargo xtask ci`

use crate::process::{cargo, output, run as run_command};
use crate::{deny, test, tidy};

/// What the core must not depend on, neither itself nor through others: it does no I/O.
const IMPURE: [&str; 4] = ["tokio", "sqlx", "axum", "hyper"];
/// What the server has only where it was built in.
const OPTIONAL: [&str; 4] = ["opentelemetry", "opentelemetry_sdk", "tracing-opentelemetry", "prost"];
/// Everything, with all that can be built into the server: of the whole workspace, so that what others need of a dependency too is
/// built once.
const WITH_ALL: [&str; 3] = ["--workspace", "--features", "service-server/otel"];

/// Checks everything, the quick checks first and the tests last.
///
/// # Errors
/// What does not hold.
pub fn run() -> Result<(), String> {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run()?;
    does_without("service-core", &IMPURE)?;
    does_without("service-server", &OPTIONAL)?;
    deny::run(false)?;
    run_command(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run_command(cargo().arg("clippy").args(WITH_ALL).args(["--all-targets", "--", "-D", "warnings"]))?;
    run_command(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    run_command(cargo().arg("test").args(WITH_ALL).args(["--test", "otel"]))?;
    test::run(&test::FLAGS)
}

/// Whether a crate, as it is built by default, depends on none of some families of crates.
fn does_without(package: &str, families: &[&str]) -> Result<(), String> {
    let arguments = ["tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = output(cargo().args(arguments))?;
    let found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| families.iter().any(|family| is_of_family(name, family)))
        .collect();
    if found.is_empty() {
        println!("{package} does without {}", families.join(", "));
        Ok(())
    } else {
        Err(format!("{package} is to do without, but depends on {}", found.join(", ")))
    }
}

/// Whether a crate is another or one that is split off it, as `sqlx-core` is off `sqlx`.
fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_a_crate_and_its_parts() {
        assert!(is_of_family("tokio", "tokio"));
        assert!(is_of_family("sqlx-core", "sqlx"));
        assert!(!is_of_family("hyperfine", "hyper"));
    }
}
