//! Where it takes place: servers, and in front of each contender something that counts and delays.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlock_testcontainers::{Ensemble, Server};
use zookeeper_client as zk;

use crate::contenders::{self, Contender, Name, Places};
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::results::{Link, Results, Servers, Shot, Work};
use crate::servers::{self, Running};
use crate::way::Way;

/// How long nothing may have passed a proxy before what goes on there counts as over. A session of fairlock watches
/// the node of a lock that it has held for 50 ms.
pub(crate) const QUIET: Duration = Duration::from_millis(80);

/// The same for one who has just come, and watches what it waits for.
const ENTERED: Duration = Duration::from_millis(30);

/// How long those who are in a queue may take to look at what they wait for.
const WATCHING: Duration = Duration::from_secs(5);

/// So many of a crowd come at once, and the others after them.
const BATCH: usize = 1_000;

/// How long a crowd may take to gather.
const GATHERING: Duration = Duration::from_secs(300);

pub(crate) struct Stage {
    pub(crate) entrants: Vec<Entrant>,
    observer: Observer,
    servers: Servers,
    address: String,
    /// Last, so that it ends last.
    _zookeeper: ZooKeeper,
}

enum ZooKeeper {
    One { server: Arc<Server> },
    Three { _ensemble: Box<Ensemble> },
}

impl ZooKeeper {
    /// The only one.
    fn server(&self) -> Option<Arc<Server>> {
        match self {
            Self::One { server } => Some(Arc::clone(server)),
            Self::Three { .. } => None,
        }
    }
}

/// A contender with its own way to a server.
pub(crate) struct Entrant {
    pub(crate) name: Name,
    pub(crate) contender: Box<dyn Contender>,
    way: Way,
    locks: Cell<u32>,
    /// Its own servers, if it is not on ZooKeeper; they end after it.
    _servers: Option<Running>,
}

/// Sees the queues from beside the links.
pub(crate) struct Observer(zk::Client, Option<Arc<Server>>);

impl Stage {
    pub(crate) async fn set(plan: &Plan, places: &Places<'_>, results: &mut Results) -> Result<Self> {
        let (zookeeper, address, told) = zookeeper(plan.servers).await?;
        eprintln!("{told}");
        results.servers.push(told);
        let observer = Observer(zk::Client::connect(&address).await?, zookeeper.server());
        let mut entrants = Vec::new();
        for name in &plan.contenders {
            match Entrant::open(*name, plan.servers, &address, places, results).await {
                Ok(entrant) => entrants.push(entrant),
                Err(error) => {
                    eprintln!("{} is MISSING: {error}", name.text());
                    results.missing.push((*name, error.to_string()));
                }
            }
        }
        Ok(Self { entrants, observer, servers: plan.servers, address, _zookeeper: zookeeper })
    }

