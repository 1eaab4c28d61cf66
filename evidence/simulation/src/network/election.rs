//! What the servers do with the record of the election, and what its observers know of it.

use fairlock::recipes::Leader;
use fairlock::store::{Operation, Session, SessionId, Value};
use tokio::task;

use super::call::{Answer, Reply};
use super::{Network, World, at_once};
use crate::facts::{Fact, Lock, Remover, Token};
use crate::leading::{Knowledge, Proclaimed, RECORD_PATH, parse};
use crate::plan::Sabotage;

impl Network {
    /// An operator ends a session, after the faults too.
    pub(crate) fn end_by_operator(&self, id: SessionId) {
        self.lock().end_session(id, Remover::Operator);
        self.bell.notify_one();
    }
}

impl World {
    pub(super) fn commit(&mut self, session: &dyn Session, own: &str, operations: &[Operation]) -> Reply {
        let record = operations.iter().find_map(|operation| match operation {
            Operation::SetData { path, data, .. } if path == RECORD_PATH => Some(data),
            _ => None,
        });
        if record.is_some() && self.plan.sabotage == Some(Sabotage::CommitForgotten) && self.rng.u8(..10) == 0 {
            return Ok(Answer::Done);
        }
        let executed = at_once(session.commit(own, operations));
        match (record, executed) {
            (Some(data), Err(error))
                if self.plan.sabotage == Some(Sabotage::CheckIgnored) && error.index() == Some(0) =>
            {
                self.memory.write(RECORD_PATH, data.clone());
                Ok(self.committed(own, operations))
            }
            (_, executed) => executed.map(|()| self.committed(own, operations)),
        }
    }

    /// The record was written, in a transaction that checked this node.
    pub(super) fn recorded(&mut self, node: Option<(Lock, Token)>, data: &[u8]) {
        let recorded = parse(data);
        let Some(leading) = &mut self.book.leading else { return };
        let lock = leading.lock;
        leading.record(recorded);
        if let Some((token, payload)) = recorded {
            let was_head = self.book.was_head(lock, token);
            let node = node.filter(|(of, _)| *of == lock).map(|(_, node)| node);
            self.observe(Fact::Recorded { token, payload, node, was_head });
        }
        self.reconsider();
    }

    /// The record or the node that it names may have changed.
    pub(super) fn reconsider(&mut self) {
        let now = self.now();
        let Some((lock, named)) = self.book.leading.as_ref().map(|leading| (leading.lock, leading.named())) else {
            return;
        };
        let lives = named.is_some_and(|token| self.book.lives(lock, token));
        if let Some(leading) = &mut self.book.leading {
            leading.reconsider(now, lives);
        }
    }

    /// A task reads the record.
    pub(super) fn looked(&mut self, id: SessionId, task: Option<task::Id>, value: &mut Option<Value>) {
        let is_stale = self.plan.sabotage == Some(Sabotage::RecordStale) && self.rng.u8(..10) == 0;
        let (Some(task), Some(leading)) = (task, &mut self.book.leading) else { return };
        leading.look(task, id);
        if is_stale {
            // As it was before anybody led.
            *value = None;
        }
    }

    /// A task was told who leads, as this observer or having asked only once.
    pub(crate) fn told(&mut self, observer: Option<u8>, task: task::Id, leader: Option<&Leader>) {
        let told: Option<Proclaimed> = leader.map(|leader| {
            let payload = std::str::from_utf8(leader.payload()).ok().and_then(|payload| payload.parse().ok());
            (leader.fencing_token().as_i64(), payload.expect("payloads are numbers"))
        });
        let Some(leading) = &mut self.book.leading else { return };
        let was_true = leading.was_true(task, told);
        let is_new = observer.is_none_or(|observer| leading.tell(observer, told));
        self.observe(Fact::Observed { observer, leader: told.map(|(token, _)| token), is_new, was_true });
    }

    /// Looks at what each observer knows.
    pub(super) fn look_at_observers(&mut self) {
        let now = self.now();
        let Some(leading) = &self.book.leading else { return };
        let known = |Knowledge { observer, is_true, since, session }| {
            let calm_ms = session.and_then(|id| self.links.get(&id)).map_or(0, |link| link.calm_ms(now));
            let for_ms = calm_ms.min(since.map_or(0, |since| now - since));
            Fact::Known { observer, is_true, for_ms }
        };
        let facts: Vec<_> = leading.knowledge().map(known).collect();
        for fact in facts {
            self.observe(fact);
        }
    }
}
