//! A token in Redis: set if nobody has, deleted by a script if it is still one's own, and asked for again and again
//! meanwhile. Nobody queues, so whoever asks first after a release is the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fairlock_other_peers::{Asker, Result, run};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Script};

/// So long is the pause between two attempts, at random.
const PAUSE_MILLIS: std::ops::Range<u64> = 25..75;

const RELEASE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

fn main() -> Result<()> {
    run::<Redis>()
}

#[derive(Clone)]
struct Redis {
    connection: MultiplexedConnection,
    session: Duration,
    /// So many ask again and again over this connection.
    waiting: Arc<AtomicUsize>,
    release: Arc<Script>,
}

struct Held {
    lock: String,
    token: String,
}

/// Counts as waiting until it is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn among(waiting: &Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(waiting))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Redis {
    async fn set(&self, lock: &str, token: &str) -> Result<bool> {
        let mut set = redis::cmd("SET");
        set.arg(lock).arg(token).arg("NX").arg("PX").arg(u64::try_from(self.session.as_millis())?);
        let answer: Option<String> = set.query_async(&mut self.connection.clone()).await?;
        Ok(answer.is_some())
    }
}

impl Asker for Redis {
    type Held = Held;

    async fn connect(address: &str, session: Duration) -> Result<Self> {
        // A link may be slower than what the crate takes for broken.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let client = Client::open(format!("redis://{address}/"))?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { connection, session, waiting: Arc::default(), release: Arc::new(Script::new(RELEASE)) })
    }

    async fn another(&self) -> Result<Self> {
        Ok(self.clone())
    }

    async fn acquire(&self, lock: &str) -> Result<Held> {
        let token = format!("{:032x}", fastrand::u128(..));
        let mut waiting = None;
        while !self.set(lock, &token).await? {
            waiting.get_or_insert_with(|| Waiting::among(&self.waiting));
            tokio::time::sleep(Duration::from_millis(fastrand::u64(PAUSE_MILLIS))).await;
        }
        Ok(Held { lock: lock.to_owned(), token })
    }

    async fn release(&self, held: Held) -> Result<()> {
        let mut connection = self.connection.clone();
        let deleted: i64 = self.release.key(held.lock).arg(held.token).invoke_async(&mut connection).await?;
        if deleted == 1 { Ok(()) } else { Err("what was to be released was not held any more".into()) }
    }

    async fn attempt(&self, lock: &str) -> Result<Option<bool>> {
        Ok(Some(self.set(lock, "another").await?))
    }

    async fn queued(&self, lock: &str) -> Result<usize> {
        let is_held: bool = redis::cmd("EXISTS").arg(lock).query_async(&mut self.connection.clone()).await?;
        Ok(self.waiting.load(Ordering::Relaxed) + usize::from(is_held))
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
