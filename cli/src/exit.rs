//! How the program ends: every exit code, and the way failures are told.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The exit codes: those of sysexits.h where one fits, those of a shell for commands that cannot be started, and 128 + N for
/// signal N, as in a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    /// The lock was not granted. What `--conflict-exit-code` says instead comes as `Code`.
    NotGranted,
    /// What was checked is not as it should be.
    ClaimFailed,
    Usage,
    CannotConnect,
    Other,
    LockLost,
    NoPermission,
    WrongConfig,
    CannotExecute,
    NotFound,
    Interrupted,
    Terminated,
    /// That of the command that was run, or one that was asked for.
    Code(u8),
}

/// The table, as the help shows it.
const TABLE: [(Exit, u8, &str); 13] = [
    (Exit::Ok, 0, "all went well"),
    (
        Exit::NotGranted,
        1,
        "the lock was not granted: it is held (-n), or was in all that time (-w); -E changes this code",
    ),
    (
        Exit::ClaimFailed,
        1,
        "doctor: something is wrong; demo, bench: a claim did not hold; break, revoke: nobody was there",
    ),
    (Exit::Usage, 64, "the arguments are wrong"),
    (
        Exit::CannotConnect,
        69,
        "no session: no server reached, credentials refused, no such root, or lost while no lock was held",
    ),
    (Exit::Other, 70, "another error, told on standard error"),
    (Exit::LockLost, 75, "the lock was lost or given up (--max-hold, --yield-on-request), and the command was ended"),
    (Exit::NoPermission, 77, "the servers do not permit it"),
    (Exit::WrongConfig, 78, "the configuration is wrong"),
    (Exit::CannotExecute, 126, "the command cannot be executed"),
    (Exit::NotFound, 127, "the command does not exist"),
    (Exit::Interrupted, 130, "interrupted (Ctrl-C); in general 128 + N for signal N"),
    (Exit::Terminated, 143, "terminated (SIGTERM)"),
];

impl Exit {
    pub(crate) fn code(self) -> u8 {
        if let Exit::Code(code) = self {
            return code;
        }
        TABLE.iter().find(|(exit, ..)| *exit == self).map_or(u8::MAX, |(_, code, _)| *code)
    }

    /// The exit code for an error of the library.
    pub(crate) fn of(error: &fairlock::Error) -> Self {
        use fairlock::Error;
        match error {
            Error::InvalidPath { .. }
            | Error::InvalidConfig { .. }
            | Error::PermitsMismatch { .. }
            | Error::TooManyPermits { .. }
            | Error::TooLarge { .. } => Exit::Usage,
            Error::Unreachable { .. }
            | Error::NotZooKeeper { .. }
            | Error::AuthenticationFailed { .. }
            | Error::MissingChroot { .. } => Exit::CannotConnect,
            Error::NoPermission { .. } => Exit::NoPermission,
            Error::Timeout { .. } => Exit::NotGranted,
            Error::LockLost { .. } | Error::SessionLost { .. } | Error::Removed { .. } => Exit::LockLost,
            _ => Exit::Other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command ended before its end.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What standard error is told; `None` if nothing is to be said.
    error: Option<Box<dyn Error>>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error>>) -> Self {
        Self { exit, error: Some(error.into()) }
    }

    /// What is wrong with the arguments, and the table of arguments cannot express.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text.into())
    }

    /// One that needs no words.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { exit, error: None }
    }

    /// As a command that holds no lock fails: where its session is lost, so are the servers, and no lock.
    pub(crate) fn without_a_lock(self) -> Self {
        let exit = if self.exit == Exit::LockLost { Exit::CannotConnect } else { self.exit };
        Self { exit, ..self }
    }

    /// Tells it, and how to exit.
    pub(crate) fn tell(self) -> Exit {
        if let Some(error) = self.error {
            explain(&*error);
        }
        self.exit
    }
}

impl From<fairlock::Error> for Failure {
    fn from(error: fairlock::Error) -> Self {
        Self::new(Exit::of(&error), error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            // Who closes the pipe has seen enough.
            std::io::ErrorKind::BrokenPipe => Self::silent(Exit::Ok),
            _ => Self::new(Exit::Other, error),
        }
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

/// Tells something that is no error on standard error.
pub(crate) fn warn(what: std::fmt::Arguments<'_>) {
    // If nobody can read it, nobody can be told of that.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("fairlock: {what}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_its_code() {
        for (exit, code, _) in TABLE {
            assert_eq!(exit.code(), code);
        }
        assert!(TABLE.is_sorted_by_key(|(_, code, _)| *code));
        let lost = Failure::silent(Exit::LockLost).without_a_lock();
        assert_eq!(lost.exit, Exit::CannotConnect);
        // Only a refused lock and a failed check share one: no command has both.
        let shared = TABLE.windows(2).filter(|pair| pair[0].1 == pair[1].1).map(|pair| pair[0].0);
        assert_eq!(shared.collect::<Vec<_>>(), [Exit::NotGranted]);
    }
}
