//! The servers: they execute what leaders and the observer ask for, apply the log, and tell watches.

use super::World;
use super::proclaiming::{self, Next, Outcome};
use super::state::{Change, Note, Record, Request, Server, Stage, State, Tree, Written};

impl Tree {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Made(node) => self.node = Some(node),
            Change::Gone => self.node = None,
            Change::Written => {
                if let Some(node) = &mut self.node {
                    node.version += 1;
                }
            }
            Change::Recorded(record) => {
                self.record = Some(record);
                self.version += 1;
            }
        }
    }
}

impl World {
    /// The leader logs a change and applies it; the follower will.
    pub(super) fn log(&self, state: &mut State, change: Change) {
        self.apply(state, Server::Leader, change);
        if self.kinds.lag {
            state.pending.push(change);
        } else {
            self.apply(state, Server::Follower, change);
        }
    }

    pub(super) fn follow(&self, state: &mut State) {
        let change = state.pending.remove(0);
        state.observer.seen = state.observer.seen.saturating_sub(1);
        self.apply(state, Server::Follower, change);
    }

    fn apply(&self, state: &mut State, server: Server, change: Change) {
        let gone = match server {
            Server::Leader => state.leader.node,
            Server::Follower => state.follower.node,
        };
        let tree = match server {
            Server::Leader => &mut state.leader,
            Server::Follower => &mut state.follower,
        };
        tree.apply(change);
        let truth = tree.truth();
        let observer = &mut state.observer;
        if observer.home == server && observer.ask.is_some() && !observer.window.is_empty() {
            note_truth(&mut observer.window, truth);
        }
        if observer.link != Some(server) || !observer.lives {
            return;
        }
        match change {
            Change::Recorded(_) => {
                if let Some(watch) = &mut observer.record
                    && watch.stage == Stage::Placed
                {
                    watch.stage = Stage::Sent;
                }
            }
            Change::Gone | Change::Written => {
                let is_told = change == Change::Written || self.promises.deletions_are_told;
                if let (Some(watch), Some(gone)) = (&mut observer.node, gone)
                    && (watch.stage, watch.saw.number) == (Stage::Placed, gone.number)
                    && is_told
                {
                    watch.stage = Stage::Sent;
                }
            }
            Change::Made(_) => {}
        }
    }

    /// The leader executes a candidate's request.
    pub(super) fn execute(&self, state: &mut State, candidate: usize, reply_is_lost: bool) {
        let term = state.terms[candidate].as_mut().expect("whoever sends leads");
        let request = term.request.take().expect("a request is under way");
        term.ghost = None;
        let (payload, lives) = (term.payload, term.lives);
        let outcome = match request {
            // The servers know no such session any more.
            _ if !lives => Outcome::Failed,
            Request::Make => {
                if state.leader.record.is_none() {
                    self.log(state, Change::Recorded(None));
                }
                // Whether it was made, or was there, the transaction finds out.
                return self.send(state, candidate);
            }
            Request::Write => self.write(state, candidate, payload),
        };
        let outcome = match outcome {
            _ if reply_is_lost && self.promises.unknown_is_unknown => Outcome::Unknown,
            outcome => outcome,
        };
        self.come_out(state, candidate, outcome);
    }

    /// A candidate's request is lost on its way, or comes late.
    pub(super) fn lose(&self, state: &mut State, candidate: usize) {
        let term = state.terms[candidate].as_mut().expect("whoever sends leads");
        let request = term.request.take().expect("a request is under way");
        if request == Request::Make {
            return self.send(state, candidate);
        }
        term.ghost = Some(term.payload);
        let outcome = if self.promises.unknown_is_unknown { Outcome::Unknown } else { Outcome::Executed };
        self.come_out(state, candidate, outcome);
    }

    pub(super) fn execute_ghost(&self, state: &mut State, candidate: usize) {
        let term = state.terms[candidate].as_mut().expect("ghosts are of those who lead");
        let payload = term.ghost.take().expect("a ghost");
        if term.lives {
            self.write(state, candidate, payload);
        }
    }

    fn send(&self, state: &mut State, candidate: usize) {
        if let Some(term) = &mut state.terms[candidate] {
            term.request = Some(Request::Write);
        }
    }

    fn come_out(&self, state: &mut State, candidate: usize, outcome: Outcome) {
        match proclaiming::after(outcome) {
            Next::Succeed => {
                let is_written = state.terms[candidate].as_ref().is_some_and(|term| term.is_written);
                state.note = Some(Note::Confirmed { is_written });
            }
            Next::MakeRecord => {
                if let Some(term) = &mut state.terms[candidate] {
                    term.request = Some(Request::Make);
                }
            }
            Next::Repeat => self.send(state, candidate),
            Next::Fail => state.terms[candidate] = None,
        }
    }

    /// The transaction: the record is written if the leader's node is there.
    fn write(&self, state: &mut State, candidate: usize, payload: u8) -> Outcome {
        let term = state.terms[candidate].as_mut().expect("whoever sends leads");
        let record = Record { number: term.number, token: term.token, payload };
        let checked = state.leader.node.filter(|node| node.number == term.number);
        if checked.is_none() && self.promises.writes_are_checked {
            return Outcome::Failed;
        }
        let Some(before) = state.leader.record else { return Outcome::RecordMissing };
        let again = term.is_written && payload == term.payload;
        term.is_written |= payload == term.payload;
        let by_living = state.leader.node.is_some_and(|node| node.token == record.token);
        let is_namesake = term.is_robbed && checked.is_some() && !by_living;
        let in_order = before.is_none_or(|before| (before.token, before.payload) <= (record.token, record.payload));
        state.written = Some(Written { by_living, in_order, is_namesake, again });
        self.log(state, Change::Recorded(Some(record)));
        Outcome::Executed
    }
}

pub(super) fn note_truth(window: &mut Vec<Option<Record>>, truth: Option<Record>) {
    if !window.contains(&truth) {
        window.push(truth);
    }
}
