//! `cargo xtask test --sdk`: the official Python clients against the server.

use std::process::Command;

use crate::process::{built, root, run as run_command};
use crate::python::environment;

/// The client generations that the API serves. They cannot share a virtual environment.
const GENERATIONS: [&str; 2] = ["2.5.0", "0.10.0"];

/// Runs `tests/sdk/run.py`, which starts the server and drives it with both client generations.
///
/// # Errors
/// When a client does not get what it expects, or cannot be installed.
pub fn run() -> Result<(), String> {
    let server = built("service-server")?;
    let mut command = Command::new("python3");
    command.current_dir(root()).arg("tests/sdk/run.py").arg(server);
    for version in GENERATIONS {
        let python = environment(&[("amigo-sdk", version)])?.join("python");
        command.arg(format!("--python={version}={}", python.display()));
    }
    run_command(&mut command)
}
