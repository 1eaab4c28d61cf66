//! The command as a child process: a process group of its own, waited for without being reaped too early.

use std::ffi::OsString;
use std::io;
use std::process::Child;

use fairlock::clock::Timestamp;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, test_kill_process_group, waitid,
};

use super::launch;
use super::process::Process;

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
    /// Starts the command in a process group of its own. It is stopped, and its program not yet begun, when this returns: CONT
    /// begins it, unless the lock was good only until before.
    pub(super) fn start(
        words: &[OsString],
        environment: &[(&str, Option<String>)],
        until: Timestamp,
    ) -> io::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let mut command = launch::command(words, until)?;
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let running = Self { child, pid };
        // It does nothing before but prepare itself, so this takes no longer than starting a process does.
        running.wait(WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)?;
        running.wait(WaitIdOptions::STOPPED | WaitIdOptions::NOHANG)?;
        Ok(running)
    }

    pub(super) fn group(&self) -> Pid {
        self.pid
    }

    /// What has become of it, if anything has. Its end is told again and again: as long as it is not [reaped](Self::reap), nobody
    /// else gets its number.
    pub(super) fn change(&self) -> io::Result<Option<Change>> {
        let anything = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let Some(status) = self.wait(anything)? else { return Ok(None) };
        if let Some(signal) = status.stopping_signal() {
            // Each stop is told once. If it has ended since, the next look tells.
            self.wait(WaitIdOptions::STOPPED | WaitIdOptions::NOHANG)?;
            return Ok(Some(Change::Stopped(signal)));
        }
        Ok(match status.exit_status() {
            Some(code) => Some(Change::Exited(code)),
            None => status.terminating_signal().map(Change::Killed),
        })
    }

    fn wait(&self, options: WaitIdOptions) -> io::Result<Option<WaitIdStatus>> {
        loop {
            match waitid(WaitId::Pid(self.pid), options) {
                Err(Errno::INTR) => {}
                // Of a process that has ended, no stop can be told.
                Err(Errno::CHILD) if !options.contains(WaitIdOptions::EXITED) => return Ok(None),
                other => return Ok(other?),
            }
        }
    }

    /// Sends a signal to the whole group. That nobody is left to get it is no error.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match kill_process_group(self.pid, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
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

    /// Whether anybody is alive in the group.
    pub(super) fn has_members(&self) -> bool {
        // What the command has left behind are our own children where we are what others are left to, as in a container.
        while matches!(waitid(WaitId::Pgid(Some(self.pid)), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(Some(_)))
        {
        }
        let is_empty = || test_kill_process_group(self.pid) == Err(Errno::SRCH) || self.has_zombies_only();
        // Twice: a process that had been passed over may have started another where one look was already through.
        !(is_empty() && is_empty())
    }

    /// Whether there are processes of the group to be seen, and all of them are dead, and wait for somebody who does not come. That
    /// nobody is seen proves nothing: others' processes may be hidden.
    fn has_zombies_only(&self) -> bool {
        let group = self.pid.as_raw_nonzero().get();
        let members = Process::all().into_iter().flatten().filter(|process| process.group == group);
        let (mut zombies, mut living) = (0, 0);
        for member in members {
            *(if member.is_alive { &mut living } else { &mut zombies }) += 1;
        }
        zombies > 0 && living == 0
    }
}
