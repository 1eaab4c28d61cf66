//! The wires: sending, arriving, breaking, connecting again; and when the leader ends a session.

use std::collections::VecDeque;

use fairlock::LossReason;
use fairlock::store::{Change, SessionId, SessionState, StoreError, StoreErrorKind};
use tokio::sync::oneshot;
use tokio::task;

use super::call::{Answer, Call, CallKind, Reply, Request};
use super::link::{Item, Link, Wire};
use super::{Due, World, at_once};
use crate::facts::{Fact, Remover};
use crate::plan::{FaultKind, Sabotage};
use crate::trace::Step;

impl World {
    pub(super) fn send(
        &mut self,
        id: SessionId,
        call: Call,
    ) -> Result<(oneshot::Receiver<Reply>, oneshot::Receiver<()>), StoreError> {
        let link = self.links.get_mut(&id).expect("links stay");
        if let SessionState::Ended(reason) = link.state() {
            return Err(StoreErrorKind::Ended(reason).into());
        }
        // As the store of ZooKeeper does it: by the time a connection is back, the name may be another's.
        if matches!(call.kind(), CallKind::Leave | CallKind::Replace) && !link.is_connected() {
            return Err(StoreErrorKind::Unknown.into());
        }
        let (reply, receiver) = oneshot::channel();
        let broken = link.broken();
        let request = Request { call, reply, connected_at: link.connected_at, sender: task::try_id() };
        if link.is_connected() {
            self.transmit(id, request);
        } else {
            link.unsent.push_back(request);
        }
        Ok((receiver, broken))
    }

    fn transmit(&mut self, id: SessionId, request: Request) {
        let at = self.now() + self.latency();
        let link = self.links.get_mut(&id).expect("links stay");
        link.up_last = link.up_last.max(at);
        let (due, connection) = (link.up_last, link.connection);
        link.up.push_back((due, request));
        self.schedule(due, Due::Up(id, connection));
    }

    pub(super) fn arrive(&mut self, id: SessionId, connection: u64) {
        let now = self.now();
        let link = self.links.get_mut(&id).expect("links stay");
        if link.connection != connection || link.wire == Wire::Dead {
            return;
        }
        let Some(request) = pop_due(&mut link.up, now) else { return };
        let (wire, lives) = (link.wire, link.lives);
        let kind = request.call.kind();
        if wire == Wire::Isolated {
            // It answers from what it knows; a write never comes back.
            if kind == CallKind::Touch {
                self.note(Step::Executed { session: id.0, call: kind, name: request.call.name(), answer: "Ok" });
                self.push_down(id, Item::Reply(request.reply, Ok(Answer::Done)));
            }
            return;
        }
        if !lives {
            return self.note(Step::Ignored { session: id.0, call: kind });
        }
        let losses = self.plan.losses;
        if self.draws(FaultKind::RequestLost, losses) {
            self.note(Step::Lost { session: id.0, call: kind, name: request.call.name() });
            return self.cut_shortly(id);
        }
        self.hear(id);
        if kind.is_write() {
            self.settle_late(id);
        }
        let refusal = self.refusal(kind);
        let loses_reply = self.draws(FaultKind::ReplyLost, losses);
        let reply = match refusal {
            Some(kind) => Err(kind.into()),
            None => self.execute(id, &request),
        };
        self.note(Step::Executed { session: id.0, call: kind, name: request.call.name(), answer: outcome(&reply) });
        if loses_reply {
            return self.cut_shortly(id);
        }
        let is_settled = kind.is_write() && reply.is_ok();
        self.push_down(id, Item::Reply(request.reply, reply));
        if is_settled {
            self.isolate_with_news(id);
        }
    }

