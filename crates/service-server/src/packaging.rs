//! What is installed beside the binary, and what the manuals tell operators to type, against the definition of the command line.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::cli::{Cli, SECRETS};
use crate::{connections, health};

/// What is installed, from the root of the repository.
const INSTALLED: [&str; 4] =
    ["Dockerfile", "compose.yml", "packaging/service-registry.service", ".github/workflows/ci.yml"];

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The installed files and the manuals, with their names.
fn texts() -> Vec<(String, String)> {
    let manuals = fs::read_dir(root().join("docs")).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        format!("docs/{name}")
    });
    let names = INSTALLED.map(str::to_owned).into_iter().chain(["README.md".to_owned()]).chain(manuals);
    names.filter(|name| root().join(name).is_file()).map(|name| (name.clone(), read(&name))).collect()
}

fn definition() -> clap::Command {
    let mut root = Cli::command();
    root.build();
    root
}

fn variables(command: &clap::Command, known: &mut BTreeSet<String>) {
    let names = command.get_arguments().filter_map(|argument| argument.get_env());
    known.extend(names.map(|name| name.to_str().unwrap().to_owned()));
    command.get_subcommands().for_each(|command| variables(command, known));
}

/// The variables of the server that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |character: char| character.is_ascii_uppercase() || character == '_';
    let words = text.split(|character: char| !is_part(character));
    words.filter(|word| word.starts_with("SERVICE_") && word.len() > "SERVICE_".len()).collect()
}

/// The command lines of the server in a text: what follows its name, up to what ends a command.
fn command_lines(text: &str) -> Vec<String> {
    // Lists of arguments, as containers have them, are command lines too; a long line goes on after a backslash.
    let text = text
        .replace("\\\n", " ")
        .replace("ENTRYPOINT [\"/usr/bin/service-server\"]\nCMD [", "service-server ");
    let text = text.replace("\", \"", " ").replace("command: [", "service-server ");
    let lines = text
        .lines()
        .flat_map(|line| line.split("service-server ").skip(1).map(str::to_owned).collect::<Vec<_>>());
    let end = ['`', '|', '>', ';', ')', '&', '#'];
    let lines = lines.map(|line| line.replace("on\\|off", "on").split(end).next().unwrap().to_owned());
    // Prose that names the program goes on with something else than a command in lower case.
    lines
        .map(|line| line.replace(['"', ']'], " ").trim().to_owned())
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect()
}

/// What is wrong with a command line: no such command, or no such flag of it.
fn fault(line: &str) -> Option<String> {
    let root = definition();
    let mut command = &root;
    for word in line.split_whitespace() {
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split('=').next().unwrap();
            if !command.get_arguments().any(|argument| argument.get_long() == Some(flag)) {
                return Some(format!("`{}` has no flag `--{flag}`", command.get_name()));
            }
        } else if command.has_subcommands() {
            match command.find_subcommand(word) {
                Some(found) => command = found,
                None => return Some(format!("`{}` has no command `{word}`", command.get_name())),
            }
        }
    }
    None
}

#[test]
fn every_variable_that_is_named_is_one() {
    let mut known = BTreeSet::from(SECRETS.map(str::to_owned));
    variables(&definition(), &mut known);
    let mut seen = 0;
    for (name, text) in texts() {
        for variable in named(&text) {
            assert!(known.contains(variable), "{name} names {variable}, which nothing reads");
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
    assert_eq!(
        named("SERVICE_STORE=$(SERVICE_X), `SERVICE_LOG`"),
        BTreeSet::from(["SERVICE_LOG", "SERVICE_STORE", "SERVICE_X"])
    );
}

#[test]
fn every_command_line_that_is_written_down_is_one() {
    for (name, least) in [("Dockerfile", 2), ("compose.yml", 1), (INSTALLED[2], 1), (INSTALLED[3], 1)] {
        assert!(command_lines(&read(name)).len() >= least, "{name}: {:?}", command_lines(&read(name)));
    }
    for (name, text) in texts() {
        for line in command_lines(&text) {
            assert_eq!(fault(&line), None, "{name}: service-server {line}");
        }
    }
    assert_eq!(fault("serve --store memory: --log=info"), None);
    assert_eq!(fault("serve --fast").as_deref(), Some("`serve` has no flag `--fast`"));
    assert_eq!(fault("catalog drop").as_deref(), Some("`catalog` has no command `drop`"));
    assert_eq!(fault("token --store memory:").as_deref(), Some("`token` has no flag `--store`"));
}

/// The number after a word, wherever that stands in a text.
fn numbers(text: &str, word: &str) -> Vec<u64> {
    let rest = text.split(word).skip(1);
    rest.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap())
        .collect()
}

#[test]
fn whoever_stops_the_server_gives_it_the_time_that_it_takes() {
    let grace = connections::GRACE_TIME.as_secs();
    for (name, word, least) in [
        (INSTALLED[2], "TimeoutStopSec=", grace),
        ("compose.yml", "stop_grace_period: ", grace),
        ("Dockerfile", "--timeout=", health::PATIENCE.as_secs()),
    ] {
        let numbers = numbers(&read(name), word);
        assert!(!numbers.is_empty() && numbers.iter().all(|number| *number > least), "{name}: {numbers:?}");
    }
}

#[test]
fn the_unit_allows_as_many_files_as_there_are_connections() {
    let definition = definition();
    let serve = definition.find_subcommand("serve").unwrap();
    let connections = serve.get_arguments().find(|argument| argument.get_long() == Some("max-connections"));
    let default = connections.unwrap().get_default_values()[0].to_str().unwrap().parse::<u64>().unwrap();
    let limits = numbers(&read(INSTALLED[2]), "LimitNOFILE=");
    assert!(!limits.is_empty() && limits.iter().all(|limit| *limit > 2 * default), "{limits:?}");
}

#[test]
fn everything_is_built_with_the_same_rust() {
    let of_workspace = read("Cargo.toml");
    let version = of_workspace.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(read("Dockerfile").contains(&format!("\nFROM rust:{version}-")));
    let workflow = read(INSTALLED[3]);
    let named: Vec<&str> = workflow
        .split("toolchain install ")
        .skip(1)
        .chain(workflow.split("rustup default ").skip(1))
        .collect();
    assert!(
        named.len() > 1 && named.iter().all(|rest| rest.starts_with(&format!("{version}."))),
        "{named:?}"
    );
}

#[test]
fn the_image_runs_as_a_user_without_rights_and_asks_for_its_own_health() {
    let image = read("Dockerfile");
    assert!(
        numbers(&image, "\nUSER ").iter().all(|user| *user >= 1000),
        "a number, so that a cluster can tell"
    );
    assert_eq!(numbers(&image, "\nUSER ").len(), 1);
    assert!(image.contains(r#"CMD ["/usr/bin/service-server", "health"]"#));
    assert!(image.trim_end().ends_with("ENTRYPOINT [\"/usr/bin/service-server\"]\nCMD [\"serve\"]"));
}
