//! Where it takes place: one server, and a proxy in front of each contender that counts and delays.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlock_testcontainers::{Proxy, Server};
use zookeeper_client as zk;

use crate::contenders::{self, Contender, Name, Places};
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::results::{Link, Results, Shot, Work};

/// How long nothing may have passed a proxy before what goes on there counts as over. A session of fairlock watches
/// the node of a lock that it has held for 50 ms.
pub(crate) const QUIET: Duration = Duration::from_millis(80);

/// How long a crowd may take to gather.
const GATHERING: Duration = Duration::from_secs(300);

pub(crate) struct Stage {
    pub(crate) entrants: Vec<Entrant>,
    observer: Observer,
    /// Last, so that it ends last.
    pub(crate) server: Arc<Server>,
}

/// A contender with its own link to the server.
pub(crate) struct Entrant {
    pub(crate) name: Name,
    pub(crate) contender: Box<dyn Contender>,
    proxy: Proxy,
    locks: Cell<u32>,
}

/// Sees the queues from beside the links.
pub(crate) struct Observer(zk::Client, Arc<Server>);

impl Stage {
    pub(crate) async fn set(plan: &Plan, places: &Places<'_>, results: &mut Results) -> Result<Self> {
        let server = Server::builder()
            .max_session_timeout(Duration::from_secs(2 * 60 * 60))
            // An empty queue that the server removes in the middle of a measurement would have to be made again.
            .jvm_flag("-Dznode.container.checkIntervalMs=86400000")
            .start()
            .await?;
        let server = Arc::new(server);
        let observer = Observer(zk::Client::connect(&server.address()).await?, Arc::clone(&server));
        let mut entrants = Vec::new();
        for name in &plan.contenders {
            let proxy = Proxy::start(server.address()).await?;
            match contenders::open(*name, &proxy.address(), places).await {
                Ok(contender) => entrants.push(Entrant { name: *name, contender, proxy, locks: Cell::new(0) }),
                Err(error) => {
                    eprintln!("{} is MISSING: {error}", name.text());
                    results.missing.push((*name, error.to_string()));
                }
            }
        }
        Ok(Self { entrants, observer, server })
    }

    /// Takes one figure of each contender in turn, again and again. The first round is none if there is a warm-up.
    pub(crate) async fn rounds(
        &mut self,
        of: (Work, Link),
        rounds: usize,
        warm_up: bool,
        results: &mut Results,
        shoot: impl AsyncFn(&mut Entrant, &Observer) -> Result<Option<Shot>>,
    ) {
        let (work, link) = of;
        let started = Instant::now();
        for round in 0..rounds + usize::from(warm_up) {
            let mut failed = Vec::new();
            for entrant in &mut self.entrants {
                entrant.proxy.set_delay(link.delay());
                let shot = shoot(entrant, &self.observer).await;
                entrant.proxy.set_delay(Duration::ZERO);
                match shot {
                    Ok(Some(shot)) if round > 0 || !warm_up => results.add(work, link, entrant.name, shot),
                    Ok(_) => {}
                    Err(error) => failed.push((entrant.name, format!("gave up at “{}”: {error}", work.text()))),
                }
            }
            self.entrants.retain(|entrant| failed.iter().all(|(name, _)| *name != entrant.name));
            for (name, why) in failed {
                eprintln!("{} is MISSING from here on: {why}", name.text());
                results.missing.push((name, why));
            }
        }
        eprintln!("{} ({}): {:.1} s", work.text(), link.text(), started.elapsed().as_secs_f64());
    }
}

impl Entrant {
    /// A lock that nobody has used.
    pub(crate) fn unused_lock(&self) -> String {
        self.locks.set(self.locks.get() + 1);
        self.lock(&self.locks.get().to_string())
    }

    /// A lock that only this contender uses.
    pub(crate) fn lock(&self, name: &str) -> String {
        format!("/bench/{}/{name}", self.name.text())
    }

    /// What passes the proxy while something is done, and what follows from it.
    pub(crate) async fn counted<T>(
        &mut self,
        link: Link,
        work: impl AsyncFnOnce(&mut Box<dyn Contender>) -> Result<T>,
    ) -> Result<(T, Cost)> {
        let before = self.proxy.counts();
        let done = work(&mut self.contender).await?;
        self.settle(link, Duration::from_millis(10)).await;
        Ok((done, (self.proxy.counts() - before).into()))
    }

    /// What passes the proxy until the work is done, and not what comes after it.
    pub(crate) async fn counted_so_far<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Box<dyn Contender>) -> Result<T>,
    ) -> Result<(T, Cost)> {
        let before = self.proxy.counts();
        let done = work(&mut self.contender).await?;
        Ok((done, (self.proxy.counts() - before).into()))
    }

    /// The crowd of a new lock, all of it in the queue and quiet. It gathers without delay.
    pub(crate) async fn gather(&mut self, link: Link, waiters: usize, observer: &Observer) -> Result<String> {
        let lock = self.unused_lock();
        self.proxy.set_delay(Duration::ZERO);
        self.contender.gather(&lock, waiters).await?;
        self.in_queue(&lock, waiters + 1, observer).await?;
        // The more there are, the longer may one of them be without a processor.
        self.settle(link, QUIET + Duration::from_micros(300) * u32::try_from(waiters).unwrap_or(u32::MAX)).await;
        self.proxy.set_delay(link.delay());
        Ok(lock)
    }

    /// Waits until so many are in the queue.
    pub(crate) async fn in_queue(&self, lock: &str, count: usize, observer: &Observer) -> Result<()> {
        let queue = self.name.queue(lock);
        let deadline = Instant::now() + GATHERING;
        while observer.children(&queue).await? != count {
            if Instant::now() > deadline {
                return Err(Error::Late("gathering a crowd"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Waits until all is answered and nothing has passed for a while.
    pub(crate) async fn settle(&self, link: Link, at_least: Duration) {
        let quiet = at_least.max(link.delay() * 3);
        loop {
            let before = self.proxy.counts();
            tokio::time::sleep(quiet).await;
            let after = self.proxy.counts();
            if before == after && after.requests() == after.replies() {
                return;
            }
        }
    }
}

impl Observer {
    /// Processor time that the server has spent so far.
    pub(crate) async fn server_time(&self) -> Result<Duration> {
        Ok(self.1.cpu_time().await?)
    }

    async fn children(&self, queue: &str) -> Result<usize> {
        let stat = self.0.check_stat(queue).await?;
        Ok(stat.map_or(0, |stat| usize::try_from(stat.num_children).unwrap_or_default()))
    }
}