    /// A follower that has acknowledged a write is cut off before it has relayed what it heard: the worst moment.
    fn isolate_with_news(&mut self, id: SessionId) {
        let has_news = self.links.get(&id).is_some_and(|link| link.relay_due.is_some() && link.wire == Wire::Works);
        // What a reply proves that took long is worth least.
        let now = self.now();
        let was_slow = |link: &Link| link.slow_at.is_some_and(|at| now < at + self.plan.timeout_ms);
        let of_thousand = if self.links.get(&id).is_some_and(was_slow) { 200 } else { 10 };
        if has_news && self.draws(FaultKind::Isolated, of_thousand) {
            self.disturb(FaultKind::Isolated, id);
        }
    }

    fn refusal(&mut self, kind: CallKind) -> Option<StoreErrorKind> {
        if self.denied && !matches!(kind, CallKind::Touch | CallKind::WriteBarrier) {
            return Some(StoreErrorKind::NoPermission);
        }
        let losses = self.plan.losses;
        self.draws(FaultKind::Overloaded, losses).then_some(StoreErrorKind::Overloaded)
    }

    /// Whether a fault of this kind happens now, so many times of a thousand.
    pub(super) fn draws(&mut self, kind: FaultKind, of_thousand: u32) -> bool {
        let happens = self.is_faulty() && self.plan.has(kind) && self.rng.u32(..1_000) < of_thousand;
        if happens {
            self.observe(Fact::Fault(kind));
        }
        happens
    }

    /// A request of a broken connection takes effect: a server that lags behind shows it only now.
    pub(super) fn arrive_late(&mut self, id: SessionId) {
        let now = self.now();
        let link = self.links.get_mut(&id).expect("links stay");
        let lives = link.lives;
        let Some(request) = pop_due(&mut link.late, now) else { return };
        if lives {
            self.execute_late(id, &request);
        }
    }

    fn execute_late(&mut self, id: SessionId, request: &Request) {
        let reply = self.execute(id, request);
        self.note(Step::Late {
            session: id.0,
            call: request.call.kind(),
            name: request.call.name(),
            answer: outcome(&reply),
        });
    }

    /// Once a later write is executed, the requests of earlier connections have been or never will be.
    fn settle_late(&mut self, id: SessionId) {
        if self.plan.sabotage == Some(Sabotage::BarrierLeaks) {
            return;
        }
        loop {
            let executes = self.rng.bool();
            let link = self.links.get_mut(&id).expect("links stay");
            if !executes {
                link.late.clear();
            }
            let Some((_, request)) = link.late.pop_front() else { return };
            self.execute_late(id, &request);
        }
    }

    pub(super) fn push_down(&mut self, id: SessionId, item: Item) {
        let now = self.now();
        let at = now + self.latency();
        let overtakes = self.plan.sabotage == Some(Sabotage::EventsOvertake) && self.rng.bool();
        let link = self.links.get_mut(&id).expect("links stay");
        if at - now > self.plan.timeout_ms / 8 {
            link.slow_at = Some(at);
        }
        link.down_last = link.down_last.max(at);
        let (due, connection) = (link.down_last, link.connection);
        match item {
            Item::Event(_) if overtakes => link.down.push_front((self.start.elapsed().as_millis() as u64, item)),
            item => link.down.push_back((due, item)),
        }
        self.schedule(due, Due::Down(id, connection));
    }

    pub(super) fn deliver(&mut self, id: SessionId, connection: u64) {
        let now = self.now();
        let link = self.links.get_mut(&id).expect("links stay");
        if link.connection != connection || !matches!(link.wire, Wire::Works | Wire::Isolated) || link.has_ended() {
            return;
        }
        match pop_due(&mut link.down, now) {
            Some(Item::Reply(reply, answer)) => drop(reply.send(answer)),
            Some(Item::Event(number)) => {
                let Some(watch) = link.watches.remove(&number) else { return };
                let change = watch.fired.unwrap_or(Change::Written);
                let waits = watch.attempt.is_some() && !watch.is_own;
                let is_heard = watch.told.send(change).is_ok();
                self.judge.stats.batons += u64::from(is_heard && waits && change == Change::Written);
                self.note(Step::Event { session: id.0, watch: number, change, is_heard });
            }
            None => {}
        }
    }

