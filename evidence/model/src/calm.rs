//! A reduction: where the order of steps cannot matter any more, only one order is visited.
//!
//! Once the last fault has happened, many steps are independent of all others: taking in an answer that no news of the own
//! node can overtake any more; a look at the own node, which nobody but its contender will change; a barrier without
//! anything to settle. A set of steps is *persistent* if whatever others do first neither enables, disables nor changes
//! any step of the set. Then each history has an equivalent one that begins with a step of the set, and only those
//! need to be visited. The steps chosen here each take something away (an answer, a request, an event), so that none is put
//! off for ever. Before the last fault everything is visited, since a fault is independent of nothing.
//!
//! `World::reduces` switches it off, to see that both ways find the same.

use crate::driver::contender_id;
use crate::state::{Request, SESSIONS, Server, Slot, State, Watched};
use crate::step::Step;
use crate::tree::Transaction;
use crate::world::World;

impl World {
    /// A persistent set of steps, if one is easily found; else nothing is added.
    pub(crate) fn persistent_steps(&self, state: &State, steps: &mut Vec<Step>) {
        if state.faults > 0 {
            return;
        }
        for contender in 0..state.contenders.len() {
            if self.acts_alone(state, contender) {
                return self.contender_steps(state, contender, steps);
            }
        }
        for session in 0..SESSIONS {
            let id = contender_id(session);
            if !self.is_calm(state, session) {
                continue;
            }
            if let Some(&(contender, Watched::Own)) = state.sessions[session].events.first()
                && state.contenders[usize::from(contender)].machine.is_leaving()
            {
                return steps.push(Step::SeeEvent(id));
            }
            if self.executes_alone(state, session) {
                return steps.push(Step::Execute(id));
            }
        }
        if let Some(logged) = state.pending.first()
            && logged.transaction == Transaction::Nothing
            && logged.reply.as_ref().is_none_or(|reply| self.is_calm(state, self.session_of(reply.contender.into())))
        {
            steps.push(Step::Follow);
        }
    }

    /// Nothing can happen to a session or its connection any more.
    fn is_calm(&self, state: &State, session: usize) -> bool {
        let it = &state.sessions[session];
        it.lives && it.link.is_some() && !it.is_closing && !it.has_lapsed && it.ghosts.is_empty()
    }

    /// Nobody but its contender will change a node any more, and the session's server shows it as it is.
    fn is_settled(&self, state: &State, session: usize, number: u8) -> bool {
        state.sessions[session].link == Some(Server::Leader)
            || state.leader.node(number) == state.follower.node(number)
                && state.pending.iter().all(|logged| !logged.transaction.concerns(number))
    }

    /// What a contender is about to take in comes before everything else that could come.
    fn acts_alone(&self, state: &State, contender: usize) -> bool {
        let session = self.session_of(contender);
        let me = &state.contenders[contender];
        // What one user does with a share and its upgrade depends on both.
        if self.share_of(contender).is_some() || self.upgrade_of(contender).is_some() {
            return false;
        }
        if !me.has_started || me.machine.is_finished() || me.has_lapsed || !self.is_calm(state, session) {
            return false;
        }
        let own = me.machine.node().map(crate::state::number_of);
        if own.is_some_and(|number| !self.is_settled(state, session, number)) {
            return false;
        }
        let hears_predecessor = me.predecessor_watch.is_some_and(|watch| watch.is_known);
        let hears_own = me.own_watch.is_some_and(|watch| watch.told.is_some())
            || Self::is_asking(state, session, contender, Slot::Own);
        match (&me.own_answer, &me.answer) {
            (Some(_), _) => me.own_watch.is_none_or(|watch| watch.told.is_none()),
            (None, Some(_)) => !hears_predecessor && !hears_own,
            (None, None) => false,
        }
    }

    /// The session's next request is a look at its contender's own node, or a barrier with nothing to settle.
    fn executes_alone(&self, state: &State, session: usize) -> bool {
        let Some(next) = Self::executable(state, session) else { return false };
        let queued = &state.sessions[session].requests[next];
        let is_leaders = state.sessions[session].link == Some(Server::Leader);
        let own = match queued.request {
            Request::BarrierToRecover | Request::BarrierToVerify(_) => return is_leaders,
            Request::FindOwn => return is_leaders,
            // It looks at the share's node as well.
            Request::Confirm(_) if self.share_of(queued.contender.into()).is_some() => return false,
            Request::Confirm(own) | Request::WatchOwn(own) | Request::Verify(own) => own,
            _ => return false,
        };
        self.is_settled(state, session, crate::state::number_of(own))
    }
}
