//! Waiting for permits of a semaphore.
//!
//! A contender is granted once it and all contenders ahead of it want no more permits, together, than the semaphore has.
//! Nobody enters ahead of a live node, so that sum only falls: whoever was granted stays so, however many come later. The
//! latest of those granted counted all the others of them, so together they never have more than there are. Those who wait
//! ahead count as well: a contender that wants many is not overtaken by others that want few.
//!
//! Any departure ahead may make room, so no single node is watched but the list of all. Whoever waits here is told of each
//! change; the recipe lets one contender at a time wait here, and the others behind it, in a queue for their turn
//! (`lock::semaphore`). Safety does not rest on that.

use super::{Ending, Machine, OwnWatch, Patience, Phase};
use crate::name::Sequence;
use crate::queue::event::{Action, Event, Failure, LeaveForm, Proof};
use crate::queue::survey::permits_wanted;

impl Machine {
    pub(super) fn survey_room(&mut self) -> Action {
        self.phase = Phase::SurveyingRoom { is_watched: false };
        Action::SurveyRoom
    }

    pub(super) fn surveying_room(&mut self, is_watched: bool, event: Event) -> Vec<Action> {
        match event {
            Event::RoomSurveyed { contenders, permits } => self.room_surveyed(&contenders, permits, is_watched),
            Event::QueueMissing => self.own_gone(),
            Event::Unknown if is_watched => vec![self.watch_room()],
            Event::Unknown => vec![self.survey()],
            Event::Refused => self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::Refused)),
            other => self.irrelevant(&other),
        }
    }

    fn room_surveyed(&mut self, contenders: &[Sequence], permits: u32, is_watched: bool) -> Vec<Action> {
        self.is_room_watched |= is_watched;
        let own = self.own().sequence;
        let Ok(wanted) = permits_wanted(contenders, own) else { return self.own_gone() };
        let own_wanted = own.permits().expect("only who wants permits surveys the room");
        if own_wanted > permits {
            // Waiting, it would keep everybody behind it from permits that there are.
            return self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::TooManyPermits { permits }));
        }
        if wanted <= u64::from(permits) {
            // As with a lock: only a watch that is silent says that the node of this name is the own one.
            if self.own_watch == OwnWatch::Placed {
                return self.grant(Proof::Survey);
            }
            self.phase = Phase::Confirming;
            return vec![Action::Confirm];
        }
        if self.patience == Patience::Try {
            return self.leave(LeaveForm::Withdraw, Ending::Failed(Failure::WouldBlock));
        }
        if self.is_room_watched {
            self.phase = Phase::AwaitingRoom;
            return vec![];
        }
        // Never watched, or changed while the answer was on its way: it may be of before the change.
        vec![self.watch_room()]
    }

    pub(super) fn awaiting_room(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::RoomChanged | Event::Tick => vec![self.survey()],
            other => self.irrelevant(&other),
        }
    }

    fn watch_room(&mut self) -> Action {
        // One watch at a time: the driver drops an earlier one with this.
        self.is_room_watched = false;
        self.phase = Phase::SurveyingRoom { is_watched: true };
        Action::WatchRoom
    }
}
