//! The server that is measured, as a process of its own.

use std::io::{BufRead as _, BufReader, copy, sink};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{available_parallelism, spawn};

use service_registry_benches::{Error, organization, resident};

/// What tokens are signed with. Nobody else is on loopback.
const SECRET: (&str, &str) = ("SERVICE_JWT_SECRET", "the secret of a server that is measured");

/// A server, for as long as this value lives.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

impl Server {
    /// Starts the program on a SQLite file, on the first processor.
    pub(crate) fn start(program: &Path, file: &Path) -> Result<Self, Error> {
        let organization = organization()?;
        let token = Command::new(program)
            .args(["token", "--user", "alice", "--ttl", "1h", "--org", organization.as_str()])
            .env(SECRET.0, SECRET.1)
            .output()
            .map_err(|error| format!("cannot run `{}`: {error}", program.display()))?;
        let token = String::from_utf8(token.stdout)?.trim().to_owned();
        let mut process = Command::new("taskset")
            .args(["--cpu-list", "0"])
            .arg(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", "off", "--store"])
            .arg(format!("sqlite:{}", file.display()))
            .env(SECRET.0, SECRET.1)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run `taskset` (of util-linux): {error}"))?;
        let mut lines = BufReader::new(process.stderr.take().ok_or("the server has no standard error")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.ok_or_else(|| format!("the server did not start: {}", line.trim()))?.parse()?;
        // It logs as it does where nobody says otherwise.
        spawn(move || copy(&mut lines, &mut sink()));
        Ok(Self { process, address, token })
    }

    /// How many kilobytes of memory it holds.
    pub(crate) fn resident(&self) -> Result<i64, Error> {
        resident(&self.process.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Has this process run on the second processor, whoever reads what the server logs included.
pub(crate) fn pin() -> Result<(), Error> {
    if available_parallelism()?.get() < 2 && !is_pinned()? {
        return Err("it takes two processors: one for the server, one for whoever asks".into());
    }
    let id = std::process::id().to_string();
    let done = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", "1", &id])
        .stdout(Stdio::null())
        .status()?;
    if done.success() { Ok(()) } else { Err("`taskset` could not choose a processor".into()) }
}

fn is_pinned() -> Result<bool, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(allowed.is_some_and(|list| list.trim() == "1"))
}
