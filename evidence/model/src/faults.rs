//! What goes wrong: connections, sessions, operators, strangers. And how connections come back.

use fairlock::LossReason;
use fairlock::queue::Event;

use crate::driver::contender_id;
use crate::state::{Delivery, Queued, Request, Server, Shown, Slot, State, User};
use crate::tree::{ROOM, Told, Transaction};
use crate::world::World;

impl World {
    /// A session's connection is lost: whatever was on its way is lost with it, except that writes may be executed all
    /// the same. With `looks_remain`, the second half of a step was not sent yet, and will be on the next connection.
    pub(crate) fn disconnect(&self, state: &mut State, session: usize, looks_remain: bool) {
        let cut = &mut state.sessions[session];
        cut.link = None;
        cut.is_closing = false;
        cut.events.clear();
        let (kept, lost): (Vec<Queued>, Vec<Queued>) = std::mem::take(&mut cut.requests)
            .into_iter()
            .partition(|queued| looks_remain && Self::is_second_half(queued.request));
        cut.requests = kept;
        if cut.lives {
            let ghosts = lost.iter().filter(|queued| !queued.is_executed && queued.request.has_effect()).cloned();
            cut.ghosts.extend(ghosts);
        }
        for logged in &mut state.pending {
            let is_of_session = |reply: &mut crate::state::Reply| self.session_of(reply.contender.into()) == session;
            logged.reply.take_if(is_of_session);
        }
        self.interrupt(state, session);
        for contender in self.members(session) {
            for which in Self::WATCHES {
                if let Some(watch) = state.contenders[contender].watch_mut(which) {
                    // The client does not know of it; the watch is placed again on the next connection.
                    watch.told.take_if(|(_, delivery)| *delivery == Delivery::Sent);
                }
            }
        }
        for queued in lost {
            self.answer(state, queued.contender.into(), queued.slot, queued.request, Event::Unknown);
        }
    }

    /// Whether a disconnect may find the second half of a step unsent.
    pub(crate) fn has_second_half(state: &State, session: usize) -> bool {
        state.sessions[session].requests.iter().any(|queued| Self::is_second_half(queued.request))
    }

    fn is_second_half(request: Request) -> bool {
        matches!(request, Request::FindOwn | Request::Verify(_))
    }

    fn interrupt(&self, state: &mut State, session: usize) {
        for queued in &mut state.sessions[session].requests {
            queued.is_continuous = false;
        }
        for contender in self.members(session) {
            for which in Self::WATCHES {
                if let Some(watch) = state.contenders[contender].watch_mut(which) {
                    watch.is_continuous = false;
                }
            }
        }
    }

    /// Whether a session may connect to a server: not to one that lacks what it has seen.
    pub(crate) fn may_connect(state: &State, session: usize, server: Server) -> bool {
        server == Server::Leader || state.sessions[session].seen == 0
    }

    /// A session finds a server: it is told that it has ended, or what its watches have missed.
    pub(crate) fn reconnect(&self, state: &mut State, session: usize, server: Server) {
        self.interrupt(state, session);
        if !state.sessions[session].lives {
            return self.end(state, session);
        }
        state.sessions[session].link = Some(server);
        // The server has the session revalidated by the leader, which counts anew.
        self.renew(state, session);
        for contender in self.members(session) {
            let member = &mut state.contenders[contender];
            member.state_flipped = member.has_started && !member.machine.is_finished();
            member.state_flipped &= member.state_seen == Shown::Connected;
        }
        if !self.driver.restores_watches {
            return;
        }
        for which in Self::WATCHES {
            for contender in self.members(session) {
                let tree = match server {
                    Server::Leader => &state.leader,
                    Server::Follower => &state.follower,
                };
                let Some(watch) = state.contenders[contender].watch_mut(which) else { continue };
                let told = match tree.node(watch.number).filter(|node| node.shares == watch.shares) {
                    _ if watch.told.is_some() => continue,
                    // It may be told for nothing.
                    None if watch.number == ROOM => Told::Deleted,
                    None => Told::Deleted,
                    Some(node) if (node.token, node.version) != (watch.token, watch.version) => Told::Differs,
                    Some(_) => continue,
                };
                watch.told = Some((told, Delivery::Sent));
                state.sessions[session].events.push((contender_id(contender), which));
            }
        }
    }

    pub(crate) fn end(&self, state: &mut State, session: usize) {
        let ended = &mut state.sessions[session];
        ended.has_ended = true;
        ended.ghosts.clear();
        for queued in std::mem::take(&mut ended.requests) {
            let event = Event::SessionEnded(LossReason::SessionExpired);
            self.answer(state, queued.contender.into(), queued.slot, queued.request, event);
        }
    }

    /// The time up to which the session can be relied upon passes.
    pub(crate) fn lapse(&self, state: &mut State, session: usize) {
        state.sessions[session].has_lapsed = true;
        for contender in self.members(session) {
            let member = &mut state.contenders[contender];
            member.has_lapsed |= member.user == User::Holding;
        }
    }

    /// The session's validity is renewed by a write that was acknowledged; grants that waited for it are handed over.
    pub(crate) fn renew(&self, state: &mut State, session: usize) {
        state.sessions[session].has_lapsed = false;
        for contender in self.members(session) {
            let member = &mut state.contenders[contender];
            if member.user == User::Granted {
                member.user = User::Holding;
            }
        }
    }

    /// The servers end a session.
    pub(crate) fn expire(&self, state: &mut State, session: usize) {
        let ended = &mut state.sessions[session];
        ended.lives = false;
        ended.ghosts.clear();
        self.log(state, Transaction::EndSession(contender_id(session)), None);
    }

    /// An operator deletes a node.
    pub(crate) fn delete_by_hand(&self, state: &mut State, number: u8) {
        state.is_rude = true;
        if let Some(node) = state.leader.node(number) {
            let owner = &mut state.contenders[usize::from(node.ticket)];
            owner.was_robbed = true;
        }
        self.log(state, Transaction::Delete(number), None);
    }

    /// An operator deletes the queue and all in it, one by one.
    pub(crate) fn delete_all_by_hand(&self, state: &mut State) {
        state.is_rude = true;
        let numbers: Vec<u8> = state.leader.nodes.iter().map(|node| node.number).collect();
        for number in numbers {
            self.delete_by_hand(state, number);
        }
        self.log(state, Transaction::Remove, None);
    }

    /// Whether a contender's request of this kind is on its way.
    pub fn is_asking(state: &State, session: usize, contender: usize, slot: Slot) -> bool {
        state.sessions[session].requests.iter().any(|queued| queued.is_of(contender, slot))
    }
}
