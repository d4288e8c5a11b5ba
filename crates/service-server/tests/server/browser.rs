//! A headless Chromium, driven over a pipe by its DevTools protocol: messages of JSON, each ended by a zero byte.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// What names the program to use, where it is not the `chromium` in `PATH`.
const OVERRIDE: &str = "TEST_CHROMIUM";
/// Gives it the pipe where it looks for one.
const LAUNCH: &str = r#"exec "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#;
/// No other host can be reached, whatever a page asks for, and the program asks nobody of its own accord.
const FLAGS: [&str; 14] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-proxy-server",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--window-size=1280,2400",
];

/// A browser with one page. It ends when it is dropped, and also when this process ends: its pipe closes then.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    /// What happened in the page, as far as it was read.
    events: Vec<Value>,
    session: Option<String>,
    last_id: u64,
    profile: TempDir,
}

impl Browser {
    /// Starts one with an empty profile.
    pub(crate) fn start() -> Self {
        let program = find(std::env::var_os(OVERRIDE).as_deref(), std::env::var_os("PATH").as_deref());
        let program = program.unwrap_or_else(|line| panic!("{line}"));
        let profile = tempfile::tempdir().expect("a directory");
        let log = File::create(profile.path().join("log")).expect("a file");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LAUNCH, "sh"]).arg(program).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().join("profile").display()));
        command.arg("about:blank").env("HOME", profile.path());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().expect("the shell runs");
        let commands = child.stdin.take().expect("a pipe");
        let pipe = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, messages) = channel();
        thread::spawn(move || {
            let parsed = pipe.split(0).map_while(Result::ok);
            parsed
                .map_while(|message| serde_json::from_slice(&message).ok())
                .try_for_each(|message: Value| sender.send(message))
        });
        let events = Vec::new();
        let mut browser = Self { child, commands, messages, events, session: None, last_id: 0, profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens a page, and waits until it has loaded.
    pub(crate) fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert_eq!(opened.get("errorText"), None, "{opened}");
        let deadline = Instant::now() + PATIENCE;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive(deadline);
            self.events.push(event);
        }
    }

    /// What an expression of JavaScript gives, once it gives something, which it may do when the page has changed.
    pub(crate) fn eventually(&mut self, expression: &str) -> Value {
        let patience = PATIENCE.as_millis();
        let wait = format!(
            "new Promise((resolve, reject) => {{
                const look = () => {{ const found = {expression}; if (found) resolve(found); return found; }};
                if (look()) return;
                const observer = new MutationObserver(() => {{ if (look()) observer.disconnect(); }});
                const all = {{subtree: true, childList: true, attributes: true, characterData: true}};
                observer.observe(document, all);
                setTimeout(() => reject(new Error('not in time')), {patience});
            }})"
        );
        let parameters = json!({"expression": wait, "awaitPromise": true, "returnByValue": true});
        let outcome = self.call("Runtime.evaluate", parameters);
        assert_eq!(outcome.get("exceptionDetails"), None, "{expression}");
        outcome["result"]["value"].clone()
    }

    /// Clicks on what a selector finds first, once it is there.
    pub(crate) fn click(&mut self, selector: &str) {
        let selector = json!(selector);
        self.eventually(&format!(
            "(() => {{ const it = document.querySelector({selector}); it?.click(); return !!it; }})()"
        ));
    }

    /// Types into what a selector finds first, over what stands there.
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        let selector = json!(selector);
        self.eventually(&format!(
            "(() => {{ const it = document.querySelector({selector}); it?.focus(); it?.select(); return !!it; }})()"
        ));
        self.call("Input.insertText", json!({"text": text}));
        let typed = format!("document.querySelector({selector})?.value === {}", json!(text));
        self.eventually(&typed);
    }

    /// The text of what a selector finds first, once there is some.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let found = self.eventually(&format!("document.querySelector({})?.innerText", json!(selector)));
        found.as_str().expect("text").to_owned()
    }

    /// What happened in the page so far: the parameters of each event of a kind.
    pub(crate) fn events(&self, method: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["method"] == method).map(|event| &event["params"]).collect()
    }

    /// Has the browser do something, and gives what it says.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        // Where it has ended, the wait for an answer says so.
        let _ = self.commands.write_all(&bytes);
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            let message = self.receive(deadline);
            if message["id"] == self.last_id {
                assert_eq!(message.get("error"), None, "{method}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn receive(&mut self, deadline: Instant) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        self.messages.recv_timeout(left).unwrap_or_else(|error| {
            let log = fs::read_to_string(self.profile.path().join("log")).unwrap_or_default();
            panic!("the browser does not answer: {error}, {:?}\n{log}", self.child.try_wait())
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that is named, or the one in a path like `PATH`; else one line that says what to install.
fn find(named: Option<&OsStr>, path: Option<&OsStr>) -> Result<PathBuf, String> {
    let in_path = || path.into_iter().flat_map(std::env::split_paths).map(|place| place.join("chromium"));
    let mut places = named.map(PathBuf::from).into_iter().chain(in_path().filter(|_| named.is_none()));
    places.find(|program| program.is_file()).ok_or_else(|| {
        format!(
            "no Chromium to test with: install Debian's package `chromium`, or name another with {OVERRIDE}"
        )
    })
}

#[test]
fn one_line_says_what_to_install_where_there_is_no_browser() {
    let empty = tempfile::tempdir().expect("a directory");
    let line = find(None, Some(empty.path().as_os_str())).expect_err("there is none");
    assert!(line.contains("install Debian's package `chromium`") && line.lines().count() == 1, "{line}");
    let program = empty.path().join("chromium");
    assert!(find(Some(program.as_os_str()), None).is_err(), "one that is named must be there");
    fs::write(&program, "").expect("written");
    assert_eq!(find(None, Some(empty.path().as_os_str())), Ok(program.clone()));
    assert_eq!(find(Some(program.as_os_str()), None), Ok(program));
}
