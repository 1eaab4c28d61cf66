//! What `src/driver` does around the machine, one step at a time: actions become requests, and what was seen becomes
//! events.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fairlock::LossReason;
use fairlock::queue::{Action, Event, LeaveForm, Proof};

use crate::state::{Contender, Delivery, Note, Queued, Request, Shown, Slot, State, User, Watched, small};
use crate::tree::{ROOM, Told};
use crate::world::World;

/// Stands for a barrier's reply, which the machine never sees.
pub(crate) const ACKNOWLEDGED: Event = Event::QueueMade;

impl World {
    /// The contender's task begins.
    pub(crate) fn start(&self, state: &mut State, contender: usize) {
        state.contenders[contender].has_started = true;
        self.ask(state, contender, Slot::Main, Request::Enter);
    }

    /// Gives the machine an event and does what it asks for.
    pub(crate) fn handle(&self, state: &mut State, contender: usize, event: Event) {
        self.handle_told(state, contender, event, None);
    }

    fn handle_told(&self, state: &mut State, contender: usize, event: Event, told: Option<Told>) {
        // While it leaves, that its node is gone is what it asked for; the answer to that decides.
        let machine = &state.contenders[contender].machine;
        let is_leaving = machine.is_leaving() || machine.is_downgrading();
        let is_loss =
            matches!(event, Event::SessionEnded(_) | Event::DeadlinePassed) || event == Event::OwnGone && !is_leaving;
        let is_confirmed = event == Event::Verified { exists: true };
        let machine = &mut state.contenders[contender].machine;
        match crate::panics::silently(|| catch_unwind(AssertUnwindSafe(|| machine.handle(event)))) {
            Ok(actions) => {
                for action in actions {
                    self.perform(state, contender, action, told);
                }
                if let Some(Note::Granted { is_confirmed: noted, .. }) = &mut state.note {
                    *noted = is_confirmed;
                }
            }
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                state.note = Some(Note::Panicked(message.unwrap_or_default()));
            }
        }
        let listens = matches!(state.contenders[contender].user, User::Waiting | User::Granted | User::Holding);
        if is_loss && listens {
            state.note.get_or_insert(Note::Untold(contender_id(contender)));
        }
        if state.contenders[contender].machine.is_finished() {
            // The task ends, and drops what it waited for.
            let requests = &mut state.sessions[self.session_of(contender)].requests;
            requests.retain(|queued| queued.slot == Slot::Surplus || usize::from(queued.contender) != contender);
            if state.contenders[contender].user != User::Nobody {
                state.note.get_or_insert(Note::Untold(contender_id(contender)));
            }
            // One ended contender is like another.
            let surplus = std::mem::take(&mut state.contenders[contender].surplus);
            state.contenders[contender] = Contender { surplus, ..Contender::ended() };
        }
    }

    fn perform(&self, state: &mut State, contender: usize, action: Action, told: Option<Told>) {
        let own = state.contenders[contender].machine.node();
        match action {
            Action::Enter => self.ask_main(state, contender, Request::Enter),
            Action::MakeQueue => self.ask_main(state, contender, Request::MakeQueue),
            Action::Recover if self.driver.barrier_before_recover => {
                self.ask_main(state, contender, Request::BarrierToRecover);
            }
            Action::Recover => self.ask_main(state, contender, Request::FindOwn),
            Action::Survey => self.ask_main(state, contender, Request::Survey),
            Action::SurveyRoom => self.ask_main(state, contender, Request::SurveyRoom),
            Action::WatchRoom => {
                let dropped = state.contenders[contender].predecessor_watch.take();
                if dropped.is_some_and(|watch| watch.is_known && watch.told.is_none()) {
                    state.note = Some(Note::WatchedTwice(contender_id(contender)));
                }
                self.ask_main(state, contender, Request::WatchRoom);
            }
            Action::Probe(ahead) => self.ask_main(state, contender, Request::Probe(ahead)),
            Action::PlaceWatch(ahead) => {
                let dropped = state.contenders[contender].predecessor_watch.take();
                if dropped.is_some_and(|watch| watch.is_known && watch.told.is_none() && watch.number == small(ahead)) {
                    state.note = Some(Note::WatchedTwice(contender_id(contender)));
                }
                self.ask(state, contender, Slot::Main, Request::Watch(ahead));
            }
            Action::PlaceWatchOnEither(before) => {
                // One that an interruption left, of whose answer nobody knows.
                state.contenders[contender].predecessor_watch = None;
                self.ask_main(state, contender, Request::WatchEither(before));
            }
            Action::Confirm => {
                self.ask_main(state, contender, Request::Confirm(own.expect("a node to confirm")));
            }
            Action::PlaceOwnWatch if state.contenders[contender].machine.is_held() => {
                state.contenders[contender].own_watch_delayed = true;
            }
            Action::PlaceOwnWatch => self.place_own_watch(state, contender),
            Action::Grant(proof) => self.grant(state, contender, proof, told),
            Action::Leave(form) => self.leave(state, contender, form),
            Action::Verify => {
                let own = own.expect("a node to verify");
                let barrier = self.driver.barrier_before_verify;
                let request = if barrier { Request::BarrierToVerify(own) } else { Request::Verify(own) };
                self.ask_main(state, contender, request);
            }
            Action::RemoveSurplus(node) => {
                if self.driver.removes_surplus {
                    state.contenders[contender].surplus.push(node);
                    self.ask(state, contender, Slot::Surplus, Request::BarrierToVerify(node));
                }
            }
            Action::Lose(_) | Action::Fail(_) | Action::Released => {
                state.contenders[contender].user = User::Nobody;
                state.contenders[contender].has_lapsed = false;
            }
            Action::Downgrade => self.downgrade(state, contender),
            Action::Locate => self.ask_main(state, contender, Request::BarrierToRecover),
            // No request is refused here.
            Action::Downgraded | Action::NotDowngraded => {}
            Action::Finish => {}
        }
    }

    fn grant(&self, state: &mut State, contender: usize, proof: Proof, told: Option<Told>) {
        self.forget_outstanding(state, contender);
        let has_lapsed = state.sessions[self.session_of(contender)].has_lapsed;
        let me = &mut state.contenders[contender];
        me.predecessor_watch = None;
        if me.user == User::Waiting {
            let waits = has_lapsed && self.driver.renews_before_hand_over;
            me.user = if waits { User::Granted } else { User::Holding };
        }
        let on = |what| proof == Proof::Baton && told == Some(what);
        let (forged, differs) = (on(Told::Forged), on(Told::Differs));
        state.note.get_or_insert(Note::Granted {
            contender: contender_id(contender),
            proof,
            forged,
            differs,
            is_confirmed: false,
        });
    }

    fn leave(&self, state: &mut State, contender: usize, form: LeaveForm) {
        let is_connected = state.sessions[self.session_of(contender)].client_state() == Shown::Connected;
        let me = &mut state.contenders[contender];
        me.predecessor_watch = None;
        me.own_watch_delayed = false;
        let own = me.machine.node().expect("a node to leave");
        if !is_connected && self.driver.leaves_only_connected {
            self.forget_outstanding(state, contender);
            state.contenders[contender].answer = Some(Event::Unknown);
            return;
        }
        self.ask(state, contender, Slot::Main, Request::Leave(form, own));
    }

    fn place_own_watch(&self, state: &mut State, contender: usize) {
        let me = &mut state.contenders[contender];
        let Some(own) = me.machine.node() else { return };
        let session = self.session_of(contender);
        let asked = state.sessions[session].requests.iter().any(|queued| queued.is_of(contender, Slot::Own));
        if me.own_watch.take().is_some() || me.own_answer.is_some() || asked {
            state.note = Some(Note::WatchedTwice(contender_id(contender)));
        }
        if self.driver.places_own_watch {
            self.ask(state, contender, Slot::Own, Request::WatchOwn(own));
        } else {
            state.contenders[contender].own_answer = Some(Event::OwnWatchPlaced);
        }
    }

    pub(crate) fn ask_main(&self, state: &mut State, contender: usize, request: Request) {
        self.ask(state, contender, Slot::Main, request);
    }

    /// Makes a request. An ended session answers at once.
    pub(crate) fn ask(&self, state: &mut State, contender: usize, slot: Slot, request: Request) {
        if slot == Slot::Main {
            self.forget_outstanding(state, contender);
        }
        let ought_to_know =
            matches!(request, Request::Leave(..) | Request::Downgrade(_)) && self.ought_to_know(state, contender);
        let session = self.session_of(contender);
        let session = &mut state.sessions[session];
        if session.has_ended {
            return self.answer(state, contender, slot, request, Event::SessionEnded(LossReason::SessionExpired));
        }
        session.requests.push(Queued {
            contender: contender_id(contender),
            slot,
            request,
            is_executed: false,
            is_continuous: session.link.is_some(),
            ought_to_know,
        });
    }

    /// Somebody has deleted a contender's own node; and it has heard of an interruption since then, or that node is watched
    /// and no news of its deletion are on the way.
    fn ought_to_know(&self, state: &State, contender: usize) -> bool {
        let me = &state.contenders[contender];
        let is_watched = me.own_watch.is_some_and(|watch| watch.is_known && watch.told.is_none());
        // A server that has not applied the deletion will tell of it.
        let shows_it = |server| me.token().is_some_and(|token| state.tree_at(server).node_of_token(token).is_some());
        let will_be_told = state.sessions[self.session_of(contender)].link.is_some_and(shows_it);
        me.was_robbed && (me.is_warned || is_watched && !will_be_told)
    }

    /// Drops the outstanding request: only a look may be dropped.
    pub(crate) fn forget_outstanding(&self, state: &mut State, contender: usize) {
        state.contenders[contender].answer = None;
        let requests = &mut state.sessions[self.session_of(contender)].requests;
        if requests.iter().any(|queued| queued.is_of(contender, Slot::Main) && queued.request.is_write()) {
            state.note = Some(Note::Abandoned(contender_id(contender)));
        }
        requests.retain(|queued| !queued.is_of(contender, Slot::Main));
    }

    /// An answer has come.
    pub(crate) fn answer(&self, state: &mut State, contender: usize, slot: Slot, request: Request, event: Event) {
        if slot == Slot::Surplus {
            return self.surplus_answer(state, contender, request, event);
        }
        // The second half of a step: the look after the write.
        let look = match (request, &event) {
            (Request::BarrierToRecover, &ACKNOWLEDGED) => Some(Request::FindOwn),
            (Request::BarrierToVerify(own), &ACKNOWLEDGED) => Some(Request::Verify(own)),
            _ => None,
        };
        if let Some(look) = look {
            return self.ask(state, contender, slot, look);
        }
        let me = &mut state.contenders[contender];
        if me.machine.is_finished() {
            return;
        }
        match (slot, event) {
            (Slot::Own, Event::Unknown) => me.own_answer = Some(Event::OwnWatchSpent),
            (Slot::Own, event) => me.own_answer = Some(event),
            (_, Event::Unknown) if !self.driver.unknown_is_unknown => me.answer = Some(Event::Refused),
            (_, event) => me.answer = Some(event),
        }
    }

    fn surplus_answer(&self, state: &mut State, contender: usize, request: Request, event: Event) {
        let (Request::BarrierToVerify(node) | Request::Verify(node) | Request::Leave(_, node)) = request else {
            return;
        };
        let is_connected = state.sessions[self.session_of(contender)].link.is_some();
        let next = match (request, event) {
            (Request::BarrierToVerify(_), ACKNOWLEDGED) => Request::Verify(node),
            (_, Event::Verified { exists: true }) if is_connected => Request::Leave(LeaveForm::Withdraw, node),
            (_, Event::Verified { exists: false } | Event::Left | Event::LeaveMissing | Event::SessionEnded(_)) => {
                return state.contenders[contender].surplus.retain(|surplus| *surplus != node);
            }
            _ => Request::BarrierToVerify(node),
        };
        self.ask(state, contender, Slot::Surplus, next);
    }

    /// The contender takes in the answer to its outstanding request.
    pub(crate) fn take_answer(&self, state: &mut State, contender: usize) {
        let me = &mut state.contenders[contender];
        let Some(event) = me.answer.take() else { return };
        if matches!(event, Event::WatchPlaced | Event::ReaderWatchPlaced | Event::RoomSurveyed { .. })
            && let Some(watch) = &mut me.predecessor_watch
        {
            watch.is_known = true;
        }
        if me.machine.is_replaced_by(&event) {
            self.replaced(state, contender);
        }
        self.handle(state, contender, event);
    }

    /// The contender takes in the answer to placing its own watch.
    pub(crate) fn take_own_answer(&self, state: &mut State, contender: usize) {
        let me = &mut state.contenders[contender];
        let Some(event) = me.own_answer.take() else { return };
        if let Some(watch) = &mut me.own_watch {
            watch.is_known = true;
            // From now on this tells, over an interruption as well.
            me.is_warned = false;
        }
        self.handle(state, contender, event);
    }

    /// The contender takes in what its own watch tells.
    pub(crate) fn take_own_event(&self, state: &mut State, contender: usize) {
        let Some((told, _)) = state.contenders[contender].own_watch.take().and_then(|watch| watch.told) else { return };
        let event = if told == Told::Deleted { Event::OwnGone } else { Event::OwnWatchSpent };
        self.handle(state, contender, event);
    }

    /// The contender takes in what its predecessor's watch tells. Whether the connection has held is asked at some time
    /// between the client's having the event and now.
    pub(crate) fn take_predecessor_event(&self, state: &mut State, contender: usize, continuous: bool) {
        let Some(watch) = state.contenders[contender].predecessor_watch.take() else { return };
        let Some((told, _)) = watch.told else { return };
        if watch.number == ROOM {
            return self.handle(state, contender, Event::RoomChanged);
        }
        let continuous = continuous || !self.driver.tells_interruptions;
        let event =
            if told == Told::Deleted { Event::PredecessorGone } else { Event::PredecessorReleased { continuous } };
        self.handle_told(state, contender, event, Some(told));
    }

    /// Which values of `continuous` the contender may see with the event of its predecessor's watch.
    pub(crate) fn continuities(state: &State, contender: usize) -> Vec<bool> {
        match &state.contenders[contender].predecessor_watch {
            Some(watch) if watch.is_known => match watch.told {
                Some((Told::Deleted, Delivery::Seen { .. })) => vec![false],
                Some((_, Delivery::Seen { was_continuous })) if was_continuous != watch.is_continuous => {
                    vec![true, false]
                }
                Some((_, Delivery::Seen { was_continuous })) => vec![was_continuous],
                _ => vec![],
            },
            _ => vec![],
        }
    }

    /// The contender looks at the session's state. It sees the latest that was published, which may be late.
    pub(crate) fn look_at_state(&self, state: &mut State, contender: usize, seen: Shown) {
        let me = &mut state.contenders[contender];
        me.state_seen = seen;
        me.state_flipped = false;
        me.is_warned = me.was_robbed;
        let event = match seen {
            Shown::Connected => Event::Resumed,
            Shown::Suspended => Event::Suspended,
            Shown::Ended => Event::SessionEnded(LossReason::SessionExpired),
        };
        self.handle(state, contender, event);
    }

    /// The time has come to watch a holder's own node.
    pub(crate) fn own_watch_time(&self, state: &mut State, contender: usize) {
        state.contenders[contender].own_watch_delayed = false;
        self.place_own_watch(state, contender);
    }

    /// The user stops listening before it has a guard.
    pub(crate) fn cancel(&self, state: &mut State, contender: usize) {
        state.cancels -= 1;
        state.contenders[contender].user = User::Nobody;
        self.handle(state, contender, Event::Cancel);
    }

    /// The user releases its guard.
    pub(crate) fn release(&self, state: &mut State, contender: usize) {
        state.contenders[contender].user = User::Releasing;
        state.contenders[contender].has_lapsed = false;
        self.handle(state, contender, Event::Release);
    }

    /// The holder's validity has lapsed, and its task notices.
    pub(crate) fn deadline(&self, state: &mut State, contender: usize) {
        state.contenders[contender].has_lapsed = false;
        self.handle(state, contender, Event::DeadlinePassed);
    }

    /// Watches of a contender, for iteration.
    pub(crate) const WATCHES: [Watched; 2] = [Watched::Predecessor, Watched::Own];
}

impl Queued {
    /// Whether it is this contender's, in this slot.
    pub fn is_of(&self, contender: usize, slot: Slot) -> bool {
        usize::from(self.contender) == contender && self.slot == slot
    }
}

/// A contender's index, as stored.
pub(crate) fn contender_id(contender: usize) -> u8 {
    u8::try_from(contender).expect("few contenders")
}
