//! Installs what tests need, on machines where that may be done without asking: those of a root who has Debian's packages.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::process::output;

/// What says where the browser is, for the test that opens the documentation page.
const CHROMIUM: &str = "TEST_CHROMIUM";

/// Tries to install what is missing. What cannot be installed is missed later, by whatever needs it. `test_postgres` is the program
/// of that package, which knows what it misses.
///
/// # Errors
/// When that program does not say.
pub fn install_missing(test_postgres: &Path) -> Result<(), String> {
    let of_postgres = output(Command::new(test_postgres).arg("--missing-packages"))?;
    let chromium = (!has_chromium()).then_some("chromium");
    let venv = (!has_venv()).then_some("python3-venv");
    let mut packages: Vec<&str> = of_postgres.lines().chain(chromium).chain(venv).collect();
    if packages.is_empty() || !is_root() {
        return Ok(());
    }
    eprintln!("not installed, and needed by tests: {}; asking apt-get for them", packages.join(", "));
    // Each for itself: where there is none of a name, the others are installed all the same.
    packages.retain(|package| !install(package));
    // What a machine knows of packages may be old, or nothing at all.
    if !packages.is_empty() && apt_get(&["update"]) {
        packages.retain(|package| !install(package));
    }
    Ok(())
}

fn has_chromium() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::var_os(CHROMIUM).is_some()
        || std::env::split_paths(&path).any(|directory| directory.join("chromium").is_file())
}

/// Whether Python can make virtual environments: Debian has that in a package of its own.
fn has_venv() -> bool {
    output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok()
}

fn install(package: &str) -> bool {
    apt_get(&["install", "--yes", "--no-install-recommends", package])
}

/// Runs apt-get, where there is one, and says whether it did what was asked.
fn apt_get(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    match command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("cannot run `apt-get`: {error}");
            false
        }
    }
}

/// Where there is apt-get, there is `/proc`.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this_process| this_process.uid() == 0)
}
