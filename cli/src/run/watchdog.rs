//! A second process that ends the command when the first cannot: killed, stopped, or asleep past the time that its lock is good
//! for.
//!
//! # The argument
//!
//! `fairlock run` ends the command before its lock can be another's. But it is a process like others: it can be killed with
//! -9, and it can be stopped, or starved, for longer than its session lives, and then nobody ends the command. So a watchdog runs
//! in a process group of its own. On a pipe it is told which group the command is, before the command's program is begun, and then
//! again and again until when the group may live. It kills the group
//!
//! * when the pipe ends without a goodbye: the first process is dead,
//! * when the time has come that it was told last, and nothing newer waits in the pipe: it may have been the watchdog that stood
//!   still.
//!
//! It kills nobody else's group: a group's number is not given away while it has members, or a leader that was not waited for. The
//! first process says goodbye as soon as it has waited for the leader and found the group empty. If the first process is dead,
//! init may wait for the leader first; for a stranger to be hit, the system would have to go through all its numbers, and give
//! this one away again, within that moment.
//!
//! What remains is a machine that is stopped as a whole, where the watchdog sleeps as well. It counts the time of suspension, and
//! kills as soon as it runs. That is what the fencing token is for.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use fairlock::clock::{Clock as _, HostClock, Timestamp};
use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::exit::Exit;

/// The hidden command's name.
pub(crate) const NAME: &str = "__watchdog";

/// A message: the group, 0 if there is none any more, and until when it may live, in nanoseconds of the host's clock.
const MESSAGE_BYTES: usize = 16;

/// How long its end is waited for, and how often it is looked for: there is nothing to wait on that has a limit.
const END_PATIENCE: Duration = Duration::from_secs(1);
const END_LOOK: Duration = Duration::from_micros(200);

/// The longest wait without a look at the clock, which counts suspension, while waiting does not.
const CLOCK_LOOK: Duration = Duration::from_millis(100);

/// The watchdog, as its owner sees it.
#[derive(Debug)]
pub(super) struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts one. It does nothing until it is told of a group.
    pub(super) fn start() -> io::Result<Self> {
        let mut child = Command::new(super::this_program()?)
            .arg0("fairlock")
            .arg(NAME)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Signals of the terminal are not for it.
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take();
        if let Some(pipe) = &pipe {
            // One that was stopped reads nothing; whoever writes to it must not stand still as well.
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { child, pipe })
    }

    /// The group lives until then, unless something newer is told.
    ///
    /// # Errors
    ///
    /// If the watchdog is dead, or has not listened for minutes.
    pub(super) fn tell(&mut self, group: Pid, until: Timestamp) -> io::Result<()> {
        let mut message = [0; MESSAGE_BYTES];
        let until_nanos = nanos(until);
        message[..8].copy_from_slice(&i64::from(group.as_raw_nonzero().get()).to_le_bytes());
        message[8..].copy_from_slice(&until_nanos.to_le_bytes());
        self.send(&message)
    }

    /// Starts another in the place of one that is of no use any more.
    pub(super) fn replace(&mut self) -> io::Result<()> {
        // Killed before its pipe ends, so that it does nothing about that.
        let _ = self.child.kill();
        let _ = self.child.wait();
        *self = Self::start()?;
        Ok(())
    }

    /// The group is no more; returns when the watchdog is no more either.
    pub(super) fn dismiss(&mut self) {
        // If it cannot be told, it is dead already.
        let _ = self.send(&[0; MESSAGE_BYTES]);
        self.end();
    }

    /// Ends it, which takes it a moment; unless somebody has stopped it, so that it has to be killed.
    fn end(&mut self) {
        self.pipe = None;
        let given_up_at = Instant::now() + END_PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= given_up_at {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(END_LOOK);
        }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match &mut self.pipe {
            // So little is taken in one piece or not at all.
            Some(pipe) => pipe.write_all(message),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // If it was told of a group and not dismissed, it kills that now.
        self.end();
    }
}

/// A point of the host's clock as it is passed on between processes.
pub(super) fn nanos(point: Timestamp) -> u64 {
    u64::try_from(point.since_origin().as_nanos()).unwrap_or(u64::MAX)
}

/// The same, read.
pub(super) fn point(nanos: u64) -> Timestamp {
    Timestamp::from_origin(Duration::from_nanos(nanos))
}

/// Watches, as the second process.
pub(crate) fn watch() -> Exit {
    // Whoever ends the first process means the command, not this.
    let _ = SigSet::all().thread_block();
    let mut ward: Option<(Pid, Timestamp)> = None;
    let stdin = io::stdin();
    loop {
        let patience = ward.map(|(_, until)| until.saturating_since(HostClock.now()));
        let timeout = patience.map(|patience| {
            let patience = patience.min(CLOCK_LOOK);
            Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() }
        });
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], timeout.as_ref()) {
            // Looked at only now, when nothing newer waits to be read.
            Ok(0) => match ward.filter(|_| patience.is_some_and(|patience| patience.is_zero())) {
                Some((group, _)) => {
                    end(group);
                    ward = None;
                }
                None => continue,
            },
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break,
            Ok(_) => {
                let mut message = [0; MESSAGE_BYTES];
                // Not through the buffer of the standard library, which would hide further messages from the poll. A message is
                // written in one piece, so it is read in one.
                if rustix::io::read(&stdin, &mut message) != Ok(MESSAGE_BYTES) {
                    break;
                }
                match parse(message) {
                    Some(told) => ward = Some(told),
                    None => return Exit::Ok,
                }
            }
        }
    }
    if let Some((group, _)) = ward {
        end(group);
    }
    Exit::Ok
}

fn parse(message: [u8; MESSAGE_BYTES]) -> Option<(Pid, Timestamp)> {
    let (group, until) = message.split_at(8);
    let group = i64::from_le_bytes(group.try_into().ok()?);
    let until = u64::from_le_bytes(until.try_into().ok()?);
    Some((Pid::from_raw(group.try_into().ok()?)?, point(until)))
}

fn end(group: Pid) {
    // If it is gone, so much the better.
    let _ = kill_process_group(group, Signal::KILL);
}
