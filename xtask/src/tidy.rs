//! `cargo xtask tidy`: what the docs name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{output, root};

/// The commands of this program.
const XTASK: [&str; 6] = ["test", "ci", "deny", "bench", "tidy", "help"];
/// The commands of the server.
const SERVER: [&str; 14] = [
    "serve",
    "demo",
    "migrate",
    "catalog apply",
    "export",
    "import",
    "check",
    "api-key create",
    "token",
    "maintenance",
    "openapi",
    "health",
    "completions",
    "man",
];
/// What paths in the docs begin with.
const TOP: [&str; 10] = [
    "crates/",
    "docs/",
    "tests/",
    "benches/",
    "xtask/",
    "packaging/",
    ".ci/",
    ".cargo/",
    ".config/",
    ".github/",
];
/// What betrays the machine a file was written on.
const MACHINE: [&str; 2] = ["/home/", "/Users/"];

/// Compares the docs with the tree.
///
/// # Errors
/// Everything that is named and not there, or there and not named.
pub fn run() -> Result<(), String> {
    let root = root();
    let mut faults = crate_table(&root)?;
    for document in documents(&root)? {
        let text = read(&document)?;
        let name = document.strip_prefix(&root).unwrap_or(&document).display().to_string();
        for (number, line) in text.lines().enumerate() {
            let at_fault = line_faults(&root, line);
            let at_fault = at_fault.into_iter().chain(dangling(document.parent().unwrap_or(&root), line));
            faults.extend(at_fault.map(|fault| format!("{name}:{}: {fault}", number + 1)));
        }
    }
    faults.extend(machine_paths(&root)?);
    if faults.is_empty() {
        println!("the docs name what is there");
        Ok(())
    } else {
        Err(format!("the docs and the tree differ:\n  {}", faults.join("\n  ")))
    }
}

/// The crates in the table of `docs/architecture.md`, against those in `crates/`.
fn crate_table(root: &Path) -> Result<Vec<String>, String> {
    let architecture = read(&root.join("docs/architecture.md"))?;
    let named: BTreeSet<String> = architecture
        .lines()
        .filter_map(|line| line.strip_prefix("| `crates/")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let directory = root.join("crates");
    let mut present = BTreeSet::new();
    for entry in fs::read_dir(&directory).map_err(|error| format!("cannot read `crates`: {error}"))? {
        let entry = entry.map_err(|error| error.to_string())?;
        if entry.path().join("Cargo.toml").exists() {
            present.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    let missing =
        present.difference(&named).map(|name| format!("docs/architecture.md has no row for `crates/{name}`"));
    let stale = named
        .difference(&present)
        .map(|name| format!("docs/architecture.md has a row for `crates/{name}`, which is not there"));
    Ok(missing.chain(stale).collect())
}

fn documents(root: &Path) -> Result<Vec<PathBuf>, String> {
    let tracked = tracked(root)?;
    Ok(tracked
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md" || extension == "yml"))
        .collect())
}

/// The paths and commands on a line that do not exist.
fn line_faults(root: &Path, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for code in
        line.split('`').skip(1).step_by(2).chain(std::iter::once(line).filter(|line| is_command(line)))
    {
        if TOP.iter().any(|top| code.starts_with(top)) && !code.contains(['<', '…', '*', ' ', '{']) {
            let path = code.split(['#', ':']).next().unwrap_or(code);
            if !root.join(path).exists() {
                faults.push(format!("there is no `{path}`"));
            }
        }
        for (program, commands) in
            [("cargo xtask ", XTASK.as_slice()), ("service-server ", SERVER.as_slice())]
        {
            if let Some((_, rest)) = code.split_once(program)
                && rest.starts_with(|first: char| first.is_ascii_lowercase())
                && !commands.iter().any(|command| begins_with(rest, command))
            {
                faults.push(format!("there is no command `{program}{rest}`"));
            }
        }
    }
    faults
}

/// The links on a line, relative to a directory, that lead to no file.
fn dangling(directory: &Path, line: &str) -> Vec<String> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let files = targets.filter(|target| !target.is_empty() && !target.contains("://"));
    files.filter(|file| !directory.join(file).exists()).map(|file| format!("there is no `{file}`")).collect()
}

/// Whether words begin with those of a command.
fn begins_with(words: &str, command: &str) -> bool {
    words.strip_prefix(command).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
}

/// Whether a line is, as in a block of code or a step of a workflow, a command and nothing else.
fn is_command(line: &str) -> bool {
    let line =
        line.trim_start().trim_start_matches("- ").trim_start_matches("run: ").trim_start_matches("$ ");
    line.starts_with("cargo xtask ") || line.starts_with("service-server ")
}

/// Tracked files that name a place on the machine they were written on.
fn machine_paths(root: &Path) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for path in tracked(root)? {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        // This file names them in order to find them.
        if name == "xtask/src/tidy.rs" {
            continue;
        }
        // What is no text has no paths to read.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(place) = MACHINE.iter().find(|place| line.contains(**place)) {
                faults.push(format!("{name}:{}: `{place}…` is a place on one machine", number + 1));
            }
        }
    }
    Ok(faults)
}

fn tracked(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut git = std::process::Command::new("git");
    let files = output(git.current_dir(root).args(["ls-files", "-z"]))?;
    let paths = files.split('\0').filter(|name| !name.is_empty()).map(|name| root.join(name));
    Ok(paths.filter(|path| path.is_file()).collect())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(line: &str) -> usize {
        line_faults(&root(), line).len()
    }

    #[test]
    fn paths_that_are_there_pass_and_others_do_not() {
        assert_eq!(faults("see `docs/architecture.md`, `crates/service-core` and `crates/<name>`"), 0);
        assert_eq!(faults("see `docs/nothing.md` and `crates/service-nothing/src`"), 2);
    }

    #[test]
    fn links_that_lead_somewhere_pass_and_others_do_not() {
        let line =
            "[a](docs/architecture.md#crates), [b](https://example.org/x), [c](docs/nothing.md), [d](#here)";
        assert_eq!(dangling(&root(), line), ["there is no `docs/nothing.md`"]);
    }

    #[test]
    fn commands_that_exist_pass_and_others_do_not() {
        assert_eq!(
            faults(
                "`cargo xtask test --sdk`, `service-server catalog apply FILE`, the service-server binary"
            ),
            0
        );
        assert_eq!(faults("    cargo xtask tests"), 1);
        assert_eq!(faults("      - run: cargo xtask ci"), 0);
        assert_eq!(faults("      - run: cargo xtask all"), 1);
        assert_eq!(faults("`service-server restore --store URL`"), 1);
    }
}
