//! `fairlock bench`: how quick locks are on one's own servers, and whether they keep their promises under load.

mod alone;
mod chart;
mod contention;
mod counter;
mod plan;
mod referee;
mod report;
mod tally;
mod world;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::time::Duration;

use fairlock::Error;
use fairlock::store::StoreErrorKind;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use self::plan::Plan;
use self::report::Results;
use self::world::World;
use crate::args::BenchArgs;
use crate::exit::{self, Exit, Failure};
use crate::settings::Settings;

pub(super) const EMBEDDED: &str = "embedded store";
const ZOOKEEPER: &str = "ZooKeeper";

/// How often the progress is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Runs the command.
pub(crate) async fn run(args: BenchArgs) -> Result<Exit, Failure> {
    let plan = Plan::new(&args)?;
    // Opened first: a file that cannot be written must not be learnt of at the end. What is in it stays until there is something
    // better.
    let chart = match &plan.chart {
        None => None,
        Some((path, kind)) => {
            let told = |error| Failure::new(Exit::Usage, format!("cannot write {}: {error}", path.display()));
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(told)?;
            Some((file, *kind))
        }
    };
    let signals = Signals::catch()?;
    let opened = tokio::select! {
        biased;
        exit = signals.number(1) => return Ok(exit),
        opened = open(&args, &plan) => opened,
    };
    let world = opened?;
    let measured = measure(&args, &plan, &world, &signals).await;
    // Told before tidying up, which can take long and be cut short.
    let told = match &measured {
        Ok(results) => tell(&args, &plan, results, chart).map_err(Failure::tell),
        Err(_) => Ok(()),
    };
    let tidied = tokio::select! {
        biased;
        // Who asks twice does not want to wait.
        _ = signals.number(2) => Err("interrupted".to_owned()),
        tidied = world.tidy_up(&plan) => tidied.map_err(|error| error.to_string()),
    };
    if let Err(error) = tidied {
        let warning = format!("{} could not be removed; the servers remove it within minutes", plan.directory);
        exit::explain(&io::Error::other(format!("{warning} ({error})")));
    }
    let contended = measured?.contended;
    match (told, signals.first(), contended.failures.first) {
        // What was found is not less true because it was cut short.
        _ if !contended.violations.is_none() => Ok(Exit::ClaimFailed),
        (Err(exit), ..) | (_, Some(exit), _) => Ok(exit),
        (_, None, Some(error)) if contended.grants == 0 => Err(failed(error)),
        _ => Ok(Exit::Ok),
    }
}

/// No lock was run under, so there is no code for its loss: the servers were.
fn failed(error: Error) -> Failure {
    use StoreErrorKind as Kind;
    let is_cut_off = match &error {
        Error::SessionLost { .. } | Error::LockLost { .. } => true,
        Error::Store { source, .. } => matches!(source.kind(), Kind::Unknown | Kind::Ended(_)),
        _ => false,
    };
    match error {
        error if is_cut_off => Failure::new(Exit::CannotConnect, error),
        Error::Removed { .. } => Failure::new(Exit::Other, error),
        error => error.into(),
    }
}

async fn open(args: &BenchArgs, plan: &Plan) -> Result<World, Failure> {
    if args.embedded {
        return World::embedded(plan).await;
    }
    let settings = Settings::read(&args.connection)?;
    let servers = settings.connect_string()?;
    let warning = format!("fairlock: this loads {servers} with {}; others there will feel it\n", plan.describe());
    // If nobody can read it, there is nobody to be warned.
    let _ = io::stderr().write_all(warning.as_bytes());
    World::on_servers(plan, &settings).await
}

/// What was measured until the end, or until a signal.
async fn measure(args: &BenchArgs, plan: &Plan, world: &World, signals: &Signals) -> Result<Results, Failure> {
    let bar = progress(plan);
    bar.set_message("alone");
    // There is a client at least: the table of arguments says so.
    let lock = world.clients[0].mutex(&plan.lock_alone())?;
    let mut results = Results {
        place: if args.embedded { EMBEDDED } else { ZOOKEEPER },
        session_timeout: world.session_timeout(),
        alone: tally::Alone::default(),
        contended: tally::Contended::default(),
        is_interrupted: false,
    };
    let alone = tokio::select! {
        biased;
        _ = signals.number(1) => None,
        alone = alone::measure(plan, &world.session, &lock, &world.count) => Some(alone),
    };
    let Some(alone) = alone else {
        bar.finish_and_clear();
        results.is_interrupted = true;
        return Ok(results);
    };
    results.alone = alone.map_err(failed)?;
    bar.set_message("contended");
    let end = async {
        let began = Instant::now();
        while began.elapsed() < plan.duration {
            bar.set_position(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            tokio::select! {
                biased;
                _ = signals.number(1) => {
                    results.is_interrupted = true;
                    return;
                }
                () = sleep_until((began + plan.duration).min(Instant::now() + TICK)) => {}
            }
        }
    };
    let give_up = async {
        signals.number(2).await;
    };
    results.contended = contention::measure(plan, &world.clients, &world.count, end, give_up).await?;
    bar.finish_and_clear();
    Ok(results)
}

/// On standard error, and only if that is a terminal.
fn progress(plan: &Plan) -> ProgressBar {
    let length = u64::try_from(plan.duration.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg:10} [{bar:40}] {percent:>3}%")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar
}

fn tell(args: &BenchArgs, plan: &Plan, results: &Results, chart: Option<(File, plan::Picture)>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let printed = match args.json {
        true => writeln!(out, "{}", results.document(plan)).and_then(|()| out.flush()),
        false => results.print(plan, &mut out),
    };
    if let Some((mut file, kind)) = chart {
        let picture = chart::draw(&results.title(plan), &results.latencies(), kind)
            .map_err(|error| Failure::new(Exit::Other, format!("the chart cannot be drawn: {error}")))?;
        file.set_len(0)?;
        file.write_all(picture.as_bytes())?;
    }
    match printed {
        // Who closes the pipe has seen enough, and still learns how it ended.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// What ends a benchmark early: the first signal the measurement, the second everything.
struct Signals {
    seen: watch::Receiver<Vec<Exit>>,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, seen) = watch::channel(Vec::new());
        tokio::spawn(async move {
            loop {
                let exit = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                };
                sender.send_modify(|seen| seen.push(exit));
            }
        });
        Ok(Self { seen })
    }

    /// The first of them, if there was one.
    fn first(&self) -> Option<Exit> {
        self.seen.borrow().first().copied()
    }

    /// Waits until there were so many.
    async fn number(&self, number: usize) -> Exit {
        let mut seen = self.seen.clone();
        let exit = seen.wait_for(|seen| seen.len() >= number).await.ok().and_then(|seen| seen.last().copied());
        match exit {
            Some(exit) => exit,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use fairlock::LossReason;
    use fairlock::store::StoreError;

    use super::*;

    #[test]
    fn servers_that_are_gone_are_no_lost_lock() {
        let store = |kind| Error::Store { operation: "answer", path: "/a".into(), source: StoreError::new(kind) };
        let reason = LossReason::SessionExpired;
        for (error, exit) in [
            (Error::SessionLost { path: "/a".into(), reason }, Exit::CannotConnect),
            (store(StoreErrorKind::Ended(reason)), Exit::CannotConnect),
            (store(StoreErrorKind::Unknown), Exit::CannotConnect),
            (store(StoreErrorKind::QuotaExceeded), Exit::Other),
            (Error::Closed, Exit::Other),
        ] {
            let told = error.to_string();
            assert_eq!(failed(error).exit, exit, "{told}");
        }
    }
}
