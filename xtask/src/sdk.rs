//! `cargo xtask test --sdk`: the official Python clients against the server.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{built, root, run as run_command, target_directory};

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
        command.arg(format!("--python={version}={}", environment(version)?.display()));
    }
    run_command(&mut command)
}

/// The interpreter of a virtual environment that has one version of the client. It is made once.
fn environment(version: &str) -> Result<PathBuf, String> {
    let directory = target_directory()?.join("sdk").join(format!("amigo-sdk-{version}"));
    let python = directory.join("bin/python");
    if has_client(&python, version) {
        return Ok(python);
    }
    let failed =
        |_| format!("amigo-sdk {version} cannot be installed from the package index; its test cannot run");
    run_command(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
    let requirement = format!("amigo-sdk=={version}");
    let bounds = ["--retries", "2", "--timeout", "20"];
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(bounds);
    run_command(install.arg(&requirement)).map_err(failed)?;
    Ok(python)
}

fn has_client(python: &Path, version: &str) -> bool {
    let script = "import sys, importlib.metadata as m; sys.exit(m.version('amigo-sdk') != sys.argv[1])";
    python.exists()
        && Command::new(python).args(["-c", script, version]).status().is_ok_and(|status| status.success())
}
