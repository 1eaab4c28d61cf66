//! Where the demo takes place: a store, a session for each contender, and one for who looks on.

use std::time::Duration;

use fairlock::store::memory::Memory;
use fairlock::store::zookeeper::{Access, ZooKeeper};
use fairlock::store::{SessionId, Store};
use fairlock::{Builder, Error, Fairlock, Identity, Mutex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Failure;
use super::actor::{self, Report};
use super::director::Director;
use super::news::{News, Who};
use super::plan::{Place, Plan};
use super::story::Story;
use super::tap::Tap;

/// How long the sessions' end is waited for. Sessions that do not end by then expire.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct World {
    crew: Vec<Member>,
    observer: Fairlock,
    lock: Mutex,
    memory: Option<Memory>,
    reports: mpsc::UnboundedReceiver<Report>,
    reporter: mpsc::UnboundedSender<Report>,
}

struct Member {
    locks: Fairlock,
    lock: Mutex,
    leave: Option<oneshot::Sender<()>>,
}

impl World {
    pub(super) async fn open(plan: &Plan) -> Result<Self, Error> {
        match &plan.place {
            Place::Memory => {
                let memory = Memory::new();
                Self::open_on(plan, memory.clone(), Fairlock::builder(), Some(memory)).await
            }
            Place::ZooKeeper { servers, connect_timeout } => {
                let store = ZooKeeper::new(servers, vec![], Access::default())?;
                Self::open_on(plan, store, Fairlock::builder().connect_timeout(*connect_timeout), None).await
            }
        }
    }

    async fn open_on<S: Store + Clone>(
        plan: &Plan,
        store: S,
        builder: Builder,
        memory: Option<Memory>,
    ) -> Result<Self, Error> {
        let observer = builder.clone().identity(Identity::new("observer")?).open(store.clone()).await?;
        let (reporter, reports) = mpsc::unbounded_channel();
        let mut crew = Vec::new();
        for who in plan.script.contenders() {
            let identity = Identity::new(who.to_string())?;
            let tap = Tap::new(store.clone(), who, reporter.clone());
            let locks = builder.clone().identity(identity).open(tap).await?;
            let lock = locks.mutex(plan.lock.as_str())?;
            crew.push(Member { locks, lock, leave: None });
        }
        let lock = observer.mutex(plan.lock.as_str())?;
        Ok(Self { crew, observer, lock, memory, reports, reporter })
    }

    /// Plays the script.
    pub(super) async fn play(&mut self, plan: &Plan, news: mpsc::UnboundedSender<News>) -> Result<Story, Failure> {
        Director::new(self, plan, news).play().await
    }

    /// Ends all sessions, and with them whatever is left in the queue.
    pub(super) async fn close(self) {
        let mut closing = JoinSet::new();
        for locks in self.crew.into_iter().map(|member| member.locks).chain([self.observer]) {
            closing.spawn(async move { locks.close().await });
        }
        // Who cannot be told now will find out.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, closing.join_all()).await;
    }

    /// The lock, as one sees it who only looks.
    pub(super) fn lock(&self) -> &Mutex {
        &self.lock
    }

    /// The next report; pending for ever if nothing happens.
    pub(super) async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// Sends a contender into the queue.
    pub(super) fn enter(&mut self, who: Who) {
        let reporter = self.reporter.clone();
        let Some(member) = self.crew.get_mut(usize::from(who.0)) else { return };
        let (leave, left) = oneshot::channel();
        member.leave = Some(leave);
        tokio::spawn(actor::contend(who, member.lock.clone(), left, reporter));
    }

    /// Tells a contender to leave: to release, or to give up.
    pub(super) fn tell_to_leave(&mut self, who: Who) {
        if let Some(leave) = self.crew.get_mut(usize::from(who.0)).and_then(|member| member.leave.take()) {
            // If it has left already, that was reported.
            let _ = leave.send(());
        }
    }

    /// Ends a contender's session under its feet.
    pub(super) async fn crash(&mut self, who: Who, session: Option<SessionId>) {
        match (&self.memory, session) {
            (Some(memory), Some(session)) => memory.expire(session),
            // A real server ends a session early only for its client. The contender is not asked, and releases
            // nothing: its node vanishes with the session.
            _ => {
                if let Some(member) = self.crew.get(usize::from(who.0)) {
                    member.locks.close().await;
                }
            }
        }
    }
}
