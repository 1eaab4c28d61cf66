//! The servers: they execute requests, apply the log, and tell watches.

use fairlock::FencingToken;
use fairlock::queue::{Event, LeaveForm, Sequence};
use fairlock::store::{Entered, Neighbours, OwnNode};

use crate::driver::{ACKNOWLEDGED, contender_id};
use crate::state::{
    Delivery, Logged, Note, Queued, Reply, Request, SESSIONS, Server, Slot, State, Watch, Watched, number_of, small,
    token_of,
};
use crate::tree::{Node, ROOM, Told, Transaction, Tree};
use crate::world::World;

impl State {
    /// The tree that a session reads.
    pub fn tree_at(&self, server: Server) -> &Tree {
        match server {
            Server::Leader => &self.leader,
            Server::Follower => &self.follower,
        }
    }
}

impl World {
    /// Which request of a session can be executed next: writes go to the leader at once, one after the other; a look
    /// waits for the replies to all before it.
    pub(crate) fn executable(state: &State, session: usize) -> Option<usize> {
        let session = &state.sessions[session];
        if session.link.is_none() || session.is_closing {
            return None;
        }
        let next = session.requests.iter().position(|queued| !queued.is_executed)?;
        match session.requests[next].request.is_write() {
            // The leader knows no such session any more: the connection will be closed.
            true if !session.lives => None,
            true => Some(next),
            false if next == 0 => Some(next),
            false => None,
        }
    }

    /// Executes a session's next request.
    pub(crate) fn execute(&self, state: &mut State, session: usize) {
        let Some(next) = Self::executable(state, session) else { return };
        let server = state.sessions[session].link.expect("only a connected session's request is executed");
        let queued = state.sessions[session].requests[next].clone();
        if !queued.request.is_write() {
            state.sessions[session].requests.remove(next);
            self.see_events(state, session);
            return self.look(state, session, server, &queued);
        }
        state.sessions[session].ghosts.clear();
        let (transaction, event) = self.decide(state, session, &queued);
        match server {
            Server::Leader => {
                state.sessions[session].requests.remove(next);
                self.log(state, transaction, None);
                self.reply(state, queued.contender, queued.slot, queued.request, event);
            }
            Server::Follower => {
                state.sessions[session].requests[next].is_executed = true;
                let reply = Reply { contender: queued.contender, slot: queued.slot, event };
                self.log(state, transaction, Some(reply));
            }
        }
    }

    /// A write whose connection was lost is executed after all; those before it never will be.
    pub(crate) fn execute_ghost(&self, state: &mut State, session: usize, which: usize) {
        let ghost = state.sessions[session].ghosts[which].clone();
        state.sessions[session].ghosts.drain(..=which);
        let (transaction, _lost) = self.decide(state, session, &ghost);
        self.log(state, transaction, None);
    }

    /// What the leader makes of a write.
    fn decide(&self, state: &mut State, session: usize, queued: &Queued) -> (Transaction, Event) {
        match queued.request {
            Request::Enter if !state.leader.exists => (Transaction::Nothing, Event::QueueMissing),
            Request::Enter => {
                state.tokens += 1;
                let node = Node {
                    number: state.leader.next,
                    token: state.tokens,
                    session: contender_id(session),
                    ticket: queued.contender,
                    version: 0,
                    shares: self.shares(queued.contender.into()),
                };
                let OwnNode { sequence, token } = self.own_node(&node);
                // Nobody who wants permits is told whether it is alone.
                let is_told = self.permits == 0;
                let neighbours = if is_told { state.leader.neighbours_of_next() } else { Neighbours::Unknown };
                (Transaction::Create(node), Event::Entered(Entered { sequence, token, neighbours }))
            }
            Request::MakeQueue if state.leader.exists => (Transaction::Nothing, Event::QueueMade),
            Request::MakeQueue => (Transaction::Make, Event::QueueMade),
            Request::Leave(form, own) => self.decide_leave(state, queued, form, own),
            Request::Downgrade(own) => self.decide_downgrade(state, queued, own),
            _ => (Transaction::Nothing, ACKNOWLEDGED),
        }
    }

    fn decide_leave(&self, state: &mut State, queued: &Queued, form: LeaveForm, own: OwnNode) -> (Transaction, Event) {
        let number = number_of(own);
        let named = state.leader.node(number).filter(|node| self.sequence_of(node) == own.sequence);
        let Some(&node) = named else { return (Transaction::Nothing, Event::LeaveMissing) };
        if form == LeaveForm::CloseQueue && state.leader.nodes.len() > 1 {
            return (Transaction::Nothing, Event::Refused);
        }
        Self::note_theft(state, queued, &node, own);
        let transaction = match form {
            LeaveForm::Release if self.driver.release_is_told => Transaction::Release(number),
            LeaveForm::Release | LeaveForm::Withdraw => Transaction::Delete(number),
            LeaveForm::CloseQueue => Transaction::CloseQueue(number),
        };
        (transaction, Event::Left)
    }

