//! Virtual environments under `target/`, for the tests that are written in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{run, target_directory};

/// The directory of programs of a virtual environment that has these packages, each a name and its version. It is made once.
///
/// # Errors
/// When it cannot be made, or a package cannot be installed.
pub fn environment(packages: &[(&str, &str)]) -> Result<PathBuf, String> {
    let named: Vec<String> = packages.iter().map(|(name, version)| format!("{name}-{version}")).collect();
    let directory = target_directory()?.join("python").join(named.join("-"));
    let programs = directory.join("bin");
    let python = programs.join("python");
    if has(&python, packages) {
        return Ok(programs);
    }
    let failed = |_| {
        format!("{} cannot be installed from the package index; what needs it cannot run", named.join(", "))
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
    let bounds = ["--retries", "2", "--timeout", "20"];
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(bounds);
    run(install.args(packages.iter().map(|(name, version)| format!("{name}=={version}")))).map_err(failed)?;
    Ok(programs)
}

fn has(python: &Path, packages: &[(&str, &str)]) -> bool {
    let script = "import sys, importlib.metadata as m; sys.exit(m.version(sys.argv[1]) != sys.argv[2])";
    let is_there = |(name, version): &(&str, &str)| {
        let status = Command::new(python).args(["-c", script, name, version]).status();
        status.is_ok_and(|status| status.success())
    };
    python.exists() && packages.iter().all(is_there)
}
