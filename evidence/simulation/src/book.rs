//! What is known of the queues from outside: the live nodes, their guards, and the attempts under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;

use fairlock::queue::{Mode, Sequence};
use fairlock::store::SessionId;
use fairlock::{LockPath, QueuePath};
use tokio::task;

use crate::facts::{Lock, Standing, Token};
use crate::guard::AnyGuard;

/// Below it lies, for each lock, the data that its holders write in guarded transactions.
pub(crate) const DATA_FOLDER: &str = "/data";

/// A live node of a contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) number: i32,
    pub(crate) session: SessionId,
    /// Whether it shares the lock.
    pub(crate) shares: bool,
    /// The attempt that it was made for.
    pub(crate) attempt: Option<task::Id>,
}

/// A guard that is not released.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) token: Token,
    pub(crate) session: Option<SessionId>,
    shares: bool,
    guard: Weak<AnyGuard>,
}

#[derive(Debug)]
struct Queue {
    path: QueuePath,
    nodes: BTreeMap<Token, Node>,
    /// Nodes that nobody was in the way of at some time, dead ones too.
    heads: BTreeSet<Token>,
    held: Vec<Held>,
    /// The attempts of each client.
    attempts: Vec<usize>,
    tampered: bool,
    removed_at: Option<u64>,
}

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Book {
    queues: Vec<Queue>,
}

/// The path of a lock.
pub(crate) fn lock_path(lock: Lock) -> String {
    format!("/{lock}")
}

impl Queue {
    fn note_head(&mut self) {
        for (position, (&token, node)) in self.nodes.iter().enumerate() {
            // The first, and with it those who share the lock with it.
            if position > 0 && !node.shares {
                return;
            }
            self.heads.insert(token);
            if !node.shares {
                return;
            }
        }
    }
}

impl Held {
    /// Whether it and another may not both be valid.
    pub(crate) fn excludes(&self, shares: bool) -> bool {
        !(self.shares && shares)
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.guard.upgrade().is_some_and(|guard| guard.is_valid())
    }
}

impl Book {
    pub(crate) fn new(locks: usize, clients: usize) -> Self {
        let queue = |lock| Queue {
            path: QueuePath::of(&LockPath::new(&lock_path(lock)).expect("a good path")),
            nodes: BTreeMap::new(),
            heads: BTreeSet::new(),
            held: vec![],
            attempts: vec![0; clients],
            tampered: false,
            removed_at: None,
        };
        Self { queues: (0..locks).map(|lock| queue(u8::try_from(lock).expect("few locks"))).collect() }
    }

    pub(crate) fn locks(&self) -> impl Iterator<Item = Lock> + use<> {
        0..u8::try_from(self.queues.len()).expect("few locks")
    }

    fn queue(&self, lock: Lock) -> &Queue {
        &self.queues[usize::from(lock)]
    }

    fn queue_mut(&mut self, lock: Lock) -> &mut Queue {
        &mut self.queues[usize::from(lock)]
    }

    pub(crate) fn path(&self, lock: Lock) -> QueuePath {
        self.queue(lock).path.clone()
    }

    pub(crate) fn lock_of(&self, queue: &str) -> Option<Lock> {
        self.queues.iter().position(|known| known.path.as_str() == queue).and_then(|at| u8::try_from(at).ok())
    }

    pub(crate) fn node_at(&self, queue: &str, name: &str) -> Option<(Lock, Token)> {
        let lock = self.lock_of(queue)?;
        let number = Sequence::of_node(name)?.as_i32();
        let (&token, _) = self.queue(lock).nodes.iter().find(|(_, node)| node.number == number)?;
        Some((lock, token))
    }

    pub(crate) fn created(&mut self, lock: Lock, token: Token, node: Node) {
        let queue = self.queue_mut(lock);
        queue.nodes.insert(token, node);
        queue.note_head();
    }

    pub(crate) fn removed(&mut self, lock: Lock, token: Token) -> Option<Node> {
        let queue = self.queue_mut(lock);
        let removed = queue.nodes.remove(&token);
        queue.note_head();
        removed
    }

