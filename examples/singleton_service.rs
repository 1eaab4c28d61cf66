//! A service of which one instance is active at a time: leader election, with a stop in time and a hand-over.
//!
//! Three instances are started. The one that leads is killed, and so is its successor; an observer tells who leads. In
//! this process the second is not killed but cut off: it lives on, and stops its service *before* the third may start.
//! On a server, with `ZOOKEEPER=localhost:2181`, it is killed like the first: pull the plug yourself.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairlock::recipes::{Leader, Leadership, Observer};
use fairlock::store::{SessionId, memory::Memory};
use fairlock::{Error as LockError, Fairlock};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const INSTANCES: usize = 3;

/// What the instances share, as they would a database.
#[derive(Default)]
struct World {
    /// The instances whose service is active; a dead one does nothing.
    active: Mutex<BTreeSet<usize>>,
    were_two_active: AtomicBool,
    /// The highest token that the service has worked with.
    newest_token: AtomicI64,
    steps: AtomicUsize,
    shutdown: AtomicBool,
}

/// The service while it is active. What has to be tidied up when it stops belongs in its drop: on loss, the future of
/// the work is dropped where it waits.
struct Active {
    instance: usize,
    world: Arc<World>,
}

impl World {
    fn active(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    fn begin(instance: usize, world: Arc<World>) -> Self {
        let mut active = world.active();
        world.were_two_active.fetch_or(!active.is_empty(), Ordering::SeqCst);
        active.insert(instance);
        println!("instance {instance}: active");
        drop(active);
        Self { instance, world }
    }

    /// One step of the work. A database would refuse a token lower than the newest: see the example fenced_write.
    fn step(&self, leadership: &Leadership) {
        let token = leadership.fencing_token().as_i64();
        let newest = self.world.newest_token.fetch_max(token, Ordering::SeqCst);
        if token >= newest {
            self.world.steps.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if self.world.active().remove(&self.instance) {
            println!("instance {}: stops", self.instance);
        }
    }
}

/// A process of its own, as far as the store can tell.
struct Instance {
    number: usize,
    locks: Fairlock,
    /// None on a server.
    session: Option<SessionId>,
    /// To kill it, once. What is sent tells that it is dead.
    dies: Option<oneshot::Sender<oneshot::Sender<()>>>,
    running: JoinHandle<std::result::Result<(), LockError>>,
}

async fn serve(instance: usize, leadership: Arc<Leadership>, world: Arc<World>) {
    let active = Active::begin(instance, world.clone());
    while !world.shutdown.load(Ordering::SeqCst) {
        active.step(&leadership);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Instance {
    fn start(
        number: usize,
        locks: Fairlock,
        session: Option<SessionId>,
        path: &str,
        world: Arc<World>,
    ) -> Result<Self> {
        let (election, (dies, death)) = (locks.election(path)?, oneshot::channel::<oneshot::Sender<()>>());
        let running = tokio::spawn(async move {
            // Campaigns, serves while it leads, campaigns again after a loss; ends when the service does.
            let run = election.run(number.to_string(), |leadership| serve(number, leadership, world.clone()));
            let mut run = std::pin::pin!(run);
            tokio::select! {
                ended = &mut run => ended,
                // A dead process does not go on, and does not release anything either.
                Ok(is_dead) = death => {
                    world.active().remove(&number);
                    let _: std::result::Result<(), ()> = is_dead.send(());
                    std::future::pending().await
                }
            }
        });
        Ok(Self { number, locks, session, dies: Some(dies), running })
    }

    /// The process ends without a word, and some time later the servers end its session.
    async fn kill(&mut self, memory: &Memory) {
        println!("instance {}: is killed", self.number);
        let (is_dead, dead) = oneshot::channel();
        let is_told = self.dies.take().is_some_and(|dies| dies.send(is_dead).is_ok());
        if is_told {
            let _: std::result::Result<(), oneshot::error::RecvError> = dead.await;
        }
        match self.session {
            Some(session) => memory.expire(session),
            // A server cannot be told to expire a session at once; to close it from aside has the same effect there.
            None => self.locks.close().await,
        }
        self.running.abort();
    }
}

/// Waits for a leader that is newer than the last.
async fn next_leader(observer: &mut Observer, last: Option<&Leader>) -> Result<Leader> {
    loop {
        match observer.next().await? {
            Some(leader) => {
                let name = String::from_utf8_lossy(leader.payload()).into_owned();
                println!("observer: instance {name} leads, with fencing token {}", leader.fencing_token());
                if last.is_none_or(|last| leader.fencing_token() > last.fencing_token()) {
                    return Ok(leader);
                }
            }
            None => println!("observer: nobody leads"),
        }
    }
}

fn number_of(leader: &Leader) -> Result<usize> {
    Ok(std::str::from_utf8(leader.payload())?.parse()?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let (servers, memory) = (std::env::var("ZOOKEEPER").ok(), Memory::new());
    let path = format!("/examples/singleton_service/{:016x}", fastrand::u64(..));
    let open = async || {
        let builder = Fairlock::builder().session_timeout(Duration::from_secs(1));
        match &servers {
            Some(servers) => builder.connect(servers).await,
            None => builder.open(memory.clone()).await,
        }
    };
    let watching = open().await?;
    let mut observer = watching.election(&path)?.observe();
    let world = Arc::<World>::default();
    let mut instances = Vec::new();
    for number in 0..INSTANCES {
        let locks = open().await?;
        let session = memory.sessions().last().copied();
        instances.push(Instance::start(number, locks, session, &path, world.clone())?);
    }

    let first = next_leader(&mut observer, None).await?;
    instances[number_of(&first)?].kill(&memory).await;

    let second = next_leader(&mut observer, Some(&first)).await?;
    let instance = &mut instances[number_of(&second)?];
    match instance.session {
        Some(session) => {
            println!("instance {}: is cut off", instance.number);
            memory.disconnect(session);
        }
        None => instance.kill(&memory).await,
    }

    let third = next_leader(&mut observer, Some(&second)).await?;
    println!("all are told to stop");
    world.shutdown.store(true, Ordering::SeqCst);
    let is_dead: Vec<_> = instances.iter().map(|instance| instance.dies.is_none()).collect();
    for instance in instances {
        match instance.running.await {
            Ok(ended) if !is_dead[instance.number] => ended?,
            Err(error) if !error.is_cancelled() => return Err(error.into()),
            _ => {}
        }
        instance.locks.close().await;
    }
    while let Some(leader) = observer.next().await? {
        println!("observer: instance {} leads", number_of(&leader)?);
    }
    println!("observer: nobody leads");
    watching.close().await;

    let (second, third) = (number_of(&second)?, number_of(&third)?);
    let leaders = [number_of(&first)?, second, third];
    if second == leaders[0] || third == leaders[0] || (is_dead[second] && third == second) {
        return Err(format!("a dead instance leads: {leaders:?}").into());
    }
    if world.were_two_active.load(Ordering::SeqCst) || !world.active().is_empty() {
        return Err("two instances were active at the same time, or one still is".into());
    }
    println!("{} steps by {leaders:?}, never two at a time", world.steps.load(Ordering::SeqCst));
    Ok(())
}
