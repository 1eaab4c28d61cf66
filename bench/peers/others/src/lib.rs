//! What the programs have in common: each is told by lines of JSON what to do, and answers each with a line.

mod crowd;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crowd::Crowd;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Someone who asks for locks. Each can have a lock once.
pub trait Asker: Clone + Send + Sync + 'static {
    /// What whoever holds a lock has of it.
    type Held: Send + 'static;

    /// Opens a connection. What is asked for lives so long without a word.
    fn connect(address: &str, session: Duration) -> impl Future<Output = Result<Self>> + Send;

    /// Another one over the same connection.
    fn another(&self) -> impl Future<Output = Result<Self>> + Send;

    fn acquire(&self, lock: &str) -> impl Future<Output = Result<Self::Held>> + Send;

    fn release(&self, held: Self::Held) -> impl Future<Output = Result<()>> + Send;

    /// Whether a lock that is held was taken; `None` where there is no trying.
    fn attempt(&self, lock: &str) -> impl Future<Output = Result<Option<bool>>> + Send;

    /// How many have the lock or wait for it over this connection.
    fn queued(&self, lock: &str) -> impl Future<Output = Result<usize>> + Send;

    /// Leaves nothing behind.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

#[derive(Debug, Deserialize)]
struct Order {
    #[serde(rename = "do")]
    what: String,
    address: String,
    lock: String,
    /// Of waiters, or of locks.
    count: usize,
    sessions: usize,
    cycles: usize,
    session_millis: u64,
}

/// How long it took, or how many there are, or why it was not done. None of them: there is no such thing here.
#[derive(Debug, Default, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    nanos: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Answer {
    fn took(time: Duration) -> Self {
        Self { nanos: Some(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)), ..Self::default() }
    }

    fn done() -> Self {
        Self::took(Duration::ZERO)
    }
}

/// Obeys until there are no more orders.
pub fn run<A: Asker>() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut orders = BufReader::new(tokio::io::stdin()).lines();
        let mut answers = tokio::io::stdout();
        let mut peer: Option<Peer<A>> = None;
        while let Some(order) = orders.next_line().await? {
            let answer = obey(&mut peer, &order).await;
            let answer = answer.unwrap_or_else(|error| Answer { error: Some(error.to_string()), ..Answer::default() });
            let mut line = serde_json::to_string(&answer)?;
            line.push('\n');
            answers.write_all(line.as_bytes()).await?;
            answers.flush().await?;
        }
        Ok(())
    })
}

async fn obey<A: Asker>(peer: &mut Option<Peer<A>>, order: &str) -> Result<Answer> {
    let order: Order = serde_json::from_str(order)?;
    match peer {
        Some(peer) => peer.obey(&order).await,
        None => {
            let session = Duration::from_millis(order.session_millis);
            let asker = A::connect(&order.address, session).await?;
            *peer = Some(Peer { address: order.address, session, asker, newcomer: None, held: None, crowd: None });
            Ok(Answer::done())
        }
    }
}

struct Peer<A: Asker> {
    address: String,
    session: Duration,
    asker: A,
    /// With a connection of its own.
    newcomer: Option<A>,
    held: Option<A::Held>,
    crowd: Option<Crowd<A>>,
}

impl<A: Asker> Peer<A> {
    async fn obey(&mut self, order: &Order) -> Result<Answer> {
        let started = Instant::now();
        match &*order.what {
            "acquire" => self.held = Some(self.asker.acquire(&order.lock).await?),
            "release" => self.asker.release(self.held.take().ok_or("nothing is held")?).await?,
            "attempt" => match self.asker.attempt(&order.lock).await? {
                None => return Ok(Answer::default()),
                Some(false) => {}
                Some(true) => return Err("took a lock that is held".into()),
            },
            "gather" => {
                let connect = async || A::connect(&self.address, self.session).await;
                self.crowd = Some(Crowd::gather(connect().await?, connect().await?, &order.lock, order.count).await?);
            }
            "queued" => return Ok(Answer { count: Some(self.crowd()?.queued().await?), ..Answer::default() }),
            "join" => self.crowd()?.join().await?,
            "hand_over" => return Ok(Answer::took(self.crowd()?.hand_over().await?)),
            "drain" => return Ok(Answer::took(self.crowd()?.drain().await?)),
            "disperse" => self.crowd.take().ok_or("there is no crowd")?.disperse().await?,
            "independent" => return Ok(Answer::took(self.independent(order).await?)),
            "connect" => self.newcomer = Some(A::connect(&self.address, self.session).await?),
            "first_grant" => self.held = Some(self.newcomer()?.acquire(&order.lock).await?),
            "disconnect" => {
                let held = self.held.take().ok_or("nothing is held")?;
                self.newcomer()?.release(held).await?;
                self.newcomer()?.close().await?;
                self.newcomer = None;
            }
            // Whoever tells decides what that means.
            _ => return Ok(Answer::default()),
        }
        Ok(Answer::took(started.elapsed()))
    }

    fn newcomer(&self) -> Result<&A> {
        Ok(self.newcomer.as_ref().ok_or("nobody has connected")?)
    }

    fn crowd(&mut self) -> Result<&mut Crowd<A>> {
        Ok(self.crowd.as_mut().ok_or("there is no crowd")?)
    }

    async fn independent(&self, order: &Order) -> Result<Duration> {
        let mut askers = vec![self.asker.clone()];
        while askers.len() < order.sessions {
            askers.push(A::connect(&self.address, self.session).await?);
        }
        let start = Arc::new(Barrier::new(order.count + 1));
        let mut tasks: JoinSet<Result<(Instant, Instant)>> = JoinSet::new();
        for number in 0..order.count {
            let (asker, start) = (askers[number % askers.len()].clone(), Arc::clone(&start));
            let (lock, cycles) = (format!("{}/{number}", order.lock), order.cycles);
            tasks.spawn(async move {
                // As those do for whom the first time is more than another.
                let first = async { asker.release(asker.acquire(&lock).await?).await };
                let first = first.await;
                start.wait().await;
                let begun = Instant::now();
                first?;
                for _ in 0..cycles {
                    asker.release(asker.acquire(&lock).await?).await?;
                }
                Ok((begun, Instant::now()))
            });
        }
        start.wait().await;
        let mut spans = Vec::new();
        while let Some(done) = tasks.join_next().await {
            spans.push(done??);
        }
        let first = spans.iter().map(|(begun, _)| *begun).min();
        let last = spans.iter().map(|(_, ended)| *ended).max();
        let took = first.zip(last).map(|(first, last)| last - first).ok_or("there is nothing to do")?;
        for asker in &askers[1..] {
            asker.close().await?;
        }
        Ok(took)
    }
}
