//! `cargo xtask test --schemathesis`: the server against the document that it serves.

use std::process::Command;

use crate::process::{built, root, run as run_command};
use crate::python::environment;

/// What asks, and what it draws its questions with: other versions ask others.
const PACKAGES: [(&str, &str); 2] = [("schemathesis", "4.32.5"), ("hypothesis", "6.170.17")];

/// Runs `tests/schemathesis/run.py`, which starts the server and asks it whatever its document allows, and what it does not.
///
/// # Errors
/// When the server and the document differ, or Schemathesis cannot be installed.
pub fn run() -> Result<(), String> {
    let server = built("service-server")?;
    let schemathesis = environment(&PACKAGES)?.join("schemathesis");
    let mut command = Command::new("python3");
    command.current_dir(root()).arg("tests/schemathesis/run.py").arg(server).arg(schemathesis);
    run_command(&mut command)
}