    /// By its name, another's node is about to be deleted.
    pub(crate) fn note_theft(state: &mut State, queued: &Queued, node: &Node, own: OwnNode) {
        if node.token == token_of(own) {
            return;
        }
        let (thief, victim) = (usize::from(queued.contender), usize::from(node.ticket));
        if !state.contenders[thief].was_robbed || queued.ought_to_know {
            state.note = Some(Note::DeletedAnothers(queued.contender));
        }
        state.contenders[victim].was_robbed = true;
    }

    /// Logs a transaction: the leader applies it at once, the follower later.
    pub(crate) fn log(&self, state: &mut State, transaction: Transaction, reply: Option<Reply>) {
        self.apply(state, Server::Leader, transaction);
        state.pending.push(Logged { transaction, reply });
    }

    /// The follower applies the oldest transaction that it lacks.
    pub(crate) fn follow(&self, state: &mut State) {
        let Logged { transaction, reply } = state.pending.remove(0);
        for session in &mut state.sessions {
            session.seen = session.seen.saturating_sub(1);
        }
        self.apply(state, Server::Follower, transaction);
        let Some(Reply { contender, slot, event }) = reply else { return };
        let session = self.session_of(usize::from(contender));
        let answered = state.sessions[session]
            .requests
            .iter()
            .position(|queued| queued.is_of(contender.into(), slot) && queued.is_executed);
        if let Some(answered) = answered {
            let queued = state.sessions[session].requests.remove(answered);
            self.reply(state, contender, slot, queued.request, event);
        }
    }

    fn apply(&self, state: &mut State, server: Server, transaction: Transaction) {
        let tree = match server {
            Server::Leader => &mut state.leader,
            Server::Follower => &mut state.follower,
        };
        let mut changes: Vec<(u8, Told)> = Vec::new();
        tree.apply(transaction, |number, told| changes.push((number, told)));
        for session in 0..SESSIONS {
            if state.sessions[session].link == Some(server) && !state.sessions[session].is_closing {
                for &(number, told) in &changes {
                    self.tell(state, session, number, told);
                }
            }
        }
        if let Transaction::EndSession(session) = transaction {
            let ended = &mut state.sessions[usize::from(session)];
            if ended.link == Some(server) {
                ended.is_closing = true;
            }
        }
    }

    /// Tells the watches of a session on a node, once each.
    fn tell(&self, state: &mut State, session: usize, number: u8, told: Told) {
        for which in Self::WATCHES {
            for contender in self.members(session) {
                if let Some(watch) = state.contenders[contender].watch_mut(which)
                    && watch.number == number
                    && watch.told.is_none()
                {
                    watch.told = Some((told, Delivery::Sent));
                    state.sessions[session].events.push((contender_id(contender), which));
                }
            }
        }
    }

    /// The client receives the oldest event of a session.
    pub(crate) fn see_event(&self, state: &mut State, session: usize) {
        let (contender, which) = state.sessions[session].events.remove(0);
        if let Some(watch) = state.contenders[usize::from(contender)].watch_mut(which)
            && let Some((told, Delivery::Sent)) = watch.told
        {
            watch.told = Some((told, Delivery::Seen { was_continuous: watch.is_continuous }));
        }
        self.see_harmless_events(state, session);
    }

    /// That an event of a predecessor's watch was seen forbids nothing, so if it cannot be lost any more, it is seen at
    /// once. One of an own watch may be overtaken by what was seen before.
    pub(crate) fn see_harmless_events(&self, state: &mut State, session: usize) {
        let may_be_lost = state.faults > 0 && self.kinds.disconnect;
        if !may_be_lost && matches!(state.sessions[session].events.first(), Some((_, Watched::Predecessor))) {
            self.see_event(state, session);
        }
    }

    /// A reply comes after all events before it.
    fn see_events(&self, state: &mut State, session: usize) {
        while !state.sessions[session].events.is_empty() {
            self.see_event(state, session);
        }
    }

    /// A write's reply reaches the client.
    fn reply(&self, state: &mut State, contender: u8, slot: Slot, request: Request, event: Event) {
        let session = self.session_of(usize::from(contender));
        self.see_events(state, session);
        self.note_seen(state, session);
        self.answer(state, usize::from(contender), slot, request, event);
    }

