//! The signals that are passed on to the command, and the one that tells of its changes.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use crate::exit::Exit;

/// Those that are passed on.
const FORWARDED: [(Signal, fn() -> SignalKind); 6] = [
    (Signal::INT, SignalKind::interrupt),
    (Signal::TERM, SignalKind::terminate),
    (Signal::HUP, SignalKind::hangup),
    (Signal::QUIT, SignalKind::quit),
    (Signal::USR1, SignalKind::user_defined1),
    (Signal::USR2, SignalKind::user_defined2),
];

#[derive(Debug)]
pub(super) struct Signals {
    forwarded: Vec<(Signal, unix::Signal)>,
    children: unix::Signal,
}

impl Signals {
    /// From here on, these signals end this process no more.
    pub(super) fn catch() -> io::Result<Self> {
        let ignored = ignored();
        let forwarded = FORWARDED
            .into_iter()
            // Whoever started this with nohup means what was started.
            .filter(|(number, _)| ignored & (1 << (number.as_raw() - 1)) == 0)
            .map(|(number, kind)| Ok((number, signal(kind())?)))
            .collect::<io::Result<_>>()?;
        Ok(Self { forwarded, children: signal(SignalKind::child())? })
    }

    /// The next signal to be passed on.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (number, stream) in &mut self.forwarded {
                if let Poll::Ready(Some(())) = stream.poll_recv(context) {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next signal, or that something about a child has changed: then `None`.
    pub(super) async fn next_or_child(&mut self) -> Option<Signal> {
        poll_fn(|context| {
            if let Poll::Ready(Some(())) = self.children.poll_recv(context) {
                return Poll::Ready(None);
            }
            for (number, stream) in &mut self.forwarded {
                if let Poll::Ready(Some(())) = stream.poll_recv(context) {
                    return Poll::Ready(Some(*number));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// What is exited with because of a signal.
pub(super) fn exit_for(signal: i32) -> Exit {
    Exit::Code(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

/// The signals that this process was started to ignore, as a set of bits. Nobody tells elsewhere than on Linux.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

/// A signal's usual name.
pub(super) fn name(signal: Signal) -> String {
    match signal {
        Signal::INT => "SIGINT".to_owned(),
        Signal::TERM => "SIGTERM".to_owned(),
        Signal::HUP => "SIGHUP".to_owned(),
        Signal::QUIT => "SIGQUIT".to_owned(),
        Signal::USR1 => "SIGUSR1".to_owned(),
        Signal::USR2 => "SIGUSR2".to_owned(),
        Signal::KILL => "SIGKILL".to_owned(),
        other => format!("signal {}", other.as_raw()),
    }
}
