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

use std::fs::File;
use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};
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
    // Opened first: a file that cannot be written must not be learnt of at the end.
    let chart = match &plan.chart {
        None => None,
        Some((path, kind)) => {
            let told = |error| Failure::new(Exit::Usage, format!("cannot write {}: {error}", path.display()));
            Some((File::create(path).map_err(told)?, *kind))
        }
    };
    let mut signals = Signals::catch()?;
    let opened = tokio::select! {
        biased;
        exit = signals.next() => return Ok(exit),
        opened = open(&args, &plan) => opened,
    };
    let world = opened?;
    let measured = measure(&args, &plan, &world, &mut signals).await;
    let tidied = tokio::select! {
        biased;
        // Who asks twice does not want to wait. What is left are containers, which go by themselves.
        exit = signals.next() => return Ok(exit),
        tidied = world.tidy_up(&plan) => tidied,
    };
    let (results, interrupted) = measured?;
    if let Err(error) = tidied {
        let warning = format!("{} could not be removed; the servers remove it within minutes", plan.directory);
        exit::explain(&io::Error::other(format!("{warning} ({error})")));
    }
    tell(&args, &plan, &results, chart)?;
    let contended = results.contended;
    match (interrupted, contended.failures.first) {
        (Some(exit), _) => Ok(exit),
        _ if !contended.violations.is_none() => Ok(Exit::ClaimFailed),
        (None, Some(error)) if contended.grants == 0 => Err(error.into()),
        _ => Ok(Exit::Ok),
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

/// What was measured, and the signal that ended it early.
async fn measure(
    args: &BenchArgs,
    plan: &Plan,
    world: &World,
    signals: &mut Signals,
) -> Result<(Results, Option<Exit>), Failure> {
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
        exit = signals.next() => {
            results.is_interrupted = true;
            return Ok((results, Some(exit)));
        }
        alone = alone::measure(plan, &world.session, &lock, &world.count) => alone,
    };
    results.alone = alone?;
    bar.set_message("contended");
    let mut interrupted = None;
    let end = async {
        let began = Instant::now();
        while began.elapsed() < plan.duration {
            bar.set_position(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            tokio::select! {
                biased;
                exit = signals.next() => {
                    interrupted = Some(exit);
                    return;
                }
                () = sleep_until((began + plan.duration).min(Instant::now() + TICK)) => {}
            }
        }
    };
    results.contended = contention::measure(plan, &world.clients, &world.count, end).await?;
    bar.finish_and_clear();
    results.is_interrupted = interrupted.is_some();
    Ok((results, interrupted))
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
    if let Some((mut file, kind)) = chart {
        let picture = chart::draw(&results.title(plan), &results.latencies(), kind)
            .map_err(|error| Failure::new(Exit::Other, format!("the chart cannot be drawn: {error}")))?;
        file.write_all(picture.as_bytes())?;
    }
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", results.document(plan))?;
    } else {
        results.print(plan, &mut out)?;
    }
    Ok(())
}

/// What ends a benchmark early.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}