    /// The server hears of the session, and will tell the leader.
    fn hear(&mut self, id: SessionId) {
        let now = self.now();
        // Often as late as it may be: then least is left of what a validity counts on.
        let longest = self.plan.relay_ms.max(1);
        let pause = if self.rng.bool() { longest } else { self.rng.u64(1..=longest) };
        let link = self.links.get_mut(&id).expect("links stay");
        if link.relay_ms == 0 {
            link.heard_at = now;
        } else if link.relay_due.is_none() {
            let due = now + pause.min(link.relay_ms);
            link.relay_due = Some(due);
            let connection = link.connection;
            self.schedule(due, Due::Relay(id, connection));
        }
    }

    pub(super) fn relay(&mut self, id: SessionId, connection: u64) {
        let now = self.now();
        let link = self.links.get_mut(&id).expect("links stay");
        // A follower that was cut off has taken the knowledge along.
        if link.connection == connection && link.relay_due.take().is_some() && link.wire != Wire::Isolated {
            link.heard_at = link.heard_at.max(now);
        }
    }

    pub(super) fn expire_if_silent(&mut self, id: SessionId) {
        let now = self.now();
        let link = self.links.get_mut(&id).expect("links stay");
        if !link.lives {
            return;
        }
        let at = link.heard_at + self.plan.timeout_ms;
        if now < at {
            return self.schedule(at, Due::Expiry(id));
        }
        self.end_session(id, Remover::Expiry);
    }

    /// The servers end the session, and close its connection.
    pub(super) fn end_session(&mut self, id: SessionId, by: Remover) {
        let link = self.links.get_mut(&id).expect("links stay");
        if !link.lives {
            return;
        }
        link.lives = false;
        link.late.clear();
        let memory = link.memory.clone();
        self.note(Step::Ended { session: id.0, by });
        // What the guards say at this moment is what counts.
        for (lock, token) in self.book.nodes_of(id) {
            self.removed(lock, token, by, None);
        }
        match by {
            Remover::Close => at_once(memory.close()),
            _ => self.memory.expire(id),
        }
        self.collect_fired();
        let link = self.links.get_mut(&id).expect("links stay");
        if link.closing.take().is_some_and(|closing| closing.send(()).is_ok()) {
            return;
        }
        // A follower that is cut off does not know.
        let knows = link.wire != Wire::Isolated;
        if knows && by != Remover::Close {
            self.cut_shortly(id);
        }
    }

    /// The connection breaks, the client notices soon, and tries again soon.
    pub(super) fn cut_shortly(&mut self, id: SessionId) {
        let (notice, down) = (self.latency(), self.rng.u64(1..=self.plan.timeout_ms / 8));
        self.cut(id, notice, down);
    }

    /// The connection breaks now. The client notices after a while, and is without one for another while.
    pub(super) fn cut(&mut self, id: SessionId, notice_ms: u64, down_ms: u64) {
        let now = self.now();
        let link = self.links.get_mut(&id).expect("links stay");
        if link.wire == Wire::Dead || link.has_ended() {
            return;
        }
        let was_isolated = link.wire == Wire::Isolated;
        link.wire = Wire::Dead;
        link.down_ms = down_ms;
        if was_isolated || self.rng.bool() {
            link.relay_due = None;
        }
        // Requests on their way take effect in their order, up to where they are lost.
        let mut due = link.late.back().map_or(now, |(due, _)| now.max(*due));
        while !was_isolated && self.rng.u8(..3) > 0 {
            let Some((_, request)) = link.up.pop_front() else { break };
            // Nobody hears the answer of a read, and its watch goes with the connection.
            if !request.call.kind().is_write() {
                continue;
            }
            due += self.rng.u64(..=self.plan.timeout_ms / 8);
            link.late.push_back((due, request));
            self.scheduled += 1;
            self.agenda.push(std::cmp::Reverse((due, self.scheduled, Due::Late(id))));
        }
        let connection = link.connection;
        self.note(Step::Cut { session: id.0, notice_ms, down_ms });
        self.schedule(now.saturating_add(notice_ms), Due::Notice(id, connection));
    }

