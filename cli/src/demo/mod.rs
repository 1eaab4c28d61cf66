//! `fairlock demo`: the lock at work, for the eye, with its promises checked.

mod actor;
mod director;
mod news;
mod picture;
mod plain;
mod plan;
mod screen;
mod story;
mod summary;
mod tap;
mod world;

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::plan::{Plan, View};
use self::story::Story;
use self::summary::Summary;
use self::world::World;
use crate::args::DemoArgs;
use crate::exit::{self, Exit};

/// Why the demo ended before its end.
enum Failure {
    Lock(fairlock::Error),
    /// Something that the lock promises did not come.
    Stalled(String),
    /// Somebody else uses the lock.
    Busy(String),
    Output(io::Error),
    Signal(Exit),
}

impl From<fairlock::Error> for Failure {
    fn from(error: fairlock::Error) -> Self {
        Failure::Lock(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

/// Runs the command.
pub(crate) async fn run(args: DemoArgs) -> Exit {
    let failure = match perform(args).await {
        Ok(exit) => return exit,
        Err(failure) => failure,
    };
    match failure {
        Failure::Lock(error) => {
            exit::explain(&error);
            Exit::of(&error)
        }
        Failure::Stalled(what) => {
            exit::explain(&io::Error::other(what));
            Exit::ClaimFailed
        }
        Failure::Busy(path) => {
            exit::explain(&io::Error::other(format!("others use the lock {path}; choose another with --lock")));
            Exit::Other
        }
        // Who closes the pipe has seen enough.
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Failure::Output(error) => {
            exit::explain(&error);
            Exit::Other
        }
        Failure::Signal(exit) => exit,
    }
}

async fn perform(args: DemoArgs) -> Result<Exit, Failure> {
    let plan = Plan::new(args)?;
    let mut signals = Signals::new()?;
    let mut world = tokio::select! {
        world = World::open(&plan) => world?,
        exit = signals.next() => return Err(Failure::Signal(exit)),
    };
    let (news, feed) = mpsc::unbounded_channel();
    let played = tokio::select! {
        played = async {
            let play = world.play(&plan, news);
            match plan.view {
                View::Picture => tokio::try_join!(play, picture::show(&plan, feed)),
                View::Plain => tokio::try_join!(play, plain::show(&plan, feed)),
            }
        } => played.map(|(story, ())| story),
        exit = signals.next() => Err(Failure::Signal(exit)),
    };
    // Also when it was cut short: nothing stays behind.
    world.close().await;
    let story: Story = played?;
    let summary = Summary::check(&story);
    summary.print(&plan, &mut io::stdout().lock())?;
    Ok(if summary.holds() { Exit::Ok } else { Exit::ClaimFailed })
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}
