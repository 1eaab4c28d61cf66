//! What is known of the queues from outside: the live nodes, their guards, and the attempts under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;

use fairlock::queue::{Mode, Sequence};
use fairlock::store::SessionId;
use fairlock::{LockPath, QueuePath};
use tokio::task;

use crate::facts::{Lock, Standing, Token};
use crate::guard::AnyGuard;
use crate::leading::{ELECTION_PATH, Leading};

/// Below it lies, for each lock, the data that its holders write in guarded transactions.
pub(crate) const DATA_FOLDER: &str = "/data";

/// A live node of a contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) number: i32,
    pub(crate) session: SessionId,
    /// What it wants.
    pub(crate) mode: Mode,
    /// The attempt that it was made for.
    pub(crate) attempt: Option<task::Id>,
}

/// A guard that is not released.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) token: Token,
    pub(crate) session: Option<SessionId>,
    shares: bool,
    permits: u32,
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
    /// Where contenders want permits: how many there are.
    permits: Option<u32>,
    /// The most permits that there have been since a node was made, dead ones too.
    permits_most: BTreeMap<Token, u32>,
    /// The nodes that an operator deleted.
    robbed: BTreeSet<Token>,
}

impl Node {
    pub(crate) fn shares(&self) -> bool {
        self.mode == Mode::Shared
    }

    fn permits(&self) -> u32 {
        self.mode.permits().unwrap_or(0)
    }
}

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Book {
    queues: Vec<Queue>,
    /// Who leads the election, if there is one.
    pub(crate) leading: Option<Leading>,
}

/// The path of a lock.
pub(crate) fn lock_path(lock: Lock) -> String {
    format!("/{lock}")
}

impl Queue {
    fn note_head(&mut self) {
        if let Some(permits) = self.permits {
            let mut wanted = 0;
            for (&token, node) in &self.nodes {
                wanted += node.permits();
                if wanted <= permits {
                    self.heads.insert(token);
                }
            }
            return;
        }
        for (position, (&token, node)) in self.nodes.iter().enumerate() {
            // The first, and with it those who share the lock with it.
            if position > 0 && !node.shares() {
                return;
            }
            self.heads.insert(token);
            if !node.shares() {
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
    /// With the queue of each lock; with those of a semaphore if there is one: its turns, and its directory of permits; and with
    /// that of an election if there is one.
    pub(crate) fn new(locks: usize, has_semaphore: bool, has_election: bool, clients: usize) -> Self {
        let queue = |path| Queue {
            path,
            nodes: BTreeMap::new(),
            heads: BTreeSet::new(),
            held: vec![],
            attempts: vec![0; clients],
            tampered: false,
            removed_at: None,
            permits: None,
            permits_most: BTreeMap::new(),
            robbed: BTreeSet::new(),
        };
        let path = |lock| LockPath::new(&lock_path(lock)).expect("a good path");
        let locks = u8::try_from(locks).expect("few locks");
        let mut queues: Vec<_> = (0..locks).map(|lock| queue(QueuePath::of(&path(lock)))).collect();
        if has_semaphore {
            let semaphore = path(locks);
            queues.push(queue(QueuePath::of_turns(&semaphore)));
            let mut room = queue(QueuePath::of_permits(&semaphore));
            room.permits = Some(0);
            queues.push(room);
        }
        let election = u8::try_from(queues.len()).expect("few locks");
        if has_election {
            queues.push(queue(QueuePath::of(&LockPath::new(ELECTION_PATH).expect("a good path"))));
        }
        let leading = has_election.then(|| Leading::new(election));
        Self { queues, leading }
    }

    /// The semaphore's turns and its directory of permits.
    pub(crate) fn semaphore(&self) -> Option<(Lock, Lock)> {
        let room = self.queues.iter().position(|queue| queue.permits.is_some())?;
        let room = u8::try_from(room).expect("few locks");
        Some((room - 1, room))
    }

    /// There are so many permits from now on.
    pub(crate) fn permits_changed(&mut self, room: Lock, permits: u32) {
        let queue = self.queue_mut(room);
        queue.permits = Some(permits);
        for most in queue.permits_most.values_mut() {
            *most = permits.max(*most);
        }
        queue.note_head();
    }

    /// Of the valid guards that nobody's operator has robbed, all, if there are too many permits with another's.
    pub(crate) fn too_many(&self, room: Lock, token: Token, permits: u32) -> Vec<Token> {
        let queue = self.queue(room);
        let counts = |held: &&Held| !queue.robbed.contains(&held.token) && held.is_valid();
        let valid: Vec<_> = queue.held.iter().filter(counts).collect();
        let sum = permits + valid.iter().map(|held| held.permits).sum::<u32>();
        let most = queue.permits_most.get(&token).copied().unwrap_or(0);
        if sum <= most { vec![] } else { valid.iter().map(|held| held.token).collect() }
    }

    pub(crate) fn rob(&mut self, lock: Lock, token: Token) {
        self.queue_mut(lock).robbed.insert(token);
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
        queue.permits_most.insert(token, queue.permits.unwrap_or(0));
        queue.note_head();
    }

    pub(crate) fn removed(&mut self, lock: Lock, token: Token) -> Option<Node> {
        let queue = self.queue_mut(lock);
        let removed = queue.nodes.remove(&token);
        queue.note_head();
        removed
    }

    /// Another node has come in place of an exclusive one, which shares the lock: it counts as the same.
    pub(crate) fn downgraded(&mut self, lock: Lock, token: Token) {
        let queue = self.queue_mut(lock);
        queue.nodes.get_mut(&token).expect("what is downgraded lives").mode = Mode::Shared;
        queue.note_head();
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
        Some(Sequence::new(node.number, node.mode))
    }

    /// The attempt that a live node was made for.
    pub(crate) fn attempt_of(&self, lock: Lock, token: Token) -> Option<task::Id> {
        self.queue(lock).nodes.get(&token).and_then(|node| node.attempt)
    }

    /// The session of a live node.
    pub(crate) fn session_of(&self, lock: Lock, token: Token) -> Option<SessionId> {
        self.queue(lock).nodes.get(&token).map(|node| node.session)
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

    /// A live node that was created before this one and is in its way, which the share that is given up for it is not.
    pub(crate) fn ahead_of(&self, lock: Lock, token: Token, shares: bool, share: Option<Token>) -> Option<Token> {
        if let Some(own) = self.queue(lock).permits_most.get(&token).filter(|_| self.queue(lock).permits.is_some()) {
            let up_to_own = || self.queue(lock).nodes.range(..=token);
            let wanted: u32 = up_to_own().map(|(_, node)| node.permits()).sum();
            return up_to_own().next().filter(|_| wanted > *own).map(|(&first, _)| first);
        }
        let is_in_the_way =
            |(other, node): &(&Token, &Node)| **other < token && Some(**other) != share && !(shares && node.shares());
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
        let permits = guard.upgrade().map_or(0, |guard| guard.permits());
        self.queue_mut(lock).held.push(Held { token, session, shares, permits, guard });
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
