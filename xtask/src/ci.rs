//! `cargo xtask ci`

use crate::process::{cargo, output, run as run_command};
use crate::{deny, test, tidy};

/// What the core must not depend on, neither itself nor through others: it does no I/O.
const IMPURE: [&str; 4] = ["tokio", "sqlx", "axum", "hyper"];

/// Checks everything, the quick checks first and the tests last.
///
/// # Errors
/// What does not hold.
pub fn run() -> Result<(), String> {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run()?;
    core_is_pure()?;
    deny::run(false)?;
    run_command(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run_command(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    test::run(&test::FLAGS)
}

fn core_is_pure() -> Result<(), String> {
    let arguments = ["tree", "-p", "service-core", "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = output(cargo().args(arguments))?;
    let impure: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| IMPURE.iter().any(|impure| is_of_family(name, impure)))
        .collect();
    if impure.is_empty() {
        println!("the core is pure: it depends on none of {}", IMPURE.join(", "));
        Ok(())
    } else {
        Err(format!("service-core does no I/O, but depends on {}", impure.join(", ")))
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
