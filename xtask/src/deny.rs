//! `cargo xtask deny`: what the project is made of, by the policy in `deny.toml`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{cargo, output, root, run as run_command, target_directory};

/// The cargo-deny that the policy is written for.
const VERSION: &str = "0.20.2";

/// Checks licences, sources and duplicates; and known vulnerabilities if asked to. These are another matter: their database is fetched
/// from where not every machine gets, and what passed yesterday fails by them though nobody changed it.
///
/// # Errors
/// What the policy does not allow, or that cargo-deny cannot be installed.
pub fn run(with_advisories: bool) -> Result<(), String> {
    let program = installed()?;
    // What is no longer needed is no reason any more.
    let stale = ["unmatched-skip", "unnecessary-skip"].map(|lint| ["-D", lint]);
    let mut check = Command::new(program);
    check.current_dir(root()).args(["--locked", "check"]).args(stale.as_flattened());
    check.args(["licenses", "sources", "bans"]);
    if with_advisories {
        check.arg("advisories");
    } else {
        eprintln!("not looked for: known vulnerabilities (`cargo xtask deny --advisories`)");
    }
    run_command(&mut check)
}

/// The program. It is built once, without optimization: that takes a minute or two, and it runs for some seconds.
fn installed() -> Result<PathBuf, String> {
    let directory = target_directory()?.join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = directory.join("bin/cargo-deny");
    if is_there(&program) {
        return Ok(program);
    }
    let mut install = cargo();
    install
        .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--quiet", "--root"])
        .arg(&directory);
    // What it is built from and in is of no use afterwards.
    let built = directory.join("build");
    install.env("CARGO_TARGET_DIR", &built).env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    run_command(&mut install)
        .map_err(|_| format!("cargo-deny {VERSION} cannot be installed; its check cannot run"))?;
    std::fs::remove_dir_all(&built)
        .map_err(|error| format!("cannot remove `{}`: {error}", built.display()))?;
    Ok(program)
}

fn is_there(program: &Path) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").stderr(Stdio::null());
    program.exists() && output(&mut version).is_ok_and(|version| version.trim_end().ends_with(VERSION))
}
