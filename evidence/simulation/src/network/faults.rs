//! Faults that happen at moments of their own, the regular look at guards and queues, and the end of all faults.

use fairlock::store::{SessionId, SessionState};

use super::link::{SimWatch, Wire};
use super::{Due, Stage, World};
use crate::book::DATA_FOLDER;
use crate::facts::{Fact, Lock, Remover};
use crate::plan::{FaultKind, Sabotage};
use crate::trace::Step;

/// "Never", on the scale of a history.
const NEVER_MS: u64 = 10_000_000;

impl World {
    pub(super) fn schedule_fault(&mut self) {
        let at = self.now() + 1 + self.rng.u64(..2 * self.plan.fault_pause_ms.max(1));
        self.schedule(at, Due::Fault);
    }

    /// One of the plan's faults happens.
    pub(super) fn happen_to_fail(&mut self) {
        if !self.is_faulty() {
            return;
        }
        self.schedule_fault();
        if self.plan.sabotage == Some(Sabotage::BatonForged) {
            self.forge_baton();
        }
        let kinds: Vec<_> = self.plan.faults.iter().copied().filter(|kind| kind.is_spontaneous()).collect();
        let Some(kind) = self.rng.choice(kinds) else { return };
        let happened = match kind {
            FaultKind::Disconnect | FaultKind::LongCut | FaultKind::Zombie | FaultKind::Stall | FaultKind::Isolated => {
                self.any_link().map(|id| self.disturb(kind, id))
            }
            FaultKind::RudeExpiry => self.any_link().map(|id| self.end_session(id, Remover::Operator)),
            FaultKind::ClockJump => {
                let client = self.rng.usize(..self.plan.clients);
                let by = self.rng.u64(1..=2 * self.plan.timeout_ms);
                self.clocks[client].jump(by);
                let now = self.now();
                for link in self.links.values_mut().filter(|link| link.client == client) {
                    link.calm_since = now;
                }
                self.look_at_guards();
                Some(())
            }
            FaultKind::Denied => {
                self.denied = true;
                let until = self.now() + self.rng.u64(1..=self.plan.timeout_ms);
                self.schedule(until, Due::Permit);
                Some(())
            }
            FaultKind::Unreachable => {
                self.unreachable_until = self.now() + self.rng.u64(1..=3 * self.plan.timeout_ms);
                Some(())
            }
            FaultKind::Reaped => {
                self.note(Step::Operator { action: "reaps", lock: 0 });
                self.memory.reap_empty_queues();
                Some(())
            }
            _ => {
                let lock = self.any_lock();
                self.operate(kind, lock)
            }
        };
        if happened.is_some() {
            self.observe(Fact::Fault(kind));
        }
    }

    fn any_link(&mut self) -> Option<SessionId> {
        let working = |(&id, link): (&SessionId, &super::Link)| {
            (link.wire == Wire::Works && link.lives && link.is_connected()).then_some(id)
        };
        let ids: Vec<_> = self.links.iter().filter_map(working).collect();
        self.rng.choice(ids)
    }

    fn any_lock(&mut self) -> Lock {
        let locks: Vec<_> = self.book.locks().collect();
        self.rng.choice(locks).expect("there is a lock")
    }

    pub(super) fn disturb(&mut self, kind: FaultKind, id: SessionId) {
        let timeout = self.plan.timeout_ms;
        let later = 1 + self.rng.u64(..2 * timeout);
        match kind {
            FaultKind::Disconnect => {
                let notice = if self.rng.bool() { 0 } else { self.rng.u64(..=timeout / 4) };
                let longest = if self.rng.bool() { timeout / 10 } else { timeout };
                let down = self.rng.u64(1..=longest);
                self.cut(id, notice, down);
            }
            FaultKind::LongCut => {
                let notice = self.rng.u64(..=timeout / 2);
                let never = self.rng.u8(..3) == 0;
                self.cut(id, notice, if never { NEVER_MS } else { timeout + later });
            }
            FaultKind::Zombie => {
                let never = self.rng.u8(..3) == 0;
                if let Some(link) = self.links.get_mut(&id) {
                    link.is_deaf = never;
                }
                self.cut(id, if never { NEVER_MS } else { timeout / 2 + later }, 1);
            }
            FaultKind::Stall => {
                let at = self.now() + later;
                let cuts = self.rng.bool();
                let Some(link) = self.links.get_mut(&id) else { return };
                link.wire = Wire::Mute;
                let connection = link.connection;
                self.schedule(at, if cuts { Due::Notice(id, connection) } else { Due::Unmute(id, connection) });
            }
            _ => {
                let at = self.now() + later;
                let Some(link) = self.links.get_mut(&id) else { return };
                link.wire = Wire::Isolated;
                link.down_ms = later / 4;
                let connection = link.connection;
                self.schedule(at, Due::Notice(id, connection));
            }
        }
        self.note(Step::Disturbed { session: id.0, kind });
    }

