//! The leader of three servers is killed while locks are taken and given back.
//!
//! All contenders go through the same election, at the same time: how long that takes differs from one to the next more than
//! they do. The floor shows when creating and deleting works again.

use std::time::{Duration, Instant};

use fairlock_testcontainers::Ensemble;
use tokio::time::timeout;

use crate::contenders::{self, Contender, Name, Outage, Places};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::results::{LOOPBACK, Results, Shot, Work};
use crate::statistics::median_time;

/// The servers grant no longer one.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Each contender is there so often, since it is chance which of the servers a client has chosen and how long it waits before it
/// tries the next one. The median of them is the figure.
const COPIES: usize = 3;

/// For an election, and sessions that have to be opened anew.
const PATIENCE: Duration = Duration::from_secs(60);

struct Entrant {
    name: Name,
    contender: Box<dyn Contender>,
}

pub(super) async fn run(places: &Places<'_>, plan: &Plan, results: &mut Results) -> Result<()> {
    if plan.kills == 0 {
        return Ok(());
    }
    let started = Instant::now();
    let ensemble = Ensemble::builder().max_session_timeout(SESSION_TIMEOUT).start().await?;
    let mut entrants = Vec::new();
    for name in plan.contenders.iter().copied().filter(|name| name.is_on_zookeeper()) {
        match open(name, &ensemble.connect_string(), places).await {
            Ok(copies) => entrants.extend(copies.into_iter().map(|contender| Entrant { name, contender })),
            // Who cannot be had at all is told as missing already.
            Err(_) if results.missing.iter().any(|(missing, _)| *missing == name) => {}
            Err(error) => leave_out(name, &error.to_string(), results),
        }
    }
    for kill in 0..plan.kills {
        let lock = format!("/fail-over/{kill}");
        let mut beginning = Vec::new();
        for (number, entrant) in entrants.iter_mut().enumerate() {
            let lock = format!("{lock}/{}-{number}", entrant.name.text());
            beginning.push(within_patience(entrant.contender.endure(&lock)).await);
        }
        retire(&mut entrants, &beginning, results);
        let leader = &ensemble.servers()[ensemble.leader().await?];
        leader.kill().await?;
        ensemble.wait_until_serving().await?;
        let mut outages = Vec::new();
        for entrant in &mut entrants {
            outages.push(within_patience(entrant.contender.endured()).await);
        }
        for name in &plan.contenders {
            let own = entrants.iter().zip(&outages).filter(|(entrant, _)| entrant.name == *name);
            // One that never recovered would be the slowest of them, so that there is no figure without it.
            if let Ok(own) = own.map(|(_, outage)| outage.as_ref()).collect::<std::result::Result<Vec<_>, _>>() {
                add(*name, &own, results);
            }
        }
        retire(&mut entrants, &outages, results);
        leader.start_again().await?;
        ensemble.wait_until_serving().await?;
    }
    eprintln!("{} ({} kills): {:.1} s", Work::FailOver.text(), plan.kills, started.elapsed().as_secs_f64());
    Ok(())
}

fn add(name: Name, outages: &[&Outage], results: &mut Results) {
    let between: Vec<_> = outages.iter().map(|outage| outage.between_grants).collect();
    if let Some(between) = median_time(&between) {
        results.add(Work::FailOver, LOOPBACK, name, Shot::new(between, vec![]));
    }
    let in_doubt: Vec<_> = outages.iter().filter_map(|outage| outage.in_doubt).collect();
    if let Some(in_doubt) = median_time(&in_doubt) {
        results.add(Work::Doubt, LOOPBACK, name, Shot::new(in_doubt, vec![]));
    }
    let losses: u32 = outages.iter().map(|outage| outage.losses).sum();
    if losses > 0 {
        results
            .remarks
            .push(format!("{}: a lock was told lost {losses} times while a leader was replaced", name.text()));
    }
}

async fn within_patience<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, work).await.unwrap_or(Err(Error::Late("being granted a lock after a leader was killed")))
}

/// All copies, or none.
async fn open(name: Name, servers: &str, places: &Places<'_>) -> Result<Vec<Box<dyn Contender>>> {
    let mut copies = Vec::new();
    for _ in 0..COPIES {
        copies.push(contenders::open(name, servers, places).await?);
    }
    Ok(copies)
}

/// Goes on without those of whom any copy failed.
fn retire<T>(entrants: &mut Vec<Entrant>, outcomes: &[Result<T>], results: &mut Results) {
    let mut failed = Vec::new();
    for name in Name::ALL {
        let own = entrants.iter().zip(outcomes).filter(|(entrant, _)| entrant.name == name);
        let errors: Vec<_> = own.filter_map(|(_, outcome)| outcome.as_ref().err()).collect();
        if let Some(first) = errors.first() {
            leave_out(name, &format!("{} of {COPIES}: {first}", errors.len()), results);
            failed.push(name);
        }
    }
    entrants.retain(|entrant| !failed.contains(&entrant.name));
}

fn leave_out(name: Name, error: &str, results: &mut Results) {
    eprintln!("{} is MISSING where a leader is killed: {error}", name.text());
    results.missing.push((name, format!("gave up where a leader is killed: {error}")));
}
