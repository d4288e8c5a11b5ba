//! Installs what tests need, on machines where that may be done without asking: those of a root who has Debian's packages.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use test_postgres::missing_packages;

/// Tries to install what is missing. What cannot be installed is missed later, by whatever needs it.
pub(crate) fn missing() {
    let packages = missing_packages();
    if packages.is_empty() || !is_root() {
        return;
    }
    eprintln!("not installed, and needed by tests: {}; asking apt-get for them", packages.join(", "));
    // What a machine knows of packages may be old, or nothing at all.
    if !install(&packages) && apt_get(&["update"]) {
        install(&packages);
    }
}

fn install(packages: &[&str]) -> bool {
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
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
