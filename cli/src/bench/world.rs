//! The sessions of a benchmark, and tidying up behind it.

use std::sync::Arc;
use std::time::Duration;

use fairlock::store::memory::Memory;
use fairlock::store::{OpenOptions, Operation, Session, Store, StoreErrorKind};
use fairlock::{Builder, Error, Fairlock, QueuePath};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::counter::{Count, Counter};
use super::plan::Plan;
use crate::exit::Failure;
use crate::settings::Settings;

/// How long the sessions' end is waited for. Those that do not end by then expire.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// How long tidying up may take. What is left are containers, which the servers remove.
const TIDY_PATIENCE: Duration = Duration::from_secs(10);

/// How many locks are removed at a time: enough to be quick, and no load.
const REMOVALS_MAX: usize = 16;

/// Who this is to others in the queues.
const OWNER: &str = "fairlock-bench";

pub(super) struct World {
    pub(super) clients: Vec<Fairlock>,
    /// For round trips.
    pub(super) session: Arc<dyn Session>,
    pub(super) count: Count,
    store: Arc<dyn Store>,
    options: OpenOptions,
}

impl World {
    pub(super) async fn embedded(plan: &Plan) -> Result<Self, Failure> {
        Self::open(plan, Memory::new(), Fairlock::builder(), OpenOptions::default()).await
    }

    pub(super) async fn on_servers(plan: &Plan, settings: &Settings) -> Result<Self, Failure> {
        let mut options = OpenOptions::default();
        options.session_timeout = settings.session_timeout.value;
        options.connect_timeout = settings.connect_timeout.value;
        Self::open(plan, settings.store()?, settings.builder(OWNER)?, options).await
    }

    async fn open<S: Store + Clone>(
        plan: &Plan,
        store: S,
        builder: Builder,
        options: OpenOptions,
    ) -> Result<Self, Failure> {
        let store = Counter::new(store);
        let session = store.open(&options).await?;
        // Not all at once, which would be a load of its own kind.
        let mut clients = Vec::with_capacity(plan.clients.into());
        for _ in 0..plan.clients {
            clients.push(builder.clone().open(store.clone()).await?);
        }
        Ok(Self { clients, session, count: store.count().clone(), store: Arc::new(store), options })
    }

    /// The session timeout as granted.
    pub(super) fn session_timeout(&self) -> Duration {
        self.session.timeout()
    }

    /// Ends the sessions, and removes what they have made.
    pub(super) async fn tidy_up(self, plan: &Plan) -> Result<(), Error> {
        let mut closing = JoinSet::new();
        for client in self.clients {
            closing.spawn(async move { client.close().await });
        }
        // With the sessions, whatever is left in the queues goes.
        let _ = timeout(CLOSE_PATIENCE, closing.join_all()).await;
        self.session.close().await;
        let removed = timeout(TIDY_PATIENCE, async {
            // A new one: those of the benchmark may have expired.
            let session = self.store.open(&self.options).await?;
            let removed = remove_all(&session, plan).await;
            session.close().await;
            removed
        });
        let late = |_| Err(Error::Timeout { path: plan.directory.to_string(), waited: TIDY_PATIENCE });
        removed.await.unwrap_or_else(late)
    }
}

/// Removes as much as can be: what one lock leaves behind is no reason to leave the others. Tells the first that could not be.
async fn remove_all(session: &Arc<dyn Session>, plan: &Plan) -> Result<(), Error> {
    let failed = |path: &str, source| Error::Store { operation: "remove the directory", path: path.to_owned(), source };
    let directory = plan.directory.as_str();
    let room = Arc::new(Semaphore::new(REMOVALS_MAX));
    let mut removals = JoinSet::new();
    for lock in plan.locks() {
        let path = fairlock::LockPath::new(&lock)?;
        let (session, room, directory) = (session.clone(), room.clone(), plan.directory.clone());
        removals.spawn(async move {
            let _place = room.acquire().await;
            let queue = QueuePath::of(&path);
            for path in [queue.as_str(), path.as_str()] {
                let removed = remove(&*session, directory.as_str(), path).await;
                removed.map_err(|source| failed(path, source))?;
            }
            Ok(())
        });
    }
    let removed = removals.join_all().await;
    removed.into_iter().collect::<Result<(), Error>>()?;
    let session = &**session;
    let above = directory.rfind('/').filter(|at| *at > 0).map_or("/", |at| &directory[..at]);
    remove(session, above, directory).await.map_err(|source| failed(directory, source))?;
    if let Some(parent) = &plan.parent {
        match remove(session, "/", parent).await {
            Err(error) if error.kind() != StoreErrorKind::NotEmpty => return Err(failed(parent, error)),
            _ => {}
        }
    }
    Ok(())
}

/// Removes a node, unless it is gone already. `above` exists as long as it does.
async fn remove(session: &dyn Session, above: &str, path: &str) -> Result<(), fairlock::store::StoreError> {
    let delete = [Operation::Delete { path: path.to_owned(), version: None }];
    match session.commit(above, &delete).await {
        Err(error) if error.kind() == StoreErrorKind::NoNode => Ok(()),
        removed => removed,
    }
}
