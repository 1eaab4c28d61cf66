//! The signals that end a view: caught, so that the terminal is restored and the session closed.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

pub(super) struct Ending {
    signals: [(Signal, Exit); 3],
}

impl Ending {
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            signals: [
                (signal(SignalKind::interrupt())?, Exit::Interrupted),
                (signal(SignalKind::terminate())?, Exit::Terminated),
                (signal(SignalKind::hangup())?, Exit::Code(129)),
            ],
        })
    }

    /// The exit that the next signal asks for.
    pub(super) async fn next(&mut self) -> Exit {
        poll_fn(|context| {
            for (signal, exit) in &mut self.signals {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*exit);
                }
            }
            Poll::Pending
        })
        .await
    }
}
