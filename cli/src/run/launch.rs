//! Between fork and exec: this program, started as the command's process, prepares itself and becomes the command.
//!
//! Three things have to happen in the new process itself, before the command runs: to ask for its own end should its parent
//! die, to make sure that the parent has not died before that was asked for, and to take the terminal. Rust does such between
//! fork and exec only in unsafe code, so they happen in a process of this program that then replaces itself by the command.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::getppid;

use super::terminal;
use crate::exit::{self, Exit};

/// The hidden command's name, its parent's process id, whether to take the terminal, and then the command.
pub(crate) const NAME: &str = "__launch";

/// A command that prepares itself.
pub(super) fn command(words: &[OsString], takes_terminal: bool) -> io::Result<Command> {
    let mut command = Command::new(super::this_program()?);
    command
        .arg0("fairlock")
        .arg(NAME)
        .arg(std::process::id().to_string())
        .arg(u8::from(takes_terminal).to_string())
        .args(words);
    Ok(command)
}

/// Becomes the command. Returns only if that fails.
pub(crate) fn become_command(mut arguments: impl Iterator<Item = OsString>) -> Exit {
    let mut number = || arguments.next().and_then(|text| text.to_str().and_then(|text| text.parse::<i32>().ok()));
    let (Some(parent), Some(takes_terminal)) = (number(), number()) else { return Exit::Usage };
    let Some(program) = arguments.next() else { return Exit::Usage };

    if die_with_parent().is_err() || getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        // Nobody would end it in time.
        return Exit::Other;
    }
    if takes_terminal == 1 {
        // Without it the command is stopped when it reads from the terminal, which is then seen and tried again.
        let _ = terminal::take_for_own_group();
    }
    let error = Command::new(&program).args(arguments).exec();
    let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotExecute };
    exit::explain(&io::Error::new(error.kind(), format!("cannot run {}: {error}", program.to_string_lossy())));
    exit
}

/// KILL, since a command may ignore everything else. The process that is told is this one, whatever it becomes.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

/// Elsewhere only the [watchdog](super::watchdog) ends it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with_parent() -> io::Result<()> {
    Ok(())
}
