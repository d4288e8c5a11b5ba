use clap::CommandFactory as _;

use super::*;

fn failure(arguments: &[&str]) -> String {
    let arguments = std::iter::once("service-server").chain(arguments.iter().copied());
    match parse(arguments.map(OsString::from)) {
        Err(Failure::Configuration(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_has_the_environment_variable_of_its_name_and_the_manual_names_both() {
    const MANUAL: &str = include_str!("../../../../docs/operations.md");
    fn check(command: &clap::Command) {
        for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
            let flag = argument.get_long().expect("a flag");
            if ["help", "version"].contains(&flag) {
                continue;
            }
            let expected = format!("SERVICE_{}", flag.replace('-', "_").to_uppercase());
            let actual = argument.get_env().map(|name| name.to_string_lossy().into_owned());
            assert_eq!(actual.as_deref(), Some(expected.as_str()), "--{flag} of {}", command.get_name());
            assert!(
                MANUAL.lines().any(|line| {
                    line.starts_with(&format!("| `--{flag} ")) && line.contains(&format!("`{expected}`"))
                }),
                "--{flag}"
            );
        }
        command.get_subcommands().for_each(check);
    }
    let mut command = Cli::command();
    command.build();
    check(&command);
}

#[test]
fn what_is_wrong_is_said_without_the_usage() {
    for (arguments, message) in [
        (
            &["serve", "--store", "mysql:x"] as &[_],
            "the value of `--store <URL>` must be `memory:`, `sqlite:PATH` or `postgres://…`",
        ),
        (
            &["serve", "--store", "memory:", "--listen", "here"],
            "the value `here` of `--listen <ADDRESS>` is wrong: invalid socket address syntax",
        ),
        (
            &["token", "--org", "acme", "--user", "alice", "--ttl", "soon"],
            "the value `soon` of `--ttl <TIME>` is wrong: must be a number and `s`, `m`, `h` or `d`, such as `15m`, and \
             from `1s` to `3650d`",
        ),
    ] {
        assert_eq!(failure(arguments), message);
    }
}
