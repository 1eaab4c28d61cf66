//! Who leads the election, as the servers have it, and what its observers were told of that.

use std::collections::{BTreeSet, HashMap};

use fairlock::store::SessionId;
use tokio::task;

use crate::facts::{Lock, Token};

/// The election's path: its lock is none of those that contenders take otherwise.
pub(crate) const ELECTION_PATH: &str = "/election";

/// Where its record is.
pub(crate) const RECORD_PATH: &str = "/election/_fairlock_leader";

/// What a leader has proclaimed: its token, and the number that is the payload.
pub(crate) type Proclaimed = (Token, u64);

/// A look at the record, by the task that looks.
#[derive(Clone, Copy, Debug)]
struct Look {
    session: SessionId,
    /// How many changes of the truth there had been.
    changes: usize,
}

/// An observer, by what it was told.
#[derive(Debug)]
struct Observing {
    task: task::Id,
    told: Option<Option<Proclaimed>>,
    /// Since when it has been asking for news without a break.
    asks_since: Option<u64>,
}

/// What an observer knows, compared with the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knowledge {
    pub(crate) observer: u8,
    pub(crate) is_true: bool,
    /// Since when neither the truth has changed nor the observer looked away; if it looks at all.
    pub(crate) since: Option<u64>,
    /// Where it looked last.
    pub(crate) session: Option<SessionId>,
}

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Leading {
    pub(crate) lock: Lock,
    recorded: Option<Proclaimed>,
    /// All that the record ever said.
    executed: BTreeSet<Proclaimed>,
    /// Who led, after each change; at first nobody.
    truths: Vec<Option<Proclaimed>>,
    changed_at: u64,
    looks: HashMap<task::Id, Look>,
    observers: Vec<Observing>,
    proclamations: u64,
}

/// What a record says.
pub(crate) fn parse(data: &[u8]) -> Option<Proclaimed> {
    let text = std::str::from_utf8(data).expect("text");
    let (line, payload) = text.split_once('\n')?;
    let token = line.split_once(r#""token":"#).and_then(|(_, rest)| rest.split(',').next());
    let token = token.and_then(|token| token.parse().ok()).unwrap_or_else(|| panic!("no token: {line}"));
    Some((token, payload.parse().expect("payloads are numbers")))
}

impl Leading {
    pub(crate) fn new(lock: Lock) -> Self {
        Self {
            lock,
            recorded: None,
            executed: BTreeSet::new(),
            truths: vec![None],
            changed_at: 0,
            looks: HashMap::new(),
            observers: Vec::new(),
            proclamations: 0,
        }
    }

    /// A payload that nobody else proclaims.
    pub(crate) fn next_payload(&mut self) -> u64 {
        self.proclamations += 1;
        self.proclamations
    }

    /// The record says this from now on.
    pub(crate) fn record(&mut self, recorded: Option<Proclaimed>) {
        self.recorded = recorded;
        self.executed.extend(recorded);
    }

    pub(crate) fn was_executed(&self, proclaimed: Proclaimed) -> bool {
        self.executed.contains(&proclaimed)
    }

    /// Whom the record names.
    pub(crate) fn named(&self) -> Option<Token> {
        self.recorded.map(|(token, _)| token)
    }

    /// Something has changed: the record, or whether the node lives that it names.
    pub(crate) fn reconsider(&mut self, now: u64, lives: bool) {
        let truth = self.recorded.filter(|_| lives);
        if self.truths.last() != Some(&truth) {
            self.truths.push(truth);
            self.changed_at = now;
        }
    }

    /// A task reads the record.
    pub(crate) fn look(&mut self, task: task::Id, session: SessionId) {
        self.looks.insert(task, Look { session, changes: self.truths.len() - 1 });
    }

    /// Whether this was the truth at some time since the task's look.
    pub(crate) fn was_true(&self, task: task::Id, told: Option<Proclaimed>) -> bool {
        self.looks.get(&task).is_some_and(|look| self.truths[look.changes..].contains(&told))
    }

    /// An observer begins; its number.
    pub(crate) fn begin(&mut self, task: task::Id) -> u8 {
        self.observers.push(Observing { task, told: None, asks_since: None });
        u8::try_from(self.observers.len() - 1).expect("few observers")
    }

    pub(crate) fn asks(&mut self, observer: u8, since: Option<u64>) {
        self.observers[usize::from(observer)].asks_since = since;
    }

    /// It was told something; true if that is not what it was told before.
    pub(crate) fn tell(&mut self, observer: u8, told: Option<Proclaimed>) -> bool {
        self.observers[usize::from(observer)].told.replace(told) != Some(told)
    }

    /// It forgets what it was told: another takes its place.
    pub(crate) fn forget(&mut self, observer: u8) {
        self.observers[usize::from(observer)].told = None;
    }

    pub(crate) fn knowledge(&self) -> impl Iterator<Item = Knowledge> {
        (0..).zip(&self.observers).map(|(observer, observing)| Knowledge {
            observer,
            is_true: observing.told.as_ref() == self.truths.last(),
            since: observing.asks_since.map(|since| since.max(self.changed_at)),
            session: self.looks.get(&observing.task).map(|look| look.session),
        })
    }

    pub(crate) fn all_know(&self) -> bool {
        self.knowledge().all(|knowledge| knowledge.is_true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_an_empty_one_names_nobody() {
        let line = r#"{"node":"lock-0000000003","token":77,"leader":{"host":"here"}}"#;
        assert_eq!(parse(format!("{line}\n12").as_bytes()), Some((77, 12)));
        assert_eq!(parse(b""), None);
    }
}
