//! A private server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::account::{self, Account};
use crate::programs::Places;
use crate::supervised::{Supervised, on_free_port};

/// Makes the files of a server, unless they are there, and becomes the server; its arguments are the directory of programs and those of the server.
///
/// The order and the character types of the cluster itself are the simplest there are: they are no matter, databases have their own.
const SERVE: &str = r#"
programs=$1
shift
[ -e data ] ||
"$programs/initdb" --pgdata=data --username=postgres --pwfile=password --auth=password --encoding=UTF8 --no-locale --no-sync &&
exec "$programs/postgres" -D data "$@"
"#;

/// How many kilobytes of memory a server may be given for its files: containers tend to have 64 MB, which one soon fills.
const ENOUGH: u64 = 4 << 20;

/// The signal that tells PostgreSQL to end without finishing anything.
const IMMEDIATE: &str = "QUIT";

/// What a server promises about transactions that were committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// They survive anything, as on a server in use.
    Kept,
    /// They are lost with the machine, which makes tests quick.
    #[default]
    GivenUp,
}

/// How a server ends that has no time to finish anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It is told to end at once: PostgreSQL's immediate shutdown.
    Immediate,
    /// Its first process is killed. The others notice.
    Killed,
}

/// How long a server that has crashed may take to start again, on a machine that does much else.
const RECOVERY: Duration = Duration::from_secs(60);

/// A private server of programs that are installed. Dropped, it ends, and its files are removed; so it is when the process ends in
/// any other way.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    directory: PathBuf,
    account: Option<Account>,
    command: Vec<String>,
    /// `None` between a crash and the start after it.
    supervised: Option<Supervised>,
}

impl Cluster {
    /// Starts a server, on a free port of loopback. Takes a second or two, and blocks meanwhile.
    ///
    /// # Errors
    /// One line that says what to install, where there are no programs; the last lines of the log, when the server does not start.
    pub fn start(durability: Durability) -> Result<Self, String> {
        Self::start_with(durability, &[])
    }

    /// The same with further settings, such as `shared_buffers=1GB`, which go before those that a server for tests has.
    ///
    /// # Errors
    /// As [`start`](Self::start); also when the server does not take a setting.
    pub fn start_with(durability: Durability, further: &[&str]) -> Result<Self, String> {
        let programs = Places::of_environment().postgres()?;
        on_free_port(|port| Self::start_on(port, &programs, durability, further))
    }

    fn start_on(
        port: u16,
        programs: &Path,
        durability: Durability,
        further: &[&str],
    ) -> Result<Self, String> {
        let (directory, account) = account::directory(&place(durability))?;
        let password = random()?;
        account::write(&directory.path().join("password"), &password, account)?;
        let mut settings = vec![
            format!("port={port}"),
            "listen_addresses=127.0.0.1".into(),
            "unix_socket_directories=".into(),
            "max_connections=200".into(),
            "shared_buffers=64MB".into(),
            "max_wal_size=256MB".into(),
        ];
        if durability == Durability::GivenUp {
            settings
                .extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(str::to_owned));
        }
        // Where a setting comes twice, the server takes the last.
        settings.extend(further.iter().map(|&setting| setting.to_owned()));
        let program =
            programs.to_str().ok_or("the programs of PostgreSQL are in a directory whose name is no text")?;
        let mut command: Vec<String> = ["/bin/sh", "-c", SERVE, "sh", program].map(str::to_owned).into();
        command.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let mut supervised = Supervised::start(directory, account, IMMEDIATE, &command)?;
        supervised
            .wait_until(is_ready)
            .map_err(|log| format!("PostgreSQL in `{program}` does not start:\n{}", log.trim_end()))?;
        let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        let directory = supervised.directory().to_owned();
        Ok(Self { url, directory, account, command, supervised: Some(supervised) })
    }

    /// Ends the server without letting it finish anything, and keeps its files. Returns when it takes no connections any more. Does
    /// nothing if it has crashed already.
    ///
    /// If the process ends before [`restart`](Self::restart) in another way than by dropping this value, the files stay.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn crash(&mut self, how: Crash) -> Result<(), String> {
        let Some(supervised) = &self.supervised else { return Ok(()) };
        supervised.keep_directory(true)?;
        if how == Crash::Killed {
            let id = process_id(&self.directory).ok_or("the server does not say which process it is")?;
            let killed = Command::new("kill").args(["-KILL", &id]).status();
            if !killed.map_err(|error| format!("cannot run `kill`: {error}"))?.success() {
                return Err(format!("cannot kill the process {id}"));
            }
        }
        // What is dropped waits for the end.
        self.supervised = None;
        Ok(())
    }

    /// Starts a server that has crashed again, on the same files and the same port, and waits until it has recovered. Does nothing if
    /// it has not crashed.
    ///
    /// # Errors
    /// The last lines of the log, when it does not start.
    pub fn restart(&mut self) -> Result<(), String> {
        if self.supervised.is_some() {
            return Ok(());
        }
        let (before, begun) = (process_id(&self.directory), Instant::now());
        // The file may still be that of the server that was killed.
        let is_ready_again = |directory: &Path| {
            state(directory).is_some_and(|state| state.is_ready && Some(state.process_id) != before)
        };
        loop {
            let mut supervised =
                Supervised::start_in(&self.directory, self.account, IMMEDIATE, &self.command)?;
            match supervised.wait_until(is_ready_again) {
                Ok(()) => {
                    supervised.keep_directory(false)?;
                    self.supervised = Some(supervised);
                    return Ok(());
                }
                // As long as a process of the one that crashed is left, another refuses to start.
                Err(log) if begun.elapsed() > RECOVERY => {
                    return Err(format!("PostgreSQL does not start again:\n{}", log.trim_end()));
                }
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The address of its database `postgres`, with the name and the password of its owner.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its files are: the log is `log`, the server's own are in `data`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.supervised.is_none()
            && let Err(error) = fs::remove_dir_all(&self.directory)
        {
            eprintln!("cannot remove `{}`: {error}", self.directory.display());
        }
    }
}

/// Where the files of a server are to be: in memory if that is as good and there is enough of it, because a clone there takes a tenth
/// of the time. `TMPDIR` decides where it is given.
fn place(durability: Durability) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let is_free = std::env::var_os("TMPDIR").is_none() && durability == Durability::GivenUp;
    if is_free && available(memory).is_some_and(|kilobytes| kilobytes >= ENOUGH) {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// How many kilobytes a file system has left.
fn available(directory: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(directory).output().ok()?;
    let table = String::from_utf8(output.stdout).ok()?;
    table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// What a server, or the last there was, has written into the file of its process id.
struct State {
    /// Its first process.
    process_id: String,
    /// Whether it takes connections.
    is_ready: bool,
}

/// Read at once, as a server that starts puts its own file in the place of one that was left.
fn state(directory: &Path) -> Option<State> {
    let lines = fs::read_to_string(directory.join("data/postmaster.pid")).ok()?;
    Some(State {
        process_id: lines.lines().next()?.trim().to_owned(),
        is_ready: lines.lines().any(|line| line.trim_end() == "ready"),
    })
}

fn is_ready(directory: &Path) -> bool {
    state(directory).is_some_and(|state| state.is_ready)
}

fn process_id(directory: &Path) -> Option<String> {
    state(directory).map(|state| state.process_id)
}

/// A password that nobody guesses: whoever may use a server may run programs as its user.
fn random() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("the machine has no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