    pub(super) fn notice(&mut self, id: SessionId, connection: u64) {
        let now = self.now();
        let link = self.links.get_mut(&id).expect("links stay");
        if link.connection != connection || !link.is_connected() {
            return;
        }
        link.wire = Wire::Dead;
        link.set_state(SessionState::Suspended);
        link.up.clear();
        link.down.clear();
        let at = now.saturating_add(link.down_ms);
        self.note(Step::Noticed { session: id.0 });
        self.schedule(at, Due::Reconnect(id));
    }

    pub(super) fn reconnect(&mut self, id: SessionId) {
        let now = self.now();
        let relay_ms = self.draw_relay();
        let link = self.links.get_mut(&id).expect("links stay");
        if link.state() != SessionState::Suspended {
            return;
        }
        if now < self.unreachable_until {
            let at = self.unreachable_until;
            return self.schedule(at, Due::Reconnect(id));
        }
        if !link.lives {
            link.end(LossReason::SessionExpired);
            return self.note(Step::Told { session: id.0 });
        }
        link.wire = Wire::Works;
        link.connection += 1;
        (link.connected_at, link.calm_since, link.up_last, link.down_last) = (now, now, now, now);
        // The new server has the session revalidated by the leader.
        link.heard_at = now;
        (link.relay_ms, link.relay_due) = (relay_ms, None);
        link.set_state(SessionState::Connected);
        // What has happened since is told as a difference.
        let mut fired: Vec<_> =
            link.watches.iter().filter(|(_, watch)| watch.fired.is_some()).map(|(&n, _)| n).collect();
        let unsent = std::mem::take(&mut link.unsent);
        self.note(Step::Connected { session: id.0 });
        // In no order that could be relied upon.
        self.rng.shuffle(&mut fired);
        for number in fired {
            let Some(watch) = self.links.get_mut(&id).and_then(|link| link.watches.get_mut(&number)) else { continue };
            let exists = self.memory.data(&watch.path).is_some();
            watch.fired = Some(if exists { Change::Written } else { Change::Deleted });
            self.push_down(id, Item::Event(number));
        }
        for mut request in unsent {
            request.connected_at = now;
            self.transmit(id, request);
        }
    }

    pub(super) fn unmute(&mut self, id: SessionId, connection: u64) {
        let now = self.now();
        let link = self.links.get_mut(&id).expect("links stay");
        if link.connection != connection || !matches!(link.wire, Wire::Mute) {
            return;
        }
        link.wire = Wire::Works;
        link.calm_since = now;
        for (due, _) in &mut link.down {
            *due = now.max(*due);
        }
        let dues: Vec<_> = link.down.iter().map(|(due, _)| *due).collect();
        for due in dues {
            self.schedule(due, Due::Down(id, connection));
        }
    }
}

fn outcome(reply: &Reply) -> &'static str {
    match reply {
        Ok(_) => "Ok",
        Err(error) => match error.kind() {
            StoreErrorKind::NoNode => "NoNode",
            StoreErrorKind::NotEmpty => "NotEmpty",
            StoreErrorKind::NoPermission => "NoPermission",
            StoreErrorKind::Overloaded => "Overloaded",
            _ => "refused",
        },
    }
}

fn pop_due<T>(queue: &mut VecDeque<(u64, T)>, now: u64) -> Option<T> {
    let is_due = queue.front().is_some_and(|(due, _)| *due <= now);
    if is_due { queue.pop_front().map(|(_, item)| item) } else { None }
}
