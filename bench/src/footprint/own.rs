//! Processor time, of the user and of the system, that a process with nothing but one lock in it spends on it. The process is this
//! program again, told to be a part of it.

use std::path::Path;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use clap::Subcommand;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::runtime::Runtime;
use zookeeper_client as zk;

use super::memory::output;
use crate::contenders::{self, Name, Places};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::results::{Busy, LOOPBACK, Results, Shot, Work};

/// So many wait still after the last hand-over that is counted.
const STILL_WAITING: usize = 2;

/// So many times as many cycles as make a figure of time.
const CYCLES: usize = 10;

/// How long a crowd may take until all of it waits.
const GATHERING: Duration = Duration::from_secs(60);

/// How long those who are in a queue may take to watch what they wait for.
const WATCHING: Duration = Duration::from_secs(5);

/// No more watches in this time are all there will be. A session of fairlock watches the node of a lock that it has held for 50 ms.
const UNCHANGED: Duration = Duration::from_millis(80);

/// What this program is told to be, by itself.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Part {
    /// Takes and gives back a lock, or hands it over, again and again, and prints what that cost
    #[command(hide = true)]
    Spend { who: Name, address: String, cycles: usize, hand_overs: usize },
}

/// Nanoseconds of each cycle, and of each hand-over.
#[derive(Debug, Serialize, Deserialize)]
struct Spent {
    cycle: u64,
    hand_over: u64,
}

/// Is the part, and prints what it cost.
pub(crate) fn run(part: &Part) -> Result<()> {
    let Part::Spend { who, address, cycles, hand_overs } = part;
    // One thread, so that nothing is spent on waking others up.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("make a runtime"))?;
    let spent = spend(&runtime, *who, address, *cycles, *hand_overs)?;
    println!("{}", serde_json::to_string(&spent).map_err(|error| Error::Peer(error.to_string()))?);
    // What is still open ends with the process.
    std::process::exit(0)
}

fn spend(runtime: &Runtime, who: Name, address: &str, cycles: usize, hand_overs: usize) -> Result<Spent> {
    let lock = format!("/bench/own-{}", std::process::id());
    let mut contender = runtime.block_on(async {
        let places = Places { workshop: Path::new("."), curator_jars: None };
        let mut contender = contenders::open(who, address, &places).await?;
        // The first makes the directory.
        contender.acquire(&lock).await?;
        contender.release().await?;
        Ok::<_, Error>(contender)
    })?;
    let cycles_spent = measured(
        runtime,
        pin!(async {
            for _ in 0..cycles {
                contender.acquire(&lock).await?;
                contender.release().await?;
            }
            Ok(())
        }),
    )?;
    let cycle = each(cycles_spent, cycles);
    if hand_overs == 0 {
        return Ok(Spent { cycle, hand_over: 0 });
    }
    let (crowd, waiters) = (format!("{lock}-crowd"), STILL_WAITING + hand_overs);
    runtime.block_on(async {
        let before = watches(address).await?;
        contender.gather(&crowd, waiters).await?;
        in_queue(address, &who.queue(&crowd), waiters + 1).await?;
        watched(address, before + waiters).await
    })?;
    let hand_overs_spent = measured(
        runtime,
        pin!(async {
            for _ in 0..hand_overs {
                contender.hand_over().await?;
            }
            Ok(())
        }),
    )?;
    Ok(Spent { cycle, hand_over: each(hand_overs_spent, hand_overs) })
}

/// Does the work and nothing else, and says how much time of the processor that took. A function of its own, since this is where
/// instructions are counted.
#[inline(never)]
pub(super) fn measured(runtime: &Runtime, work: Pin<&mut dyn Future<Output = Result<()>>>) -> Result<Duration> {
    let before = spent();
    runtime.block_on(work)?;
    Ok(spent().saturating_sub(before))
}

/// Waits until somebody else sees so many in the queue.
async fn in_queue(address: &str, queue: &str, count: usize) -> Result<()> {
    let observer = zk::Client::connect(address).await?;
    let deadline = Instant::now() + GATHERING;
    loop {
        let stat = observer.check_stat(queue).await?;
        if stat.is_some_and(|stat| usize::try_from(stat.num_children) == Ok(count)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::Late("gathering a crowd"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the server keeps so many watches, and no more come: whoever comes into a queue watches in the end what it waits for.
///
/// Not for ever: a client may spare watches, and is ready without them.
async fn watched(address: &str, count: usize) -> Result<()> {
    let deadline = Instant::now() + WATCHING;
    let mut before = 0;
    while Instant::now() < deadline {
        let now = watches(address).await?;
        if now >= count && now == before {
            break;
        }
        before = now;
        tokio::time::sleep(UNCHANGED).await;
    }
    Ok(())
}

/// So many the server keeps, of all its clients.
async fn watches(address: &str) -> Result<usize> {
    let error = || Error::io("ask the server for its watches");
    let mut server = TcpStream::connect(address).await.map_err(error())?;
    server.write_all(b"wchs").await.map_err(error())?;
    let mut said = String::new();
    server.read_to_string(&mut said).await.map_err(error())?;
    total(&said).ok_or_else(|| Error::Peer(format!("the server does not tell its watches: {said}")))
}

fn total(said: &str) -> Option<usize> {
    said.lines().find_map(|line| line.strip_prefix("Total watches:"))?.trim().parse().ok()
}

/// Of this process, all its threads.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |part: i64| u64::try_from(part).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

fn each(spent: Duration, times: usize) -> u64 {
    let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
    nanos / u64::try_from(times).unwrap_or(u64::MAX).max(1)
}

/// Measures all of them in turn, on this server.
pub(crate) async fn measure(plan: &Plan, address: &str, results: &mut Results) {
    let (cycles, hand_overs) = (plan.cycles * CYCLES, plan.hand_overs * 2);
    for _ in 0..plan.crowd_rounds {
        for name in Name::LIBRARIES.into_iter().filter(|name| plan.contenders.contains(name)) {
            match process(name.text(), address, cycles, hand_overs).await {
                Ok(spent) => {
                    let shot = |nanos| Shot::new(Duration::from_nanos(nanos), vec![]);
                    let hand_over = Busy::HandOvers { from: STILL_WAITING + hand_overs, to: STILL_WAITING };
                    results.add(Work::Own(Busy::Cycle), LOOPBACK, name, shot(spent.cycle));
                    results.add(Work::Own(hand_over), LOOPBACK, name, shot(spent.hand_over));
                }
                Err(error) => results.missing.push((name, format!("processor time of its own process: {error}"))),
            }
        }
    }
}

async fn process(who: &str, address: &str, cycles: usize, hand_overs: usize) -> Result<Spent> {
    let own = std::env::current_exe().map_err(Error::io("find the path of this program"))?;
    let mut command = Command::new(own);
    command.args(["spend", who, address, &cycles.to_string(), &hand_overs.to_string()]);
    serde_json::from_str(&output(command).await?).map_err(|error| Error::Peer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_is_divided_by_the_times() {
        assert_eq!(each(Duration::from_micros(10), 4), 2_500);
        assert_eq!(each(Duration::from_micros(10), 0), 10_000);
    }

    #[test]
    fn watches_are_those_of_all_clients() {
        assert_eq!(total("2 connections watching 3 paths\nTotal watches:14\n"), Some(14));
        assert_eq!(total("wchs is not executed because it is not in the whitelist.\n"), None);
    }

    #[test]
    fn work_costs_this_process_time() {
        let before = spent();
        while spent() == before {
            std::hint::spin_loop();
        }
    }
}
