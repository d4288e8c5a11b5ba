//! A server that ends when the process that started it does.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::account::Account;

/// The shell script that runs a server. A process of its own can clean up behind one that was killed.
const SUPERVISOR: &str = include_str!("supervisor.sh");
/// How long a server may take to start, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often to try another port.
const PORTS: usize = 5;
/// What the log of a server says whose port somebody has taken.
const IN_USE: &str = "Address already in use";

/// A running server. Dropped, it ends, and its directory is removed; so it is when this process ends in any other way.
#[derive(Debug)]
pub(crate) struct Supervised {
    supervisor: Child,
    /// Closed by the system when we end. It is not inherited by what we start.
    lifeline: Option<ChildStdin>,
    directory: PathBuf,
}

impl Supervised {
    /// Starts a server in a directory, which is removed in the end. The signal ends the server at once.
    pub(crate) fn start<Argument: AsRef<OsStr>>(
        directory: TempDir,
        account: Option<Account>,
        signal: &str,
        command: &[Argument],
    ) -> Result<Self, String> {
        let started = Self::start_in(directory.path(), account, signal, command)?;
        let _ = directory.keep();
        Ok(started)
    }

    /// The same in a directory that has been used before.
    pub(crate) fn start_in<Argument: AsRef<OsStr>>(
        directory: &Path,
        account: Option<Account>,
        signal: &str,
        command: &[Argument],
    ) -> Result<Self, String> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SUPERVISOR, "sh", signal]).arg(directory).args(command);
        // Nothing of what surrounds a test is to change a server.
        shell
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("LC_ALL", "C")
            .env("TZ", "UTC");
        shell.current_dir(directory);
        // What waits for the output of a test must not wait for a server, nor does an interrupt from the terminal reach it.
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        if let Some(account) = account {
            account.run(&mut shell);
        }
        let mut supervisor = shell.spawn().map_err(|error| format!("cannot run `/bin/sh`: {error}"))?;
        let lifeline = supervisor.stdin.take();
        Ok(Self { supervisor, lifeline, directory: directory.to_owned() })
    }

    /// Where the server has its files.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps the directory when the server ends, or no longer.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub(crate) fn keep_directory(&self, keep: bool) -> Result<(), String> {
        let mark = self.directory.join("keep");
        let marked = if keep { fs::write(&mark, "") } else { fs::remove_file(&mark) };
        marked.map_err(|error| format!("cannot mark `{}`: {error}", self.directory.display()))
    }

    /// Waits until the server is ready.
    ///
    /// # Errors
    /// The last lines of its log, when it ends instead.
    pub(crate) fn wait_until(&mut self, is_ready: impl Fn(&Path) -> bool) -> Result<(), String> {
        let started = Instant::now();
        while !is_ready(&self.directory) {
            if self.supervisor.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Err(self.last_lines().unwrap_or_else(|error| error.to_string()));
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("not ready after {} s", PATIENCE.as_secs()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What the supervisor wrote when the server had ended.
    fn last_lines(&mut self) -> io::Result<String> {
        let mut text = String::new();
        if let Some(output) = &mut self.supervisor.stdout {
            output.read_to_string(&mut text)?;
        }
        Ok(text)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.lifeline = None;
        if let Err(error) = self.supervisor.wait() {
            eprintln!("cannot tell whether the server in `{}` has ended: {error}", self.directory.display());
        }
    }
}

/// Starts a server on a port of loopback that is free, or was a moment ago: if somebody takes it meanwhile, on another.
pub(crate) fn on_free_port<Started>(
    start: impl Fn(u16) -> Result<Started, String>,
) -> Result<Started, String> {
    let mut attempt = 1;
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("there is no free port: {error}"))?
            .port();
        match start(port) {
            Err(log) if attempt < PORTS && log.contains(IN_USE) => attempt += 1,
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests;
