//! The signals that are passed on to the command, the one that tells of its changes, and the key that stops both.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use super::terminal::{self, Stop};
use crate::exit::Exit;
use crate::ignored::Ignored;

/// Those that are passed on. TSTP is for the terminal's key only: while nothing runs it does nothing.
const FORWARDED: [Signal; 7] =
    [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::TSTP];

/// Those by which somebody wants everything to end.
const ENDING: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::QUIT];

#[derive(Debug)]
pub(super) struct Signals {
    forwarded: Vec<(Signal, unix::Signal)>,
    children: unix::Signal,
}

impl Signals {
    /// From here on, these signals end this process no more.
    pub(super) fn catch() -> io::Result<Self> {
        let ignored = Ignored::at_start();
        let forwarded = FORWARDED
            .into_iter()
            // Whoever started this with nohup means what was started.
            .filter(|number| !ignored.contains(*number))
            .map(|number| Ok((number, signal(SignalKind::from_raw(number.as_raw()))?)))
            .collect::<io::Result<_>>()?;
        Ok(Self { forwarded, children: signal(SignalKind::child())? })
    }

    /// The next signal that ends a wait.
    pub(super) async fn next(&mut self) -> Signal {
        loop {
            match self.next_or_child().await {
                // Nothing runs yet that could be stopped: the key stops this process alone.
                Some(Signal::TSTP) => _ = terminal::stop_own_group(Stop::Key),
                Some(signal) => return signal,
                None => {}
            }
        }
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

/// Whether who sends this signal wants everything to end, as a service manager does.
pub(super) fn is_ending(signal: Signal) -> bool {
    ENDING.contains(&signal)
}

/// Whether this ends a candidacy, while no command runs that the signal could be meant for.
pub(super) fn ends_a_candidate(signal: Signal) -> bool {
    is_ending(signal) || signal == Signal::HUP
}

/// What is exited with because of a signal.
pub(super) fn exit_for(signal: i32) -> Exit {
    Exit::Code(u8::try_from(128 + signal).unwrap_or(u8::MAX))
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
        Signal::TSTP => "SIGTSTP".to_owned(),
        Signal::KILL => "SIGKILL".to_owned(),
        other => format!("signal {}", other.as_raw()),
    }
}
