//! Runs the binary, and talks to it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The secret that the servers here sign with.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const AGENT: &str = "6630f0a0a1b2c3d4e5f60001";
pub(crate) const STATE_MACHINE: &str = "6630f0a0b1b2c3d4e5f60001";
/// How long anything here may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, with nothing in its environment that the tests did not put there.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_service-server"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SERVICE_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// What it printed, once it is clear that it succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The one line it printed, once it is clear that it failed with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let line = self.stderr.strip_suffix('\n').and_then(|line| line.strip_prefix("error: "));
        let line = line.unwrap_or_else(|| panic!("{self:?}")).to_owned();
        assert!(!line.contains('\n'), "{line}");
        line
    }
}

/// Runs a command to its end, which is brought about if it does not come by itself: a server that should have refused to start would go
/// on for ever.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let child = command.spawn().expect("the binary runs");
    let id = child.id().to_string();
    let (ended, end) = channel::<()>();
    let watch = thread::spawn(move || {
        if end.recv_timeout(2 * PATIENCE) == Err(RecvTimeoutError::Timeout) {
            Command::new("kill").args(["-KILL", &id]).status().expect("kill runs");
        }
    });
    let output = child.wait_with_output().expect("its output");
    drop(ended);
    watch.join().expect("nobody is left behind");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A directory with a catalog file, and a store yet to be made.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("text").to_owned()
    }

    pub(crate) fn store(&self) -> String {
        format!("sqlite:{}", self.path("registry.sqlite"))
    }

    /// The names of the files in it.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = self.directory.path().read_dir().expect("a directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("written");
        path
    }

    /// The path of a catalog with the organization `acme` and its admin `alice`.
    pub(crate) fn catalog(&self) -> String {
        let permissions = [
            "GetService",
            "CreateService",
            "UpdateService",
            "CreateVersionSet",
            "UpdateVersionSet",
            "DeleteVersionSet",
        ];
        let grants: Vec<Value> = permissions
            .iter()
            .map(|name| json!({"permission_name": format!("Service:{name}"), "conditions": {}}))
            .collect();
        let catalog = json!({"organizations": [{
            "id": "acme",
            "agents": [{"id": AGENT, "name": "Coach", "latest_version": 3}],
            "state_machines": [{"id": STATE_MACHINE, "name": "Intake", "latest_version": 2}],
            "roles": [{"name": "admin", "grants": grants}],
            "users": [{"id": "alice", "roles": ["admin"]}]
        }]});
        self.write("catalog.json", &catalog.to_string())
    }

    /// Applies that catalog to the store.
    pub(crate) fn apply_catalog(&self) {
        let outcome = run(&mut command(&["catalog", "apply", &self.catalog(), "--store", &self.store()]));
        outcome.succeeded();
    }
}

/// A token of `alice` of `acme`.
pub(crate) fn token() -> String {
    let arguments = ["token", "--org", "acme", "--user", "alice"];
    run(command(&arguments).env("SERVICE_JWT_SECRET", SECRET)).succeeded().trim_end().to_owned()
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    /// What it has written to standard error since.
    pub(crate) lines: Receiver<String>,
    token: String,
    client: reqwest::Client,
}

impl Server {
    /// Starts one on a free port, with the secret of the tests.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        Self::spawn(command(&arguments).env("SERVICE_JWT_SECRET", SECRET))
    }

    /// Starts one as told.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut seen = Vec::new();
        let url = loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => match line.strip_prefix("listening on ") {
                    Some(url) => break url.to_owned(),
                    None => seen.push(line),
                },
                Err(_) => panic!("the server does not listen: {seen:?}, {:?}", child.try_wait()),
            }
        };
        Self { child, url, lines, token: token(), client: reqwest::Client::new() }
    }

    /// Its address, without the scheme.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("a URL")
    }

    /// A request of `alice` to the organization `acme`.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/v1/acme/service/{path}", self.url);
        self.client.request(method, url).bearer_auth(&self.token).timeout(PATIENCE)
    }

    /// A plain request.
    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        let request = self.client.get(format!("{}{path}", self.url)).timeout(PATIENCE);
        request.send().await.expect("an answer")
    }

    /// Creates a service and gives its id.
    pub(crate) async fn create(&self, name: &str) -> String {
        let answer = self.request(Method::POST, "").json(&body(name)).send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        let answer: Value = answer.json().await.expect("JSON");
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// The names of the services, sorted; there are at most twenty.
    pub(crate) async fn names(&self) -> Vec<String> {
        let request = self.request(Method::GET, "?limit=20&sort_by=%2Bname");
        let page: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        let services = page["services"].as_array().unwrap_or_else(|| panic!("{page}"));
        services.iter().map(|service| service["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Which process it is.
    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        // Standard error closes when the process ends, so this waits without asking over and over.
        while let Ok(_line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {}
        assert!(Instant::now() < deadline, "the server does not end");
        self.child.wait().expect("a status")
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.ended().code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body that creates a service.
pub(crate) fn body(name: &str) -> Value {
    json!({
        "name": name, "description": "Helps.", "is_active": true, "agent_id": AGENT,
        "service_hierarchical_state_machine_id": STATE_MACHINE, "tags": {}
    })
}