    /// A look at the connected server, and its answer.
    fn look(&self, state: &mut State, session: usize, server: Server, queued: &Queued) {
        self.note_seen(state, session);
        let tree = state.tree_at(server);
        let contender = usize::from(queued.contender);
        let is_of = |own: OwnNode, session: usize| {
            let node = tree.node(number_of(own)).filter(|node| self.sequence_of(node) == own.sequence);
            node.is_some_and(|node| {
                !self.driver.compares_identity || (node.token == token_of(own) && usize::from(node.session) == session)
            })
        };
        let is_own = |own: OwnNode| is_of(own, session);
        // A name has the mode in it.
        let named = |name: Sequence| tree.node(small(name)).filter(|node| self.sequence_of(node) == name);
        let watch_of = |node: &Node| Watch {
            number: node.number,
            token: node.token,
            version: node.version,
            shares: node.shares,
            is_known: false,
            is_continuous: queued.is_continuous,
            told: None,
        };
        let event = match queued.request {
            Request::FindOwn => {
                let own = tree
                    .nodes
                    .iter()
                    .filter(|node| usize::from(node.session) == session && node.ticket == queued.contender);
                Event::Recovered(own.map(|node| self.own_node(node)).collect())
            }
            Request::Survey if !tree.exists => Event::QueueMissing,
            Request::Survey => Event::Surveyed(tree.nodes.iter().map(|node| self.sequence_of(node)).collect()),
            Request::SurveyRoom | Request::WatchRoom if !tree.exists => Event::QueueMissing,
            Request::SurveyRoom => self.room(tree),
            Request::WatchRoom => {
                let event = self.room(tree);
                let watch = Watch {
                    number: ROOM,
                    token: 0,
                    version: 0,
                    shares: false,
                    is_known: false,
                    is_continuous: queued.is_continuous,
                    told: None,
                };
                state.contenders[contender].predecessor_watch = Some(watch);
                event
            }
            Request::Watch(ahead) => match named(ahead).map(watch_of) {
                Some(watch) => {
                    state.contenders[contender].predecessor_watch = Some(watch);
                    Event::WatchPlaced
                }
                None => Event::WatchMissing,
            },
            Request::WatchEither(writer) => {
                state.contenders[contender].predecessor_watch = named(writer).map(watch_of);
                // Both are sent at once; what happens in between is seen by the second.
                return self.ask(state, contender, queued.slot, Request::WatchReader(writer.as_shared()));
            }
            Request::WatchReader(reader) => match named(reader).map(watch_of) {
                Some(watch) => {
                    state.contenders[contender].predecessor_watch = Some(watch);
                    Event::ReaderWatchPlaced
                }
                None if state.contenders[contender].predecessor_watch.is_some() => Event::WatchPlaced,
                None => Event::WatchMissing,
            },
            Request::WatchOwn(own) if is_own(own) => {
                let watch = tree.node(number_of(own)).map(watch_of);
                state.contenders[contender].own_watch = watch;
                Event::OwnWatchPlaced
            }
            Request::WatchOwn(_) => Event::OwnGone,
            Request::Probe(ahead) => Event::Probed { exists: named(ahead).is_some() },
            Request::Confirm(own) => match (state.contenders[contender].share, self.share_of(contender)) {
                (Some(share), Some(other)) if is_own(own) && !is_of(share, self.session_of(other)) => Event::ShareGone,
                _ => Event::Verified { exists: is_own(own) },
            },
            Request::Verify(own) => Event::Verified { exists: is_own(own) },
            Request::Enter
            | Request::MakeQueue
            | Request::Leave(..)
            | Request::Downgrade(_)
            | Request::BarrierToRecover
            | Request::BarrierToVerify(_) => unreachable!("a write is decided by the leader"),
        };
        self.answer(state, contender, queued.slot, queued.request, event);
    }

    fn room(&self, tree: &Tree) -> Event {
        let contenders = tree.nodes.iter().map(|node| self.sequence_of(node)).collect();
        Event::RoomSurveyed { contenders, permits: (tree.permits > 0).then(|| tree.permits.into()) }
    }

    pub(crate) fn own_node(&self, node: &Node) -> OwnNode {
        OwnNode { sequence: self.sequence_of(node), token: FencingToken::from(i64::from(node.token)) }
    }

    /// What is answered by a server tells the client how far that server is.
    fn note_seen(&self, state: &mut State, session: usize) {
        if state.sessions[session].link == Some(Server::Leader) {
            state.sessions[session].seen = u8::try_from(state.pending.len()).expect("few transactions are pending");
        }
    }
}