    fn operate(&mut self, kind: FaultKind, lock: Lock) -> Option<()> {
        let path = self.book.path(lock);
        match kind {
            FaultKind::NodeDeleted => {
                let nodes = self.book.nodes(lock);
                let token = self.rng.choice(nodes)?;
                self.operator_deletes(lock, token);
            }
            FaultKind::QueueDeleted => {
                // The last first: no other becomes the first in between.
                for token in self.book.nodes(lock).into_iter().rev() {
                    self.operator_deletes(lock, token);
                }
                self.note(Step::Operator { action: "deletes the queue", lock });
                self.memory.delete_all(path.as_str());
                self.book.queue_removed(lock, self.now());
                self.collect_fired();
            }
            FaultKind::ForeignNode => {
                self.memory.data(path.as_str())?;
                let names = ["config", "0", "lock-abc", "lock-12", "_c_1-lock-0000000001"];
                let node = path.join(self.rng.choice(names).expect("names"));
                self.memory.create(&node, "foreign");
                self.foreign.push(node);
            }
            FaultKind::ForeignWrite => {
                // The last in the queue: nobody waits for it. Its owner knows it: a ticket that is overwritten before
                // is not found again after a lost reply.
                let token = *self.book.nodes(lock).last()?;
                let path = path.join(&self.book.sequence_of(lock, token)?.node_name());
                let attempt = self.book.attempt_of(lock, token)?;
                let is_known = |link: &super::Link| {
                    let is_of_it = |own: &SimWatch| own.attempt == Some(attempt) && own.path == path;
                    link.watches.values().any(|own| is_of_it(own) && own.fired.is_none())
                };
                if !self.links.values().any(is_known) {
                    return None;
                }
                self.write_by_hand(lock, token);
            }
            _ => return None,
        }
        Some(())
    }

    fn write_by_hand(&mut self, lock: Lock, token: i64) {
        let Some(sequence) = self.book.sequence_of(lock, token) else { return };
        let node = self.book.path(lock).join(&sequence.node_name());
        self.note(Step::Operator { action: "writes to a node", lock });
        self.memory.write(&node, "by hand");
        self.collect_fired();
    }

    fn forge_baton(&mut self) {
        for lock in self.book.locks() {
            if let Some(&head) = self.book.nodes(lock).first() {
                self.write_by_hand(lock, head);
            }
        }
    }

    /// Looks at all guards, and at the nodes of each session.
    pub(super) fn sample(&mut self) {
        self.look_at_guards();
        let now = self.now();
        for lock in self.book.locks() {
            let counts = |(&id, link): (&SessionId, &super::Link)| {
                let nodes = self.book.nodes_of_session(lock, id);
                let attempts = self.book.attempts(lock, link.client);
                link.lives.then(|| Fact::Nodes { session: id.0, lock, nodes, attempts, calm_ms: link.calm_ms(now) })
            };
            let facts: Vec<_> = self.links.iter().filter_map(counts).collect();
            for fact in facts {
                self.observe(fact);
            }
        }
        self.look_at_observers();
        let at = now + self.plan.timeout_ms / 8;
        self.schedule(at, Due::Sample);
    }

    /// What every guard says now.
    pub(crate) fn look_at_guards(&mut self) {
        let now = self.now();
        for lock in self.book.locks() {
            let look = |held: &crate::book::Held| {
                let link = held.session.and_then(|id| self.links.get(&id));
                let calm_ms = link.map_or(0, |link| link.calm_ms(now));
                let (token, lives) = (held.token, self.book.lives(lock, held.token));
                Fact::Seen { lock, token, valid: held.is_valid(), lives, calm_ms }
            };
            let facts: Vec<_> = self.book.held(lock).iter().map(look).collect();
            for fact in facts {
                self.observe(fact);
            }
        }
    }

    /// No more faults: connections are restored, permissions are back, foreign nodes are gone.
    pub(super) fn heal(&mut self) {
        if !self.is_faulty() {
            return;
        }
        self.stage.set(Stage::Healed);
        self.observe(Fact::Healed);
        self.denied = false;
        self.unreachable_until = 0;
        for node in std::mem::take(&mut self.foreign) {
            self.memory.delete_all(&node);
        }
        let now = self.now();
        let ids: Vec<_> = self.links.keys().copied().collect();
        for id in ids {
            let latency = self.latency();
            let link = self.links.get_mut(&id).expect("links stay");
            link.down_ms = latency + 1;
            let connection = link.connection;
            // The library itself has to give up a session whose connection is deaf for good.
            if link.wire != Wire::Works && link.is_connected() && !link.is_deaf {
                self.schedule(now + latency, Due::Notice(id, connection));
            } else if link.state() == SessionState::Suspended {
                self.schedule(now + latency + 1, Due::Reconnect(id));
            }
        }
    }

    /// How many sessions the servers have.
    pub(crate) fn sessions(&self) -> usize {
        self.links.values().filter(|link| link.lives).count()
    }

    /// Makes the nodes that guarded transactions write.
    pub(crate) fn furnish(&mut self) {
        for lock in self.book.locks() {
            self.memory.create(&format!("{DATA_FOLDER}/{lock}"), "0");
        }
    }
}
