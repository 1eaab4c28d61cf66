//! The end of a session at its client's wish.

use fairlock::LossReason;
use fairlock::store::SessionId;
use tokio::sync::oneshot;

use super::{Due, World};
use crate::facts::Remover;
use crate::trace::Step;

impl World {
    pub(super) fn end_by_client(&mut self, id: SessionId, reason: LossReason) -> Option<oneshot::Receiver<()>> {
        let at = self.now() + self.latency();
        let link = self.links.get_mut(&id).expect("links stay");
        if link.has_ended() {
            return None;
        }
        let was_connected = link.is_connected() && link.is_served();
        link.end(reason);
        self.note(Step::ClosedByClient { session: id.0 });
        if !was_connected {
            return None;
        }
        let link = self.links.get_mut(&id).expect("links stay");
        let at = at.max(link.up_last);
        let (sender, receiver) = oneshot::channel();
        link.closing = Some(sender);
        self.schedule(at, Due::Close(id));
        Some(receiver)
    }

    pub(super) fn close(&mut self, id: SessionId) {
        if self.links.get(&id).is_some_and(|link| link.is_served()) {
            self.end_session(id, Remover::Close);
        }
    }
}
