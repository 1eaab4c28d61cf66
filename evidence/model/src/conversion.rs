//! From writing to reading and back: what users, the driver and the leader do about it.

use fairlock::queue::{Event, Machine};
use fairlock::store::OwnNode;

use crate::driver::contender_id;
use crate::state::{Contender, Queued, Request, Shown, Slot, State, User, Watched, number_of};
use crate::tree::{Node, Transaction};
use crate::world::World;

impl World {
    /// Whether a contender may begin: whether it upgrades the share that it has, its user decides once it has one.
    pub(crate) fn may_begin(&self, state: &State, contender: usize) -> bool {
        let share = self.share_of(contender).map(|share| &state.contenders[share]);
        share.is_none_or(|share| share.user == User::Holding || share.machine.is_finished())
    }

    /// The contender begins, for a share if it is for one.
    pub(crate) fn begin(&self, state: &mut State, contender: usize) {
        let Some(share) = self.share_of(contender) else { return self.start(state, contender) };
        let holder = &state.contenders[share];
        match holder.machine.node().filter(|_| holder.user == User::Holding) {
            Some(node) => self.start_upgrade(state, contender, node),
            // There is nothing to give up for it.
            None => state.contenders[contender] = Contender::ended(),
        }
    }

    /// Whoever waits for an upgrade has given its guard away, and gets it back.
    pub(crate) fn is_lent(&self, state: &State, contender: usize) -> bool {
        let upgrade = self.upgrade_of(contender).map(|upgrade| &state.contenders[upgrade]);
        upgrade.is_some_and(|upgrade| upgrade.has_started && matches!(upgrade.user, User::Waiting | User::Granted))
    }

    pub(crate) fn downgrade(&self, state: &mut State, contender: usize) {
        let is_connected = state.sessions[self.session_of(contender)].client_state() == Shown::Connected;
        let own = state.contenders[contender].machine.node().expect("a node to downgrade");
        if !is_connected && self.driver.leaves_only_connected {
            self.forget_outstanding(state, contender);
            state.contenders[contender].answer = Some(Event::Unknown);
            return;
        }
        self.ask(state, contender, Slot::Main, Request::Downgrade(own));
    }

    /// The user of a share asks for the lock instead.
    fn start_upgrade(&self, state: &mut State, contender: usize, share: OwnNode) {
        state.contenders[contender].machine = Machine::upgrading(share.sequence, self.limits);
        state.contenders[contender].share = Some(share);
        self.start(state, contender);
    }

    /// The user asks for a share in place of the lock.
    pub(crate) fn ask_for_share(&self, state: &mut State, contender: usize) {
        state.contenders[contender].is_content_with_share = true;
        self.handle(state, contender, Event::Downgrade);
    }

    /// Another node has come in place of the own one.
    pub(crate) fn replaced(&self, state: &mut State, contender: usize) {
        // What is known of the own node is known of the one that is gone.
        let session = self.session_of(contender);
        state.sessions[session].requests.retain(|queued| !queued.is_of(contender, Slot::Own));
        let is_own = |event: &(u8, Watched)| *event == (contender_id(contender), Watched::Own);
        state.sessions[session].events.retain(|event| !is_own(event));
        let me = &mut state.contenders[contender];
        (me.own_watch, me.own_answer, me.own_watch_delayed) = (None, None, false);
    }

    /// What the leader makes of it.
    pub(crate) fn decide_downgrade(&self, state: &mut State, queued: &Queued, own: OwnNode) -> (Transaction, Event) {
        let number = number_of(own);
        let named = state.leader.node(number).filter(|node| self.sequence_of(node) == own.sequence);
        // The driver has to find out whether it was done before.
        let Some(&node) = named else { return (Transaction::Nothing, Event::Unknown) };
        Self::note_theft(state, queued, &node, own);
        state.tokens += 1;
        let session = self.contenders[usize::from(queued.contender)].session;
        let (token, ticket) = (state.tokens, queued.contender);
        let shared = Node { number, token, session, ticket, version: 0, shares: true };
        (Transaction::Downgrade(shared), Event::Downgraded(self.own_node(&shared)))
    }
}
