//! Runs a command with a PostgreSQL to test with at `DATABASE_URL`, and ends with its exit code. With `--missing-packages` it names
//! Debian's packages that are not installed and wanted, a line each.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use test_postgres::{Server, missing_packages};

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<u8, String> {
    let mut arguments = env::args_os().skip(1).peekable();
    if arguments.next_if(|argument| argument == "--missing-packages").is_some() {
        missing_packages().iter().for_each(|package| println!("{package}"));
        return Ok(0);
    }
    let program = arguments.next().ok_or("which command? `test-postgres COMMAND [ARG]…`")?;
    let server = Server::find()?;
    let status = Command::new(&program)
        .args(arguments)
        .env("DATABASE_URL", server.url())
        .status()
        .map_err(|error| format!("cannot run `{}`: {error}", program.display()))?;
    // As shells do for a command that a signal ended.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}
