//! `demo`: what it prints works when pasted.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command};

use serde_json::Value;

use crate::process::{Place, command};

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_line_that_the_demo_prints_works_when_pasted() {
    let place = Place::new();
    let mut command = command(&["demo", "--listen", "127.0.0.1:0"]);
    let mut demo = Demo(command.env("TMPDIR", place.directory.path()).spawn().expect("the binary runs"));
    let stdout = BufReader::new(demo.0.stdout.take().expect("a pipe"));
    let mut printed = Vec::new();
    for line in stdout.lines() {
        let line = line.expect("text");
        let is_last = line.contains("signin_with_api_key");
        printed.push(line);
        if is_last {
            break;
        }
    }
    let value = |name: &str| {
        let line =
            printed.iter().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{printed:?}"));
        line.split_whitespace().nth(1).expect("a value").to_owned()
    };
    assert!(value("url").starts_with("http://127.0.0.1:"));
    assert_eq!(value("token").split('.').count(), 3);

    let pasted: Vec<Pasted> =
        printed.iter().filter(|line| line.starts_with("curl ")).map(|line| paste(line)).collect();
    let pages: Vec<&Value> =
        pasted.iter().map(|pasted| &pasted.0).filter(|page| page["services"].is_array()).collect();
    let [first, second, readers] = pages.as_slice() else { panic!("{pasted:?}") };
    let names = |page: &Value| -> Vec<String> {
        let services = page["services"].as_array().expect("services");
        services.iter().map(|service| service["name"].as_str().expect("a name").to_owned()).collect()
    };
    let all = [names(first), names(second)].concat();
    assert_eq!(first["has_more"], true);
    assert_eq!(second["has_more"], false);
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted());
    assert!(
        readers["services"].as_array().expect("services").iter().all(|service| service["is_active"] == true)
    );
    assert!(pasted.iter().any(|pasted| pasted.0["id"].is_string()), "one creates");
    assert!(pasted.iter().any(|pasted| pasted.0["id_token"].is_string()), "one signs in");
    let docs = Command::new("curl").args(["-fsSL", &value("docs")]).output().expect("curl runs");
    assert!(docs.status.success());

    let status = Command::new("kill").args(["-TERM", &demo.0.id().to_string()]).status().expect("kill runs");
    assert!(status.success());
    assert_eq!(demo.0.wait().expect("a status").code(), Some(0));
    assert_eq!(place.files(), [""; 0], "the sample data are gone");
}

/// What a line answered: JSON, or null.
#[derive(Debug)]
struct Pasted(Value);

fn paste(line: &str) -> Pasted {
    let output = Command::new("bash").args(["-c", line]).output().expect("bash runs");
    assert!(output.status.success(), "{line}\n{output:?}");
    if output.stdout.is_empty() {
        return Pasted(Value::Null);
    }
    Pasted(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}\n{error}")))
}
