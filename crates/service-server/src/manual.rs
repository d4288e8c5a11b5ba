//! What the definition of the command line is also good for: completions of shells, and the manual page.

use clap::{Arg, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::Roff;

use crate::cli::Cli;
use crate::failure::Failure;

/// What every command has, and is described once.
const COMMON: [&str; 3] = ["help", "log", "log_format"];

/// The completions of a shell.
///
/// # Errors
/// When they are no text.
pub(crate) fn completions(shell: Shell) -> Result<String, Failure> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut script);
    let script = text(script)?;
    // For bash, clap_complete 4.6 writes the hyphen of a program's name in one way where it notes which command is meant, and in another
    // where it looks for it, and so would complete no command of ours.
    Ok(match shell {
        Shell::Bash => script.replace(&name.replace('-', "__"), &name.replace('-', "__subcmd__")),
        _ => script,
    })
}

/// The manual page, as roff: one for all commands.
///
/// # Errors
/// When it cannot be rendered.
pub(crate) fn page() -> Result<String, Failure> {
    let mut root = Cli::command();
    root.build();
    let man = Man::new(root.clone());
    let mut page = Page::default();
    page.rendered(|page| man.render_title(page))?;
    page.section("SH", "NAME", |section| man.render_name_section(section))?;
    page.section("SH", "SYNOPSIS", |section| man.render_synopsis_section(section))?;
    page.section("SH", "DESCRIPTION", |section| man.render_description_section(section))?;
    page.section("SH", "OPTIONS", |section| man.render_options_section(section))?;
    page.heading("SH", "COMMANDS");
    root.get_subcommands().try_for_each(|command| page.commands(command))?;
    page.section("SH", "EXIT STATUS", |section| man.render_extra_section(section))?;
    text(page.0)
}

/// A page that is being written.
#[derive(Default)]
struct Page(Vec<u8>);

impl Page {
    /// Describes a command, or those it consists of.
    fn commands(&mut self, command: &clap::Command) -> Result<(), Failure> {
        if command.has_subcommands() {
            return command.get_subcommands().try_for_each(|command| self.commands(command));
        }
        let hide = |argument: Arg| {
            let is_common = COMMON.contains(&argument.get_id().as_str());
            argument.hide(is_common)
        };
        let man = Man::new(command.clone().mut_args(hide));
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
        self.section("SS", name, |section| man.render_synopsis_section(section))?;
        self.0.extend_from_slice(b".PP\n");
        self.body(|section| man.render_description_section(section))?;
        self.body(|section| man.render_options_section(section))
    }

    /// A section (`SH`), or one within it (`SS`), under a heading of ours.
    fn section(&mut self, level: &str, heading: &str, write: impl Write) -> Result<(), Failure> {
        self.heading(level, heading);
        self.body(write)
    }

    fn heading(&mut self, level: &str, heading: &str) {
        let heading = Roff::new().control(level, [heading]).to_roff();
        self.0.extend_from_slice(heading.as_bytes());
    }

    /// What a section says, without the heading it would have as a page of its own.
    fn body(&mut self, write: impl Write) -> Result<(), Failure> {
        let mut section = Self::default();
        section.rendered(write)?;
        let lines = section.0.split_inclusive(|byte| *byte == b'\n');
        let body = lines.skip_while(|line| !line.starts_with(b".SH")).skip(1);
        body.for_each(|line| self.0.extend_from_slice(line));
        Ok(())
    }

    fn rendered(&mut self, write: impl Write) -> Result<(), Failure> {
        write(&mut self.0).map_err(|error| Failure::failed("cannot render the manual page", &error))
    }
}

/// Writes a section.
trait Write: FnOnce(&mut Vec<u8>) -> std::io::Result<()> {}

impl<F: FnOnce(&mut Vec<u8>) -> std::io::Result<()>> Write for F {}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| Failure::failed("cannot print what is no text", &error))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use clap::ValueEnum as _;

    use super::*;

    /// Every command in words, and every flag.
    fn defined() -> (Vec<String>, Vec<String>) {
        fn walk(command: &clap::Command, commands: &mut Vec<String>, flags: &mut Vec<String>) {
            flags.extend(
                command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned),
            );
            if !command.has_subcommands() {
                commands.push(command.get_bin_name().unwrap().to_owned());
            }
            command.get_subcommands().for_each(|command| walk(command, commands, flags));
        }
        let mut root = Cli::command();
        root.build();
        let (mut commands, mut flags) = (Vec::new(), Vec::new());
        walk(&root, &mut commands, &mut flags);
        assert!(commands.len() > 10 && flags.len() > 20);
        (commands, flags)
    }

    #[test]
    fn the_page_describes_every_command_and_flag() {
        let page = page().unwrap_or_else(|failure| panic!("{failure:?}"));
        let (commands, flags) = defined();
        for command in commands {
            assert!(page.contains(&format!("\n.SS \"{command}\"\n")), "{command}\n{page}");
        }
        for flag in flags {
            let shown = flag.replace('-', "\\-");
            assert!(page.contains(&format!("\\fB\\-\\-{shown}\\fR")), "--{flag}\n{page}");
        }
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "\"EXIT STATUS\""] {
            assert_eq!(page.matches(&format!("\n.SH {section}\n")).count(), 1, "{section}");
        }
        assert!(page.contains("SERVICE_JWT_ACCEPTED_SECRET_FILE"));
    }

    #[test]
    fn every_shell_has_completions_of_every_command() {
        let (commands, _) = defined();
        for shell in Shell::value_variants() {
            let script = completions(*shell).unwrap_or_else(|failure| panic!("{failure:?}"));
            for word in commands.iter().flat_map(|command| command.split(' ')) {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    /// What bash offers after these words, the last of which is not complete.
    fn offered(words: &[&str]) -> Vec<String> {
        let script = completions(Shell::Bash).unwrap_or_else(|failure| panic!("{failure:?}"));
        let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let ask = format!(
            "{script}\nCOMP_WORDS=({line}); COMP_CWORD={}; _service__subcmd__server service-server \"${{COMP_WORDS[-1]}}\" x; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes() {
        assert_eq!(offered(&["service-server", "mai"]), ["maintenance"]);
        assert_eq!(offered(&["service-server", "catalog", "ap"]), ["apply"]);
        assert_eq!(offered(&["service-server", "maintenance", "o"]), ["on", "off"]);
        let (_, flags) = defined();
        let offered = [
            &["service-server", "serve", "--"] as &[_],
            &["service-server", "token", "--"],
            &["service-server", "api-key", "create", "--"],
            &["service-server", "--"],
        ]
        .map(offered)
        .concat();
        for flag in flags {
            assert!(offered.contains(&format!("--{flag}")), "--{flag}: {offered:?}");
        }
    }
}
