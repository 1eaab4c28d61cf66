//! The runner: starts everything, lets faults happen, heals, and looks at what is left.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fairlock::Fairlock;
use fairlock::clock::{Clock, HostClock};
use fairlock_testcontainers::{Ensemble, join_addresses};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, interval, sleep};

use crate::client_faults::ClientFaults;
use crate::config::{Config, lock_path};
use crate::desk::Desk;
use crate::herd::Herd;
use crate::log::Log;
use crate::server_faults::ServerFaults;
use crate::verdict::{Circumstances, Summary};
use crate::vigil;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long queues are looked at before they count as never empty.
const EMPTY_PATIENCE: Duration = Duration::from_secs(60);

/// How long clients are waited for in the beginning, so that faults meet traffic.
const START_PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn main(config: Config) -> ExitCode {
    let seed = config.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("chaos for {} minutes, seed {seed}", config.minutes);
    // Whatever is dropped here ends: clients are killed and servers removed.
    tokio::select! {
        biased;
        code = interrupted() => {
            println!("interrupted: nothing is shown by this run");
            ExitCode::from(code)
        }
        outcome = run(&config, seed) => match outcome {
            Ok(summary) => {
                println!("\n{summary}");
                summary.verdict.exit_code()
            }
            Err(error) => {
                eprintln!("the run could not be carried out: {error}");
                ExitCode::from(70)
            }
        },
    }
}

/// The exit code for the signal that ends the run, as shells have it.
async fn interrupted() -> u8 {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => 130,
        _ = terminate.recv() => 143,
    }
}

fn clock() -> u64 {
    u64::try_from(HostClock.now().since_origin().as_nanos()).unwrap_or(u64::MAX)
}

async fn run(config: &Config, seed: u64) -> Outcome<Summary> {
    let ensemble = Ensemble::builder()
        .tick_time(Duration::from_millis(config.tick))
        .sync_limit(5)
        .max_session_timeout(config.session_timeout().max(Duration::from_secs(20)))
        .isolatable()
        .start()
        .await?;
    let runtime = ensemble.runtime().to_string();
    let proxies = ensemble.proxies().await?;
    let servers = join_addresses(proxies.iter().map(|proxy| proxy.address()));

    let desk = Arc::new(Desk::new(config.locks(), !config.control));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let herd = Arc::new(Herd::new(config, seed, &servers, &listener.local_addr()?.to_string())?);
    desk.watch_over(Arc::clone(&herd));
    let serving = tokio::spawn(Arc::clone(&desk).serve(listener));

    // Past the proxies: it is there when everything is healed.
    let observer = Fairlock::connect(&ensemble.connect_string()).await?;

    let log = Log::new();
    log.line(format_args!("three servers, each a {runtime}"));
    herd.start_all()?;
    wait_for_traffic(&desk).await?;
    let (begin, from) = (Instant::now(), clock());
    let deadline = begin + config.duration();
    let mut random = fastrand::Rng::with_seed(seed);
    let server_faults = ServerFaults { config, ensemble: &ensemble, proxies: &proxies, log: &log };
    let client_faults = ClientFaults { config, herd: &herd, desk: &desk, log: &log };
    let (for_servers, for_clients) = (random.fork(), random.fork());
    let faults = async {
        tokio::try_join!(
            async { server_faults.go_on_until(deadline, for_servers).await.map_err(Box::<dyn Error>::from) },
            async { client_faults.go_on_until(deadline, for_clients).await.map_err(Box::<dyn Error>::from) },
        )
    };
    tokio::select! {
        biased;
        outcome = look_after(&herd, &desk, &log) => outcome?,
        () = vigil::watch(&observer, &desk, config, &log) => {}
        outcome = faults => drop(outcome?),
    }
    let (duration, until) = (begin.elapsed(), clock());

    log.line("all is healed; clients are told to end");
    ensemble.wait_until_serving().await?;
    for complaint in herd.end_all().await {
        desk.complain(complaint);
    }
    let emptied = empty(&observer, config).await?;
    serving.abort();
    let circumstances = Circumstances { seed, runtime, duration, from, until, faults: log.counts(), emptied };
    Ok(Summary::new(config, &desk, circumstances))
}

async fn wait_for_traffic(desk: &Desk) -> Outcome<()> {
    let deadline = Instant::now() + START_PATIENCE;
    while desk.ledgers().any(|ledger| ledger.grant_count() == 0) {
        if Instant::now() >= deadline {
            return Err("no client was granted anything".into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Replaces clients that end by themselves, which they must not, and tells every minute how far it is.
async fn look_after(herd: &Herd, desk: &Desk, log: &Log) -> Outcome<()> {
    let mut ticks = interval(Duration::from_millis(100));
    for tick in 1_u64.. {
        ticks.tick().await;
        for (client, status) in herd.missing() {
            let complaint = format!("client {client} ended by itself with {status}");
            log.line(&complaint);
            desk.complain(complaint);
            herd.start(client)?;
        }
        if tick.is_multiple_of(600) {
            let grants: usize = desk.ledgers().map(|ledger| ledger.grant_count()).sum();
            log.line(format_args!("{grants} grants until now"));
        }
    }
    Ok(())
}

/// How long after this moment no contender was left in any queue.
async fn empty(observer: &Fairlock, config: &Config) -> Outcome<Option<Duration>> {
    let end = Instant::now();
    for lock in 0..config.locks() {
        let mutex = observer.mutex(&lock_path(lock))?;
        while !mutex.contenders().await?.is_empty() {
            if end.elapsed() >= EMPTY_PATIENCE {
                return Ok(None);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(Some(end.elapsed()))
}
