//! Who may read from the terminal, and whom its keys interrupt: one process group at a time.
//!
//! A command that asks a question, as ssh or an editor does, has to be in the terminal's foreground, or it is stopped when it
//! reads. As its group is not ours, it is put there while it runs, if that is where we are. Then Ctrl-C interrupts the command
//! alone, and Ctrl-Z stops it alone, so what is above us has to be told of both.

use std::fs::{File, OpenOptions};
use std::io;

use nix::sys::signal::{SigSet, Signal as Blocked};
use rustix::process::{Pid, Signal, getpgrp, kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// The terminal, while this process has its foreground.
#[derive(Debug)]
pub(super) struct Terminal {
    device: File,
}

impl Terminal {
    /// `None` if there is none, or others have its foreground.
    pub(super) fn of_this_process() -> Option<Self> {
        let device = open().ok()?;
        (tcgetpgrp(&device).ok()? == getpgrp()).then_some(Self { device })
    }

    /// Gives the foreground to the command's group.
    pub(super) fn give_to(&self, group: Pid) -> io::Result<()> {
        without_being_stopped(|| Ok(tcsetpgrp(&self.device, group)?))
    }

    /// Takes the foreground back.
    pub(super) fn take_back(&self) -> io::Result<()> {
        self.give_to(getpgrp())
    }
}

/// Whether there is a terminal that could have stopped anybody.
pub(super) fn exists() -> bool {
    open().is_ok()
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// Moves the foreground of the terminal to this process's group.
pub(super) fn take_for_own_group() -> io::Result<()> {
    let device = open()?;
    without_being_stopped(|| Ok(tcsetpgrp(&device, getpgrp())?))
}

/// Stops this process and its group, as Ctrl-Z does, until it is continued.
pub(super) fn stop_own_group() -> io::Result<()> {
    // Not TSTP, which the kernel withholds from groups that no shell looks after.
    Ok(kill_process_group(getpgrp(), Signal::STOP)?)
}

/// Who changes the foreground from the background is stopped for it, unless it blocks that signal.
fn without_being_stopped<T>(action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut signals = SigSet::empty();
    signals.add(Blocked::SIGTTOU);
    let before = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
    let outcome = action();
    before.thread_set_mask()?;
    outcome
}
