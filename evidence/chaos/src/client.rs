//! A client process: takes every lock again and again, and increments its register, without asking its guard first.
//!
//! It ends when its standard input does, having closed its session; with the runner, at the latest.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use fairlock::clock::{Clock, HostClock};
use fairlock::{Error, Fairlock, Guard, Identity, Mutex, Retry};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;

use crate::config::{ClientOptions, lock_path};
use crate::wire::{Answer, Lines, Report, Span};

/// How often a holder that does nothing looks at its guard.
const LOOK: Duration = Duration::from_millis(10);

/// How long closing the session may take.
const CLOSE: Duration = Duration::from_secs(5);

/// The runner is gone, or says what makes no sense.
const CANNOT_REPORT: u8 = 4;

pub(crate) async fn main(options: ClientOptions) -> ExitCode {
    // A client that is stopped does not see its input end.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    if let Ok(filter) = EnvFilter::try_from_default_env() {
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    }
    let (ending, end) = watch::channel(false);
    // A thread of its own, since it is not waited for when the program ends.
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        ending.send_replace(true);
    });
    match contend(&options, end).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("client {} ({}): {why}", options.client, options.incarnation);
            ExitCode::from(CANNOT_REPORT)
        }
    }
}

async fn ended(end: &mut watch::Receiver<bool>) {
    // A sender that is gone has said so.
    let _ = end.wait_for(|end| *end).await;
}

async fn contend(options: &ClientOptions, mut end: watch::Receiver<bool>) -> Result<(), String> {
    let name = format!("client {} ({})", options.client, options.incarnation);
    let builder = Fairlock::builder()
        .session_timeout(Duration::from_millis(options.session_timeout))
        .identity(Identity::new(name).map_err(|error| error.to_string())?);
    let locks = loop {
        tokio::select! {
            biased;
            () = ended(&mut end) => return Ok(()),
            connected = builder.clone().connect(&options.servers) => match connected {
                Ok(locks) => break locks,
                Err(error) if error.retry() == Retry::Yes => {}
                Err(error) => return Err(error.to_string()),
            },
        }
    };
    let mut workers = JoinSet::new();
    for lock in 0..options.locks {
        let mutex = locks.mutex(&lock_path(lock)).map_err(|error| error.to_string())?;
        let stream = TcpStream::connect(&options.desk).await.map_err(|error| error.to_string())?;
        let mut worker = Worker {
            mutex,
            runner: Lines::new(stream),
            random: fastrand::Rng::with_seed(options.seed.wrapping_add(lock as u64)),
            end: end.clone(),
        };
        let hello = Report::Hello { client: options.client, incarnation: options.incarnation, lock };
        workers.spawn(async move {
            worker.send(&hello).await?;
            worker.work().await
        });
    }
    let mut outcome = Ok(());
    while let Some(worker) = workers.join_next().await {
        outcome = outcome.and(worker.unwrap_or_else(|panic| Err(panic.to_string())));
        if outcome.is_err() {
            break;
        }
    }
    let _ = tokio::time::timeout(CLOSE, locks.close()).await;
    outcome
}

struct Worker {
    mutex: Mutex,
    runner: Lines,
    random: fastrand::Rng,
    end: watch::Receiver<bool>,
}

/// Keeps the span of one guard.
struct Witness(Span);

fn clock() -> u64 {
    u64::try_from(HostClock.now().since_origin().as_nanos()).unwrap_or(u64::MAX)
}

impl Witness {
    fn of_grant(guard: &Guard) -> Self {
        let granted = clock();
        Self(Span { granted, valid: guard.is_valid().then_some(granted), used: granted })
    }

    /// The clock first: see [`Span`].
    fn look(&mut self, guard: &Guard) -> Span {
        let used = clock();
        self.0.used = used;
        if guard.is_valid() {
            self.0.valid = Some(used);
        }
        self.0
    }
}

