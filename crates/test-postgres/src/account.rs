//! Whose files and processes those of a server are: PostgreSQL refuses to run as root.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// An unprivileged user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Makes a command run as this user.
    pub(crate) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a file or directory to this user.
    pub(crate) fn own(self, path: &Path) -> Result<(), String> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|error| format!("cannot give `{}` to an unprivileged user: {error}", path.display()))
    }

    /// The user `postgres` if the machine has one, else `nobody`.
    fn unprivileged() -> Result<Self, String> {
        let users = fs::read_to_string("/etc/passwd")
            .map_err(|error| format!("cannot read `/etc/passwd`: {error}"))?;
        Self::named(&users, "postgres")
            .or_else(|| Self::named(&users, "nobody"))
            .ok_or_else(|| "there is neither a user `postgres` nor `nobody` to run a server as".into())
    }

    fn named(users: &str, name: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_wanted = fields.next() == Some(name);
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            is_wanted.then_some(Self { uid, gid })
        })
    }
}

/// A new temporary directory in a place or, if that is not open to the user, in `/tmp`; and the user who owns it where that is not who
/// we are.
pub(crate) fn directory(preferred: &Path) -> Result<(TempDir, Option<Account>), String> {
    let make = |parent: &Path| {
        tempfile::Builder::new()
            .prefix("test-postgres-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(|error| format!("cannot make a directory in `{}`: {error}", parent.display()))
    };
    let directory = make(preferred)?;
    let owner = fs::metadata(directory.path()).map_err(|error| error.to_string())?.uid();
    if owner != 0 {
        return Ok((directory, None));
    }
    let directory = if is_open_to_all(preferred) { directory } else { make(Path::new("/tmp"))? };
    let account = Account::unprivileged()?;
    account.own(directory.path())?;
    Ok((directory, Some(account)))
}

/// Writes a file that none but its owner may read.
pub(crate) fn write(path: &Path, text: &str, account: Option<Account>) -> Result<(), String> {
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    account.map_or(Ok(()), |account| account.own(path))
}

/// Whether anyone may come here, and make and remove files of their own.
fn is_open_to_all(directory: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    mode(directory) & 0o003 == 0o003 && directory.ancestors().all(|ancestor| mode(ancestor) & 0o001 == 0o001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104:,,,:/var/lib:/bin/sh\nbroken\n";
        assert_eq!(Account::named(users, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::named(users, "nobody"), None);
    }

    #[test]
    fn a_directory_that_only_its_owner_enters_is_not_open_to_all() {
        let private = tempfile::tempdir().unwrap();
        assert!(!is_open_to_all(private.path()));
        assert!(!is_open_to_all(&private.path().join("nothing")));
        assert!(is_open_to_all(Path::new("/tmp")));
    }
}
