//! Few watches, on the right nodes.

use fairlock::queue::{Event, Mode};

use crate::state::{Note, Request, Slot, State, small, token_of};
use crate::tree::ROOM;
use crate::world::World;

/// A contender never asks for a watch of a kind that it has. It watches a predecessor only while it waits for that one, be
/// it a reader or a writer, whose number is lower than its own; and as its own it watches the node of its own token.
pub fn one_watch_of_each_kind(world: &World, state: &State) -> bool {
    !matches!(state.note, Some(Note::WatchedTwice(_)))
        && (0..state.contenders.len()).all(|contender| watches_rightly(world, state, contender))
}

fn watches_rightly(world: &World, state: &State, contender: usize) -> bool {
    let me = &state.contenders[contender];
    let Some(own) = me.machine.node() else { return me.predecessor_watch.is_none() };
    let requests = &state.sessions[world.session_of(contender)].requests;
    let watching = requests.iter().filter(|queued| queued.is_of(contender, Slot::Main)).map(|queued| queued.request);
    let asked = watching.filter_map(|request| match request {
        Request::Watch(ahead) | Request::WatchEither(ahead) | Request::WatchReader(ahead) => Some(small(ahead)),
        _ => None,
    });
    if me.predecessor_watch.is_some_and(|watch| watch.number == ROOM) {
        return world.permits > 0;
    }
    let placed = me.predecessor_watch.map(|watch| (watch.number, watch.shares));
    let are_lower = asked.chain(placed.map(|(number, _)| number)).all(|number| number < small(own.sequence));
    let is_own = me.own_watch.is_none_or(|watch| !world.driver.compares_identity || watch.token == token_of(own));
    let waits = me.machine.waiting_for().map(|ahead| (small(ahead), ahead.mode() == Mode::Shared));
    // A watch that is kept while the queue is surveyed is not waited for at that moment, nor one on a reader before it is known.
    let is_answered_otherwise = matches!(me.answer, Some(Event::WatchMissing | Event::ReaderWatchPlaced));
    let is_waited_for = waits.is_none() || placed.is_none() || waits == placed || is_answered_otherwise;
    are_lower && is_own && is_waited_for
}
