//! Why a command did not do what it was asked, as one line and an exit code.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

/// Why a command ended without doing what it was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The command line, an environment variable or a file they name is wrong. Nothing was written.
    Configuration(String),
    /// It was refused, or something failed.
    Failed(String),
    /// Whoever reads our output has gone. There is nobody to tell.
    OutputClosed,
}

impl Failure {
    /// Wrong configuration.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration(message.into())
    }

    /// A failure, with everything that caused it.
    pub(crate) fn failed(context: &str, error: &dyn Error) -> Self {
        Self::Failed(format!("{context}: {}", chain(error)))
    }

    /// Prints the line, if there is one, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (message, code) = match self {
            Self::Configuration(message) => (message, 2),
            Self::Failed(message) => (message, 1),
            Self::OutputClosed => return ExitCode::FAILURE,
        };
        // If standard error is closed, the exit code has to do.
        let _ = writeln!(std::io::stderr().lock(), "error: {}", one_line(&message));
        ExitCode::from(code)
    }
}

/// An error and its sources, joined by `: `. What a source's message repeats of the one before is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        if !line.ends_with(&message) {
            let _ = write!(line, ": {message}");
        }
        source = error.source();
    }
    line
}

/// A message on one line: runs of line ends and the blanks around them become one blank, other control characters are
/// escaped, so that nothing in it can be taken for another line or move the cursor.
pub(crate) fn one_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut line = String::new();
    for character in lines.join(" ").chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        assert_eq!(
            one_line("no such file `a\nb`:\n\n  tab\there\u{1b}[2J"),
            "no such file `a b`: tab\\there\\u{1b}[2J"
        );
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl std::fmt::Display for Outer {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("the store failed")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = Outer(std::io::Error::other("disk full"));
        assert_eq!(chain(&error), "the store failed: disk full");
    }
}