    pub(crate) fn was_head(&self, lock: Lock, token: Token) -> bool {
        self.queue(lock).heads.contains(&token)
    }

    /// The live node that was created next after this one.
    pub(crate) fn successor(&self, lock: Lock, token: Token) -> Option<Token> {
        self.queue(lock).nodes.range(token + 1..).next().map(|(&next, _)| next)
    }

    pub(crate) fn sequence_of(&self, lock: Lock, token: Token) -> Option<Sequence> {
        let node = self.queue(lock).nodes.get(&token)?;
        Some(Sequence::new(node.number, if node.shares { Mode::Shared } else { Mode::Exclusive }))
    }

    /// The attempt that a live node was made for.
    pub(crate) fn attempt_of(&self, lock: Lock, token: Token) -> Option<task::Id> {
        self.queue(lock).nodes.get(&token).and_then(|node| node.attempt)
    }

    pub(crate) fn lives(&self, lock: Lock, token: Token) -> bool {
        self.queue(lock).nodes.contains_key(&token)
    }

    /// The live nodes, in order of creation.
    pub(crate) fn nodes(&self, lock: Lock) -> Vec<Token> {
        self.queue(lock).nodes.keys().copied().collect()
    }

    pub(crate) fn node_count(&self) -> usize {
        self.queues.iter().map(|queue| queue.nodes.len()).sum()
    }

    pub(crate) fn nodes_of(&self, session: SessionId) -> Vec<(Lock, Token)> {
        let mut found = Vec::new();
        for (lock, queue) in (0..).zip(&self.queues) {
            found.extend(
                queue.nodes.iter().filter(|(_, node)| node.session == session).map(|(&token, _)| (lock, token)),
            );
        }
        found
    }

    pub(crate) fn nodes_of_session(&self, lock: Lock, session: SessionId) -> usize {
        self.queue(lock).nodes.values().filter(|node| node.session == session).count()
    }

    /// A live node that was created before this one and is in its way.
    pub(crate) fn ahead_of(&self, lock: Lock, token: Token, shares: bool) -> Option<Token> {
        let is_in_the_way = |(other, node): &(&Token, &Node)| **other < token && !(shares && node.shares);
        self.queue(lock).nodes.iter().find(is_in_the_way).map(|(&other, _)| other)
    }

    pub(crate) fn tamper(&mut self, lock: Lock) {
        self.queue_mut(lock).tampered = true;
    }

    pub(crate) fn is_tampered(&self, lock: Lock) -> bool {
        self.queue(lock).tampered
    }

    pub(crate) fn queue_removed(&mut self, lock: Lock, at: u64) {
        self.queue_mut(lock).removed_at = Some(at);
        self.tamper(lock);
    }

    pub(crate) fn was_removed_since(&self, lock: Lock, since: u64) -> bool {
        self.queue(lock).removed_at.is_some_and(|at| at >= since)
    }

    pub(crate) fn hold(&mut self, lock: Lock, token: Token, guard: Weak<AnyGuard>, shares: bool) {
        let session = self.queue(lock).nodes.get(&token).map(|node| node.session);
        self.queue_mut(lock).held.push(Held { token, session, shares, guard });
    }

    pub(crate) fn held(&self, lock: Lock) -> &[Held] {
        &self.queue(lock).held
    }

    pub(crate) fn unhold(&mut self, lock: Lock, token: Token) {
        self.queue_mut(lock).held.retain(|held| held.token != token);
    }

    pub(crate) fn standing(&self, lock: Lock, token: Token) -> Standing {
        match self.held(lock).iter().find(|held| held.token == token) {
            Some(held) if held.is_valid() => Standing::Valid,
            Some(_) => Standing::Lost,
            None => Standing::None,
        }
    }

    pub(crate) fn begin(&mut self, lock: Lock, client: usize) {
        self.queue_mut(lock).attempts[client] += 1;
    }

    pub(crate) fn end(&mut self, lock: Lock, client: usize) {
        self.queue_mut(lock).attempts[client] -= 1;
    }

    pub(crate) fn attempts(&self, lock: Lock, client: usize) -> usize {
        self.queue(lock).attempts[client]
    }
}
