//! First come, first served.

use crate::state::{Note, State, User};
use crate::world::World;

/// When c is granted, no contender that still waits and excludes c has a node in the leader's tree with a lower token than c's.
pub fn first_come_first_served(world: &World, state: &State) -> bool {
    let Some(Note::Granted { contender, .. }) = state.note else { return true };
    let contender = usize::from(contender);
    let Some(granted) = state.contenders[contender].token() else { return true };
    state.contenders.iter().enumerate().all(|(index, other)| {
        if !world.exclude_each_other(state, contender, index) {
            return true;
        }
        let waits = other.user == User::Waiting && !other.machine.is_leaving();
        let earlier = other.token().filter(|&token| waits && token < granted);
        earlier.is_none_or(|token| state.leader.node_of_token(token).is_none())
    })
}
