//! Who may read from the terminal, and whom its keys interrupt: one process group at a time.
//!
//! The command's group is not ours, so where we have the terminal's foreground, it has not. A command that asks a question, as ssh or
//! an editor does, is stopped when it reads; then the foreground is given to it, and it is continued. Not before: others of our
//! group, such as the pager behind a pipe or a script's next line, may need the terminal while the command does not.
//!
//! Once the command has the foreground, Ctrl-C interrupts it alone, and Ctrl-Z stops it alone, so what is above us has to be told of
//! both.

use std::fs::{File, OpenOptions};
use std::io;

use nix::sys::signal::{SigSet, Signal as Blocked};
use rustix::process::{Pid, Signal, getpgrp, kill_current_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::process::Process;

/// The terminal that belongs to this session.
#[derive(Debug)]
pub(super) struct Terminal {
    device: File,
}

impl Terminal {
    /// `None` if there is none.
    pub(super) fn open() -> Option<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
        Some(Self { device })
    }

    /// Whether this group has the foreground.
    pub(super) fn is_with(&self, group: Pid) -> bool {
        tcgetpgrp(&self.device).is_ok_and(|foreground| foreground == group)
    }

    /// Gives the foreground to this group, if it is ours; whether the group has it then.
    pub(super) fn give_to(&self, group: Pid) -> bool {
        self.is_with(group) || self.is_with(getpgrp()) && tcsetpgrp(&self.device, group).is_ok()
    }

    /// Takes the foreground back from this group. If others have it by now, they keep it.
    pub(super) fn take_back_from(&self, group: Pid) {
        if self.is_with(group) {
            // If the terminal is gone, nobody needs it.
            let _ = tcsetpgrp(&self.device, getpgrp());
        }
    }
}

/// From now on, this process may change the foreground and write to the terminal from the background without being stopped for it.
pub(super) fn never_stop_for_output() -> io::Result<()> {
    Ok(output_signal().thread_block()?)
}

/// The opposite, for what this process becomes: it has inherited that.
pub(super) fn stop_for_output() -> io::Result<()> {
    Ok(output_signal().thread_unblock()?)
}

fn output_signal() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Blocked::SIGTTOU);
    signals
}

/// Why this process stops itself, as the terminal would have stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The key was pressed.
    Key,
    /// The command needs the foreground, which is not with us: whoever has started us may have it to give.
    NeedsForeground,
}

/// Stops this process and its group until it is continued; not if nobody could continue it, and whether it did.
pub(super) fn stop_own_group(stop: Stop) -> bool {
    let signal = match stop {
        // Not TSTP, which is caught here.
        Stop::Key => Signal::STOP,
        Stop::NeedsForeground => Signal::TTIN,
    };
    can_be_continued() && kill_current_process_group(signal).is_ok()
}

/// Whether somebody in this session looks after this group: the shell that has started it. The kernel asks the same before it lets
/// Ctrl-Z stop anybody.
fn can_be_continued() -> bool {
    let Some(own) = Process::of(std::process::id().cast_signed()) else { return false };
    let mut process = own;
    loop {
        match Process::of(process.parent) {
            Some(parent) if parent.session != own.session => return false,
            Some(parent) if parent.group != own.group => return true,
            // A script of the same group; perhaps somebody looks after that.
            Some(parent) => process = parent,
            None => return false,
        }
    }
}
