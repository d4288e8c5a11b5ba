//! `cargo xtask test`

use std::process::Stdio;

use crate::process::{self, built, cargo, cargo_under};
use crate::sdk;

/// Runs every test. With cargo-nextest, where it is installed, otherwise with cargo itself. All of them use one PostgreSQL, the one
/// at `DATABASE_URL` or a private one; where none is installed, Debian's packages are, if that can be done.
///
/// # Errors
/// When one fails.
pub fn run(with_sdk: bool) -> Result<(), String> {
    if with_sdk {
        sdk::run()?;
    } else {
        eprintln!("not run: the Python clients against the server (`cargo xtask test --sdk`)");
    }
    let postgres = built("test-postgres")?;
    let with_postgres = || cargo_under(&postgres, &["--install"]);
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
