//! `cargo xtask test`

use std::process::Stdio;

use crate::process::{self, built, cargo, cargo_under};
use crate::{packages, schemathesis, sdk};

/// What is tested on demand.
pub const FLAGS: [&str; 2] = ["--sdk", "--schemathesis"];

/// Runs every test. With cargo-nextest, where it is installed, otherwise with cargo itself. All of them use one PostgreSQL, the one
/// at `DATABASE_URL` or a private one; what is not installed, is from Debian's packages, if that can be done.
///
/// # Errors
/// When one fails.
pub fn run(flags: &[&str]) -> Result<(), String> {
    let postgres = built("test-postgres")?;
    packages::install_missing(&postgres)?;
    if flags.contains(&"--sdk") {
        sdk::run()?;
    } else {
        eprintln!("not run: the Python clients against the server (`cargo xtask test --sdk`)");
    }
    if flags.contains(&"--schemathesis") {
        schemathesis::run()?;
    } else {
        eprintln!("not run: Schemathesis against the server (`cargo xtask test --schemathesis`)");
    }
    let with_postgres = || cargo_under(&postgres, &[]);
    // Last what says how many tests there were.
    if has_nextest() {
        process::run(cargo().args(["test", "--workspace", "--doc"]))?;
        process::run(with_postgres().args(["nextest", "run", "--workspace"]))
    } else {
        // Also runs the doctests.
        process::run(with_postgres().args(["test", "--workspace"]))
    }
}

fn has_nextest() -> bool {
    let version = cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