impl Worker {
    async fn send(&mut self, report: &Report) -> Result<(), String> {
        self.runner.send(report).await.map_err(|error| format!("the runner is gone: {error}"))
    }

    async fn ask(&mut self, report: &Report) -> Result<Answer, String> {
        self.send(report).await?;
        self.runner.next().await?.ok_or_else(|| "the runner is gone".to_owned())
    }

    async fn work(&mut self) -> Result<(), String> {
        while !*self.end.borrow() {
            let mut end = self.end.clone();
            let acquired = tokio::select! {
                biased;
                () = ended(&mut end) => break,
                acquired = acquire(&self.mutex, &mut self.random) => acquired,
            };
            match acquired {
                Ok(Some(guard)) => self.hold(guard).await?,
                Ok(None) => self.not_granted("it was held", false).await?,
                Err(error) => self.not_granted(name(&error), error.retry() == Retry::No).await?,
            }
        }
        Ok(())
    }

    async fn not_granted(&mut self, why: &str, hopeless: bool) -> Result<(), String> {
        self.send(&Report::NotGranted { why: why.to_owned(), hopeless }).await?;
        tokio::time::sleep(Duration::from_millis(self.random.u64(5..50))).await;
        Ok(())
    }

    async fn hold(&mut self, guard: Guard) -> Result<(), String> {
        let mut witness = Witness::of_grant(&guard);
        let token = guard.fencing_token().as_i64();
        let mut acknowledged = false;
        if let Answer::Value(value) = self.ask(&Report::Read { token, span: witness.0 }).await? {
            self.pause(&guard, &mut witness).await;
            let report = Report::Write { token, span: witness.look(&guard), value: value + 1 };
            acknowledged = self.ask(&report).await? == Answer::Accepted;
        }
        let span = witness.look(&guard);
        let lost = if self.random.u8(..) < 50 {
            drop(guard);
            None
        } else {
            guard.release().await.err().map(|error| match error {
                Error::LockLost { reason, .. } => reason.to_string(),
                error => name(&error).to_owned(),
            })
        };
        self.send(&Report::Ended { token, span, acknowledged, lost }).await
    }

    /// What a holder does between its read and its write: mostly little, sometimes much.
    async fn pause(&mut self, guard: &Guard, witness: &mut Witness) {
        let micros = match self.random.u8(..100) {
            0 => self.random.u64(50_000..300_000),
            1..10 => self.random.u64(1_000..10_000),
            10..50 => self.random.u64(..1_000),
            _ => return,
        };
        let mut left = Duration::from_micros(micros);
        while !left.is_zero() {
            let nap = left.min(LOOK);
            tokio::time::sleep(nap).await;
            left -= nap;
            witness.look(guard);
        }
    }
}

/// In all the ways that there are; none if the lock was not free or the time had passed.
async fn acquire(mutex: &Mutex, random: &mut fastrand::Rng) -> Result<Option<Guard>, Error> {
    let acquired = match random.u8(..100) {
        0..2 => return mutex.try_acquire().await,
        2..10 => mutex.acquire_timeout(Duration::from_millis(random.u64(1..500))).await,
        _ => mutex.acquire().await,
    };
    match acquired {
        Err(Error::Timeout { .. }) => Ok(None),
        acquired => acquired.map(Some),
    }
}

/// The kind of an error, without what differs from one to the next.
fn name(error: &Error) -> &'static str {
    match error {
        Error::SessionLost { .. } => "the session was lost",
        Error::Unreachable { .. } => "no server could be reached",
        Error::Removed { .. } => "the place in the queue was removed",
        Error::ReadOnly { .. } => "the server was read-only",
        Error::LockLost { .. } => "the lock was lost",
        Error::Store { .. } => "the store failed",
        Error::Closed => "the client was closed",
        Error::QueueExhausted { .. } => "the queue's numbers are used up",
        Error::NoPermission { .. } => "no permission",
        _ => "another error",
    }
}
