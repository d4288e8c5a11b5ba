//! Where the programs of a server are.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names the one directory to look in.
const OVERRIDE: &str = "TEST_POSTGRES_BIN";

/// What to do where there is no PostgreSQL.
const NO_POSTGRES: &str = "no PostgreSQL to test with: set DATABASE_URL, or install Debian's package `postgresql` or any other that has `initdb`";
/// What to do where there is no PgBouncer.
const NO_PGBOUNCER: &str =
    "no PgBouncer to test with: install Debian's package `pgbouncer` or any other that has it";

/// Where packages put the programs of a server, a `*` for the version.
const USUAL: [&str; 8] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/lib/postgresql*/bin",
    "/usr/local/pgsql*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// Where to look.
#[derive(Debug)]
pub(crate) enum Places {
    /// Wherever programs usually are.
    Usual,
    /// In one directory.
    Only(PathBuf),
}

impl Places {
    /// What `TEST_POSTGRES_BIN` says.
    pub(crate) fn of_environment() -> Self {
        std::env::var_os(OVERRIDE).map_or(Self::Usual, |directory| Self::Only(directory.into()))
    }

    /// The directory with the programs of PostgreSQL.
    ///
    /// # Errors
    /// One line that says what to install.
    pub(crate) fn postgres(&self) -> Result<PathBuf, String> {
        let is_complete = |directory: &PathBuf| has(directory, "initdb") && has(directory, "postgres");
        let found = match self {
            Self::Only(directory) => Some(directory.clone()).filter(is_complete),
            Self::Usual => path()
                .into_iter()
                .find(is_complete)
                .or_else(|| configured().filter(is_complete))
                .or_else(|| USUAL.iter().flat_map(|pattern| versions(pattern)).find(is_complete)),
        };
        found.ok_or_else(|| NO_POSTGRES.to_owned())
    }

    /// The program `pgbouncer`.
    ///
    /// # Errors
    /// One line that says what to install.
    pub(crate) fn pgbouncer(&self) -> Result<PathBuf, String> {
        let directories = match self {
            Self::Only(directory) => vec![directory.clone()],
            // What only administrators are thought to run is not in everybody's `PATH`.
            Self::Usual => {
                path().into_iter().chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from)).collect()
            }
        };
        let found = directories.into_iter().find(|directory| has(directory, "pgbouncer"));
        found.map(|directory| directory.join("pgbouncer")).ok_or_else(|| NO_PGBOUNCER.to_owned())
    }
}

/// Debian's packages that have what is not installed and tests want: those that crash a server want one of their own, also where
/// `DATABASE_URL` names one. Nothing is missing that is looked for where `TEST_POSTGRES_BIN` says, and nowhere else.
pub fn missing_packages() -> Vec<&'static str> {
    let places = Places::of_environment();
    if matches!(places, Places::Only(_)) {
        return Vec::new();
    }
    let postgres = places.postgres().is_err().then_some("postgresql");
    let pgbouncer = places.pgbouncer().is_err().then_some("pgbouncer");
    postgres.into_iter().chain(pgbouncer).collect()
}

fn path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end()))
}

fn has(directory: &Path, program: &str) -> bool {
    directory.is_absolute() && directory.join(program).is_file()
}

/// The directories that a pattern with one `*` stands for, the highest version first.
fn versions(pattern: &str) -> Vec<PathBuf> {
    let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let version = numbers(entry.file_name().to_str()?.strip_prefix(prefix)?);
            Some((version, entry.path().join(after.trim_start_matches('/'))))
        })
        .collect();
    found.sort_unstable_by_key(|(version, _)| Reverse(version.clone()));
    found.into_iter().map(|(_, directory)| directory).collect()
}

/// The numbers in a name: 9.6 comes before 10.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_to_install_where_there_is_nothing() {
        let empty = tempfile::tempdir().unwrap();
        let places = Places::Only(empty.path().to_owned());
        let lines = [(places.postgres(), "`postgresql`"), (places.pgbouncer(), "`pgbouncer`")];
        for (outcome, package) in lines {
            let line = outcome.unwrap_err();
            assert!(line.contains("install Debian's package") && line.contains(package), "{line}");
            assert_eq!(line.lines().count(), 1);
        }
        fs::write(empty.path().join("initdb"), "").unwrap();
        assert!(places.postgres().is_err(), "half of it is not enough");
        fs::write(empty.path().join("postgres"), "").unwrap();
        assert_eq!(places.postgres().unwrap(), empty.path());
    }

    #[test]
    fn the_highest_version_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "10", "common"] {
            fs::create_dir_all(directory.path().join(version).join("bin")).unwrap();
        }
        let pattern = format!("{}/*/bin", directory.path().display());
        let expected =
            ["15", "10", "9.6", "common"].map(|version| directory.path().join(version).join("bin"));
        assert_eq!(versions(&pattern), expected);
        assert_eq!(versions("/nowhere/at/all/*/bin"), [] as [PathBuf; 0]);
    }
}
