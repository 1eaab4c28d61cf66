//! The command as a child process: a process group of its own, waited for without being reaped too early.

use std::ffi::OsString;
use std::io;
use std::process::Child;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid};

use super::launch;

/// A running command.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// Of the process, and of its group.
    pid: Pid,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Exited(i32),
    Killed(i32),
    Stopped(i32),
}

impl Running {
    /// Starts the command in a process group of its own.
    pub(super) fn start(
        words: &[OsString],
        environment: &[(&str, Option<String>)],
        takes_terminal: bool,
    ) -> io::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let mut command = launch::command(words, takes_terminal)?;
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { child, pid })
    }

    pub(super) fn group(&self) -> Pid {
        self.pid
    }

    /// What has become of it, if anything has. Its end is told again and again: as long as it is not [reaped](Self::reap), nobody
    /// else gets its number.
    pub(super) fn change(&self) -> io::Result<Option<Change>> {
        let look = |options| loop {
            match waitid(WaitId::Pid(self.pid), options | WaitIdOptions::NOHANG) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok::<_, io::Error>(other?),
            }
        };
        let Some(status) = look(WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)? else {
            return Ok(None);
        };
        if let Some(signal) = status.stopping_signal() {
            // Each stop is told once. If it has ended since, the next look tells.
            let _ = look(WaitIdOptions::STOPPED);
            return Ok(Some(Change::Stopped(signal)));
        }
        Ok(match status.exit_status() {
            Some(code) => Some(Change::Exited(code)),
            None => status.terminating_signal().map(Change::Killed),
        })
    }

    /// Sends a signal to the whole group. That nobody is left to get it is no error.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match kill_process_group(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the system forget the ended command, and tells whether others are left in its group. As long as they are, nobody else
    /// gets the group's number.
    pub(super) fn reap(&mut self) -> bool {
        // It has ended, so this does not wait.
        let _ = self.child.wait();
        self.has_members()
    }

    /// Whether anybody is in the group, be it a process that has ended and was not waited for.
    pub(super) fn has_members(&self) -> bool {
        test_kill_process_group(self.pid).is_ok()
    }
}
