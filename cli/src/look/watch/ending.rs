//! What ends a view: signals, caught so that the terminal is restored and the session closed, and a reader that has gone.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::ignored::Ignored;

/// How often it is seen whether anybody reads. Nothing tells of that.
const READER_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Ending {
    signals: Vec<(Signal, Exit)>,
}

impl Ending {
    pub(super) fn catch() -> io::Result<Self> {
        let ignored = Ignored::at_start();
        let all = [
            (Number::INT, SignalKind::interrupt(), Exit::Interrupted),
            (Number::TERM, SignalKind::terminate(), Exit::Terminated),
            (Number::HUP, SignalKind::hangup(), Exit::Code(129)),
            (Number::QUIT, SignalKind::quit(), Exit::Code(131)),
        ];
        let caught = all
            .into_iter()
            // Whoever started this with nohup means it to go on.
            .filter(|(number, ..)| !ignored.contains(*number))
            .map(|(_, kind, exit)| Ok((signal(kind)?, exit)))
            .collect::<io::Result<_>>()?;
        Ok(Self { signals: caught })
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

/// Waits until nobody can read standard output any more: a write would tell, but where nothing happens nothing is written.
pub(super) async fn reader_gone() {
    loop {
        let stdout = io::stdout();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Errors and hang-ups are told without being asked for.
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        if poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
            && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
        {
            return;
        }
        tokio::time::sleep(READER_PAUSE).await;
    }
}