    /// Of the server that contenders are connected to, past all that counts.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The quickest link there is here.
    pub(crate) fn loopback(&self) -> Link {
        Link { servers: self.servers, delay_millis: 0 }
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
            // Whatever one leaves behind is not always the next one's to bear.
            let count = self.entrants.len();
            for number in (0..count).map(|number| (number + round) % count) {
                let entrant = &mut self.entrants[number];
                entrant.way.set_delay(link.delay());
                let shot = shoot(entrant, &self.observer).await;
                entrant.way.set_delay(Duration::ZERO);
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
    async fn open(
        name: Name,
        servers: Servers,
        zookeeper: &str,
        places: &Places<'_>,
        results: &mut Results,
    ) -> Result<Self> {
        let own = servers::start(name.system(), servers, places.workshop).await?;
        let way = match &own {
            None => Way::to_zookeeper(zookeeper.to_owned()).await?,
            Some(own) => {
                eprintln!("{}", own.told);
                Way::to_another(own.address.clone()).await?
            }
        };
        let contender = contenders::open(name, &way.address(), places).await?;
        results.servers.extend(own.iter().map(|own| own.told.clone()));
        Ok(Self { name, contender, way, locks: Cell::new(0), _servers: own })
    }

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
        let before = self.way.passed();
        let done = work(&mut self.contender).await?;
        if !self.name.polls() {
            self.settle(link, Duration::from_millis(10)).await;
        }
        Ok((done, self.way.passed().since(before)))
    }

    /// What passes the proxy until the work is done, and not what comes after it.
    pub(crate) async fn counted_so_far<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Box<dyn Contender>) -> Result<T>,
    ) -> Result<(T, Cost)> {
        let before = self.way.passed();
        let done = work(&mut self.contender).await?;
        Ok((done, self.way.passed().since(before)))
    }

    /// The crowd of a new lock, all of it in the queue and quiet. It gathers without delay.
    pub(crate) async fn gather(&mut self, link: Link, waiters: usize, observer: &Observer) -> Result<String> {
        let lock = self.unused_lock();
        self.way.set_delay(Duration::ZERO);
        let before = self.way.passed().looks();
        let mut came = waiters.min(BATCH);
        self.contender.gather(&lock, came).await?;
        self.in_queue(&lock, came + 1, observer).await?;
        while came < waiters {
            let batch = BATCH.min(waiters - came);
            for _ in 0..batch {
                self.contender.join().await?;
            }
            came += batch;
            self.in_queue(&lock, came + 1, observer).await?;
        }
        self.watch(before + waiters as u64 * self.name.looks()).await;
        // The more there are, the longer may one of them be without a processor.
        self.settle(link, QUIET + Duration::from_micros(300) * u32::try_from(waiters).unwrap_or(u32::MAX)).await;
        self.way.set_delay(link.delay());
        Ok(lock)
    }

    /// One more joins the crowd, and is in the queue and quiet: so many have the lock or wait then.
    pub(crate) async fn join(&mut self, link: Link, lock: &str, count: usize, observer: &Observer) -> Result<()> {
        let before = self.way.passed().looks();
        self.contender.join().await?;
        self.in_queue(lock, count, observer).await?;
        self.watch(before + self.name.looks()).await;
        self.settle(link, ENTERED).await;
        Ok(())
    }

    /// Waits until so many are in the queue.
    pub(crate) async fn in_queue(&mut self, lock: &str, count: usize, observer: &Observer) -> Result<()> {
        let queue = self.name.queue(lock);
        let deadline = Instant::now() + GATHERING;
        loop {
            let queued = match self.name.is_on_zookeeper() {
                true => observer.children(&queue).await?,
                false => self.contender.queued().await?,
            };
            if queued == count {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Late("gathering a crowd"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How many there are, as far as can be seen.
    pub(crate) fn connections(&self) -> usize {
        self.way.connections()
    }

    /// Waits until so many connections are left: some end a while after their client is dropped.
    pub(crate) async fn disconnected(&self, left: usize) -> Result<()> {
        let disconnected = self.way.wait_for_connections(left);
        tokio::time::timeout(GATHERING, disconnected).await.map_err(|_| Error::Late("closing a connection"))
    }

    /// Waits until single nodes were looked at so often: whoever comes into a queue looks last at the node that it
    /// waits for, and until then it is not ready, however quiet it may be meanwhile.
    ///
    /// Not for ever: a client may spare looks, and is ready without them.
    async fn watch(&self, looks: u64) {
        let deadline = Instant::now() + WATCHING;
        while self.name.is_on_zookeeper() && self.way.passed().looks() < looks && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until all is answered and nothing has passed for a while, or only for that while if something always passes.
    pub(crate) async fn settle(&self, link: Link, at_least: Duration) {
        let quiet = at_least.max(link.delay() * 3);
        loop {
            let before = self.way.passed();
            tokio::time::sleep(quiet).await;
            if self.name.polls() || before == self.way.passed() && self.way.is_idle() {
                return;
            }
        }
    }
}

/// ZooKeeper's servers, the address of the one that contenders connect to, and what runs, for people.
async fn zookeeper(servers: Servers) -> Result<(ZooKeeper, String, String)> {
    const SESSIONS: Duration = Duration::from_secs(2 * 60 * 60);
    // An empty queue that the server removes in the middle of a measurement would have to be made again.
    const KEEP_EMPTY: &str = "-Dznode.container.checkIntervalMs=86400000";
    match servers {
        Servers::One => {
            let server = Server::builder().max_session_timeout(SESSIONS).jvm_flag(KEEP_EMPTY).start().await?;
            let told = format!("ZooKeeper {} ({})", version(&server).await, server.runtime());
            let address = server.address();
            Ok((ZooKeeper::One { server: Arc::new(server) }, address, told))
        }
        Servers::Three => {
            let ensemble = Ensemble::builder().max_session_timeout(SESSIONS).jvm_flag(KEEP_EMPTY).start().await?;
            let leader = ensemble.leader().await?;
            let followers = ensemble.servers().iter().enumerate().filter(|(number, _)| *number != leader);
            let (number, follower) = followers.into_iter().next().ok_or(Error::OutOfOrder("follow"))?;
            let (number, leader, address) = (number + 1, leader + 1, follower.address());
            let told = format!(
                "three servers of ZooKeeper, contenders through number {number}, which follows number {leader}"
            );
            Ok((ZooKeeper::Three { _ensemble: Box::new(ensemble) }, address, told))
        }
    }
}

/// As the server says it: `3.8.0`.
async fn version(server: &Server) -> String {
    let said = server.four_letter("srvr").await.unwrap_or_default();
    let version = said.lines().find_map(|line| line.strip_prefix("Zookeeper version: "));
    version.and_then(|version| version.split(['-', ',']).next()).unwrap_or("of an unknown version").to_owned()
}

impl Observer {
    /// Processor time that the only server has spent so far.
    pub(crate) async fn server_time(&self) -> Result<Duration> {
        let server = self.1.as_ref().ok_or(Error::OutOfOrder("measure the only server"))?;
        Ok(server.cpu_time().await?)
    }

    async fn children(&self, queue: &str) -> Result<usize> {
        let stat = self.0.check_stat(queue).await?;
        Ok(stat.map_or(0, |stat| usize::try_from(stat.num_children).unwrap_or_default()))
    }
}
