//! The steps of the world: which are possible, and what each leads to.

use stateright::{Model, Property};

use crate::driver::contender_id;
use crate::properties;
use crate::state::{Note, SESSIONS, Server, Session, Shown, State, User};
use crate::tree::{Transaction, Tree};
use crate::world::{Converts, World};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A contender begins.
    Start(u8),
    /// A contender does something, perhaps after a look at its session's state that showed this.
    Act(u8, Option<Shown>, Act),
    /// A contender sees that its session has ended.
    SeeEnd(u8),
    /// A session's next request is executed.
    Execute(u8),
    /// The follower applies a transaction.
    Follow,
    /// A client receives an event.
    SeeEvent(u8),
    /// A session finds a server.
    Reconnect(u8, Server),
    /// The server closes the connection of a session that has ended.
    CloseConnection(u8),
    /// A session's validity is renewed.
    Renew(u8),

    /// A session's connection is lost; the second half of a step may be unsent.
    Disconnect(u8, bool),
    /// A session's validity lapses.
    Lapse(u8),
    /// The servers end a session that has lapsed.
    Expire(u8),
    /// The servers end a session without regard for its holders.
    ExpireRudely(u8),
    /// A write of a lost connection is executed.
    ExecuteGhost(u8, u8),
    /// An operator deletes a node.
    DeleteByHand(u8),
    /// An operator deletes the queue and all in it.
    DeleteAllByHand,
    /// The server removes the empty queue.
    Reap,
    /// A stranger writes to a node.
    WriteByHand(u8),
    /// Somebody changes the number of permits.
    Resize,
}

/// What a contender does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// It takes in the answer to its outstanding request.
    TakeAnswer,
    /// It takes in the answer to placing its own watch.
    TakeOwnAnswer,
    /// It takes in what its own watch tells.
    TakeOwnEvent,
    /// It takes in what its predecessor's watch tells, over an unbroken connection or not.
    TakePredecessorEvent(bool),
    /// It is time to watch a holder's own node.
    OwnWatchTime,
    /// The user releases its guard.
    Release,
    /// The user asks for a share in place of the lock.
    Downgrade,
    /// A holder's task notices that its validity has lapsed.
    Deadline,
    /// The waiter gives up.
    Cancel,
    /// The waiter looks for a missed event.
    Tick,
}

impl Step {
    /// Whether it happens by itself, sooner or later, if nothing goes wrong any more.
    pub fn is_progress(self) -> bool {
        !matches!(
            self,
            Step::Act(_, _, Act::Cancel | Act::Tick)
                | Step::Disconnect(..)
                | Step::Lapse(_)
                | Step::Expire(_)
                | Step::ExpireRudely(_)
                | Step::ExecuteGhost(..)
                | Step::DeleteByHand(_)
                | Step::DeleteAllByHand
                | Step::Reap
                | Step::WriteByHand(_)
                | Step::Resize
        )
    }
}

