//! How long a private server lives: this package's program starts one whenever `DATABASE_URL` is not given.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A directory that servers may have theirs in, whoever they run as.
fn open_to_all() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    directory
}

/// The program, where nothing but what is installed helps it.
fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-postgres"));
    command.env_remove("DATABASE_URL").env("TMPDIR", directory);
    command
}

fn shell(directory: &Path, script: &str) -> Output {
    program(directory).args(["sh", "-c", script]).output().unwrap()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "not in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Ends a process as nothing else does: it has no time to clean up.
fn kill(process: &mut Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_command_has_a_server_and_its_exit_code_is_kept() {
    let directory = open_to_all();
    let output = shell(directory.path(), "ls $TMPDIR; echo $DATABASE_URL; exit 7");
    assert_eq!(output.status.code(), Some(7));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("test-postgres-") && text.contains("\npostgres://postgres:"), "{text}");
    assert!(is_empty(directory.path()), "the server has ended before the program does");
}

#[test]
fn the_server_of_a_killed_process_ends_and_its_directory_goes() {
    let directory = open_to_all();
    let mut process = program(directory.path())
        .args(["sh", "-c", "echo $DATABASE_URL; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let address = url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
    assert!(TcpStream::connect(&address).is_ok(), "{address}");
    kill(&mut process);
    eventually("the directory goes", || is_empty(directory.path()));
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn a_server_that_is_only_starting_when_its_process_is_killed_ends_too() {
    let directory = open_to_all();
    let mut process = program(directory.path()).arg("true").spawn().unwrap();
    eventually("initdb has begun", || {
        let server = fs::read_dir(directory.path()).unwrap().next();
        server.is_some_and(|server| server.unwrap().path().join("data/base").exists())
    });
    kill(&mut process);
    eventually("the directory goes", || is_empty(directory.path()));
}

#[test]
fn a_server_that_is_given_is_taken() {
    let directory = open_to_all();
    let given = "postgres://me@db.example.org/mine";
    let output = program(directory.path())
        .args(["sh", "-c", "ls $TMPDIR; echo $DATABASE_URL"])
        .env("DATABASE_URL", given)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{given}\n"));
}

#[test]
fn where_there_is_no_postgresql_one_line_says_what_to_install() {
    let directory = open_to_all();
    let output =
        program(directory.path()).arg("true").env("TEST_POSTGRES_BIN", directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("set DATABASE_URL, or install Debian's package `postgresql`"), "{line}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let directory = open_to_all();
    for (name, script) in
        [("initdb", "#!/bin/sh\nexit 0\n"), ("postgres", "#!/bin/sh\necho the disk is gone; exit 1\n")]
    {
        let path = directory.path().join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output =
        program(directory.path()).arg("true").env("TEST_POSTGRES_BIN", directory.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("does not start:\nthe disk is gone"), "{text}");
}
