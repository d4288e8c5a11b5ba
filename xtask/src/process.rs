//! Runs other programs, and says which.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The root of the workspace.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The cargo that runs us, in the root of the workspace.
pub fn cargo() -> Command {
    in_root(Command::new(cargo_path()))
}

/// The same cargo, run by a program that takes a command.
pub fn cargo_under(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(cargo_path());
    in_root(command)
}

fn cargo_path() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn in_root(mut command: Command) -> Command {
    command.current_dir(root());
    // What cargo says of this package is not meant for the commands it starts.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME"] {
        command.env_remove(variable);
    }
    command
}

/// Builds everything just as the tests need it, so that nothing is built twice, and gives the path of a program of the workspace.
///
/// # Errors
/// When something does not build.
pub fn built(program: &str) -> Result<PathBuf, String> {
    let arguments = ["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"];
    let messages = output(cargo().args(arguments))?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find_map(|message: Value| {
            let target = &message["target"];
            let is_wanted = target["name"] == program && target["kind"] == serde_json::json!(["bin"]);
            let is_program = message["profile"]["test"] == Value::Bool(false);
            message["executable"].as_str().filter(|_| is_wanted && is_program).map(PathBuf::from)
        })
        .ok_or_else(|| format!("cargo did not say where `{program}` is"))
}

/// Where cargo puts what it builds, and we put what is installed for this project alone.
///
/// # Errors
/// When cargo does not say.
pub fn target_directory() -> Result<PathBuf, String> {
    let metadata = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| "cargo has no target directory".into())
}

/// Runs a command to its end.
///
/// # Errors
/// When it does not succeed.
pub fn run(command: &mut Command) -> Result<(), String> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed: {status}")) }
}

/// Runs a command to its end and gives what it wrote to standard output.
///
/// # Errors
/// When it does not succeed.
pub fn output(command: &mut Command) -> Result<String, String> {
    let shown = show(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` failed: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` wrote something that is no text"))
}

fn show(command: &Command) -> String {
    let name = |word| Path::new(word).file_name().unwrap_or(word);
    let cargo = cargo_path();
    let arguments = command.get_args().map(|word| if word == cargo { name(word) } else { word });
    let words = std::iter::once(name(command.get_program())).chain(arguments);
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