impl World {
    /// The steps that are possible.
    pub fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        if matches!(state.note, Some(Note::Panicked(_))) {
            return;
        }
        if self.reduces {
            self.persistent_steps(state, steps);
            if !steps.is_empty() {
                return;
            }
        }
        for contender in 0..state.contenders.len() {
            self.contender_steps(state, contender, steps);
        }
        if !state.pending.is_empty() {
            steps.push(Step::Follow);
        }
        for session in 0..SESSIONS {
            self.session_steps(state, session, steps);
        }
        self.tree_faults(state, steps);
    }

    pub(crate) fn contender_steps(&self, state: &State, contender: usize, steps: &mut Vec<Step>) {
        let (me, id) = (&state.contenders[contender], contender_id(contender));
        if !me.has_started {
            if self.may_begin(state, contender) {
                steps.push(Step::Start(id));
            }
            return;
        }
        let may_share = self.contenders[contender].converts == Converts::Downgrades && !me.is_content_with_share;
        if me.machine.is_finished() {
            return;
        }
        let mut acts = Vec::new();
        // What may rest on a look that news of the own node would refute waits for these.
        if !(me.has_own_news() && self.driver.own_news_first) {
            if me.answer.is_some() {
                acts.push(Act::TakeAnswer);
            }
            acts.extend(Self::continuities(state, contender).into_iter().map(Act::TakePredecessorEvent));
        }
        let own_event = me.own_watch.is_some_and(|watch| watch.is_known && watch.is_visible());
        let user = me.user;
        let possible = [
            (me.own_answer.is_some(), Act::TakeOwnAnswer),
            (own_event, Act::TakeOwnEvent),
            (user == User::Holding && !self.is_lent(state, contender), Act::Release),
            (user == User::Holding && may_share, Act::Downgrade),
            (user == User::Holding && me.has_lapsed, Act::Deadline),
            (matches!(user, User::Waiting | User::Granted) && state.cancels > 0, Act::Cancel),
            (me.machine.wants_ticks() && state.ticks > 0, Act::Tick),
        ];
        acts.extend(possible.into_iter().filter_map(|(is_possible, act)| is_possible.then_some(act)));
        let now = state.sessions[self.session_of(contender)].client_state();
        for act in acts {
            steps.push(Step::Act(id, None, act));
            steps.extend(me.looks(now).iter().map(|&seen| Step::Act(id, Some(seen), act)));
        }
        if me.own_watch_delayed {
            steps.push(Step::Act(id, None, Act::OwnWatchTime));
        }
        if now == Shown::Ended {
            steps.push(Step::SeeEnd(id));
        }
    }

    fn session_steps(&self, state: &State, session: usize, steps: &mut Vec<Step>) {
        let (it, id) = (&state.sessions[session], contender_id(session));
        steps.extend((0..it.ghosts.len()).map(|which| Step::ExecuteGhost(id, contender_id(which))));
        if self.is_inert(state, session) {
            return;
        }
        let is_connected = it.link.is_some() && !it.is_closing;
        let may_fail = |kind: bool| kind && state.faults > 0;
        let is_cut = it.link.is_none() && !it.has_ended;
        let disconnects = is_connected && may_fail(self.kinds.disconnect);
        let possible = [
            (Self::executable(state, session).is_some(), Step::Execute(id)),
            (!it.events.is_empty(), Step::SeeEvent(id)),
            (is_cut, Step::Reconnect(id, Server::Leader)),
            (
                is_cut && it.lives && self.kinds.lag && Self::may_connect(state, session, Server::Follower),
                Step::Reconnect(id, Server::Follower),
            ),
            (it.is_closing, Step::CloseConnection(id)),
            (
                it.has_lapsed && it.lives && is_connected && self.has_user(state, session, User::Granted),
                Step::Renew(id),
            ),
            (disconnects, Step::Disconnect(id, false)),
            (disconnects && Self::has_second_half(state, session), Step::Disconnect(id, true)),
            (is_cut && !it.has_lapsed && self.has_user(state, session, User::Holding), Step::Lapse(id)),
            (
                is_connected
                    && !it.has_lapsed
                    && self.has_user(state, session, User::Holding)
                    && may_fail(self.kinds.lapse),
                Step::Lapse(id),
            ),
            (is_connected && it.has_lapsed && it.lives && self.kinds.time_out, Step::Expire(id)),
            (is_cut && it.lives && self.kinds.time_out, Step::Expire(id)),
            (it.lives && may_fail(self.kinds.expire), Step::ExpireRudely(id)),
        ];
        steps.extend(possible.into_iter().filter_map(|(is_possible, step)| is_possible.then_some(step)));
    }

    fn tree_faults(&self, state: &State, steps: &mut Vec<Step>) {
        if state.faults == 0 || state.contenders.iter().all(|contender| contender.machine.is_finished()) {
            return;
        }
        for node in &state.leader.nodes {
            if self.kinds.delete {
                steps.push(Step::DeleteByHand(node.number));
            }
            if self.kinds.write {
                steps.push(Step::WriteByHand(node.number));
            }
        }
        if self.kinds.resize && ![0, self.permits_after].contains(&state.leader.permits) {
            steps.push(Step::Resize);
        }
        let is_empty = state.leader.nodes.is_empty();
        if self.kinds.delete_all && state.leader.exists && !is_empty {
            steps.push(Step::DeleteAllByHand);
        }
        if self.kinds.reap && state.leader.exists && is_empty && state.leader.next > 0 {
            steps.push(Step::Reap);
        }
    }

    /// What a step leads to.
    pub fn step(&self, state: &State, step: Step) -> State {
        let mut next = state.clone();
        if let Some(Note::Granted { contender, .. }) = next.note.take() {
            // The granted node's token is known only while the contender has it, so it was noted at the grant.
            let token = next.contenders[usize::from(contender)].token().unwrap_or(0);
            next.granted_highest = next.granted_highest.max(token);
            if !self.shares(usize::from(contender)) {
                next.granted_alone_highest = next.granted_alone_highest.max(token);
            }
        }
        self.take(&mut next, step);
        self.tidy(&mut next);
        next
    }

    fn act(&self, next: &mut State, contender: usize, act: Act) {
        match act {
            Act::TakeAnswer => self.take_answer(next, contender),
            Act::TakeOwnAnswer => self.take_own_answer(next, contender),
            Act::TakeOwnEvent => self.take_own_event(next, contender),
            Act::TakePredecessorEvent(continuous) => self.take_predecessor_event(next, contender, continuous),
            Act::OwnWatchTime => self.own_watch_time(next, contender),
            Act::Release => self.release(next, contender),
            Act::Downgrade => self.ask_for_share(next, contender),
            Act::Deadline => self.deadline(next, contender),
            Act::Cancel => self.cancel(next, contender),
            Act::Tick => {
                next.ticks -= 1;
                self.handle(next, contender, fairlock::queue::Event::Tick);
            }
        }
    }

    fn take(&self, next: &mut State, step: Step) {
        match step {
            Step::Start(contender) => self.begin(next, contender.into()),
            Step::SeeEnd(contender) => self.look_at_state(next, contender.into(), Shown::Ended),
            Step::Act(contender, seen, act) => {
                if let Some(seen) = seen {
                    self.look_at_state(next, contender.into(), seen);
                }
                self.act(next, contender.into(), act);
            }
            Step::Execute(session) => self.execute(next, session.into()),
            Step::Follow => self.follow(next),
            Step::SeeEvent(session) => self.see_event(next, session.into()),
            Step::Reconnect(session, server) => self.reconnect(next, session.into(), server),
            Step::CloseConnection(session) => {
                self.disconnect(next, session.into(), false);
                self.end(next, session.into());
            }
            Step::Renew(session) => self.renew(next, session.into()),
            Step::Disconnect(session, looks_remain) => {
                next.faults -= 1;
                self.disconnect(next, session.into(), looks_remain);
            }
            Step::Lapse(session) => {
                if next.sessions[usize::from(session)].link.is_some() {
                    next.faults -= 1;
                }
                self.lapse(next, session.into());
            }
            Step::Expire(session) => {
                // Whoever holds knew before, by its own clock.
                if self.driver.servers_wait {
                    self.lapse(next, session.into());
                }
                self.expire(next, session.into());
            }
            Step::ExpireRudely(session) => {
                next.faults -= 1;
                next.is_rude = true;
                self.expire(next, session.into());
            }
            Step::ExecuteGhost(session, which) => self.execute_ghost(next, session.into(), which.into()),
            Step::DeleteByHand(number) => {
                next.faults -= 1;
                self.delete_by_hand(next, number);
            }
            Step::DeleteAllByHand => {
                next.faults -= 1;
                self.delete_all_by_hand(next);
            }
            Step::Reap => {
                next.faults -= 1;
                self.log(next, Transaction::Remove, None);
            }
            Step::Resize => {
                next.faults -= 1;
                self.log(next, Transaction::Resize(self.permits_after), None);
            }
            Step::WriteByHand(number) => {
                next.faults -= 1;
                self.log(next, Transaction::Write(number), None);
            }
        }
    }

    fn has_user(&self, state: &State, session: usize, user: User) -> bool {
        self.members(session).any(|contender| state.contenders[contender].user == user)
    }

    /// A session whose contenders are all done concerns nobody any more.
    fn is_inert(&self, state: &State, session: usize) -> bool {
        self.members(session).all(|contender| state.contenders[contender].is_done())
    }

    /// Takes states for one that differ only in what nothing can notice any more.
    fn tidy(&self, state: &mut State) {
        for session in 0..SESSIONS {
            self.see_harmless_events(state, session);
            if self.is_inert(state, session) {
                let lives = state.sessions[session].lives;
                let ghosts = std::mem::take(&mut state.sessions[session].ghosts);
                state.sessions[session] = Session { lives, ghosts, ..Session::connected(Server::Leader) };
            }
        }
        let sees_follower = |state: &State| {
            // One that has ended is told so by whatever server it finds.
            let may_see = |session: &Session| match session.link {
                Some(server) => server == Server::Follower,
                None => session.lives && self.kinds.lag,
            };
            state.sessions.iter().any(may_see) || state.faults > 0 && self.kinds.disconnect && self.kinds.lag
        };
        if !sees_follower(state) || (0..SESSIONS).all(|session| self.is_inert(state, session)) {
            state.follower = Tree::default();
            state.pending.clear();
            for session in &mut state.sessions {
                session.seen = 0;
            }
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        self.beginnings()
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let next = self.step(state, step);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }

    fn within_boundary(&self, state: &State) -> bool {
        !(self.excuses_forgery && matches!(state.note, Some(Note::Granted { forged: true, .. })))
    }
}
