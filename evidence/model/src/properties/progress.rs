//! Who stays is granted, or told why not.

use crate::state::{Delivery, Server, State, User, small};
use crate::step::Step;
use crate::tree::ROOM;
use crate::world::World;

/// When nothing but faults can happen, every contender has ended, and its user has been told.
///
/// Users release what they hold in the end, and looks for missed events are not counted on.
pub fn nobody_waits_for_ever(world: &World, state: &State) -> bool {
    if state.contenders.iter().all(|contender| contender.is_done() && contender.user == User::Nobody) {
        return true;
    }
    let mut steps = Vec::new();
    world.steps(state, &mut steps);
    // A contender that ignores the end of its session is not moved by hearing of it.
    let moves = |step: Step| !matches!(step, Step::SeeEnd(_)) || world.step(state, step) != *state;
    steps.into_iter().any(|step| step.is_progress() && moves(step))
}

/// Whoever waits for n has a watch on n that has told something, or n is there for its server to tell of: on the server
/// that it is connected to, n exists. Whoever waits for permits has a watch that has told something, or on its server there are too
/// few. (Without a connection, the next one compares.)
pub fn a_waiter_is_woken(world: &World, state: &State) -> bool {
    (0..state.contenders.len()).all(|contender| {
        let me = &state.contenders[contender];
        let Some(watch) = me.predecessor_watch.filter(|watch| watch.is_known) else { return true };
        let session = &state.sessions[world.session_of(contender)];
        let tree = match session.link {
            Some(Server::Leader) => &state.leader,
            Some(Server::Follower) => &state.follower,
            None => return true,
        };
        let is_told = matches!(watch.told, Some((_, Delivery::Sent | Delivery::Seen { .. })));
        let is_there = match (watch.number, me.machine.node()) {
            // There is no room for it.
            (ROOM, Some(own)) => {
                let ahead = tree.nodes.iter().filter(|node| node.number <= small(own.sequence));
                world.permits_of(ahead.map(|node| usize::from(node.ticket))) > tree.permits
            }
            _ => watch.finds(tree),
        };
        is_told || session.is_closing || is_there
    })
}
