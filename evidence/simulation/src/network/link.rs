//! One session: the client's end, the wire, and what the servers know of it.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use fairlock::LossReason;
use fairlock::store::{Change, Session, SessionState, WatchEvent};
use tokio::sync::oneshot;
use tokio::task;

use super::call::{Reply, Request};
use super::lock;
use crate::fan::Fan;

/// How the wire between the client and its server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// All is well.
    Works,
    /// Nothing passes, whether or not the client knows.
    Dead,
    /// Requests pass, replies and events are held up.
    Mute,
    /// The server is cut off from the leader.
    Isolated,
}

/// What travels to the client.
#[derive(Debug)]
pub(super) enum Item {
    Reply(oneshot::Sender<Reply>, Reply),
    Event(u64),
}

/// A watch of the client's, placed at the servers.
pub(super) struct SimWatch {
    pub(super) path: String,
    pub(super) is_own: bool,
    /// The attempt that placed it.
    pub(super) attempt: Option<task::Id>,
    /// The servers' end.
    pub(super) event: Pin<Box<dyn Future<Output = WatchEvent> + Send>>,
    /// Gone when nobody wants to know any more.
    pub(super) asker: Weak<()>,
    /// The client's end.
    pub(super) told: oneshot::Sender<Change>,
    /// What happened, while it is not told.
    pub(super) fired: Option<Change>,
}

impl SimWatch {
    pub(super) fn is_wanted(&self) -> bool {
        self.asker.strong_count() > 0
    }
}

/// See the module's doc.
pub(super) struct Link {
    pub(super) client: usize,
    pub(super) memory: Arc<dyn Session>,

    pub(super) states: Arc<Mutex<Fan<SessionState>>>,
    /// Dropped when the connection breaks: one for each request that waits for its reply.
    pub(super) breaks: Vec<oneshot::Sender<()>>,
    /// Counts the changes of the connection's state.
    pub(super) epoch: Arc<AtomicU64>,
    /// Requests made while there was no connection.
    pub(super) unsent: VecDeque<Request>,

    pub(super) wire: Wire,
    /// Counts the connections that were made.
    pub(super) connection: u64,
    pub(super) connected_at: u64,
    /// Since when nothing has disturbed it.
    pub(super) calm_since: u64,
    pub(super) up: VecDeque<(u64, Request)>,
    pub(super) down: VecDeque<(u64, Item)>,
    /// When the last message of each direction arrives: none overtakes another.
    pub(super) up_last: u64,
    pub(super) down_last: u64,
    /// Requests of a broken connection that may still take effect.
    pub(super) late: VecDeque<(u64, Request)>,
    /// Whether the client never notices by itself that the connection is broken.
    pub(super) is_deaf: bool,
    /// When a reply last took long.
    pub(super) slow_at: Option<u64>,
    /// How long the client will have to wait for its next connection.
    pub(super) down_ms: u64,

    /// Whether the servers have the session.
    pub(super) lives: bool,
    /// When the leader last heard of it.
    pub(super) heard_at: u64,
    /// The longest time until the leader hears what the server hears.
    pub(super) relay_ms: u64,
    pub(super) relay_due: Option<u64>,
    pub(super) watches: BTreeMap<u64, SimWatch>,
    pub(super) closing: Option<oneshot::Sender<()>>,
}

impl Link {
    pub(super) fn state(&self) -> SessionState {
        lock(&self.states).get()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state() == SessionState::Connected
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state(), SessionState::Ended(_))
    }

    /// Whether its server is one of the ensemble's and believes itself connected to the client.
    pub(super) fn is_served(&self) -> bool {
        matches!(self.wire, Wire::Works | Wire::Mute)
    }

    /// Resolves, with an error, when the connection breaks.
    pub(super) fn broken(&mut self) -> oneshot::Receiver<()> {
        self.breaks.retain(|waits| !waits.is_closed());
        let (sender, receiver) = oneshot::channel();
        self.breaks.push(sender);
        receiver
    }

    /// How long nothing has disturbed it.
    pub(super) fn calm_ms(&self, now: u64) -> u64 {
        if self.wire == Wire::Works && self.is_connected() && self.lives { now - self.calm_since } else { 0 }
    }

    /// The client learns of a change: first that there was one, then what it is.
    pub(super) fn set_state(&mut self, state: SessionState) {
        if self.has_ended() || self.state() == state {
            return;
        }
        self.epoch.fetch_add(1, Ordering::Relaxed);
        lock(&self.states).set(state);
        if state != SessionState::Connected {
            self.breaks.clear();
        }
    }

    /// The client takes the session for ended.
    pub(super) fn end(&mut self, reason: LossReason) {
        self.set_state(SessionState::Ended(reason));
        self.unsent.clear();
        self.watches.clear();
    }
}
