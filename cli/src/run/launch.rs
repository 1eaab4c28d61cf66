//! Between fork and exec: this program, started as the command's process, prepares itself and becomes the command.
//!
//! Some things have to happen in the new process itself, before the command runs: to ask for its own end should its parent die, to
//! make sure that the parent has not died before that was asked for, and to stop until the watchdog knows of it and the lock is
//! known to be good still. Rust does such between fork and exec only in unsafe code, so they happen in a process of this program
//! that then replaces itself by the command.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use fairlock::clock::{Clock as _, HostClock, Timestamp};
use rustix::process::{Signal, getpid, getppid, kill_process};

use super::terminal;
use super::watchdog::{nanos, point};
use crate::exit::{self, Exit};

/// The hidden command's name, its parent's process id, until when the lock is good, and then the command.
pub(crate) const NAME: &str = "__launch";

/// A command that prepares itself, and then stops until it is continued.
pub(super) fn command(words: &[OsString], until: Timestamp) -> io::Result<Command> {
    let mut command = Command::new(super::this_program()?);
    let (parent, until) = (std::process::id().to_string(), nanos(until).to_string());
    command.arg0("fairlock").arg(NAME).arg(parent).arg(until).args(words);
    Ok(command)
}

/// Becomes the command. Returns only if that fails.
pub(crate) fn become_command(mut arguments: impl Iterator<Item = OsString>) -> Exit {
    let mut number = || arguments.next().and_then(|text| text.to_str().and_then(|text| text.parse::<u64>().ok()));
    let (Some(parent), Some(until)) = (number(), number()) else { return Exit::Usage };
    let Some(program) = arguments.next() else { return Exit::Usage };

    let has_parent = || getppid().is_some_and(|pid| u64::try_from(pid.as_raw_nonzero().get()) == Ok(parent));
    if die_with_parent().is_err() || !has_parent() || kill_process(getpid(), Signal::STOP).is_err() {
        // Nobody would end it in time.
        return Exit::Other;
    }
    if HostClock.now() >= point(until) {
        exit::explain(&io::Error::other("the command was not begun: by now the lock may be lost"));
        return Exit::LockLost;
    }
    // A command that could not be stopped for it would change the terminal's modes under whoever has it.
    let _ = terminal::stop_for_output();
    let error = Command::new(&program).args(arguments).exec();
    let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotExecute };
    exit::explain(&io::Error::new(error.kind(), format!("cannot run {}: {error}", program.to_string_lossy())));
    exit
}

/// KILL, since a command may ignore everything else. The process that is told is this one, whatever it becomes.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Elsewhere only the [watchdog](super::watchdog) ends it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with_parent() -> io::Result<()> {
    Ok(())
}
