//! How the program ends: every exit code, and the way failures are told.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The exit codes: those of sysexits.h where one fits, and 128 + N for signal N, as in a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    ClaimFailed,
    Usage,
    CannotConnect,
    Other,
    Interrupted,
    Terminated,
}

/// The table, as the help shows it.
const TABLE: [(Exit, u8, &str); 7] = [
    (Exit::Ok, 0, "all went well"),
    (Exit::ClaimFailed, 1, "a claim of the demo did not hold"),
    (Exit::Usage, 64, "the arguments are wrong"),
    (Exit::CannotConnect, 69, "no server could be reached"),
    (Exit::Other, 70, "another error, told on standard error"),
    (Exit::Interrupted, 130, "interrupted (Ctrl-C)"),
    (Exit::Terminated, 143, "terminated (SIGTERM)"),
];

impl Exit {
    fn code(self) -> u8 {
        TABLE.iter().find(|(exit, ..)| *exit == self).map_or(u8::MAX, |(_, code, _)| *code)
    }

    /// The exit code for an error of the library.
    pub(crate) fn of(error: &fairlock::Error) -> Self {
        use fairlock::Error;
        match error {
            Error::InvalidPath { .. } | Error::InvalidConfig { .. } => Exit::Usage,
            Error::Unreachable { .. }
            | Error::NotZooKeeper { .. }
            | Error::AuthenticationFailed { .. }
            | Error::MissingChroot { .. } => Exit::CannotConnect,
            _ => Exit::Other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The table as text, for the long help.
pub(crate) fn table() -> String {
    let mut text = String::from("Exit codes:\n");
    for (_, code, meaning) in TABLE {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {code:>3}  {meaning}");
    }
    text
}

/// Tells an error and its causes on standard error.
pub(crate) fn explain(error: &dyn Error) {
    let mut message = format!("fairlock: {error}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(message, "  caused by: {error}");
        cause = error.source();
    }
    // If nobody can read it, the exit code still tells.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), message.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_a_code_of_its_own() {
        let mut codes: Vec<_> = TABLE.iter().map(|(exit, code, _)| (exit.code(), *code)).collect();
        assert!(codes.iter().all(|(used, listed)| used == listed));
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
    }
}
